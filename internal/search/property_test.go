package search_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/soak"
)

// each runs a property over random cases and names the seed of one that fails.
func each(t *testing.T, n int, property func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	for seed := range soak.Seeds(t, n) {
		property(t, rand.New(rand.NewPCG(seed, 4)))
	}
}

// TestPages searches random organisations by random rules, while nothing changes,
// while something changes now and then, and for a rule that only evaluation answers.
func TestPages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edits   float64
		lag     int
		outside bool
	}{
		"still":             {},
		"moving":            {edits: 0.15, lag: 3},
		"evaluated":         {outside: true},
		"evaluated, moving": {edits: 0.1, lag: 2, outside: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results, hidden := 0, 0
			each(t, 1000, func(t *testing.T, r *rand.Rand) {
				o := newOrganisation(t, r)
				for range r.IntN(30) {
					o.randomChange()
				}
				q, subject, resource, kind := randomQuestion(r, o)
				rules := newRules(randomRule(r, subject, resource))
				rules.outside = c.outside
				o.edits, o.lag = c.edits, c.lag
				defer func() {
					if t.Failed() {
						t.Log(q, rules.rule)
					}
				}()
				s := search.NewService(authz.NewService(o, rules), rules, o, nil)
				pages := walk(t, func(p search.Page) (*search.Result, authz.Stated, error) {
					return q.ask(t.Context(), s, riverside, p, authz.Freshness{})
				}, func() int { return []int{1, 2, 3, 7, 100, 1000}[r.IntN(6)] })
				o.exact(pages, kind, rules, q)
				for i, p := range pages {
					results += len(p.IDs)
					if p.Next != nil && p.Next.Hidden {
						hidden++
					}
					if i > 0 && p.stated.Revision.Count < pages[i-1].stated.Revision.Count {
						t.Errorf("a page at %v comes after one at %v", p.stated.Revision, pages[i-1].stated.Revision)
					}
				}
				o.throughout(pages, kind, rules, q)
			})
			if !soak.Repeats() && (results == 0 || hidden == 0) {
				t.Errorf("%d results and %d hidden cursors: nothing was tested", results, hidden)
			}
		})
	}
}

// throughout checks that nothing is lost that was allowed all the time.
func (o *organisation) throughout(pages []walked, kind authz.Kind, rules authz.Policy, q question) {
	o.Helper()
	var got []string
	for _, p := range pages {
		got = append(got, p.IDs...)
	}
	first, last := pages[0].stated.Revision.Count, pages[len(pages)-1].stated.Revision.Count
	stayed := o.allowed(int(first), kind, rules, q)
	for n := first + 1; n <= last; n++ {
		now := o.allowed(int(n), kind, rules, q)
		stayed = slices.DeleteFunc(stayed, func(id string) bool { return !slices.Contains(now, id) })
	}
	for _, id := range stayed {
		if !slices.Contains(got, id) {
			o.Errorf("%s: %q was allowed throughout and is on no page", q, id)
		}
	}
}

