package admin_test

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/orgtest"
)

// A set that is already as it is asked for is looked at where changes are committed, not
// in an earlier reading: somebody may have changed it meanwhile.
func TestASetThatIsAsAskedForIsLookedAtWhereItIsCommitted(t *testing.T) {
	for name, tc := range map[string]struct {
		relation  admin.Relation
		to        string
		ids       []string
		set       []admin.Edit // makes it so
		meanwhile []admin.Edit
	}{
		"Access": {
			admin.Access, "diabetes", []string{"noor"}, nil,
			edits(link(admin.Access, "li", "diabetes"), unlink(admin.Access, "noor", "diabetes")),
		},
		"a group": {
			admin.MemberOfGroup, "hollow", nil, edits(group("hollow")),
			edits(link(admin.MemberOfGroup, "li", "hollow")),
		},
		"a role": {
			admin.RoleOf, "empty", nil, edits(role("empty")),
			edits(withRole("li", "empty")),
		},
		"Booking": {
			admin.Booking, "vacant", nil, edits(patientGroup("vacant")),
			edits(link(admin.Booking, "mark", "vacant")),
		},
		"care teams, all taken away": {
			admin.CareTeam, "li", nil, nil,
			edits(link(admin.CareTeam, "p-1", "li"), link(admin.CareTeam, "p-3", "li"), link(admin.CareTeam, "p-11", "li")),
		},
		"care teams, one given": {
			admin.CareTeam, "li", []string{"p-1"}, nil,
			edits(unlink(admin.CareTeam, "p-1", "li")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := example(t, orgtest.Policy(t))
			amara := member("amara")
			if tc.set != nil {
				c.commit(tc.set...)
			}
			if _, err := c.Replace(t.Context(), organisation, amara, tc.relation, tc.to, tc.ids, "", admin.Options{}); err != nil {
				t.Fatal(err)
			}
			store := &interfering{Store: c.store, before: func(commit int) {
				if commit == 1 {
					c.commit(tc.meanwhile...)
				}
			}}
			done, err := c.over(store).Replace(t.Context(), organisation, amara, tc.relation, tc.to, tc.ids, "", admin.Options{})
			if err != nil || !done.Changed || store.commits != 2 {
				t.Fatalf("%+v, %v after %d commits", done, err, store.commits)
			}
			if got := c.related(admin.Actor{}, tc.relation, tc.to, 100); !slices.Equal(got, tc.ids) {
				t.Fatalf("the set is %v", got)
			}
			again, err := c.over(store).Replace(t.Context(), organisation, amara, tc.relation, tc.to, tc.ids, "", admin.Options{})
			if err != nil || again.Changed || again.Revision != done.Revision || store.commits != 3 {
				t.Fatalf("%+v after %+v, %v, %d commits", again, done, err, store.commits)
			}
		})
	}
}
