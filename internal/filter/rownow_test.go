package filter_test

import (
	"math/rand/v2"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/soak"
)

// Each row is shown by its own references, whatever those of the row before it were: PostgreSQL
// takes parts of such a clause out of it, and then answered for the provider of another row.
func TestEachRowIsShownByItsOwnReferences(t *testing.T) {
	group := authz.Leaf{Reference: "patient", Fact: authz.FactPatientGroup}
	of := func(fact string) authz.Leaf { return authz.Leaf{Reference: "provider", Fact: fact} }
	is := authz.Condition{Op: authz.IsTrue, Leaf: of(authz.FactProvider)}
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			var said tally
			for number := range soak.Seeds(t, 4) {
				w := newWorld(rand.New(rand.NewPCG(number, 7)), true)
				r := &rule{world: w, typ: "appointment", lists: true, made: map[string]*authz.Residual{
					"patient": {Any: [][]authz.Condition{{{Op: authz.In, Leaf: group, Values: []string{"0", "ä"}}}}}, "patient,team_member": {}, "patient,provider,team_member": {},
					"patient,provider": {Any: [][]authz.Condition{
						{
							{Op: authz.Within, Leaf: authz.Leaf{Fact: authz.FactID}, Other: of(authz.FactAccess)},
							{Op: authz.In, Leaf: group, Values: []string{"01", "[a]", "fi", "Å", "‘", "“"}}, is,
							{Op: authz.In, Leaf: of(authz.FactRole), Values: []string{"$[*]", "01", "1e0", "a/*", "ß"}},
						},
						{{Op: authz.Within, Leaf: group, Other: of(authz.FactAccess)}, {Op: authz.Within, Not: true, Leaf: group, Other: of(authz.FactGroups)}, is},
						{{Op: authz.Within, Leaf: group, Other: of(authz.FactGroups)}, is},
					}},
				}}
				c := &compared{schema: newSchema(t, &d, w, 100+int(number), false), typ: "appointment", options: options{resolved: true, lists: true}, rule: r}
				c.agrees(t, &said)
			}
			if said.shown == 0 && !soak.Repeats() {
				t.Error("no row is shown: nothing is proved")
			}
		})
	}
}