// TestNamedPages searches what the policy and the catalogue name, still and moving.
func TestNamedPages(t *testing.T) {
	t.Parallel()
	each(t, 1000, func(t *testing.T, r *rand.Rand) {
		o := newOrganisation(t, r)
		for range r.IntN(30) {
			o.randomChange()
		}
		rules := newRules(nil)
		rules.candidates = map[string][]authz.CandidateEntity{"stock": {
			{ID: ""}, // nothing is called so
			{ID: "bandage"},
			{ID: "drug", Properties: map[string]any{"open": false}},
			{ID: "for-one", Properties: map[string]any{"patient": o.patientID()}},
			{ID: "for-two", Properties: map[string]any{"patient": o.patientID()}},
			{ID: "needle"},
		}}
		request := &authz.Request{
			Subject:  authz.Entity{Type: "team_member", ID: o.memberID()},
			Action:   authz.Action{Name: []string{"do", "order"}[r.IntN(2)]},
			Resource: authz.Entity{Type: "stock", ID: "to no effect", Properties: map[string]any{}},
		}
		if r.IntN(2) == 0 {
			request.Resource.Properties["patient"] = o.patientID()
		}
		if r.IntN(2) == 0 {
			request.Resource.Properties["open"] = true
		}
		s := search.NewService(authz.NewService(o, rules), rules, o, nil)
		o.edits, o.lag = []float64{0, 0.1}[r.IntN(2)], r.IntN(3)
		pages := walk(t, func(p search.Page) (*search.Result, authz.Stated, error) {
			return s.Resources(t.Context(), riverside, request, p, authz.Freshness{})
		}, func() int { return 1 + r.IntN(4) })
		for _, p := range pages {
			n := int(p.stated.Revision.Count)
			checks := authz.NewService(at{o, n}, rules)
			named, _, err := rules.Candidates(t.Context(), authz.Question{
				Request: request, Subject: o.facts(n, nil).Get(authz.Key{}),
			}, "stock")
			if err != nil {
				t.Fatal(err)
			}
			if member := o.states[n][authz.Key{Kind: authz.KindTeamMember, ID: request.Subject.ID}]; member != nil {
				for _, g := range member.Access {
					named = append(named, authz.CandidateEntity{ID: "shelf-" + g})
				}
			}
			var want []string
			for _, c := range named {
				properties := map[string]any{}
				for _, from := range []map[string]any{c.Properties, request.Resource.Properties} {
					for name, value := range from {
						properties[name] = value
					}
				}
				one := *request
				one.Resource = authz.Entity{Type: "stock", ID: c.ID, Properties: properties}
				d, _, err := checks.Decide(t.Context(), riverside, &one, authz.Freshness{})
				if err != nil {
					t.Fatal(err)
				}
				if d.Allow {
					want = append(want, c.ID)
				}
			}
			slices.Sort(want)
			var to *string
			if p.Next != nil {
				to = &p.Next.After
			}
			if want = between(want, p.after, to); !slices.Equal(p.IDs, want) || p.Type != "stock" {
				t.Errorf("the page after %q at %d is %q; the checks allow %q", p.after, n, p.IDs, want)
			}
		}
	})
}

// TestActions asks what may be done to everything there is, by random rules.
func TestActions(t *testing.T) {
	t.Parallel()
	found := 0
	each(t, 500, func(t *testing.T, r *rand.Rand) {
		o := newOrganisation(t, r)
		q, subject, resource, _ := randomQuestion(r, o)
		rules := newRules(randomRule(r, subject, resource))
		if r.IntN(4) == 0 {
			q.request.Resource = authz.Entity{Type: "stock", ID: "bandage"}
		}
		names := rules.catalogue.Types[q.request.Resource.Type].Actions
		if r.IntN(3) == 0 {
			names = []string{"do", "fly", "order"}
			rules.candidates = map[string][]authz.CandidateEntity{"action": {{ID: "do"}, {ID: "fly"}, {ID: "order"}}}
		}
		o.edits, o.lag = []float64{0, 0.1}[r.IntN(2)], r.IntN(3)
		s := search.NewService(authz.NewService(o, rules), rules, o, nil)
		pages := walk(t, func(p search.Page) (*search.Result, authz.Stated, error) {
			return s.Actions(t.Context(), riverside, q.request, p, authz.Freshness{})
		}, func() int { return 1 + r.IntN(3) })
		for _, p := range pages {
			checks := authz.NewService(at{o, int(p.stated.Revision.Count)}, rules)
			var want []string
			for _, name := range names {
				one := *q.request
				one.Action.Name = name
				d, _, err := checks.Decide(t.Context(), riverside, &one, authz.Freshness{})
				if err != nil {
					t.Fatal(err)
				}
				if d.Allow {
					want = append(want, name)
				}
			}
			found += len(p.IDs)
			var to *string
			if p.Next != nil {
				to = &p.Next.After
			}
			if want = between(want, p.after, to); !slices.Equal(p.IDs, want) || p.Type != "" {
				t.Errorf("%s: the page after %q is %q; the checks allow %q", q, p.after, p.IDs, want)
			}
		}
	})
	if found == 0 {
		t.Error("nothing was tested")
	}
}
