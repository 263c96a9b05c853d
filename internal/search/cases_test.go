package search_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// ward is an organisation of one member, who sees patients by V2, V3 and a rule about
// every patient, as far as a test wants.
type ward struct {
	*organisation
	rules   *fakeRules
	service *search.Service
	watched []int // how many were asked about, for each page
}

func newWard(t *testing.T, patients int, use ...string) *ward {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	o := &organisation{TB: t, r: r, states: []map[authz.Key]*authz.Fact{{}, {}}}
	o.set(o.states[1], &authz.Fact{Key: ana, Access: []string{"pg0"}})
	for i := range patients {
		o.set(o.states[1], &authz.Fact{Key: patient(i), PatientGroup: fmt.Sprintf("pg%d", i%10), CareTeam: []string{"ana", "ben"}[i%7%2 : i%7%2+1]})
	}
	w := &ward{organisation: o, rules: newRules(nil)}
	for _, all := range terms(r, authz.KindTeamMember, authz.KindPatient) {
		for _, name := range use {
			switch {
			case all.name == name:
				w.rules.rule = append(w.rules.rule, []used{{all, false}})
			case "not "+all.name == name:
				w.rules.rule = append(w.rules.rule, []used{{all, true}})
			}
		}
	}
	if len(w.rules.rule) != len(use) {
		t.Fatalf("no rule can be made of %q", use)
	}
	w.service = search.NewService(authz.NewService(o, w.rules), w.rules, o, w)
	return w
}

func (w *ward) Evaluated(where []string, asked int) {
	if !slices.Equal(where, []string{"authz.rego:1 counts"}) {
		w.Errorf("outside at %q", where)
	}
	w.watched = append(w.watched, asked)
}

var ana = authz.Key{Kind: authz.KindTeamMember, ID: "ana"}

func patient(i int) authz.Key {
	return authz.Key{Kind: authz.KindPatient, ID: fmt.Sprintf("p-%05d", i)}
}

func (w *ward) question() question {
	return question{request: &authz.Request{
		Subject: authz.Entity{Type: "team_member", ID: "ana"}, Action: authz.Action{Name: "do"}, Resource: authz.Entity{Type: "patient"},
	}}
}

func (w *ward) page(p search.Page) (*search.Result, authz.Stated) {
	w.Helper()
	result, stated, err := w.service.Resources(context.Background(), riverside, w.question().request, p, authz.Freshness{})
	if err != nil {
		w.Fatal(err)
	}
	w.exact([]walked{{after(p), result, stated}}, authz.KindPatient, w.rules, w.question())
	return result, stated
}

func after(p search.Page) string {
	if p.From == nil {
		return ""
	}
	return p.From.After
}

// TestIndexes checks that a search reads the indexes that the residual names, and
// facts only where they do not say everything.
func TestIndexes(t *testing.T) {
	t.Parallel()
	w := newWard(t, 100, "V2", "V3")
	w.page(search.Page{})
	got := w.ranges[0]
	want := []search.Index{{Relation: admin.CareTeam, To: "ana"}, {Relation: admin.PatientGroupOf, To: "pg0"}}
	if len(w.ranges) != 1 || !slices.Equal(got.Indexes, want) || got.Facts || got.IDs != nil || got.At != nil || got.Limit != search.DefaultLimit {
		t.Errorf("read %+v", w.ranges)
	}
	if want := []admin.Expectation{{Key: ana, Since: revisionOf(1)}}; !slices.Equal(got.Basis, want) {
		t.Errorf("the basis is %+v", got.Basis)
	}

	// One alternative that an index does not say all of is enough.
	w = newWard(t, 100, "not resource in patient group", "V2", "V3")
	other, v2, v3 := w.rules.rule[0][0], w.rules.rule[1][0], w.rules.rule[2][0]
	for _, w.rules.rule = range []rule{{{v3, other}, {v2}}, {{v3}, {v2, other}}} {
		w.page(search.Page{})
	}
	for _, got := range w.ranges {
		if !slices.Equal(got.Indexes, want) || !got.Facts {
			t.Errorf("read %+v", got)
		}
	}

	w = newWard(t, 100, "V2", "V3", "not resource in patient group")
	w.page(search.Page{Limit: 9})
	if got := w.ranges[0]; !slices.Equal(got.Indexes, []search.Index{{}}) || !got.Facts || got.Limit != 10 {
		t.Errorf("read %+v", got)
	}
}

