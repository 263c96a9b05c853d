package acceptance

import "slices"

// This file says the rules of the design's section 2 again, in plain Go, as
// somebody would who has never seen the policy. The property test holds the
// answers of the real server against it.

// world is what one organisation holds.
type world struct {
	roles, groups map[string][]string // permissions by id
	patientGroups []string
	members       map[string]staff
	patients      map[string]person
}

type staff struct {
	role      string // "" for none
	groups    []string
	access    []string // patient groups
	booking   []string // patient groups
	provider  bool
	suspended bool
}

type person struct {
	group    string
	manual   []string // the care team, but for the bookings
	bookings []visit
}

type visit struct{ id, provider, state string }

// kind is a resource type of the catalogue.
type kind struct {
	actions  map[string]string // the permission each needs
	required []string          // references
	optional []string
}

func crudOf(name string) map[string]string {
	return map[string]string{"view": name + ":view", "create": name + ":create", "update": name + ":update", "delete": name + ":delete"}
}

// theCatalogue is data/catalogue as of this writing.
var theCatalogue = map[string]kind{
	"patient":  {actions: crudOf("patient")},
	"provider": {actions: map[string]string{"view": "provider:view", "book": "appointment:create"}, optional: []string{"patient"}},
	"appointment": {actions: map[string]string{"view": "appointment:view", "create": "appointment:create", "update": "appointment:update",
		"delete": "appointment:delete", "cancel": "appointment:create"}, required: []string{"patient"}, optional: []string{"provider"}},
	"clinical_note": {actions: crudOf("clinical_note"), required: []string{"patient"}},
	"report": {actions: map[string]string{"view": "report:view", "create": "report:create", "delete": "report:delete"},
		optional: []string{"patient_group"}},
	"calendar":      {actions: crudOf("calendar")},
	"schedule":      {actions: crudOf("schedule")},
	"stock":         {actions: crudOf("stock")},
	"settings":      {actions: crudOf("settings")},
	"user":          {actions: crudOf("user")},
	"team_member":   {},
	"patient_group": {},
}

// grants says whether one permission, as it was granted, gives another (P3).
func grants(granted, wanted string) bool {
	if granted == wanted || granted == "*:*" {
		return true
	}
	for name := range theCatalogue {
		for _, verb := range crud {
			if granted == name+":*" && wanted == name+":"+verb {
				return true
			}
		}
	}
	return false
}

func anyGrants(granted []string, wanted string) bool {
	return slices.ContainsFunc(granted, func(p string) bool { return grants(p, wanted) })
}

// grantors says who gives a member a permission (P2).
func (w *world) grantors(m staff, permission string) grant {
	var g grant
	if m.role != "" && anyGrants(w.roles[m.role], permission) {
		g.Role = m.role
	}
	for _, id := range m.groups {
		if anyGrants(w.groups[id], permission) {
			g.Groups = append(g.Groups, id)
		}
	}
	return g
}

func (g grant) holds() bool { return g.Role != "" || len(g.Groups) > 0 }

func (w *world) may(m staff, permission string) bool { return w.grantors(m, permission).holds() }

// routes are why a member sees a patient (V1, V2, V3).
func (w *world) routes(id string, m staff, p person) []string {
	var out []string
	if slices.Contains(p.careTeam(), id) {
		out = append(out, "care_team")
	}
	return append(out, w.groupRoutes(m, p.group)...)
}

// groupRoutes are why a member may report on a patient group (V8).
func (w *world) groupRoutes(m staff, group string) []string {
	var out []string
	if slices.Contains(m.access, group) {
		out = append(out, "patient_group_access")
	}
	if w.may(m, "patient:view_all") {
		out = append(out, "view_all_patients")
	}
	return out
}

// careTeam is the manual edges and the providers of the bookings that were not
// released (B5, B6).
func (p person) careTeam() []string {
	out := slices.Clone(p.manual)
	for _, v := range p.bookings {
		if v.state != "released" {
			out = append(out, v.provider)
		}
	}
	return out
}

