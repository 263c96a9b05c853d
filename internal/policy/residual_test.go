package policy_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/soak"
)

// accessRule is the body of the second route, which edits replace.
const accessRule = "\tinput.resource.patient_group in input.subject.access\n"

// within are rules that stay in the fragment: each in the place of accessRule.
func within() map[string]string {
	return map[string]string{
		"as it is":                  accessRule,
		"inequality":                "\tinput.resource.patient_group != \"pg1\"\n",
		"equality":                  "\t\"pg1\" == input.resource.patient_group\n",
		"negated membership":        "\tnot input.resource.patient_group in input.subject.access\n",
		"negated team":              "\tnot input.subject.id in input.resource.care_team\n",
		"an alias":                  "\tgroup := input.resource.patient_group\n\tgroup in input.subject.access\n",
		"walking a subject's set":   "\tsome group in input.subject.access\n\tgroup == input.resource.patient_group\n",
		"the id":                    "\tinput.resource.id in {\"p1\", \"p2\", 3}\n",
		"a constant team":           "\t\"m2\" in input.resource.care_team\n",
		"every":                     "\tevery group in {\"pg0\", \"pg1\"} {\n\t\tinput.resource.patient_group != group\n\t}\n",
		"a negated rule":            "\tnot _outsider\n}\n\n_outsider if {\n\tnot input.subject.id in input.resource.care_team\n\tnot input.resource.patient_group in input.subject.access\n",
		"a doubly negated rule":     "\tnot _far\n}\n\n_far if not _near\n\n_near if input.resource.patient_group in input.subject.access\n\n_near if {\n\t\"m1\" in input.resource.care_team\n\tinput.resource.id != \"p1\"\n",
		"nothing":                   "\tinput.resource.patient_group in set()\n",
		"two leaves in one":         "\tx := input.resource.patient_group\n\tx == input.resource.id\n",
		"presence":                  "\tinput.resource.patient_group\n",
		"presence by a blank":       "\t_ = input.resource.care_team\n",
		"a team in the other's set": "\tinput.resource.patient_group in input.resource.care_team\n",
	}
}

