package admin

import "github.com/caregate/caregate/internal/authz"

// Record is everything that an organisation says about one entity. Which fields
// count depends on Kind. A record stands for the entity as a whole.
type Record struct {
	Kind authz.Kind
	ID   string
	Name string // role, group, patient group and team member

	Permissions []string // role and group

	// Team member.
	Role       string // "" for none
	Groups     []string
	IsProvider bool
	Access     []string
	Booking    []string

	// Patient. CareTeam lists the manual edges; bookings bring theirs.
	PatientGroup string
	CareTeam     []string

	// Booking.
	Patient  string
	Provider string
	State    State
}

// Key returns the key of the entity.
func (r *Record) Key() authz.Key { return authz.Key{Kind: r.Kind, ID: r.ID} }

// State is the state of a booking (B6).
type State string

// The states of a booking.
const (
	Booked    State = "booked"
	Cancelled State = "cancelled" // the care-team edge is kept
	Released  State = "released"  // the care-team edge is given up
)

// Stored is a record as a store holds it.
type Stored struct {
	Record
	// Since is the revision at which the record last changed, by which If-Match
	// tells versions apart.
	Since authz.Revision
	// Sources says of each member of a patient's care team why they are on it:
	// "manual", or "booking:" and an id (B6). Sorted.
	Sources map[string][]string
}

// Relation is a relationship between two entities, seen from both sides (A2).
type Relation string

// The relations, each from its own side to the other.
const (
	RoleOf       Relation = "role"          // team member → role; at most one
	InGroup      Relation = "group"         // team member → group
	Access       Relation = "access"        // team member → patient group (V2)
	Booking      Relation = "booking"       // provider → patient group (B1)
	InGroupOf    Relation = "patient_group" // patient → patient group; exactly one (V5)
	CareTeam     Relation = "care_team"     // patient → team member (V3)
	BookingOf    Relation = "patient"       // booking → patient
	BookingsWith Relation = "provider"      // booking → provider
)

// Ends returns the kinds of entity that a relation is between.
func (r Relation) Ends() (from, to authz.Kind) {
	switch r {
	case RoleOf:
		return authz.KindTeamMember, authz.KindRole
	case InGroup:
		return authz.KindTeamMember, authz.KindGroup
	case Access, Booking:
		return authz.KindTeamMember, authz.KindPatientGroup
	case InGroupOf:
		return authz.KindPatient, authz.KindPatientGroup
	case CareTeam:
		return authz.KindPatient, authz.KindTeamMember
	case BookingOf:
		return authz.KindBooking, authz.KindPatient
	case BookingsWith:
		return authz.KindBooking, authz.KindTeamMember
	default:
		return "", ""
	}
}
