package search_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/soak"
)

// allowed returns who a check of each says yes to, now: by a batch of all of them, and
// by a single check of some.
func (h *hospital) allowed(q question, all map[string]bool) ([]string, authz.Revision) {
	h.Helper()
	ids := slices.Sorted(maps.Keys(all))
	requests := make([]*authz.Request, len(ids))
	for i, id := range ids {
		requests[i] = q.about(id)
	}
	decisions, failed, stated, err := h.checks.DecideAll(h.Context(), h.name, requests, authz.ExecuteAll, authz.Freshness{Full: true})
	if err := errors.Join(append(failed, err)...); err != nil {
		h.Fatal(err)
	}
	var out []string
	for i, d := range decisions {
		if h.r.IntN(8) == 0 {
			single, _, err := h.checks.Decide(h.Context(), h.name, requests[i], authz.Freshness{AtLeast: stated.Revision})
			if err != nil || single.Allow != d.Allow {
				h.Fatalf("%s: a check of %q says %v, a batch %v: %v", q, ids[i], single.Allow, d.Allow, err)
			}
		}
		if d.Allow {
			out = append(out, ids[i])
		}
	}
	return out, stated.Revision
}

// agree searches all pages, with changes between them or without, and checks each
// against the checks of everything there is.
func (h *hospital) agree(edits bool) int {
	h.Helper()
	q, all := h.ask()
	found := 0
	var from *search.Cursor
	after := ""
	now, at := h.allowed(q, all)
	for {
		limit := []int{1, 3, 10, 100, 1000}[h.r.IntN(5)]
		result, stated, err := q.ask(h.Context(), h.search, h.name, search.Page{Limit: limit, From: from}, authz.Freshness{})
		if err != nil {
			h.Fatalf("%s: %v", q, err)
		}
		var to *string
		if from = carried(h, result.Next); from != nil {
			to = &from.After
		}
		if want := between(now, after, to); !slices.Equal(result.IDs, want) || result.Type != q.typ() {
			h.Fatalf("%s %v: after %q the search gives %q; the checks allow %q", q, q.request.Resource.Properties, after, result.IDs, want)
		}
		if len(all) > 0 && len(result.IDs) > 0 && stated.Revision != at {
			h.Fatalf("%s: a page at %v; the checks are at %v", q, stated.Revision, at)
		}
		found += len(result.IDs)
		if from == nil {
			return found
		}
		if len(result.IDs) > limit || from.After <= after {
			h.Fatalf("%s: %d ids on a page of %d, from %q to %q", q, len(result.IDs), limit, after, from.After)
		}
		if after = from.After; edits {
			h.change()
			now, at = h.allowed(q, all)
		}
	}
}

// actions checks what may be done.
func (h *hospital) actions() int {
	h.Helper()
	q, _ := h.ask()
	result, stated, err := h.search.Actions(h.Context(), h.name, q.request, search.Page{}, authz.Freshness{Full: true})
	if err != nil || result.Next != nil || result.Type != "" {
		h.Fatal(q, result, err)
	}
	var want []string
	for _, action := range []string{"book", "create", "delete", "fly", "update", "view", "view_all"} {
		r := *q.request
		r.Action.Name = action
		d, at, err := h.checks.Decide(h.Context(), h.name, &r, authz.Freshness{Full: true})
		if err != nil || at != stated {
			h.Fatal(err, at, stated)
		}
		if d.Allow {
			want = append(want, action)
		}
	}
	if !slices.Equal(result.IDs, want) {
		h.Fatalf("%s: the search gives %q; the checks allow %q", q, result.IDs, want)
	}
	return len(want)
}

// overStores runs a test over a real Redis and over the embedded store, both behind a
// cache, as they are in production.
func overStores(t *testing.T, test func(t *testing.T, store *directory.Cache)) {
	t.Helper()
	for name, open := range map[string]func(testing.TB) *directory.Directory{"redis": orgstore.Redis, "embedded": orgstore.Embedded} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, orgstore.Cached(t, open(t)))
		})
	}
}

// TestAgreement searches random organisations by the policy that the program comes with,
// and by one that is outside the fragment, and checks everything that there is.
func TestAgreement(t *testing.T) {
	t.Parallel()
	given := orgtest.Policy(t)
	counting := orgtest.Edited(t, orgtest.Replace("authz/allow.rego", "\tvisibility.patient_visible\n", "\tcount([1 | visibility.patient_visible]) > 0\n"))
	overStores(t, func(t *testing.T, store *directory.Cache) {
		found, evaluated, slow := 0, 0, &counter{}
		each(t, 120, func(t *testing.T, r *rand.Rand) {
			h := &hospital{
				T: t, r: r, name: fmt.Sprintf("o%d", r.Uint64()), store: store, policy: given, members: map[string]bool{}, patient: map[string]bool{},
			}
			if r.IntN(5) == 0 {
				h.policy = counting
				evaluated++
			}
			h.checks = authz.NewService(store, h.policy)
			h.search = search.NewService(h.checks, h.policy, store, slow)
			h.fill()
			for range 6 {
				found += h.agree(false)
			}
			found += h.actions()
			found += h.agree(true)
			if h.policy == given && slow.pages > slow.before {
				t.Errorf("the policy that the program comes with was evaluated for every candidate")
			}
			slow.before = slow.pages
		})
		if !soak.Repeats() && (found == 0 || evaluated == 0 || slow.pages == 0) {
			t.Errorf("%d results, %d organisations with a slow policy and %d slow pages: nothing was tested", found, evaluated, slow.pages)
		}
	})
}

// counter counts the pages that were evaluated.
type counter struct{ pages, before int }

func (c *counter) Evaluated([]string, int) { c.pages++ }

// TestDeadline searches with no time left.
func TestDeadline(t *testing.T) {
	t.Parallel()
	overStores(t, func(t *testing.T, store *directory.Cache) {
		h := &hospital{T: t, r: rand.New(rand.NewPCG(1, 1)), name: "o", store: store, policy: orgtest.Policy(t), members: map[string]bool{}, patient: map[string]bool{}}
		h.fill()
		checks := authz.NewService(store, h.policy)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := search.NewService(checks, h.policy, store, nil).Resources(ctx, h.name, &authz.Request{
			Subject: authz.Entity{Type: "team_member", ID: memberName(0)}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: "patient"},
		}, search.Page{}, authz.Freshness{})
		if err == nil || authz.KindOf(err) != authz.Timeout && authz.KindOf(err) != authz.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}
