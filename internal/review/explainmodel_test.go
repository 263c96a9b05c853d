package review_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
)

// accountModel says in plain Go what the account of a question is, from the rules as they
// are documented and not from the policy.
type accountModel struct {
	types map[string]accountType
	facts map[authz.Key]*authz.Fact
}

type accountType struct {
	Facts      authz.Kind
	Require    string
	Actions    map[string]struct{ Permission string }
	Scopes     []string
	References map[string]struct{ Required bool }
}

func accountTypes(t testing.TB) map[string]accountType {
	t.Helper()
	text, err := fs.ReadFile(data.Files(), "catalogue/data.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Types map[string]accountType }
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Types
}

// object is a JSON object.
type object = map[string]any

// find returns the fact of an entity, nil for one that is not found, and whether
// there are facts of its type.
func (m *accountModel) find(typ string, id any) (fact *authz.Fact, kept bool) {
	spec := m.types[typ]
	name, _ := id.(string)
	fact = m.facts[authz.Key{Kind: spec.Facts, ID: name}]
	if fact != nil && spec.Require == "provider" && !fact.Provider {
		fact = nil
	}
	return fact, spec.Facts != ""
}

// grants reports whether a role or group grants a permission (P3).
func (m *accountModel) grants(k authz.Key, permission string) bool {
	source := m.facts[k]
	if source == nil {
		return false
	}
	known := false
	for name, spec := range m.types {
		for action, how := range spec.Actions {
			known = known || how.Permission == permission || how.Permission == "" && name+":"+action == permission
		}
		for _, scope := range spec.Scopes {
			known = known || name+":"+scope == permission
		}
	}
	typ, action, _ := strings.Cut(permission, ":")
	for _, listed := range source.Permissions {
		crud := slices.Contains([]string{"view", "create", "update", "delete"}, action)
		if known && (listed == permission || listed == "*:*" || listed == typ+":*" && crud) {
			return true
		}
	}
	return false
}

// sources returns the role and groups of a member and whether they grant a permission.
func (m *accountModel) sources(member *authz.Fact, permission string) (all []any, by []string) {
	all = []any{}
	if member.Role != "" {
		granted := m.grants(authz.Key{Kind: authz.KindRole, ID: member.Role}, permission)
		all = append(all, object{"role": member.Role, "grants": granted})
		if granted {
			by = append(by, "role "+member.Role)
		}
	}
	for _, id := range slices.Sorted(slices.Values(member.Groups)) {
		granted := m.grants(authz.Key{Kind: authz.KindGroup, ID: id}, permission)
		all = append(all, object{"group": id, "grants": granted})
		if granted {
			by = append(by, "group "+id)
		}
	}
	return all, by
}

// asked is a question with what is known of it.
type asked struct {
	*accountModel
	*authz.Request
	subject, resource *authz.Fact
	kept              bool // there are facts of the resource's type
	spec              accountType
	refers            map[string]*authz.Fact // references that are given; nil where they name nothing
	why               []object               // the requirements
	missing           []string               // the codes of those that are not met
	named             map[string]string      // what administrators are told of each code
}

func (a *asked) require(name, code string, met bool, missing any) bool {
	requirement := object{"requirement": name, "met": met}
	if !met {
		requirement["missing"] = missing
		a.missing = append(a.missing, code)
	}
	a.why = append(a.why, requirement)
	return met
}

// account returns what a question's account has to be.
func (m *accountModel) account(r *authz.Request) object {
	a := &asked{accountModel: m, Request: r, named: map[string]string{}, refers: map[string]*authz.Fact{}}
	admin := object{}
	var granted []string
	if a.question() {
		if r.Subject.Type == "team_member" {
			granted = a.ofMember(admin)
		} else {
			granted = a.ofPatient()
		}
	}
	verb, first, reasons := "allowed to", "Allowed", granted
	if len(a.missing) > 0 {
		verb, first, reasons = "denied to", "Denied", a.missing
	}
	slices.Sort(reasons)
	plain, named := make([]string, len(reasons)), make([]string, len(reasons))
	for i, code := range reasons {
		plain[i], named[i] = accountWords[code], accountWords[code]
		if a.named[code] != "" {
			named[i] = a.named[code]
		}
	}
	subject := strings.TrimPrefix(strings.TrimSuffix(r.Subject.Type+" "+r.Subject.ID, " "), " ")
	resource := strings.TrimPrefix(strings.TrimSuffix(r.Resource.Type+" "+r.Resource.ID, " "), " ")
	admin["requirements"] = a.why
	admin["reason_admin"] = object{"en": fmt.Sprintf("%s is %s %s %s: %s.", subject, verb, r.Action.Name, resource, strings.Join(named, "; "))}
	return object{
		"user":  object{"reasons": reasons, "reason_user": object{"en": fmt.Sprintf("%s: %s.", first, strings.Join(plain, "; "))}},
		"admin": admin,
	}
}

// question asks what comes first, and reports whether the rest is of interest (V9, P4).
func (a *asked) question() bool {
	kind := a.Subject.Type
	if !a.require("subject_supported", "subject_unsupported", kind == "team_member" || kind == "patient", object{"rules_for": kind}) {
		return false
	}
	a.subject, _ = a.find(kind, a.Subject.ID)
	if !a.require("subject_known", "subject_unknown", a.subject != nil, object{"subject": object{"type": kind, "id": a.Subject.ID}}) {
		return false
	}
	if a.subject.Suspended { // P7
		return a.require("subject_active", "subject_suspended", false, object{"suspension_ended": object{"member": a.Subject.ID}})
	}
	var known bool
	a.spec, known = a.types[a.Resource.Type]
	if !a.require("resource_type_known", "resource_type_unknown", known, object{"resource_type": a.Resource.Type}) {
		return false
	}
	_, known = a.spec.Actions[a.Action.Name]
	what := object{"action": object{"resource_type": a.Resource.Type, "name": a.Action.Name}}
	if !a.require("action_known", "action_unknown", known, what) {
		return false
	}
	a.resource, a.kept = a.find(a.Resource.Type, a.Resource.ID)
	for name := range a.spec.References {
		if id, given := a.Resource.Properties[name]; given {
			a.refers[name], _ = a.find(name, id)
		}
	}
	return true
}

// exists asks whether the resource is there, or is not yet, and reports it.
func (a *asked) exists() bool {
	what := object{"type": a.Resource.Type, "id": a.Resource.ID}
	switch {
	case !a.kept:
		return true
	case a.Action.Name == "create":
		return a.require("resource_new", "exists", a.resource == nil, object{"absence": what})
	default:
		return a.require("resource_exists", "resource_unknown", a.resource != nil, object{"resource": what})
	}
}

// references asks whether what the resource refers to is there (P5).
func (a *asked) references() {
	var missing, unknown []string
	entities := object{}
	for _, name := range slices.Sorted(maps.Keys(a.spec.References)) {
		value, given := a.Resource.Properties[name]
		_, text := value.(string)
		switch {
		case !given && (a.spec.References[name].Required || name == "patient" && a.forSomebody()), given && !text:
			missing = append(missing, name)
		case given && a.refers[name] == nil:
			unknown, entities[name] = append(unknown, name), value
		}
	}
	if len(a.spec.References) > 0 {
		a.require("references_given", "reference_missing", missing == nil, object{"references": missing})
		a.require("references_known", "reference_unknown", unknown == nil, object{"entities": entities})
	}
	a.named["reference_missing"] = "the reference " + strings.Join(missing, " and ") + " is not given"
	a.named["reference_unknown"] = "the reference " + strings.Join(unknown, " and ") + " names nothing that is known"
}

// forSomebody reports whether the question is a booking that has to say for whom (B4).
func (a *asked) forSomebody() bool {
	return a.Subject.Type == "team_member" && a.Resource.Type == "provider" && a.Action.Name == "book"
}

// bookable asks whether a provider is bookable for a patient's group (B1), and is not suspended (P7).
func (a *asked) bookable(provider *authz.Fact, group string) bool {
	at := fmt.Sprintf("for patient group %s", group)
	a.named["provider_bookable"] = fmt.Sprintf("provider %s is bookable %s", provider.ID, at)
	a.named["provider_not_bookable"] = fmt.Sprintf("provider %s has no Booking assignment %s", provider.ID, at)
	a.named["provider_suspended"] = fmt.Sprintf("provider %s is suspended", provider.ID)
	assigned := a.require("provider_bookable", "provider_not_bookable", slices.Contains(provider.Booking, group),
		object{"booking": object{"provider": provider.ID, "patient_group": group}})
	return !provider.Suspended && assigned ||
		provider.Suspended && a.require("provider_active", "provider_suspended", false, object{"suspension_ended": object{"member": provider.ID}})
}

// ofPatient is the rest of the question of a patient (B3, A1), and what is granted.
func (a *asked) ofPatient() []string {
	cancels := a.Resource.Type == "appointment" && a.Action.Name == "cancel" // A1
	a.require("open_to_patients", "not_for_patients", a.Resource.Type == "provider" || cancels, object{"resource_type": "provider"})
	exists := a.exists()
	a.references()
	patient, given := a.Resource.Properties["patient"]
	if cancels {
		a.require("for_oneself", "patient_mismatch", patient == any(a.Subject.ID), object{"properties": object{"patient": a.Subject.ID}})
		return []string{"own_booking"}
	}
	if a.Resource.Type == "provider" {
		a.require("for_oneself", "patient_mismatch", a.Action.Name != "book" || !given || patient == any(a.Subject.ID),
			object{"properties": object{"patient": a.Subject.ID}})
		if exists {
			a.bookable(a.resource, a.subject.PatientGroup)
		}
	}
	return []string{"provider_bookable"}
}

// ofMember is the rest of the question of a team member, and what is granted.
func (a *asked) ofMember(admin object) []string {
	granted := []string{"permission_granted"}
	permission := a.spec.Actions[a.Action.Name].Permission
	if permission == "" {
		permission = a.Resource.Type + ":" + a.Action.Name
	}
	sources, by := a.sources(a.subject, permission)
	admin["permission"] = object{"name": permission, "held": by != nil, "sources": sources}
	a.named["permission_granted"] = permission + " is granted by " + strings.Join(by, " and ")
	a.named["permission_missing"] = "no role or group of the member grants " + permission
	a.require("permission_held", "permission_missing", by != nil, object{"permission": permission})
	exists := a.exists()
	a.references()
	routes, concerned := []any{}, false
	patient := a.resource
	own := a.Resource.Type == "patient" && a.Action.Name != "create"
	if !own {
		patient = a.refers["patient"]
	}
	if own || patient != nil {
		concerned, granted = true, append(granted, "patient_visible")
	}
	if own && exists || !own && patient != nil {
		routes = append(routes, a.toPatient(patient, exists)...)
	}
	if group := a.refers["patient_group"]; group != nil {
		concerned, granted = true, append(granted, "patient_group_accessible")
		routes = append(routes, a.toGroup(group)...)
	}
	if concerned {
		admin["routes"] = routes
	}
	provider := a.refers["provider"]
	if a.Resource.Type == "provider" {
		provider = a.resource
	}
	booking := a.Resource.Type == "appointment" && a.Action.Name == "create" && provider != nil
	if exists && patient != nil && (a.forSomebody() || booking) {
		a.bookable(provider, patient.PatientGroup)
		granted = append(granted, "provider_bookable")
	}
	return granted
}

// ways judges routes: what each needs, and whether it holds.
func (a *asked) ways(to object, needs []object, names []string, held []bool) (routes, facts []any, by []string) {
	words := map[string]string{"view_all_patients": "patient:view_all", "patient_group_access": "Access", "care_team": "the care team"}
	for i, name := range names {
		route := object{"route": name, "to": to, "holds": held[i]}
		if route["missing"] = needs[i]; held[i] {
			delete(route, "missing")
			route["by"] = needs[i]
			by = append(by, name)
		}
		routes, facts = append(routes, route), append(facts, needs[i])
	}
	slices.Sort(by)
	for i := range by {
		by[i] = words[by[i]]
	}
	return routes, facts, by
}

func (a *asked) viewAll() (object, bool) {
	sources, by := a.sources(a.subject, "patient:view_all")
	return object{"permission": "patient:view_all", "sources": sources}, by != nil
}

func (a *asked) access(group string) (object, bool) {
	return object{"access": object{"member": a.subject.ID, "patient_group": group}}, slices.Contains(a.subject.Access, group)
}

// toPatient judges the routes to a patient (V1-V3).
func (a *asked) toPatient(patient *authz.Fact, exists bool) []any {
	all, holdsAll := a.viewAll()
	group, holdsGroup := a.access(patient.PatientGroup)
	team := object{"care_team": object{"patient": patient.ID, "member": a.subject.ID}}
	routes, facts, by := a.ways(object{"patient": patient.ID}, []object{all, group, team},
		[]string{"view_all_patients", "patient_group_access", "care_team"},
		[]bool{holdsAll, holdsGroup, slices.Contains(patient.CareTeam, a.subject.ID)})
	a.named["patient_visible"] = fmt.Sprintf("patient %s is visible by %s", patient.ID, strings.Join(by, " and "))
	a.named["patient_not_visible"] = fmt.Sprintf(
		"the member has no patient:view_all, no Access to patient group %s and no place on the care team of patient %s",
		patient.PatientGroup, patient.ID)
	if exists {
		a.require("patient_visible", "patient_not_visible", by != nil, object{"any_of": facts})
	}
	return routes
}

// toGroup judges the routes to a patient group (V8).
func (a *asked) toGroup(fact *authz.Fact) []any {
	all, holdsAll := a.viewAll()
	group, holdsGroup := a.access(fact.ID)
	routes, facts, by := a.ways(object{"patient_group": fact.ID}, []object{all, group},
		[]string{"view_all_patients", "patient_group_access"}, []bool{holdsAll, holdsGroup})
	a.named["patient_group_accessible"] = fmt.Sprintf("patient group %s is accessible by %s", fact.ID, strings.Join(by, " and "))
	a.named["patient_group_not_accessible"] = fmt.Sprintf("the member has no patient:view_all and no Access to patient group %s", fact.ID)
	a.require("patient_group_accessible", "patient_group_not_accessible", by != nil, object{"any_of": facts})
	return routes
}

// accountWords is what everybody is told of each code.
var accountWords = map[string]string{
	"permission_granted":           "the permission is held",
	"patient_visible":              "the patient is visible",
	"patient_group_accessible":     "the patient group is accessible",
	"provider_bookable":            "the provider is bookable",
	"own_booking":                  "the booking is the patient's own",
	"subject_unsupported":          "there are no rules for this type of subject",
	"subject_unknown":              "the subject is not known",
	"subject_suspended":            "the subject is suspended",
	"resource_type_unknown":        "the type of resource is not known",
	"action_unknown":               "the action is not known for this type of resource",
	"not_for_patients":             "patients view and book providers, cancel their own bookings, and do nothing else",
	"permission_missing":           "the permission is not held",
	"resource_unknown":             "the resource is not known",
	"exists":                       "the resource exists already",
	"reference_missing":            "something that the resource has to refer to is not given",
	"reference_unknown":            "something that the resource refers to is not known",
	"patient_not_visible":          "the patient is not visible",
	"patient_group_not_accessible": "the patient group is not accessible",
	"patient_mismatch":             "patients book and cancel for nobody but themselves",
	"provider_not_bookable":        "the provider is not bookable",
	"provider_suspended":           "the provider is suspended",
}
