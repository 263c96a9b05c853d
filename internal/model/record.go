package model

import (
	"iter"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

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
	// IsSuspended is true on leave, and for who has left: every assignment stays (P7).
	IsSuspended bool
	Access      []string
	Booking     []string

	// Patient. CareTeam lists the manual edges; bookings bring theirs.
	PatientGroup string
	CareTeam     []string

	// Booking.
	Patient  string
	Provider string
	State    BookingState
}

// Key returns the key of the entity.
func (r *Record) Key() authz.Key { return authz.Key{Kind: r.Kind, ID: r.ID} }

// References yields the keys of the entities that a record refers to, each with the relation
// by which it does, in the order of the table. One may come twice.
func (r *Record) References() iter.Seq2[Relation, authz.Key] {
	return func(yield func(Relation, authz.Key) bool) {
		for _, f := range Fields(r.Kind) {
			var ids []string
			switch f.Type {
			case ID:
				ids = []string{*f.Text(r)}
			case IDs:
				ids = *f.List(r)
			}
			_, to := f.Relation.Ends()
			for _, id := range ids {
				if id != "" && !yield(f.Relation, authz.Key{Kind: to, ID: id}) {
					return
				}
			}
		}
	}
}

// SortLists puts every list in order, for they are sets.
func (r *Record) SortLists() {
	for _, f := range Fields(r.Kind) {
		if f.List != nil {
			slices.Sort(*f.List(r))
		}
	}
}

// BookingState is the state of a booking (B6).
type BookingState string

// The states of a booking.
const (
	Booked    BookingState = "booked"
	Cancelled BookingState = "cancelled" // the care-team edge is kept
	Released  BookingState = "released"  // the care-team edge is given up
)

// Known reports whether a booking can be in the state.
func (s BookingState) Known() bool { return s == Booked || s == Cancelled || s == Released }

// FactOf returns what a record says as the policy is told it, with the whole care team: a
// record has only the manual places (B6). The fact keeps the lists.
func FactOf(key authz.Key, since authz.Revision, r *Record, careTeam []string) *authz.Fact {
	return &authz.Fact{
		Key: key, Found: true, Since: since,
		Permissions: r.Permissions,
		Role:        r.Role, Groups: r.Groups, Access: r.Access, Booking: r.Booking, Provider: r.IsProvider, Suspended: r.IsSuspended,
		PatientGroup: r.PatientGroup, CareTeam: careTeam,
	}
}
