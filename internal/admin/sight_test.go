package admin_test

import (
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

const visibility = "authz/visibility/visibility.rego"

// views says what a check says.
func (c *clinic) views(actor, patient string) bool {
	c.Helper()
	d, _, err := c.answers.Decide(c.Context(), organisation, &authz.Request{
		Subject: authz.Entity{Type: "team_member", ID: actor}, Action: authz.Action{Name: "view"},
		Resource: authz.Entity{Type: "patient", ID: patient},
	}, authz.Freshness{})
	if err != nil {
		c.Fatal(err)
	}
	return d.Allow
}

// jordan administers here, and has Access to diabetes and cardiology.
func administered(t testing.TB, p authz.Policy) *clinic {
	c := example(t, p)
	c.commit(link(admin.MemberOfGroup, "jordan", "administrators"))
	return c
}

// A route that a policy adds is one by which an actor shows a patient, and the patients of a
// group: what a check says, administration says.
func TestA4SightIsWhatThePolicySays(t *testing.T) {
	added := orgtest.Edited(t, orgtest.Append(visibility, `patient_visible if {
	input.resource.type == "patient"
	input.resource.patient_group == "maternity"
}
`))
	for _, tc := range []struct {
		name   string
		policy authz.Policy
		sees   bool
	}{{"as it is", orgtest.Policy(t), false}, {"with another route", added, true}} {
		t.Run(tc.name, func(t *testing.T) {
			c := administered(t, tc.policy)
			if c.views("jordan", "p-7") != tc.sees {
				t.Fatal("the check says otherwise")
			}
			if !tc.sees {
				c.deny(member("jordan"), "edits[0].from", "does not see", link(admin.CareTeam, "p-7", "noor"))
				c.deny(member("jordan"), "edits[0].to", "does not see", link(admin.Access, "noor", "maternity"))
				c.deny(member("jordan"), "edits[0].record.care_team", "does not see", patient("n-1", "maternity", "noor"))
				c.deny(member("jordan"), "edits[0]", "patient_not_visible", move("p-7", "diabetes"))
				return
			}
			c.allow(member("jordan"), link(admin.CareTeam, "p-7", "noor"))
			c.allow(member("jordan"), link(admin.Access, "noor", "maternity"))
			c.allow(member("jordan"), patient("n-1", "maternity", "noor"))
			c.deny(member("jordan"), "edits[0].to", "does not see", link(admin.Access, "noor", "aftercare"))
			c.allow(member("jordan"), move("p-7", "diabetes"))
		})
	}
}

// A route that a policy takes away shows nobody any more.
func TestA4ARouteThatIsTakenAwayShowsNobody(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy authz.Policy
		sees   bool
	}{
		{"as it is", orgtest.Policy(t), true},
		{"without the care team", orgtest.Edited(t, orgtest.Replace(visibility, "patient_visible if _care_team\n", "")), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := administered(t, tc.policy)
			c.commit(link(admin.CareTeam, "p-12", "jordan"))
			if c.views("jordan", "p-12") != tc.sees {
				t.Fatal("the check says otherwise")
			}
			if tc.sees {
				c.allow(member("jordan"), link(admin.CareTeam, "p-12", "noor"))
			} else {
				c.deny(member("jordan"), "edits[0].from", "does not see", link(admin.CareTeam, "p-12", "noor"))
			}
		})
	}
	// patient:view_all makes nobody visible either, if the policy says so.
	c := example(t, orgtest.Edited(t, orgtest.Replace(visibility, "patient_visible if _view_all\n", "")))
	c.deny(member("elena"), "edits[0].from", "does not see", link(admin.CareTeam, "p-10", "noor"))
	c.deny(member("elena"), "edits[0].to", "does not see", link(admin.Access, "noor", "aftercare"))
	if _, err := c.History(t.Context(), organisation, member("elena"), admin.Place{}, 10); authz.KindOf(err) != authz.Forbidden {
		t.Error(err)
	}
}

// The permission to view is a part of sight: who may not open a patient shows them to
// nobody.
func TestA4SightTakesThePermissionToView(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	c.commit(role("blind", "settings:*", "user:view"), put(admin.Record{Kind: authz.KindTeamMember, ID: "noor", Role: "blind", Access: []string{"diabetes"}}))
	if c.views("noor", "p-1") {
		t.Fatal("the check says otherwise")
	}
	c.deny(member("noor"), "edits[0].from", "does not see", link(admin.CareTeam, "p-1", "li"))
	c.deny(member("noor"), "edits[0].to", "does not see", link(admin.Access, "li", "diabetes"))
}

// The names that administration asks by are the policy's own.
func TestA1TheQuestionsAreThePolicys(t *testing.T) {
	renamed := orgtest.Edited(t, orgtest.Replace("administration/data.json", `"role.create": {"action": "create", "resource": "user"}`,
		`"role.create": {"action": "create", "resource": "stock"}`))
	c := example(t, renamed)
	c.deny(member("ines"), "edits[0]", "stock:create", role("new"))
	c.allow(member("sam"), role("new")) // of the stockroom
	c.allow(member("ines"), group("new"))
}

// A policy of another kind declares none, and then nobody changes or reads anything as
// somebody.
func TestWithoutADeclarationNobodyAdministers(t *testing.T) {
	c := example(t, undeclared{orgtest.Policy(t)})
	_, err := c.Apply(t.Context(), organisation, member("amara"), edits(role("new")), admin.Options{})
	c.refused(err, authz.Unsupported, "", "declares no administration")
	_, _, err = c.Get(t.Context(), organisation, member("amara"), key(authz.KindPatient, "p-1"))
	c.refused(err, authz.Unsupported, "", "declares no administration")
	if _, _, err = c.Get(t.Context(), organisation, admin.Actor{}, key(authz.KindPatient, "p-1")); err != nil {
		t.Error(err)
	}
}

type undeclared struct{ authz.Policy }

func (undeclared) Administration() *authz.Administration { return nil }
