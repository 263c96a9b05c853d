package policy_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// Each question is answered in the cheapest way that there is: for a team member who asks
// about three patients of the same group whom nothing tells apart, and about the third
// three times more. A class is learnt when its question is asked for the second time.
func TestTheCheapestWayAnswers(t *testing.T) {
	mark := member("mark", "r")
	mark.Access = []string{"pg1"}
	held := role("r", "patient:view")
	patients := []*authz.Fact{
		{Key: authz.Key{Kind: authz.KindPatient, ID: "p-1"}, Found: true, PatientGroup: "pg1"},
		{Key: authz.Key{Kind: authz.KindPatient, ID: "p-2"}, Found: true, PatientGroup: "pg1"},
		{Key: authz.Key{Kind: authz.KindPatient, ID: "p-3"}, Found: true, PatientGroup: "pg1"},
	}
	general := edited(t, "authz/allow.rego", "package authz\n", "package authz\n\n_replaced if input.action.name with input as {}\n")
	for name, c := range map[string]struct {
		source *policy.Source
		config policy.Config
		want   map[string]uint64
	}{
		"all ways":              {embedded(t), policy.Config{}, map[string]uint64{"machine": 2, "class": 2, "memory": 2}},
		"no classes":            {embedded(t), policy.Config{NoClasses: true}, map[string]uint64{"machine": 4, "memory": 2}},
		"nothing remembered":    {embedded(t), policy.Config{MemoBytes: -1}, map[string]uint64{"machine": 6}},
		"the general evaluator": {embedded(t), policy.Config{General: true}, map[string]uint64{"general": 4, "memory": 2}},
		"and that alone":        {embedded(t), policy.Config{General: true, MemoBytes: -1}, map[string]uint64{"general": 6}},
		"no plan":               {general, policy.Config{MemoBytes: -1}, map[string]uint64{"general": 6}},
	} {
		t.Run(name, func(t *testing.T) {
			s := compiled(t, c.source, c.config)
			for _, i := range []int{0, 1, 2, 2, 2, 2} {
				p := patients[i]
				facts := authz.NewFacts(true, authz.Revision{Count: 1, Nonce: "n"}, held, mark, p)
				q := authz.Question{Request: request("team_member:mark", "view", fmt.Sprint("patient:", p.ID)), Facts: facts, Subject: mark, Resource: p}
				if d, err := s.Decide(t.Context(), q); err != nil || !d.Allow {
					t.Fatal(d, err)
				}
			}
			got := s.Answered()
			maps.DeleteFunc(got, func(_ string, n uint64) bool { return n == 0 })
			if !maps.Equal(got, c.want) {
				t.Errorf("answered by %v, expected %v", got, c.want)
			}
		})
	}
}
