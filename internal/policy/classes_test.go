package policy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/soak"
)

// strange are bodies of the second route that do more with a resource than to
// compare it, or compare it in ways of their own.
func strange() map[string]string {
	return map[string]string{
		"a value made of a leaf": "\tconcat(\"\", [input.resource.patient_group, \"\"]) in input.subject.access\n",
		"a list with a leaf":     "\t[input.resource.patient_group, 1] == [\"pg1\", 1]\n",
		"an object with a leaf":  "\t{\"a\": input.resource.patient_group} in [{\"a\": \"pg1\"}]\n",
		"an object by a leaf":    "\t{input.resource.patient_group: 1} in [{\"pg1\": 1}]\n",
		"a set with a leaf":      "\tcount({input.resource.patient_group, \"pg1\"}) == 1\n",
		"a size":                 "\tcount(input.resource.care_team) > 1\n",
		"the whole input":        "\tcount(json.marshal(input)) % 2 == 0\n",
		"walking the resource":   "\tsome key, value in input.resource\n\tkey == \"patient_group\"\n\tvalue in input.subject.access\n",
		"walking the team":       "\tsome member in input.resource.care_team\n\tmember > \"m1\"\n",
		"an order":               "\tinput.resource.patient_group < \"pg1\"\n",
		"a key":                  "\t{\"pg1\": true, \"pg2\": false}[input.resource.patient_group]\n",
		"a name by value":        "\tsome name in [\"patient_group\", \"id\"]\n\tinput.resource[name] in input.subject.access\n",
		"object.get":             "\tobject.get(input.resource, \"patient_group\", \"pg1\") in input.subject.access\n",
		"another input":          "\t_other with input.resource.patient_group as \"pg1\"\n}\n\n_other if {\n\tinput.resource.patient_group in input.subject.access\n\tinput.subject.id in input.resource.care_team\n",
		"the id twice":           "\tinput.resource.id == input.resource.patient_group\n",
		"two leaves":             "\tinput.resource.patient_group in input.resource.care_team\n",
		"a function":             "\t_same(input.resource.patient_group, \"pg1\")\n}\n\n_same(a, b) := true if a == b\n\n_same(a, b) := true if {\n\ta != b\n\tfalse\n",
		"the type of a value":    "\tis_string(input.resource.patient_group)\n\tis_set(input.resource.care_team)\n",
	}
}

// What is told by the class of a resource is what OPA's own evaluator says of that
// very resource, account included.
func TestClassesAgreeWithDecisions(t *testing.T) {
	rules := within()
	for name, rule := range strange() {
		rules[name] = rule
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			source := edited(t, "authz/visibility/visibility.rego", accessRule, rule)
			classes, general := compiled(t, source, policy.Config{}), compiled(t, source, policy.Config{General: true, MemoBytes: -1})
			w := world{rand.New(rand.NewPCG(11, 4))}
			for range max(2, soak.Cases(6)) {
				facts := w.facts()
				var questions []*authz.Request
				for range 4 {
					r := w.likely()
					for _, id := range []string{"p0", "p1", "p2", "p3", "p4", "m1", "pg1", "x"} {
						single := *r
						if single.Resource.ID = id; single.Resource.Properties["patient"] != nil {
							single.Resource.ID = "x"
							single.Resource.Properties = map[string]any{"patient": w.id("patient"), "note": "n"}
						}
						questions = append(questions, &single)
					}
				}
				for _, q := range questions {
					want, wantErr := ask(t, general, facts, q)
					for range 3 {
						got, err := ask(t, classes, facts, q)
						if got.Allow != want.Allow || string(got.Context) != string(want.Context) || (err == nil) != (wantErr == nil) {
							t.Fatalf("%+v: %v %s %v, by itself %v %s %v", q, got.Allow, got.Context, err, want.Allow, want.Context, wantErr)
						}
					}
				}
			}
			if trees, spoiled := classes.Classes(); trees == 0 || spoiled == trees {
				t.Logf("%d of %d trees are spoiled", spoiled, trees)
			}
		})
	}
}

// The policy that the program comes with is one of classes: a batch about one
// member's patients is evaluated a few times, whatever its size.
func TestTheEmbeddedPolicyHasClasses(t *testing.T) {
	s := compiled(t, embedded(t), policy.Config{})
	w := world{rand.New(rand.NewPCG(5, 4))}
	for range 50 {
		facts := w.facts()
		for range 40 {
			if _, err := ask(t, s, facts, w.likely()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if trees, spoiled := s.Classes(); trees < 100 || spoiled > 0 {
		t.Errorf("%d of %d questions have no classes", spoiled, trees)
	}
}

// A batch of patients whom nobody was asked about before.
func BenchmarkClasses(b *testing.B) {
	for name, config := range map[string]policy.Config{"classes": {}, "evaluated": {MemoBytes: -1}} {
		b.Run(name, func(b *testing.B) {
			s := compiled(b, embedded(b), config)
			mark := member("mark", "r")
			mark.Access = []string{"pg1", "pg2", "pg3", "pg4", "pg5"}
			facts := memory{role("r", "patient:view", "patient:update"), mark}
			var questions []authz.Question
			for i := range 4096 {
				p := &authz.Fact{
					Key: authz.Key{Kind: authz.KindPatient, ID: fmt.Sprint("p-", i)}, Found: true,
					PatientGroup: []string{"pg1", "pg9"}[i%2], CareTeam: []string{"anna", "otto", "mark"}[:i%4],
				}
				r := request("team_member:mark", "view", "patient:"+p.ID)
				questions = append(questions, authz.Question{Request: r, Facts: authz.NewFacts(true, authz.Revision{}, append(facts, p)...), Subject: mark, Resource: p})
			}
			b.ResetTimer()
			for i := range b.N {
				if _, err := s.Decide(b.Context(), questions[i%len(questions)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
