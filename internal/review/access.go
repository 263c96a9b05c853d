package review

import "github.com/caregate/caregate/internal/authz"

// The bounds of a review.
const (
	// MaxMembers is the most team members that a review or a preview lists. There may be
	// more, and then it says so; its counts are of all of them.
	MaxMembers = 1000
	// MaxExamples is the most patients that are named as examples.
	MaxExamples = 5
)

// The notes on a member who has a route to patients and may view none of them (V7), for want
// of patient:view by the default policy.
const (
	NoteViewAllWithoutView = "view_all_without_view" // the route is a permission
	NoteRouteWithoutView   = "route_without_view"    // it is another one
)

// MemberReview is what one team member sees, true at one revision.
type MemberReview struct {
	Found bool // false: there is no such member, and nothing else counts
	// Permitted says whether the member holds the permission that viewing a patient takes, as
	// the policy names it: patient:view, by the default one (V7).
	Permitted bool
	// Patients is how many patients they may view.
	Patients int
	// Routes are the routes that lead the member to somebody, or that have a cause, in
	// the order of their names. It is nil for a policy without routes.
	Routes []MemberRoute
	// Notes are codes, in order.
	Notes []string
}

// MemberRoute is one route by which a member is led to patients (V1-V3). Without
// patient:view it leads to them all the same, and they are not seen (V7).
type MemberRoute struct {
	Name     string
	Patients int // whom the route leads to
	Alone    int // those of them whom no other route leads to
	// Examples are ids of patients, of those whom no other route leads to where there are
	// such; MaxExamples at most.
	Examples []string
	Causes   Causes
}

// Causes are the facts that a route stands on, of those that the policy's rule for it looks
// at. All are empty for a rule that looks at others, or that cannot be said of nobody in
// particular.
type Causes struct {
	// Groups are the patient groups of Access, each with how many patients it has (V2).
	Groups []GroupCount
	// Grant is the role and the groups that grant the permission which is a route (V1).
	Grant *authz.Grant
	// CareTeam is how many patients the member looks after (V3).
	CareTeam int
}

// GroupCount is a patient group with how many patients it has.
type GroupCount struct {
	Group    string
	Patients int
}

// RouteCount is a route with how many it leads to.
type RouteCount struct {
	Name  string
	Count int
}

// PatientReview is who sees one patient, true at one revision.
type PatientReview struct {
	Found bool // false: there is no such patient, and nothing else counts
	// Total is how many team members see the patient.
	Total int
	// Routes says for each route that leads somebody who sees the patient to them how many
	// members it leads, in the order of the names; nil for a policy without routes.
	Routes []RouteCount
	// Members are those who see the patient, in the order of their ids, MaxMembers at most.
	Members []PatientViewer
	More    bool // there are more of them than Members
}

// PatientViewer is a team member who sees a patient.
type PatientViewer struct {
	Member string
	Routes []string // names, in order; nil for a policy without routes
}
