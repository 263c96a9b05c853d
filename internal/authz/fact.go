package authz

import (
	"iter"
	"sync"
)

// Fact is what the directory holds about one entity at one revision. A Fact is
// immutable once it is shared: a change makes a new one. The zero value with a
// Key says that there is no such entity.
type Fact struct {
	Key
	Found bool
	// Since is the revision at which the entity last changed, the zero one for an
	// entity that does not exist.
	Since Revision

	// Role and group: the permissions as they were granted, wildcards included.
	Permissions []string

	// Team member. Role is "" for a member without one.
	Role     string
	Groups   []string
	Access   []string // patient groups whose patients they see (V2)
	Booking  []string // patient groups whose patients may book them (B1)
	Provider bool
	// Suspended is true for a member on leave, and for one who has left (P7).
	Suspended bool

	// Patient.
	PatientGroup string
	CareTeam     []string // team members (V3)

	prepare  sync.Once
	prepared any
}

// Names of facts that a Leaf has, beside those of the directory's records. A type
// that requires a provider is known to exist only where FactProvider is true, and
// a Residual says so by a condition.
const (
	FactID           = "id"
	FactPatientGroup = "patient_group"
	FactCareTeam     = "care_team"
	FactRole         = "role"
	FactGroups       = "groups"
	FactAccess       = "access"
	FactBooking      = "booking"
	FactProvider     = "provider"
	FactSuspended    = "suspended"
	FactPermissions  = "permissions"
)

// Prepared returns the form of the fact that a policy engine evaluates. It is
// made once, by the first caller, and must depend on the fact alone.
func (f *Fact) Prepared(build func(*Fact) any) any {
	f.prepare.Do(func() { f.prepared = build(f) })
	return f.prepared
}

// Sources returns the keys of what grants a team member permissions: their role, "" for
// none, and then each of their groups (P2).
func Sources(role string, groups []string) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		if role != "" && !yield(Key{Kind: KindRole, ID: role}) {
			return
		}
		for _, id := range groups {
			if !yield(Key{Kind: KindGroup, ID: id}) {
				return
			}
		}
	}
}

// Sources returns the keys of what grants the permissions of a team member; an entity of
// another kind has none.
func (f *Fact) Sources() iter.Seq[Key] { return Sources(f.Role, f.Groups) }

// Clone returns a fact that says the same and is nobody else's yet, with the same lists.
func (f *Fact) Clone() *Fact {
	return &Fact{
		Key: f.Key, Found: f.Found, Since: f.Since, Permissions: f.Permissions,
		Role: f.Role, Groups: f.Groups, Access: f.Access, Booking: f.Booking, Provider: f.Provider, Suspended: f.Suspended,
		PatientGroup: f.PatientGroup, CareTeam: f.CareTeam,
	}
}

// Size returns about how many bytes the lists of a fact have, and how many items.
func (f *Fact) Size() (items, bytes int) {
	for _, list := range [...][]string{f.Permissions, f.Groups, f.Access, f.Booking, f.CareTeam} {
		for _, item := range list {
			items, bytes = items+1, bytes+len(item)
		}
	}
	return items, bytes
}

// Text returns a fact that is one text, and whether the entity has it.
func (f *Fact) Text(fact string) (string, bool) {
	switch fact {
	case FactID:
		return f.ID, true
	case FactPatientGroup:
		return f.PatientGroup, f.Kind == KindPatient
	case FactRole:
		return f.Role, f.Role != ""
	}
	return "", false
}

// Flag returns a fact that is true or false.
func (f *Fact) Flag(fact string) bool {
	switch fact {
	case FactProvider:
		return f.Provider
	case FactSuspended:
		return f.Suspended
	}
	return false
}

// Set returns a fact that is a set, in no order.
func (f *Fact) Set(fact string) []string {
	switch fact {
	case FactCareTeam:
		return f.CareTeam
	case FactGroups:
		return f.Groups
	case FactAccess:
		return f.Access
	case FactBooking:
		return f.Booking
	}
	return nil
}