// question makes the question of r over facts as a service does.
func survey(t testing.TB, s *policy.Snapshot, facts memory, r *authz.Request, open authz.Open, answer func(authz.Question)) {
	t.Helper()
	_, err := authz.NewService(facts, s).Survey(t.Context(), "o", r, open, authz.Freshness{}, func(q *authz.Survey) error {
		answer(q.Question)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// residual asks what is left of a question, nil for one about an open subject that no
// filter can be made of: a rule may walk its sets, of which the fragment says nothing.
func residual(t testing.TB, s *policy.Snapshot, facts memory, r *authz.Request, open authz.Open) (left *authz.Residual) {
	t.Helper()
	survey(t, s, facts, r, open, func(q authz.Question) {
		var err error
		left, err = s.Residual(t.Context(), q, open)
		if _, outside := errors.AsType[*authz.Outside](err); err != nil && (!outside || !open.Subject) {
			t.Fatalf("%+v, open %+v: %v", r, open, err)
		}
	})
	return left
}

// holder says what members hold, by the snapshot.
func holder(t testing.TB, s *policy.Snapshot, facts memory) func(*authz.Fact, string) bool {
	return func(m *authz.Fact, permission string) bool {
		grants, err := s.Permissions(t.Context(), m, authz.NewFacts(true, authz.Revision{}, facts...))
		if err != nil {
			t.Fatal(err)
		}
		_, held := grants[permission]
		return held
	}
}

func ofKind(facts memory, kind authz.Kind) (out []*authz.Fact) {
	for _, f := range facts {
		if f.Kind == kind {
			out = append(out, f)
		}
	}
	return out
}

// For everything that could be meant by what is open, the residual says what a
// single decision by OPA's own evaluator says.
func TestResidualsAgreeWithDecisions(t *testing.T) {
	for name, rule := range within() {
		t.Run(name, func(t *testing.T) {
			source := edited(t, "authz/visibility/visibility.rego", accessRule, rule)
			snapshots := both(t, source)
			w := world{rand.New(rand.NewPCG(7, 8))}
			asked, allowed := 0, 0
			for range max(3, soak.Cases(8)) {
				facts := w.facts()
				for range 25 {
					n, yes := agreeOpen(t, w, snapshots, facts)
					asked, allowed = asked+n, allowed+yes
				}
			}
			if t.Logf("%d candidates, %d allowed", asked, allowed); allowed == 0 || allowed == asked {
				t.Error("this shows nothing")
			}
		})
	}
}

// agreeOpen leaves one thing of a random question open, and compares.
func agreeOpen(t *testing.T, w world, snapshots map[string]*policy.Snapshot, facts memory) (asked, allowed int) {
	t.Helper()
	s, general := snapshots["machine"], snapshots["general"]
	catalogue := s.Catalogue()
	r := w.request()
	if w.IntN(2) == 0 {
		r = w.likely()
	}
	open := authz.Open{Subject: w.IntN(3) == 0}
	openType := r.Resource.Type
	if open.Subject {
		openType = r.Subject.Type
	}
	kind := catalogue.Types[openType].Facts
	if kind == "" && open.Subject || kind == authz.KindPatientGroup && open.Subject {
		return 0, 0
	}
	if !open.Subject {
		for _, reference := range slices.Sorted(maps.Keys(catalogue.Types[openType].References)) {
			if w.IntN(2) == 0 {
				open.References = append(open.References, reference)
			}
		}
	}
	left := residual(t, s, facts, r, open)
	if left == nil {
		return 0, 0
	}
	predicate := left.Predicate()
	entities := ofKind(facts, kind)
	if kind == "" {
		entities = []*authz.Fact{{Key: authz.Key{ID: "a-1"}}}
	}
	for _, e := range entities {
		for _, references := range combinations(catalogue, facts, open.References) {
			if e.Kind == authz.KindTeamMember && catalogue.Types[openType].RequireProvider && !e.Provider {
				// It does not exist as that type, which is for the residual to say.
				if predicate.Holds(&authz.Candidate{Fact: e, References: references}) {
					t.Errorf("%+v: a member who is no provider is let through", r)
				}
				continue
			}
			single := *r
			single.Resource.Properties = maps.Clone(r.Resource.Properties)
			if open.Subject {
				single.Subject.ID = e.ID
			} else {
				single.Resource.ID = e.ID
			}
			for _, reference := range references {
				if single.Resource.Properties == nil {
					single.Resource.Properties = map[string]any{}
				}
				single.Resource.Properties[reference.Name] = reference.Fact.ID
			}
			d, err := ask(t, general, facts, &single)
			if err != nil {
				t.Fatal(err)
			}
			got := predicate.Holds(&authz.Candidate{Fact: e, References: references, Holds: holder(t, s, facts)})
			if asked++; got != d.Allow {
				t.Errorf("%+v, open %+v, %+v with %+v: the residual says %v, the decision %v", r, open, e.Key, references, got, d.Allow)
			}
			if d.Allow {
				allowed++
			}
		}
	}
	return asked, allowed
}

// combinations returns every way in which open references can be filled.
func combinations(c *authz.Catalogue, facts memory, open []string) [][]authz.Reference {
	out := [][]authz.Reference{nil}
	for _, name := range open {
		var longer [][]authz.Reference
		for _, f := range ofKind(facts, c.Types[name].Facts) {
			if c.Types[name].RequireProvider && !f.Provider {
				continue
			}
			for _, before := range out {
				longer = append(longer, append(slices.Clip(before), authz.Reference{Name: name, Fact: f}))
			}
		}
		out = longer
	}
	return out
}

// What is outside of the fragment is an error that says where, and never holds what
// the facts said.
func TestResidualsOutsideOfTheFragment(t *testing.T) {
	for name, rule := range map[string]string{
		"counting":             "\tcount(input.resource.care_team) > 0\n",
		"object.get":           "\tobject.get(input.resource, \"patient_group\", \"\") in input.subject.access\n",
		"a string function":    "\tstartswith(input.resource.patient_group, \"pg\")\n",
		"walking the team":     "\tsome member in input.resource.care_team\n\tmember != input.subject.id\n",
		"one of two variables": "\tx := input.resource.patient_group\n\ty := concat(\"\", [x, \"\"])\n\ty in input.subject.access\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := both(t, edited(t, "authz/visibility/visibility.rego", accessRule, rule))["machine"]
			facts := memory{role("r0", "patient:view"), member("m0", "r0")}
			facts[1].Access = []string{"secret-group"}
			survey(t, s, facts, request("team_member:m0", "view", "patient:"), authz.Open{}, func(q authz.Question) {
				_, err := s.Residual(t.Context(), q, authz.Open{})
				outside, ok := errors.AsType[*authz.Outside](err)
				if !ok || !strings.Contains(fmt.Sprint(outside.Where), "authz/visibility/visibility.rego:") || strings.Contains(err.Error(), "secret") {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// Routes are those of the account, for every patient.
func TestRoutesAgreeWithTheAccount(t *testing.T) {
	s := both(t, embedded(t))["machine"]
	w := world{rand.New(rand.NewPCG(3, 1))}
	held := map[string]int{}
	for range 40 {
		facts := w.facts()
		for _, m := range ofKind(facts, authz.KindTeamMember) {
			r := request("team_member:"+m.ID, "view", "patient:")
			survey(t, s, facts, r, authz.Open{}, func(q authz.Question) {
				routes, err := s.Routes(t.Context(), q, authz.Open{})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range ofKind(facts, authz.KindPatient) {
					single := *r
					single.Resource.ID = p.ID
					d, err := ask(t, s, facts, &single)
					if err != nil {
						t.Fatal(err)
					}
					for _, route := range []string{"view_all_patients", "patient_group_access", "care_team"} {
						got := routes[route] != nil && routes[route].Predicate().Holds(&authz.Candidate{Fact: p})
						if want := strings.Contains(string(d.Context), `"`+route+`"`); got != want {
							t.Errorf("%s to %s of %s: %v, the account says %s", route, p.ID, m.ID, got, d.Context)
						}
						if got {
							held[route]++
						}
					}
				}
			})
		}
	}
	if len(held) != 3 {
		t.Errorf("not every route held once: %v", held)
	}
}

// A fact that may be absent makes more undefined than what stands under a not, and a
// body that cannot hold for its types is left out even where it is under one. Neither
// is to be seen in what is left, so such policies have no residual, and never a wrong
// one.
func TestResidualsThatWouldSayYesTooOften(t *testing.T) {
	catalogue := map[string]string{"catalogue/data.json": `{"types":{"team_member":{"facts":"team_member","actions":{"view":{}}},"patient":{"facts":"patient","actions":{"view":{}}}}}`}
	for rego, resource := range map[string]string{
		"allow if not input.resource.role in {\"r1\"}":                                                                      "team_member",
		"allow if not _same(input.resource.role)\n\n_same(x) if x == \"r1\"":                                                "team_member",
		"allow if not {\"r1\": true}[input.resource.role]":                                                                  "team_member",
		"allow if {\n\tv := input.resource.role\n\tnot v in {\"r1\"}\n}":                                                    "team_member",
		"allow if {\n\tx := input.resource.permissions[\"patient:view\"]\n\tnot x\n}":                                       "team_member",
		"allow if not _held\n\n_held if not input.resource.role in {\"r1\"}":                                                "team_member",
		"allow if not _x\n\n_x if not count(input.resource.care_team) == input.context.x":                                   "patient",
		"allow if not lower(input.resource.patient_group) == input.context.x":                                               "patient",
		"allow if every _ in [1] { not count(input.resource.care_team) == input.context.x }":                                "patient",
		"allow if not _x\n\n_x if not input.resource.patient_group in {v | some v in [\"pg0\", 1]; v == input.resource.id}": "patient",
	} {
		s := compiled(t, written(t, one("package authz\n\n"+rego+"\n"), catalogue), policy.Config{})
		r := request("team_member:m0", "view", resource+":")
		r.Context = map[string]any{"x": nil}
		survey(t, s, memory{member("m0", "")}, r, authz.Open{}, func(q authz.Question) {
			left, err := s.Residual(t.Context(), q, authz.Open{})
			if _, outside := errors.AsType[*authz.Outside](err); !outside {
				t.Errorf("%s: %+v, %v", rego, left, err)
			}
		})
	}
}

// BenchmarkResidual is partial evaluation for a member with Access to some groups, each
// time anew.
func BenchmarkResidual(b *testing.B) {
	for _, groups := range []int{5, 500, 5000} {
		b.Run(fmt.Sprint(groups, " groups"), func(b *testing.B) {
			s := compiled(b, embedded(b), policy.Config{MemoBytes: -1})
			m := member("m0", "r0")
			for i := range groups {
				m.Access = append(m.Access, fmt.Sprint("pg", i))
			}
			survey(b, s, memory{role("r0", "patient:view"), m}, request("team_member:m0", "view", "patient:"), authz.Open{}, func(q authz.Question) {
				for b.Loop() {
					if _, err := s.Residual(b.Context(), q, authz.Open{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
