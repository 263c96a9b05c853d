package acceptance

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestEscalation is A4: an administrator of users, who holds user:* and
// settings:*, tries in every way to grant what she lacks.
func TestEscalation(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		ines := d.as("ines")
		for what, do := range map[string]func(*testing.T, directory) reply{
			"a role with a permission":                   put("/roles/x", object{"name": "X", "permissions": array{"patient:view"}}),
			"a role with everything":                     put("/roles/x", object{"name": "X", "permissions": array{"*:*"}}),
			"a group with a permission among hers":       put("/groups/x", object{"name": "X", "permissions": array{"user:*", "settings:view", "stock:view"}}),
			"a group with all of a type":                 put("/groups/x", object{"name": "X", "permissions": array{"stock:*"}}),
			"a scope":                                    put("/roles/x", object{"name": "X", "permissions": array{"patient:view_all"}}),
			"one that the catalogue does not have":       put("/roles/x", object{"name": "X", "permissions": array{"invoice:approve"}}),
			"a permission more to her own group":         patch("/groups/administrators", object{"permissions": array{"settings:*", "user:*", "patient:view"}}),
			"a permission more to a role":                patch("/roles/nurse", object{"permissions": array{"patient:view", "clinical_note:view", "calendar:view", "schedule:view", "stock:view"}}),
			"her own role":                               patch("/team-members/ines", object{"role": "administrator"}),
			"a role of another's":                        put("/roles/administrator/members/noor", nil),
			"a role to many":                             submit("/roles/nurse/members", object{"add": array{"noor", "ines"}}),
			"a whole role's members":                     put("/roles/administrator/members", object{"ids": array{"amara", "ines"}}),
			"her own groups":                             put("/team-members/ines/groups", object{"ids": array{"administrators", "clinicians"}}),
			"one group of hers":                          put("/team-members/ines/groups/records-officers", nil),
			"members of a group":                         submit("/groups/stockroom/members", object{"add": array{"ines"}}),
			"a whole group's members":                    put("/groups/stockroom/members", object{"ids": array{"mark", "sam", "ines"}}),
			"a new member with a role":                   put("/team-members/x", object{"name": "X", "role": "nurse"}),
			"a new member in a group":                    put("/team-members/x", object{"name": "X", "groups": array{"clinicians"}}),
			"a replaced member":                          put("/team-members/ines", object{"name": "Inês Duarte", "role": "auditor", "groups": array{"administrators"}}),
			"an edit of her role":                        edit(object{"set": object{"kind": "team_member", "id": "ines", "role": "administrator"}}),
			"a link":                                     edit(object{"link": object{"relation": "group", "from": "ines", "to": "clinicians"}}),
			"a group that is made and joined at once":    edit(object{"put": object{"kind": "group", "id": "x", "permissions": array{"stock:view"}}}, object{"link": object{"relation": "group", "from": "ines", "to": "x"}}),
			"a group that is joined and filled at once":  edit(object{"put": object{"kind": "group", "id": "x", "permissions": array{}}}, object{"link": object{"relation": "group", "from": "ines", "to": "x"}}, object{"set": object{"kind": "group", "id": "x", "permissions": array{"stock:view"}}}),
			"a grant that a later edit grants herself":   edit(object{"link": object{"relation": "group", "from": "ines", "to": "stockroom"}}, object{"put": object{"kind": "role", "id": "x", "permissions": array{"stock:view"}}}),
			"a permission that another edit moves":       edit(object{"set": object{"kind": "role", "id": "nurse", "permissions": array{"patient:view"}}}, object{"set": object{"kind": "role", "id": "receptionist", "permissions": array{"calendar:view", "schedule:view", "clinical_note:view"}}}),
			"somebody who is replaced by another":        edit(object{"unlink": object{"relation": "group", "from": "sam", "to": "stockroom"}}, object{"link": object{"relation": "group", "from": "noor", "to": "stockroom"}}),
			"Access of her own to whom she does not see": put("/team-members/ines/access/diabetes", nil),
			"a place of her own on a care team":          put("/patients/p-2/care-team/ines", nil),
		} {
			d.unchanged(t, what, func() {
				answeredOneOf(t, do(t, ines), hidden, "%s", what)
			})
		}
		// What she holds she may give, and what others hold she may take.
		for what, do := range map[string]func(*testing.T, directory) reply{
			"what is within hers":    put("/roles/deputy", object{"name": "Deputy", "permissions": array{"user:view", "user:update", "settings:*"}}),
			"her own group":          put("/groups/administrators/members/noor", nil),
			"less to others":         patch("/groups/clinicians", object{"permissions": array{"patient:view"}}),
			"a role away":            patch("/team-members/tomas", object{"role": ""}),
			"a record that is as is": patch("/team-members/amara", object{"role": "administrator"}),
		} {
			if r := do(t, ines); r.status >= 300 {
				t.Errorf("%s: %v, expected it to be taken", what, r)
			}
		}
		d.agree(t)
	})
}

