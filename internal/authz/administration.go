package authz

// Administration says in the names of a policy what the service itself has to know of
// it: which questions stand for changing and reading facts (A1), which permissions have a
// meaning beyond a question (A4), and how the routes are called. It is data, declared
// with the policy (data.administration): no such name is written in Go. A policy that
// declares none lets nobody administer, and its Administration is nil.
//
// Go knows these names of its own: the types of those who act, team_member and patient,
// which are kinds of facts; and the reasons organisation_unknown and undefined, which it
// gives where no policy was asked, or the policy said nothing.
type Administration struct {
	// Questions has the action and the type of resource of every Duty.
	Questions map[Duty]Ask
	// Everything is the permission that stands for all others, those to come as well
	// (`*:*`), and Users the one that stands for all of the administration of members,
	// roles and groups (`user:*`).
	Everything, Users string
	// Routes are the names of the routes that data.authz.visibility.routes has, in the
	// order in which they are shown; none for a policy without that rule.
	Routes []string
}

// Ask is the action and the type of resource that a policy is asked about.
type Ask struct{ Action, Resource string }

// Question returns what is asked for a duty. declared is false for a policy that
// declares no administration: then nobody may.
func (a *Administration) Question(d Duty) (ask Ask, declared bool) {
	if a == nil {
		return Ask{}, false
	}
	ask, declared = a.Questions[d]
	return ask, declared
}

// Duty is something that administration asks the policy about.
type Duty string

// The duties. What is asked with each, besides the action and the type of resource, is
// the id of the entity; and for the duties of bookings properties, which are: for
// booking.view the patient and the provider, for booking.make, which is asked about the
// provider, the patient, and for booking.cancel the patient only, because the provider may
// be none any more.
const (
	ViewRole            Duty = "role.view"
	CreateRole          Duty = "role.create"
	UpdateRole          Duty = "role.update"
	DeleteRole          Duty = "role.delete"
	ViewGroup           Duty = "group.view"
	CreateGroup         Duty = "group.create"
	UpdateGroup         Duty = "group.update"
	DeleteGroup         Duty = "group.delete"
	ViewTeamMember      Duty = "team_member.view"
	CreateTeamMember    Duty = "team_member.create"
	UpdateTeamMember    Duty = "team_member.update"
	DeleteTeamMember    Duty = "team_member.delete"
	ViewPatientGroup    Duty = "patient_group.view"
	UpdatePatientGroup  Duty = "patient_group.update" // to make, rename and delete one
	ViewAccess          Duty = "access.view"
	UpdateAccess        Duty = "access.update"
	ViewBookingSetting  Duty = "booking_assignment.view"
	UpdateBooking       Duty = "booking_assignment.update"
	UpdateCareTeam      Duty = "care_team.update" // manual places
	ViewPatient         Duty = "patient.view"
	CreatePatient       Duty = "patient.create"
	UpdatePatient       Duty = "patient.update"
	DeletePatient       Duty = "patient.delete"
	ViewBooking         Duty = "booking.view"
	MakeBooking         Duty = "booking.make"
	CancelBooking       Duty = "booking.cancel"
	DeleteBooking       Duty = "booking.delete"
	ViewChangesUsers    Duty = "changes.view_users"    // the history of members, roles and groups
	ViewChangesSettings Duty = "changes.view_settings" // the history of everything else
	Explain             Duty = "explanations.view"     // administrators' explanations, reviews and previews (A1)
)

// Duties returns all duties there are.
func Duties() []Duty {
	return []Duty{
		ViewRole, CreateRole, UpdateRole, DeleteRole,
		ViewGroup, CreateGroup, UpdateGroup, DeleteGroup,
		ViewTeamMember, CreateTeamMember, UpdateTeamMember, DeleteTeamMember,
		ViewPatientGroup, UpdatePatientGroup, ViewAccess, UpdateAccess, ViewBookingSetting, UpdateBooking, UpdateCareTeam,
		ViewPatient, CreatePatient, UpdatePatient, DeletePatient,
		ViewBooking, MakeBooking, CancelBooking, DeleteBooking,
		ViewChangesUsers, ViewChangesSettings, Explain,
	}
}

// DutyOf returns the duty of an action on an entity of a kind: view, create, update or
// delete. Not every kind has each of them; no policy declares one that there is not.
func DutyOf(kind Kind, action string) Duty { return Duty(string(kind) + "." + action) }

// About returns the kind of facts that a duty is asked about: the resource has the id of
// such an entity, and its facts. It is "" for a duty that is not about one entity.
func (d Duty) About() Kind {
	switch d {
	case ViewPatient, CreatePatient, UpdatePatient, DeletePatient:
		return KindPatient
	case MakeBooking:
		return KindTeamMember
	}
	return ""
}
