// Package model is the table of what the directory holds: the kinds of record in
// their order, the fields of each, and the relations between them. It says once how
// a field is called, what it may be, how Redis has it, to what it refers, and whether
// the policy sees it. Lines of facts, the directory API, edits, the arguments of
// scripts, audits, changes and what is checked of all of these follow this table; the
// texts that cannot be made of it (the scripts, the schema of the input) are held
// against it by tests.
//
// Like authz, which it builds on, it imports the standard library alone.
package model

import (
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// Kinds returns the kinds of record in an order in which each refers to earlier
// ones only.
func Kinds() []authz.Kind {
	return []authz.Kind{
		authz.KindRole, authz.KindGroup, authz.KindPatientGroup,
		authz.KindTeamMember, authz.KindPatient, authz.KindBooking,
	}
}

// Noun returns what a kind is called in a sentence.
func Noun(kind authz.Kind) string { return strings.ReplaceAll(string(kind), "_", " ") }

// Type is what the value of a field may be.
type Type int

// The types of fields. A record has a string for those up to State.
const (
	Name        Type = iota // a text of at most 1,024 bytes, "" for none
	ID                      // an id, "" for none unless it is always there
	State                   // the state of a booking
	Flag                    // true or false
	Permissions             // a set of permissions, of which Redis has one text
	IDs                     // a set of ids, each with a field of its own in Redis
)

// Field is one thing that records of a kind say beside their kind and id.
type Field struct {
	Name string // in JSON, and in Redis unless Edge says otherwise
	Type Type
	// Always is true where it is written even when empty. An ID or a State with it must
	// not be.
	Always bool
	// Relation is what an ID or IDs refer by, "" for none.
	Relation Relation
	// Edge is what the fields of IDs begin with in Redis; the id follows it.
	Edge string
	// Leaf is true where the policy sees the field, under the same name.
	Leaf bool
	// Since is the schema with which a Flag came, 0 for the first one. Redis has it only where it
	// is true, so that facts in which it never is keep the schema that they have.
	Since int

	// Where a record has the value. One of them is not nil, by the type.
	Text func(*Record) *string
	Flag func(*Record) *bool
	List func(*Record) *[]string
}

// Same reports whether two records say the same in a field, lists as sets.
func (f *Field) Same(a, b *Record) bool {
	switch {
	case f.Text != nil:
		return *f.Text(a) == *f.Text(b)
	case f.Flag != nil:
		return *f.Flag(a) == *f.Flag(b)
	default:
		return isSubset(*f.List(a), *f.List(b)) && isSubset(*f.List(b), *f.List(a))
	}
}

// isSubset reports whether a list has every item of another one.
func isSubset(items, list []string) bool {
	has := make(map[string]bool, len(list))
	for _, item := range list {
		has[item] = true
	}
	return !slices.ContainsFunc(items, func(item string) bool { return !has[item] })
}

// Fields returns the fields of a kind in the order in which they are written. The
// result is shared, and not to be changed.
func Fields(kind authz.Kind) []Field {
	switch kind {
	case authz.KindRole, authz.KindGroup:
		return fields.permissions
	case authz.KindPatientGroup:
		return fields.patientGroup
	case authz.KindTeamMember:
		return fields.teamMember
	case authz.KindPatient:
		return fields.patient
	case authz.KindBooking:
		return fields.booking
	default:
		return nil
	}
}

// FieldOf returns the field of a kind with a name, nil for none.
func FieldOf(kind authz.Kind, name string) *Field {
	all := Fields(kind)
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// StoredField returns which field of a kind a field of its hash in Redis is, with the
// id that follows the beginning of an edge; nil for none.
func StoredField(kind authz.Kind, stored string) (f *Field, id string) {
	all := Fields(kind)
	for i := range all {
		f := &all[i]
		switch edge := f.Edge; {
		case edge == "":
			if f.Name == stored {
				return f, ""
			}
		case len(stored) > len(edge) && strings.HasPrefix(stored, edge):
			return f, stored[len(edge):]
		}
	}
	return nil, ""
}

// Has reports whether there is a kind of record.
func Has(kind authz.Kind) bool { return Fields(kind) != nil }

// fields is the table. Nothing changes it.
//
//nolint:gochecknoglobals // it is made once, for it is looked at for every field that is read
var fields = struct{ permissions, patientGroup, teamMember, patient, booking []Field }{
	permissions: []Field{
		name(),
		{Name: "permissions", Type: Permissions, Always: true, List: func(r *Record) *[]string { return &r.Permissions }},
	},
	patientGroup: []Field{name()},
	teamMember: []Field{
		name(),
		{Name: authz.FactRole, Type: ID, Relation: RoleOf, Leaf: true, Text: func(r *Record) *string { return &r.Role }},
		{Name: authz.FactGroups, Type: IDs, Relation: MemberOfGroup, Edge: "g:", Leaf: true, List: func(r *Record) *[]string { return &r.Groups }},
		{Name: authz.FactProvider, Type: Flag, Leaf: true, Flag: func(r *Record) *bool { return &r.IsProvider }},
		{Name: authz.FactSuspended, Type: Flag, Leaf: true, Since: 3, Flag: func(r *Record) *bool { return &r.IsSuspended }}, // P7
		{Name: authz.FactAccess, Type: IDs, Relation: Access, Edge: "a:", Leaf: true, List: func(r *Record) *[]string { return &r.Access }},
		{Name: authz.FactBooking, Type: IDs, Relation: Booking, Edge: "b:", Leaf: true, List: func(r *Record) *[]string { return &r.Booking }},
	},
	patient: []Field{
		{
			Name: authz.FactPatientGroup, Type: ID, Always: true, Relation: PatientGroupOf, Leaf: true,
			Text: func(r *Record) *string { return &r.PatientGroup },
		},
		// A record has the manual edges, Redis and the policy all of them (B6).
		{Name: authz.FactCareTeam, Type: IDs, Relation: CareTeam, Edge: "c:", Leaf: true, List: func(r *Record) *[]string { return &r.CareTeam }},
	},
	booking: []Field{
		{Name: "patient", Type: ID, Always: true, Relation: BookingOf, Text: func(r *Record) *string { return &r.Patient }},
		{Name: "provider", Type: ID, Always: true, Relation: BookingsWith, Text: func(r *Record) *string { return &r.Provider }},
		{Name: "state", Type: State, Always: true, Text: func(r *Record) *string { return (*string)(&r.State) }},
	},
}

func name() Field {
	return Field{Name: "name", Type: Name, Text: func(r *Record) *string { return &r.Name }}
}
