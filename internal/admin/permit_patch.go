package admin

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// change is what a patch does to one field.
type change struct {
	name  string
	given bool
	apply func(*Record)
}

// changes returns what a patch does to each field that can be given.
func (p *Patch) changes() []change {
	list := func(name string, items *[]string, of func(*Record) *[]string) change {
		return change{name, items != nil, func(r *Record) { *of(r) = *items }}
	}
	return []change{
		{"name", p.Name != nil, func(r *Record) { r.Name = *p.Name }},
		{"permissions", p.Permissions != nil, func(r *Record) { r.Permissions = p.Permissions }},
		{"role", p.Role != nil, func(r *Record) { r.Role = *p.Role }},
		{"provider", p.IsProvider != nil, func(r *Record) { r.IsProvider = *p.IsProvider }},
		{"patient_group", p.PatientGroup != nil, func(r *Record) { r.PatientGroup = *p.PatientGroup }},
		list("groups", p.Groups, func(r *Record) *[]string { return &r.Groups }),
		list("access", p.Access, func(r *Record) *[]string { return &r.Access }),
		list("booking", p.Booking, func(r *Record) *[]string { return &r.Booking }),
		list("care_team", p.CareTeam, func(r *Record) *[]string { return &r.CareTeam }),
	}
}

// Given returns the names of the fields that a patch changes.
func (p *Patch) Given() (names []string) {
	for _, c := range p.changes() {
		if c.given {
			names = append(names, c.name)
		}
	}
	return names
}

// Over returns the record with what the patch changes.
func (p *Patch) Over(r *Record) *Record {
	out := *r
	for _, c := range p.changes() {
		if c.given {
			c.apply(&out)
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