// TestLastHolder is the other half of A4: somebody always holds user:*.
func TestLastHolder(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		// The last who holds everything cannot be made less, even by user:update: nobody left could
		// grant everything again.
		ines := d.as("ines")
		for what, do := range map[string]func(*testing.T, directory) reply{
			"takes the role from the member":  patch("/team-members/amara", object{"role": ""}),
			"empties the role":                patch("/roles/administrator", object{"permissions": array{}}),
			"leaves the role other rights":    put("/roles/administrator", object{"name": "A", "permissions": array{"user:*", "settings:*"}}),
			"ends the role":                   remove("/roles/administrator?cascade=true"),
			"ends the member":                 remove("/team-members/amara?cascade=true"),
			"gives the role to nobody":        put("/roles/administrator/members", object{"ids": array{}}),
			"replaces the member":             put("/team-members/amara", object{"name": "A"}),
			"empties it by an edit":           edit(object{"set": object{"kind": "role", "id": "administrator", "permissions": array{}}}),
			"empties it, and asks others too": edit(object{"put": object{"kind": "group", "id": "x", "permissions": array{"user:*"}}}, object{"set": object{"kind": "team_member", "id": "amara", "role": ""}}),
		} {
			d.unchanged(t, what, func() {
				if p := refused(t, do(t, ines), http.StatusConflict); !strings.Contains(p.Detail, "*:*") {
					t.Errorf("%s: %v", what, p)
				}
			})
		}
	})
	// Where nobody holds everything the last who administers members stays.
	overBothStores(t, func(t *testing.T, s store) {
		d := directory{newOrganisation(t, s, group("administrators", "settings:*", "user:*"), teamMember("ines").inGroups("administrators"),
			teamMember("noor"), teamMember("amara")), ""}
		ines := d.as("ines")
		for what, do := range map[string]func(*testing.T, directory) reply{
			"leaves the group":               remove("/groups/administrators/members/ines"),
			"leaves it from her side":        put("/team-members/ines/groups", object{"ids": array{}}),
			"empties the group":              put("/groups/administrators/members", object{"ids": array{}}),
			"takes it from the group":        patch("/groups/administrators", object{"permissions": array{"settings:*"}}),
			"takes it apart":                 patch("/groups/administrators", object{"permissions": array{"settings:*", "user:view", "user:create", "user:update"}}),
			"ends the group":                 remove("/groups/administrators?cascade=true"),
			"ends herself":                   remove("/team-members/ines?cascade=true"),
			"ends herself without a cascade": remove("/team-members/ines"),
			"replaces herself":               put("/team-members/ines", object{"name": "I"}),
			"unlinks herself":                edit(object{"unlink": object{"relation": "group", "from": "ines", "to": "administrators"}}),
			"makes others wait":              edit(object{"put": object{"kind": "group", "id": "x", "permissions": array{"user:*"}}}, object{"unlink": object{"relation": "group", "from": "ines", "to": "administrators"}}),
		} {
			d.unchanged(t, what, func() { refused(t, do(t, ines), http.StatusConflict) })
		}
		// In one change another may take her place, and then she may not act any more.
		d.one(t, "a handover", func() {
			d.wrote(t, ines.post(t, "/edits", object{"edits": array{
				object{"link": object{"relation": "group", "from": "noor", "to": "administrators"}},
				object{"unlink": object{"relation": "group", "from": "ines", "to": "administrators"}},
			}}), http.StatusOK)
		})
		refused(t, ines.put(t, "/roles/x", object{"name": "X"}), http.StatusForbidden)
		d.wrote(t, d.as("noor").put(t, "/roles/x", object{"name": "X"}), http.StatusCreated)

		// Importing is no way around it, where the facts outlive a process.
		if _, embedded := d.store.(redisStore); embedded {
			got := run(t, string(lines([]record{group("administrators", "settings:*")})), "import", "--redis", workbench.redis.URL(), "--organisation", d.name)
			check(t, got.code == 1, "an import takes user:* from its last holder: exit code %d %s", got.code, got.stderr)
		}
	})
}

// TestLastHolderAmongTwo has the two last holders each remove the other at the
// same time, many times: one of them stays.
func TestLastHolderAmongTwo(t *testing.T) {
	t.Parallel()
	overBothStores(t, func(t *testing.T, s store) {
		o := newOrganisation(t, s, group("holders", "user:*"), teamMember("a").inGroups("holders"), teamMember("b").inGroups("holders"))
		d := directory{o, ""}
		for range 30 {
			var group sync.WaitGroup
			var done atomic.Int64
			for _, who := range [][2]string{{"a", "b"}, {"b", "a"}} {
				group.Go(func() {
					r, err := d.as(who[0]).try(t.Context(), http.MethodDelete, at("groups", "holders", "members", who[1]), nil)
					if err != nil {
						t.Error(err)
					} else if r.status == http.StatusNoContent {
						done.Add(1)
					} else if r.status != http.StatusForbidden && r.status != http.StatusConflict && r.status != http.StatusPreconditionFailed {
						t.Errorf("%s removes %s: %v", who[0], who[1], r)
					}
				})
			}
			group.Wait()
			left := d.ids(t, "/groups/holders/members")
			if done.Load() != 1 || len(left) != 1 {
				t.Fatalf("%d of two removals were taken, and %q are left", done.Load(), left)
			}
			other := map[string]string{"a": "b", "b": "a"}[left[0]]
			if r := d.as(left[0]).put(t, at("groups", "holders", "members", other), nil); r.status != http.StatusNoContent {
				t.Fatalf("%v", r)
			}
		}
	})
}