// named is what the references of a question come to.
type named struct {
	missing, unknown []string
	patientID        string
	patient          *person
	providerID       string
	provider         *staff
	group            string
}

// references reads the references that the catalogue declares (P5). Booking
// for a patient needs the patient, though a patient who books need not say so.
func (w *world) references(q question) named {
	var n named
	k := theCatalogue[q.Resource.Type]
	required := slices.Clone(k.required)
	if q.Resource.Type == "provider" && q.Action.Name == "book" && q.Subject.Type == "team_member" {
		required = append(required, "patient")
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(required, k.optional)))) {
		value, given := q.Resource.Properties[name]
		id, text := value.(string)
		switch {
		case !given && slices.Contains(required, name), given && !text:
			n.missing = append(n.missing, name)
		case given && !w.resolve(&n, name, id):
			n.unknown = append(n.unknown, name)
		}
	}
	return n
}

func (w *world) resolve(n *named, name, id string) bool {
	switch name {
	case "patient":
		p, there := w.patients[id]
		if there {
			n.patientID, n.patient = id, &p
		}
		return there
	case "provider":
		m, there := w.provider(id)
		if there {
			n.providerID, n.provider = id, &m
		}
		return there
	case "patient_group":
		n.group = id
		if !slices.Contains(w.patientGroups, id) {
			n.group = ""
			return false
		}
		return true
	}
	return false
}

func (w *world) provider(id string) (staff, bool) {
	m, there := w.members[id]
	return m, there && m.provider
}

// bookable says whether patients of a group can book a provider (B1, P7).
func (m staff) bookable(group string) bool { return !m.suspended && slices.Contains(m.booking, group) }

// decide is the rules. A nil world is an organisation that is not there.
func (w *world) decide(q question) bool {
	if w == nil {
		return false // V9
	}
	switch q.Subject.Type {
	case "patient":
		p, there := w.patients[q.Subject.ID]
		return there && w.patientMay(q, p)
	case "team_member":
		m, there := w.members[q.Subject.ID]
		return there && w.memberMay(q, m)
	}
	return false
}

// patientMay is B3, and A1's cancelling.
func (w *world) patientMay(q question, p person) bool {
	if q.Resource.Type == "appointment" && q.Action.Name == "cancel" {
		n := w.references(q)
		return len(n.missing) == 0 && len(n.unknown) == 0 && n.patientID == q.Subject.ID
	}
	if q.Resource.Type != "provider" || q.Action.Name != "view" && q.Action.Name != "book" {
		return false
	}
	m, there := w.provider(q.Resource.ID)
	n := w.references(q)
	if !there || len(n.missing) > 0 || len(n.unknown) > 0 {
		return false
	}
	if q.Action.Name == "book" && n.patient != nil && n.patientID != q.Subject.ID {
		return false
	}
	return m.bookable(p.group)
}

func (w *world) memberMay(q question, m staff) bool {
	permission, there := theCatalogue[q.Resource.Type].actions[q.Action.Name]
	n := w.references(q)
	if m.suspended || !there || !w.may(m, permission) || len(n.missing) > 0 || len(n.unknown) > 0 {
		return false // P7, P4, P3, P5
	}
	sees := func(p person) bool { return len(w.routes(q.Subject.ID, m, p)) > 0 }
	if n.patient != nil && !sees(*n.patient) {
		return false // P5, for every type that names a patient
	}
	switch q.Resource.Type {
	case "patient":
		p, exists := w.patients[q.Resource.ID]
		if q.Action.Name == "create" {
			return !exists
		}
		return exists && sees(p) // V7
	case "provider":
		p, exists := w.provider(q.Resource.ID)
		if q.Action.Name == "book" {
			return exists && p.bookable(n.patient.group) // B4
		}
		return exists
	case "appointment":
		if q.Action.Name == "create" && n.provider != nil {
			return n.provider.bookable(n.patient.group) // B4
		}
	case "report":
		return n.group == "" || len(w.groupRoutes(m, n.group)) > 0 // V8
	}
	return true
}
