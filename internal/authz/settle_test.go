package authz_test

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// What is left of a rule once one side is known says of the other side what the rule says
// of both, whichever side is known first.
func TestSettlingOneSideChangesNothingOfWhatIsMeant(t *testing.T) {
	subject := func(fact string) authz.Leaf { return authz.Leaf{Reference: authz.SubjectLeaf, Fact: fact} }
	patient := func(fact string) authz.Leaf { return authz.Leaf{Fact: fact} }
	conditions := []authz.Condition{
		{Op: authz.Within, Leaf: patient(authz.FactPatientGroup), Other: subject(authz.FactAccess)},
		{Op: authz.Within, Leaf: subject(authz.FactID), Other: patient(authz.FactCareTeam)},
		{Op: authz.Same, Leaf: subject(authz.FactRole), Other: patient(authz.FactPatientGroup)},
		{Op: authz.Same, Leaf: patient(authz.FactID), Other: subject(authz.FactRole)},
		{Op: authz.In, Leaf: subject(authz.FactRole), Values: []string{"doctor", "g1"}},
		{Op: authz.Has, Leaf: subject(authz.FactPermissions), Values: []string{"patient:view"}},
		{Op: authz.Has, Leaf: patient(authz.FactCareTeam), Values: []string{"mia"}},
		{Op: authz.IsTrue, Leaf: subject(authz.FactProvider)},
		{Op: authz.Within, Leaf: subject(authz.FactRole), Other: subject(authz.FactGroups)},
	}
	holds := func(member *authz.Fact, _ string) bool { return slices.Contains(member.Groups, "viewers") }
	members := []*authz.Fact{
		{Key: authz.Key{Kind: authz.KindTeamMember, ID: "mia"}, Found: true, Role: "doctor", Groups: []string{"viewers"}, Access: []string{"g2", "g1"}},
		{Key: authz.Key{Kind: authz.KindTeamMember, ID: "g1"}, Found: true, Role: "g1", Groups: []string{"g1"}, Provider: true},
		{Key: authz.Key{Kind: authz.KindTeamMember, ID: "none"}, Found: true},
	}
	patients := []*authz.Fact{
		{Key: authz.Key{Kind: authz.KindPatient, ID: "p"}, Found: true, PatientGroup: "g1", CareTeam: []string{"mia", "none"}},
		{Key: authz.Key{Kind: authz.KindPatient, ID: "doctor"}, Found: true, PatientGroup: "doctor"},
	}
	var rules []authz.Residual
	for i, c := range conditions {
		for _, d := range conditions[i:] {
			for n := range 4 {
				c.Not, d.Not = n&1 != 0, n&2 != 0
				rules = append(rules, authz.Residual{Any: [][]authz.Condition{{c, d}}}, authz.Residual{Any: [][]authz.Condition{{c}, {d}}})
			}
		}
	}
	for _, rule := range rules {
		whole := rule.Predicate()
		for _, member := range members {
			known := &authz.Candidate{Fact: member, Holds: holds}
			of := rule.Settle(authz.SubjectLeaf, known).Predicate()
			for _, p := range patients {
				both := &authz.Candidate{
					Fact: p, References: []authz.Reference{{Name: authz.SubjectLeaf, Fact: member}}, Holds: holds,
				}
				want := whole.Holds(both)
				if got := of.Holds(&authz.Candidate{Fact: p}); got != want {
					t.Fatalf("%+v: %s and then %s is %v, and both together %v", rule, member.ID, p.ID, got, want)
				}
				left := rule.Settle("", &authz.Candidate{Fact: p})
				if got := left.Settle(authz.SubjectLeaf, known).Always(); got != want {
					t.Fatalf("%+v: %s and then %s is %v, and both together %v", rule, p.ID, member.ID, got, want)
				}
			}
		}
	}
	if len(rules) < 300 {
		t.Fatalf("%d rules show little", len(rules))
	}
}
