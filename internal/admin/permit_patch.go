package admin

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// check reports what a patch changes that a kind does not have, or gives a value that it
// cannot have. What it says nothing of is not looked at.
func (p *Patch) check(key authz.Key) error {
	kind := key.Kind
	isMember := kind == authz.KindTeamMember
	isPatient := kind == authz.KindPatient
	grants := kind == authz.KindRole || kind == authz.KindGroup
	if !slices.Contains(Kinds(), kind) {
		return UnknownKind("kind", kind)
	}
	if kind == authz.KindBooking {
		return bad("", "a booking is not changed field by field; cancel it, or make another one")
	}
	for _, field := range []struct {
		name       string
		given, has bool
	}{
		{"name", p.Name != nil, !isPatient},
		{"permissions", p.Permissions != nil, grants},
		{"role", p.Role != nil, isMember},
		{"provider", p.IsProvider != nil, isMember},
		{"groups", p.Groups != nil, isMember},
		{"access", p.Access != nil, isMember},
		{"booking", p.Booking != nil, isMember},
		{"patient_group", p.PatientGroup != nil, isPatient},
		{"care_team", p.CareTeam != nil, isPatient},
	} {
		if field.given && !field.has {
			return bad(field.name, "is nothing that a record of this kind has; leave it out")
		}
	}
	rest := &Record{Kind: kind, ID: key.ID, IsProvider: true}
	if isPatient {
		rest.PatientGroup = "x"
	}
	if err := p.over(rest).Check(); err != nil {
		return err
	}
	return nil
}

// any reports whether a field changes.
func (f *Fields) any() bool {
	return f.Name != nil || f.Permissions != nil || f.Role != nil || f.IsProvider != nil || f.PatientGroup != nil
}

// over returns the record with what the patch changes.
func (p *Patch) over(r *Record) *Record {
	out := p.Fields.over(r)
	for _, list := range []struct {
		from *[]string
		to   *[]string
	}{{p.Groups, &out.Groups}, {p.Access, &out.Access}, {p.Booking, &out.Booking}, {p.CareTeam, &out.CareTeam}} {
		if list.from != nil {
			*list.to = *list.from
		}
	}
	return out
}

// over returns the record with the fields that change.
func (f *Fields) over(r *Record) *Record {
	out := *r
	if f.Name != nil {
		out.Name = *f.Name
	}
	if f.Permissions != nil {
		out.Permissions = f.Permissions
	}
	if f.Role != nil {
		out.Role = *f.Role
	}
	if f.IsProvider != nil {
		out.IsProvider = *f.IsProvider
	}
	if f.PatientGroup != nil {
		out.PatientGroup = *f.PatientGroup
	}
	return &out
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

// sameSet reports whether two lists hold the same.
func sameSet(a, b []string) bool {
	return len(added(a, b)) == 0 && len(added(b, a)) == 0
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
