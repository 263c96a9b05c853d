package admin

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// slot is where a patch, and where a record, has the value of one field.
type slot struct {
	name  string
	given bool
	apply func() // gives the record what the patch has
	take  func() // and the patch what the record has
}

// slotOf is the slot of a value of any type.
func slotOf[T any](name string, patch **T, record *T) slot {
	return slot{name, *patch != nil, func() { *record = **patch }, func() { *patch = new(*record) }}
}

// slots returns the slots of each field that can be given, between a patch and a record.
func (p *Patch) slots(r *Record) []slot {
	return []slot{
		slotOf("name", &p.Name, &r.Name),
		{"permissions", p.Permissions != nil, func() { r.Permissions = p.Permissions }, func() { p.Permissions = r.Permissions }},
		slotOf("role", &p.Role, &r.Role),
		slotOf("provider", &p.IsProvider, &r.IsProvider),
		slotOf("patient_group", &p.PatientGroup, &r.PatientGroup),
		slotOf("groups", &p.Groups, &r.Groups),
		slotOf("access", &p.Access, &r.Access),
		slotOf("booking", &p.Booking, &r.Booking),
		slotOf("care_team", &p.CareTeam, &r.CareTeam),
	}
}

// Take makes a patch change a field to what a record has in it. A field that cannot be
// given is left out.
func (p *Patch) Take(field string, from *Record) {
	for _, s := range p.slots(from) {
		if s.name == field {
			s.take()
		}
	}
}

// Given returns the names of the fields that a patch changes.
func (p *Patch) Given() (names []string) {
	for _, s := range p.slots(&Record{}) {
		if s.given {
			names = append(names, s.name)
		}
	}
	return names
}

// Over returns the record with what the patch changes.
func (p *Patch) Over(r *Record) *Record {
	out := *r
	for _, s := range p.slots(&out) {
		if s.given {
			s.apply()
		}
	}
	return &out
}

// check reports what a patch changes that a kind does not have, or gives a value that it
// cannot have. What it says nothing of is not looked at.
func (p *Patch) check(key authz.Key) error {
	switch {
	case !model.Has(key.Kind):
		return UnknownKind("kind", key.Kind)
	case key.Kind == authz.KindBooking:
		return bad("", "a booking is not changed field by field; cancel it, or make another one")
	}
	for _, name := range p.Given() {
		if model.FieldOf(key.Kind, name) == nil {
			return bad(name, "is nothing that a record of this kind has; leave it out")
		}
	}
	rest := &Record{Kind: key.Kind, ID: key.ID, IsProvider: true}
	if key.Kind == authz.KindPatient {
		rest.PatientGroup = "x"
	}
	if err := CheckRecord(p.Over(rest)); err != nil {
		return err
	}
	return nil
}

// withoutPrefix returns a function that takes the first of prefixes that a field has
// away from it.
func withoutPrefix(prefixes ...string) func(string) string {
	return func(field string) string {
		for _, prefix := range prefixes {
			if rest, ok := strings.CutPrefix(field, prefix); ok {
				return strings.TrimPrefix(rest, ".")
			}
		}
		return field
	}
}

// renamed returns err with its field in other words.
func renamed(err error, rename func(string) string) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || rename == nil {
		return err
	}
	out := *e
	out.Field = rename(e.Field)
	return &out
}

// added returns what is in after and not in before.
func added(before, after []string) []string {
	had := make(map[string]bool, len(before))
	for _, item := range before {
		had[item] = true
	}
	var out []string
	for _, item := range after {
		if !had[item] {
			out = append(out, item)
		}
	}
	return out
}

func without(list []string, item string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == item })
}

func with(list []string, item string) []string {
	if slices.Contains(list, item) {
		return list
	}
	return append(slices.Clip(list), item)
}

func compareKeys(a, b authz.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}