// TestNothingThere asks about what does not exist (V9).
func TestNothingThere(t *testing.T) {
	t.Parallel()
	w := newWard(t, 10, "V2")
	for name, change := range map[string]func(*authz.Request){
		"subject":       func(r *authz.Request) { r.Subject.ID = "nobody" },
		"subject's id":  func(r *authz.Request) { r.Subject.ID = "no\x00body" },
		"no subject":    func(r *authz.Request) { r.Subject.ID = "" },
		"subject type":  func(r *authz.Request) { r.Subject.Type = "robot" },
		"resource type": func(r *authz.Request) { r.Resource.Type = "spaceship" },
		"action":        func(r *authz.Request) { r.Action.Name = "fly" },
		"stock's too":   func(r *authz.Request) { r.Resource.Type, r.Action.Name = "stock", "fly" },
	} {
		r := *w.question().request
		change(&r)
		for i, ask := range []func(context.Context, string, *authz.Request, search.Page, authz.Freshness) (*search.Result, authz.Stated, error){
			w.service.Resources, w.service.Subjects, w.service.Actions,
		} {
			if i == 1 && name != "action" && name != "resource type" || i == 2 && name != "subject" && name != "resource type" {
				continue // that is ignored, or there
			}
			result, stated, err := ask(t.Context(), riverside, &r, search.Page{}, authz.Freshness{})
			if err != nil || len(result.IDs) > 0 || result.IDs == nil || result.Next != nil || stated != (authz.Stated{Revision: revisionOf(1), Policy: "policy-1"}) {
				t.Errorf("%s: %+v, %+v, %v", name, result, stated, err)
			}
		}
	}
	result, stated, err := w.service.Resources(t.Context(), "nowhere", w.question().request, search.Page{}, authz.Freshness{})
	if err != nil || len(result.IDs) > 0 || result.Next != nil || stated.Revision != (authz.Revision{}) {
		t.Errorf("an organisation that does not exist: %+v, %+v, %v", result, stated, err)
	}
}

// TestMovedBasis takes the access away between the look at it and the page.
func TestMovedBasis(t *testing.T) {
	t.Parallel()
	w := newWard(t, 100, "V2")
	w.meanwhile = func(n int) {
		if n == 0 {
			w.change(func(state map[authz.Key]*authz.Fact) { w.set(state, &authz.Fact{Key: ana, Access: []string{"pg1"}}) })
		}
	}
	w.lag = 5 // a reading that may be old still has the access
	result, stated := w.page(search.Page{Limit: 3})
	if stated.Revision != revisionOf(2) || !slices.Equal(result.IDs, []string{"p-00001", "p-00011", "p-00021"}) {
		t.Errorf("%q at %v", result.IDs, stated.Revision)
	}

	// What the role grants is part of it.
	w = newWard(t, 100, "V2")
	role := authz.Key{Kind: authz.KindRole, ID: "r"}
	w.set(w.states[1], &authz.Fact{Key: role, Permissions: []string{"p:a"}})
	w.set(w.states[1], &authz.Fact{Key: ana, Access: []string{"pg0"}, Role: "r"})
	w.rules.rule[0] = append(w.rules.rule[0], used{ofSubject("holds", has(authz.FactPermissions, "p:a"),
		func(f *authz.Fact, facts *authz.Facts) bool { return permitted(f, facts, "p:a") }), false})
	if result, _ := w.page(search.Page{}); len(result.IDs) != 10 {
		t.Errorf("%q", result.IDs)
	}
	w.meanwhile = func(n int) {
		if n == 1 {
			w.change(func(state map[authz.Key]*authz.Fact) { w.set(state, &authz.Fact{Key: role}) })
		}
	}
	if result, _ := w.page(search.Page{}); len(result.IDs) != 0 {
		t.Errorf("%q", result.IDs)
	}

	// The subject comes into being meanwhile, or the other way round.
	w = newWard(t, 100, "V2")
	delete(w.states[1], ana)
	w.lag = 5
	w.change(func(state map[authz.Key]*authz.Fact) { w.set(state, &authz.Fact{Key: ana, Access: []string{"pg1"}}) })
	if result, stated := w.page(search.Page{}); stated.Revision != revisionOf(1) || len(result.IDs) != 0 {
		t.Errorf("an old reading of nobody: %q at %v", result.IDs, stated.Revision)
	}

	w = newWard(t, 100, "V2")
	w.meanwhile = func(int) {
		w.change(func(state map[authz.Key]*authz.Fact) { w.set(state, &authz.Fact{Key: ana, Access: []string{"pg1"}}) })
	}
	_, _, err := w.service.Resources(t.Context(), riverside, w.question().request, search.Page{}, authz.Freshness{})
	refused(t, err, authz.Unavailable, "", "changed too often")
}

// outsideOf makes the rule that patients are seen who are in none of n groups of ten: no
// index says who.
func (w *ward) outsideOf(n int) {
	var groups []string
	for i := range n {
		groups = append(groups, fmt.Sprintf("pg%d", i))
	}
	w.rules.rule = rule{{{ofResource("in groups", in(authz.FactPatientGroup, groups...), func(f *authz.Fact, _ *authz.Facts) bool {
		return slices.Contains(groups, f.PatientGroup)
	}), true}}}
}

