package search_test

import (
	"context"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// TestCutPages lets the facts change in the middle of a page: it ends there.
func TestCutPages(t *testing.T) {
	t.Parallel()
	for _, outside := range []bool{false, true} {
		w := newWard(t, 1000)
		w.outsideOf(9)
		w.rules.outside = outside
		w.meanwhile = func(n int) {
			if n == 2 { // one candidate, two, and then
				w.change(func(state map[authz.Key]*authz.Fact) { w.set(state, &authz.Fact{Key: patient(3), PatientGroup: "pg9"}) })
			}
		}
		first, stated := w.page(search.Page{Limit: 1})
		if first.Next == nil || first.Next.After != patient(5).ID || !first.Next.Hidden || len(first.IDs) != 0 || stated.Revision != revisionOf(1) {
			t.Fatalf("evaluated: %v: %+v at %v", outside, first, stated.Revision)
		}
		next, stated := w.page(search.Page{Limit: 1, From: first.Next})
		if !slices.Equal(next.IDs, []string{patient(9).ID}) || next.Next == nil || stated.Revision != revisionOf(2) {
			t.Errorf("evaluated: %v: %+v at %v", outside, next, stated.Revision)
		}
	}
}

// TestBounds checks that a page ends where too many candidates were looked at, and says
// that there may be more.
func TestBounds(t *testing.T) {
	t.Parallel()
	for _, outside := range []bool{false, true} {
		w := newWard(t, 12_000)
		w.outsideOf(10)
		w.rules.outside = outside
		asked := func(p search.Page) *search.Result {
			w.ranges = nil
			result, stated, err := w.service.Resources(t.Context(), riverside, w.question().request, p, authz.Freshness{})
			if err != nil || stated.Revision != revisionOf(1) || len(result.IDs) > 0 {
				t.Fatal(result, stated, err)
			}
			looked := 0
			for i, r := range w.ranges {
				looked += r.Limit
				if i > 0 && (r.At == nil || *r.At != revisionOf(1)) {
					t.Errorf("a further range may be of another revision: %+v", r)
				}
			}
			if looked > 11_000 {
				t.Errorf("%d candidates were looked at", looked)
			}
			return result
		}
		first := asked(search.Page{})
		if first.Next == nil || !first.Next.Hidden || first.Next.After < patient(9_999).ID {
			t.Fatalf("%+v", first.Next)
		}
		if last := asked(search.Page{From: first.Next}); last.Next != nil {
			t.Errorf("%+v", last.Next)
		}
		if outside && (len(w.watched) != 2 || w.watched[0]+w.watched[1] != 12_000) || !outside && w.watched != nil {
			t.Errorf("evaluated: %v: the watcher was told of %v", outside, w.watched)
		}
	}
}

// TestLastPage checks that no page is empty for want of a look further.
func TestLastPage(t *testing.T) {
	t.Parallel()
	w := newWard(t, 100, "V2") // ten of them
	if result, _ := w.page(search.Page{Limit: 10}); len(result.IDs) != 10 || result.Next != nil {
		t.Errorf("%+v", result)
	}
	w.outsideOf(9)
	if result, _ := w.page(search.Page{Limit: 9}); len(result.IDs) != 9 || result.Next == nil || result.Next.Hidden {
		t.Errorf("%+v", result)
	}
	if result, _ := w.page(search.Page{Limit: 10}); len(result.IDs) != 10 || result.Next != nil {
		t.Errorf("%+v", result)
	}
}

// TestBusy searches by evaluation while the facts change faster than a page can be
// evaluated: less is read at a time, and at the end it is given up.
func TestBusy(t *testing.T) {
	t.Parallel()
	w := newWard(t, 100)
	w.outsideOf(9)
	w.rules.outside = true
	between := w.organisation
	busy := 2
	w.service = search.NewService(authz.NewService(reader(func(ctx context.Context, keys []authz.Key, fresh authz.Freshness) (*authz.Facts, error) {
		if len(keys) > 1 && busy > 0 { // not the survey
			busy--
			between.change(func(state map[authz.Key]*authz.Fact) {
				between.set(state, &authz.Fact{Key: patient(50), PatientGroup: "pg9"})
			})
		}
		return between.Read(ctx, riverside, keys, fresh)
	}), w.rules), w.rules, w.organisation, w)
	result, stated := w.page(search.Page{Limit: 63})
	if stated.Revision != revisionOf(3) || len(result.IDs) != 11 || w.ranges[0].Limit != 64 || w.ranges[2].Limit != 4 {
		t.Errorf("%d at %v, %+v", len(result.IDs), stated.Revision, w.ranges)
	}
	busy = 100
	_, _, err := w.service.Resources(t.Context(), riverside, w.question().request, search.Page{}, authz.Freshness{})
	refused(t, err, authz.Unavailable, "", "changed too often")
}

// reader is a directory of one organisation.
type reader func(ctx context.Context, keys []authz.Key, fresh authz.Freshness) (*authz.Facts, error)

func (r reader) Read(ctx context.Context, _ string, keys []authz.Key, fresh authz.Freshness) (*authz.Facts, error) {
	return r(ctx, keys, fresh)
}
