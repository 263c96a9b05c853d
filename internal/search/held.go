package search

import (
	"context"
	"errors"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// surveyed is what a search comes down to at one revision.
type surveyed struct {
	residual *authz.Residual // nil for a policy outside the fragment
	outside  *authz.Outside
	basis    []admin.Expectation // what the residual was made of
	revision authz.Revision
}

// amongHeld searches a type of which the directory holds the facts. What the policy
// leaves of its rule is taken from a reading that may be older than the page; the
// store gives the page only if nothing of that reading has changed since, so that all
// of it is true at the page's own revision.
func (s *Service) amongHeld(ctx context.Context, a *asked) (*Result, authz.Revision, error) {
	key, _ := s.decisions.Lookup(a.typ(), "")
	fresh := a.fresh
	for range attempts {
		found, err := s.survey(ctx, a, fresh)
		if err != nil {
			return nil, authz.Revision{}, err
		}
		result, revision, err := s.pageOf(ctx, a, key.Kind, found)
		if !moved(err) {
			return result, revision, err
		}
		fresh.Full = true
	}
	return nil, authz.Revision{}, movedTooOften()
}

// survey asks the policy what is left of its rule. In an organisation that does not
// exist nothing is.
func (s *Service) survey(ctx context.Context, a *asked, fresh authz.Freshness) (*surveyed, error) {
	var out *surveyed
	stated, err := s.decisions.Survey(ctx, a.organisation, a.request, a.openFacts(), fresh, func(q *authz.Survey) error {
		out = &surveyed{residual: &authz.Residual{}, basis: Basis(q)}
		if !q.Facts.Organisation {
			return nil
		}
		var err error
		out.residual, err = s.rules.Residual(ctx, q.Question, a.openFacts())
		if outside, ok := errors.AsType[*authz.Outside](err); ok {
			out.residual, out.outside = nil, outside
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.revision = stated.Revision
	return out, nil
}

// Basis returns everything that the answer to a question depends on, as it was seen, for
// a Range that holds only while it is so. What no entity can be called will not exist,
// and needs no mention.
func Basis(q *authz.Survey) []admin.Expectation {
	basis := make([]admin.Expectation, 0, len(q.Keys)+len(q.Facts.All()))
	for _, fact := range q.Facts.All() {
		if fact.Found {
			basis = append(basis, admin.Expectation{Key: fact.Key, Since: fact.Since})
		}
	}
	for _, key := range q.Keys {
		absent := admin.Expectation{Key: key}
		if admin.ValidID(key.ID) && !q.Facts.Get(key).Found && !slices.Contains(basis, absent) {
			basis = append(basis, absent)
		}
	}
	return basis
}

// pageOf finds a page for what was surveyed.
func (s *Service) pageOf(ctx context.Context, a *asked, kind authz.Kind, found *surveyed) (*Result, authz.Revision, error) {
	if found.outside != nil {
		return s.evaluated(ctx, a, kind, found.outside)
	}
	p := planFor(kind, found.residual)
	if found.residual.Never() || p.nowhere() {
		return &Result{Type: a.typ(), IDs: []string{}}, found.revision, nil
	}
	var predicate *authz.Predicate
	if !p.exact {
		predicate = found.residual.Predicate()
	}
	return a.page(ctx, func(ctx context.Context, after string, size int, at *authz.Revision) (batch, error) {
		r := Range{
			Kind: kind, Indexes: p.indexes, IDs: idsAfter(p.ids, after), After: after, Limit: size, Facts: !p.exact, At: at,
		}
		if at == nil { // at one revision everything stays as it is
			r.Basis = found.basis
		}
		got, err := s.store.Range(ctx, a.organisation, r, a.fresh)
		if err != nil {
			return batch{}, err
		}
		out := batch{ids: got.IDs, more: got.More, revision: got.Revision}
		if predicate != nil {
			out.results, err = s.test(ctx, predicate, kind, &got)
		}
		return out, err
	}, a.sizeFor(p.exact))
}

// idsAfter returns the ids that come after one.
func idsAfter(ids []string, after string) []string {
	i, found := slices.BinarySearch(ids, after)
	if found {
		i++
	}
	return ids[i:]
}

// test says which entities of a page a predicate holds for.
func (s *Service) test(ctx context.Context, predicate *authz.Predicate, kind authz.Kind, got *Found) ([]bool, error) {
	if got.Facts == nil || got.Facts.Revision != got.Revision {
		return nil, authz.Errorf(authz.Internal, "", "the store gave no facts, or those of another revision, with a page")
	}
	h := authz.NewHoldings(s.rules)
	results := make([]bool, len(got.IDs))
	for i, id := range got.IDs {
		c := h.Candidate(ctx, got.Facts.Get(authz.Key{Kind: kind, ID: id}), got.Facts)
		results[i] = c.Fact.Found && predicate.Holds(c)
		if err := h.Err(); err != nil {
			return nil, err
		}
	}
	return results, nil
}
