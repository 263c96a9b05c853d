package admin

import (
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Record is everything that an organisation says about one entity.
type Record = model.Record

// State is the state of a booking (B6).
type State = model.BookingState

// Relation is a relationship between two entities (A2).
type Relation = model.Relation

// The states of a booking.
const (
	Booked    = model.Booked
	Cancelled = model.Cancelled
	Released  = model.Released
)

// The relations, each from its own side to the other.
const (
	RoleOf         = model.RoleOf
	MemberOfGroup  = model.MemberOfGroup
	Access         = model.Access
	Booking        = model.Booking
	PatientGroupOf = model.PatientGroupOf
	CareTeam       = model.CareTeam
	BookingOf      = model.BookingOf
	BookingsWith   = model.BookingsWith
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
