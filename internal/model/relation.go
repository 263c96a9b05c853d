package model

import "github.com/caregate/caregate/internal/authz"

// Relation is a relationship between two entities, seen from both sides (A2).
type Relation string

// The relations, each from its own side to the other.
const (
	RoleOf         Relation = "role"          // team member → role; at most one
	MemberOfGroup  Relation = "group"         // team member → group
	Access         Relation = "access"        // team member → patient group (V2)
	Booking        Relation = "booking"       // provider → patient group (B1)
	PatientGroupOf Relation = "patient_group" // patient → patient group; exactly one (V5)
	CareTeam       Relation = "care_team"     // patient → team member (V3)
	BookingOf      Relation = "patient"       // booking → patient
	BookingsWith   Relation = "provider"      // booking → provider
)

// Relations returns all relations.
func Relations() []Relation {
	return []Relation{RoleOf, MemberOfGroup, Access, Booking, PatientGroupOf, CareTeam, BookingOf, BookingsWith}
}

// Ends returns the kinds of entity that a relation is between, "" where there is no such
// relation.
func (r Relation) Ends() (from, to authz.Kind) {
	switch r {
	case RoleOf:
		return authz.KindTeamMember, authz.KindRole
	case MemberOfGroup:
		return authz.KindTeamMember, authz.KindGroup
	case Access, Booking:
		return authz.KindTeamMember, authz.KindPatientGroup
	case PatientGroupOf:
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

// Index returns what the names of the indexes begin with that have, for each entity to
// which a relation goes, those from which it comes; "" where there is no such relation.
func (r Relation) Index() string {
	switch r {
	case RoleOf:
		return "role-members"
	case MemberOfGroup:
		return "group-members"
	case Access:
		return "access"
	case Booking:
		return "bookable"
	case PatientGroupOf:
		return "patients"
	case CareTeam:
		return "care"
	case BookingOf:
		return "bookings-of"
	case BookingsWith:
		return "bookings-with"
	default:
		return ""
	}
}

// IsLinked reports whether a relation is made and ended by itself: by link and unlink.
func (r Relation) IsLinked() bool {
	return r == MemberOfGroup || r == Access || r == Booking || r == CareTeam
}

// Field returns the field by which records refer along a relation, nil where there is no
// such relation.
func (r Relation) Field() *Field {
	from, _ := r.Ends()
	all := Fields(from)
	for i := range all {
		if all[i].Relation == r {
			return &all[i]
		}
	}
	return nil
}
