package authz

// Administration says in the names of a policy what the service itself has to know of
// it: which questions stand for changing and reading facts (A1), which permissions have a
// meaning beyond a question (A4), and how the routes are called. It is data, declared
// with the policy (data.administration): no such name is written in Go. A policy that
// declares none lets nobody administer.
type Administration struct {
	// Questions has the action and the type of resource of every Duty.
	Questions map[Duty]Ask
	// Everything is the permission that stands for all others, those to come as well
	// (`*:*`), and Users the one that stands for all of the administration of members,
	// roles and groups (`user:*`).
	Everything, Users string
	// Routes are the names of the routes that data.authz.visibility.routes has, in the
	// order in which they are shown.
	Routes []string
}

// Ask is the action and the type of resource that a policy is asked about.
type Ask struct{ Action, Resource string }

// Duty is something that administration asks the policy about.
type Duty string

// The duties. What is asked with each, besides the action and the type of resource, is
// the id of the entity; for the duties of bookings also the patient and the provider, as
// properties of the same names.
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
