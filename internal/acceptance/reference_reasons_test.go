package acceptance

import (
	"fmt"
	"slices"
)

// alone are the codes after which nothing else is worth saying.
var alone = []string{"organisation_unknown", "subject_unknown", "subject_unsupported", "subject_suspended",
	"resource_type_unknown", "action_unknown", "undefined"}

// inQuestion returns the patient that a team member's question is about, and
// whether the rules want one there.
func (w *world) inQuestion(q question, n named) (*person, bool) {
	if q.Resource.Type != "patient" {
		return n.patient, n.patient != nil
	}
	if p, there := w.patients[q.Resource.ID]; there {
		return &p, q.Action.Name != "create"
	}
	return nil, false
}

// holds says whether a reason code is true of a question.
func (w *world) holds(code string, q question) bool {
	if w == nil {
		return code == "organisation_unknown"
	}
	m, isMember := w.members[q.Subject.ID]
	isMember = isMember && q.Subject.Type == "team_member"
	p, isPatient := w.patients[q.Subject.ID]
	isPatient = isPatient && q.Subject.Type == "patient"
	k, typed := theCatalogue[q.Resource.Type]
	permission, acted := k.actions[q.Action.Name]
	n := w.references(q)
	about, _ := w.inQuestion(q, n)
	askedProvider, provided := w.provider(q.Resource.ID)
	_, existing := w.patients[q.Resource.ID]
	asked := func() (who staff, by string, booked bool) {
		switch {
		case q.Resource.Type == "provider" && provided && isPatient:
			return askedProvider, p.group, true
		case q.Resource.Type == "provider" && provided && n.patient != nil && q.Action.Name == "book":
			return askedProvider, n.patient.group, true
		case q.Resource.Type == "appointment" && n.provider != nil && n.patient != nil && q.Action.Name == "create":
			return *n.provider, n.patient.group, true
		}
		return staff{}, "", false
	}
	cancels := q.Resource.Type == "appointment" && q.Action.Name == "cancel"
	switch code {
	case "permission_granted":
		return isMember && acted && w.may(m, permission)
	case "patient_visible":
		return isMember && about != nil && len(w.routes(q.Subject.ID, m, *about)) > 0
	case "patient_group_accessible":
		return isMember && n.group != "" && len(w.groupRoutes(m, n.group)) > 0
	case "provider_bookable":
		who, by, booked := asked()
		return booked && who.bookable(by)
	case "subject_unsupported":
		return q.Subject.Type != "team_member" && q.Subject.Type != "patient"
	case "subject_unknown":
		return q.Subject.Type == "team_member" && !isMember || q.Subject.Type == "patient" && !isPatient
	case "subject_suspended":
		return isMember && m.suspended
	case "own_booking":
		return isPatient && cancels && q.Resource.Properties["patient"] == q.Subject.ID
	case "not_for_patients":
		return isPatient && !cancels && (q.Resource.Type != "provider" || !acted)
	case "resource_type_unknown":
		return !typed
	case "action_unknown":
		return typed && !acted
	case "resource_unknown":
		return q.Resource.Type == "patient" && !existing || q.Resource.Type == "provider" && !provided
	case "exists":
		return q.Resource.Type == "patient" && q.Action.Name == "create" && existing
	case "reference_missing":
		return len(n.missing) > 0
	case "reference_unknown":
		return len(n.unknown) > 0
	case "permission_missing":
		return isMember && acted && !w.may(m, permission)
	case "patient_not_visible":
		return isMember && about != nil && len(w.routes(q.Subject.ID, m, *about)) == 0
	case "patient_group_not_accessible":
		return isMember && n.group != "" && len(w.groupRoutes(m, n.group)) == 0
	case "provider_not_bookable":
		who, by, booked := asked()
		return booked && !slices.Contains(who.booking, by)
	case "provider_suspended":
		who, _, booked := asked()
		return booked && who.suspended
	case "patient_mismatch":
		id, given := q.Resource.Properties["patient"]
		return isPatient && id != q.Subject.ID && (cancels || q.Resource.Type == "provider" && q.Action.Name == "book" && given)
	}
	return false // a code that nobody wrote down
}

var allowCodes = []string{"permission_granted", "patient_visible", "patient_group_accessible", "provider_bookable", "own_booking"}

// check holds an answer against the rules. "" means that it is right.
func (w *world) check(q question, got decision) string {
	why := got.reasons()
	if got.Decision == nil {
		return "no decision"
	}
	if want := w.decide(q); *got.Decision != want {
		return fmt.Sprintf("the rules say %v", want)
	}
	if why.Error != nil {
		return "context.error in a good answer"
	}
	if len(why.Reasons) == 0 {
		return "no reason"
	}
	if !slices.IsSorted(why.Reasons) || len(slices.Compact(slices.Clone(why.Reasons))) != len(why.Reasons) {
		return "the reasons are not sorted, or said twice"
	}
	for _, code := range why.Reasons {
		if !w.holds(code, q) {
			return fmt.Sprintf("the reason %s is not so", code)
		}
		if slices.Contains(allowCodes, code) != got.allowed() {
			return fmt.Sprintf("the reason %s belongs to the other decision", code)
		}
		if slices.Contains(alone, code) && len(why.Reasons) > 1 {
			return fmt.Sprintf("%s is not reported alone", code)
		}
	}
	if suspended := w.holds("subject_suspended", q); suspended && (why.Reasons[0] != "subject_suspended" || why.Permission != "" || why.Routes != nil || why.GrantedBy != nil) {
		return "a suspended member is told more"
	}
	if w == nil || q.Subject.Type != "team_member" {
		if why.Routes != nil || why.GrantedBy != nil {
			return "routes or grants of somebody who has none"
		}
		return ""
	}
	return w.checkDetails(q, got)
}

// checkDetails looks at the members of the context beside the reasons.
func (w *world) checkDetails(q question, got decision) string {
	why := got.reasons()
	m := w.members[q.Subject.ID]
	n := w.references(q)
	permission := theCatalogue[q.Resource.Type].actions[q.Action.Name]
	if why.Permission != "" && why.Permission != permission || got.allowed() && why.Permission == "" {
		return fmt.Sprintf("another permission: %q", permission)
	}
	granted := w.grantors(m, permission)
	if permission == "" {
		granted = grant{}
	}
	if why.GrantedBy != nil && (!granted.holds() || why.GrantedBy.Role != granted.Role || !sameSet(why.GrantedBy.Groups, granted.Groups)) ||
		got.allowed() && why.GrantedBy == nil {
		return fmt.Sprintf("other grants: %+v", granted)
	}
	wrong := slices.Concat(n.missing, n.unknown)
	for _, name := range why.References {
		if !slices.Contains(wrong, name) {
			return fmt.Sprintf("a sound reference is named: %s", name)
		}
	}
	if badReference := slices.ContainsFunc(why.Reasons, func(c string) bool { return c == "reference_missing" || c == "reference_unknown" }); badReference && len(why.References) == 0 {
		return "a reference is wrong, and it does not say which"
	}
	var routes []string
	about, wanted := w.inQuestion(q, n)
	switch {
	case about != nil:
		routes = w.routes(q.Subject.ID, m, *about)
	case n.group != "":
		routes = w.groupRoutes(m, n.group)
	}
	for _, route := range why.Routes {
		if !slices.Contains(routes, route) {
			return fmt.Sprintf("a route does not hold: %s", route)
		}
	}
	if got.allowed() && (wanted || n.group != "") && !sameSet(why.Routes, routes) {
		return fmt.Sprintf("other routes: %q", routes)
	}
	return ""
}
