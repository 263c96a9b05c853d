package admin_test

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Every field of the table can be given, taken and applied, and a value of another type is
// refused.
func TestFieldsFollowTheTable(t *testing.T) {
	for _, kind := range model.Kinds() {
		var names []string
		all, from := admin.Fields{}, &admin.Record{Kind: kind, ID: "x"}
		for _, f := range model.Fields(kind) {
			names = append(names, f.Name)
			switch {
			case f.Text != nil:
				*f.Text(from) = "y"
			case f.Flag != nil:
				*f.Flag(from) = true
			default:
				*f.List(from) = []string{"y"}
			}
			all.Take(f.Name, from)
			change := admin.Change{Edits: []admin.Edit{set(kind, "x", admin.Fields{f.Name: 1})}}
			if err := change.Check(); authz.KindOf(err) != authz.Malformed {
				t.Errorf("%s.%s: a number is checked with %v", kind, f.Name, err)
			}
		}
		if got := all.Names(kind); !slices.Equal(got, names) {
			t.Errorf("the fields of %s are %q and not %q", kind, got, names)
		}
		got := all.Applied(&admin.Record{Kind: kind, ID: "x"})
		for _, f := range model.Fields(kind) {
			if !f.Same(got, from) {
				t.Errorf("%s.%s is not applied", kind, f.Name)
			}
		}
	}
}

// Sets of ids are changed by links, and a booking is booked and cancelled.
func TestWhatNoSetChanges(t *testing.T) {
	for name, edit := range map[string]admin.Edit{
		"fields.access":        set(authz.KindTeamMember, "m", admin.Fields{"access": []string{"g"}}),
		"fields.care_team":     set(authz.KindPatient, "p", admin.Fields{"care_team": []string{"m"}}),
		"fields.patient_group": set(authz.KindRole, "r", admin.Fields{"patient_group": "g"}),
		"fields.nothing":       set(authz.KindRole, "r", admin.Fields{"nothing": true}),
	} {
		if err := edit.Check(); err == nil || err.Kind != authz.Malformed || err.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