// TestNoCatalogue searches by a policy of another domain, of which the directory
// knows nothing.
func TestNoCatalogue(t *testing.T) {
	t.Parallel()
	w := newWard(t, 10)
	w.rules.catalogue = nil
	r := &authz.Request{Subject: authz.Entity{Type: "robot", ID: "r2"}, Action: authz.Action{Name: "weld"}, Resource: authz.Entity{Type: "patient"}}
	for _, what := range []string{"patient", "action"} {
		ask := w.service.Resources
		if what == "action" {
			ask = w.service.Actions
		}
		_, _, err := ask(t.Context(), riverside, r, search.Page{}, authz.Freshness{})
		refused(t, err, authz.Malformed, map[string]string{"patient": "resource.type"}[what], "data.authz.candidates.")
	}
	w.rules.candidates = map[string][]authz.CandidateEntity{
		"patient": {{ID: "a"}, {ID: "b", Properties: map[string]any{"open": false}}, {ID: "c"}}, "action": {{ID: "odd"}, {ID: "weld"}},
	}
	for _, c := range []struct {
		ask  func(context.Context, string, *authz.Request, search.Page, authz.Freshness) (*search.Result, authz.Stated, error)
		want []string
	}{{w.service.Resources, []string{"a", "c"}}, {w.service.Actions, []string{"weld"}}} {
		pages := walk(t, func(p search.Page) (*search.Result, authz.Stated, error) {
			return c.ask(t.Context(), "anywhere", r, p, authz.Freshness{})
		}, func() int { return 1 })
		var got []string
		for _, p := range pages {
			got = append(got, p.IDs...)
		}
		if !slices.Equal(got, c.want) || w.reads > 0 || len(w.ranges) > 0 {
			t.Errorf("got %q, after %d reads and %d ranges", got, w.reads, len(w.ranges))
		}
	}
}

// TestErrors asks for what cannot be answered.
func TestErrors(t *testing.T) {
	t.Parallel()
	w := newWard(t, 100, "V2")
	ask := func(r *authz.Request, p search.Page, fresh authz.Freshness) error {
		t.Helper()
		result, _, err := w.service.Resources(t.Context(), riverside, r, p, fresh)
		if err == nil || result != nil {
			t.Fatalf("got %+v and %v", result, err)
		}
		return err
	}
	r := w.question().request
	refused(t, ask(r, search.Page{Limit: -1}, authz.Freshness{}), authz.Malformed, "page.limit", "1 to 1000")
	refused(t, ask(r, search.Page{Limit: 1001}, authz.Freshness{}), authz.Malformed, "page.limit", "1 to 1000")
	refused(t, ask(r, search.Page{}, authz.Freshness{AtLeast: revisionOf(9)}), authz.Behind, "Caregate-At-Least", "")

	stock := *r
	stock.Resource.Type = "stock"
	refused(t, ask(&stock, search.Page{}, authz.Freshness{}), authz.Malformed, "resource.type", "data.authz.candidates.<type>")
	subject := *r
	subject.Subject.Type = "stock"
	_, _, err := w.service.Subjects(t.Context(), riverside, &subject, search.Page{}, authz.Freshness{})
	refused(t, err, authz.Malformed, "subject.type", "data.authz.candidates.<type>")
	w.rules.candidates = map[string][]authz.CandidateEntity{"stock": make([]authz.CandidateEntity, 10_001)}
	refused(t, ask(&stock, search.Page{}, authz.Freshness{}), authz.TooLarge, "resource.type", "10000")

	odd := *r
	odd.Context = map[string]any{"n": json.Number("one")}
	refused(t, ask(&odd, search.Page{}, authz.Freshness{}), authz.Malformed, "", "JSON")

	// A candidate that cannot be decided about is not left out in silence.
	w.rules.outside, w.rules.broken = true, errors.New("broken")
	if err := ask(r, search.Page{}, authz.Freshness{}); !errors.Is(err, w.rules.broken) {
		t.Error(err)
	}

	// What members hold is not known: a negated condition is no yes.
	w = newWard(t, 100)
	w.rules.rule = rule{{{ofSubject("holds", has(authz.FactPermissions, "p:a"), func(*authz.Fact, *authz.Facts) bool { return false }), true}}}
	w.rules.permission = errors.New("broken")
	named := *r
	named.Resource.ID = patient(1).ID
	if result, _, err := w.service.Subjects(t.Context(), riverside, &named, search.Page{}, authz.Freshness{}); err == nil {
		t.Errorf("found %q without knowing what members hold", result.IDs)
	}
}
