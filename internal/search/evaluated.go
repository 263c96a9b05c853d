package search

import (
	"context"
	"errors"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// evaluated finds a page by asking the policy about all entities of a kind, one after
// the other: the way that is left for a policy outside the fragment.
func (s *Service) evaluated(
	ctx context.Context, a *asked, kind authz.Kind, outside *authz.Outside,
) (*Result, authz.Revision, error) {
	count := 0
	result, revision, err := a.page(ctx, func(ctx context.Context, after string, size int, at *authz.Revision) (batch, error) {
		// What is read between two changes becomes less with every attempt, until it fits.
		for n := range attempts {
			got, err := s.store.Range(ctx, a.organisation, Range{
				Kind: kind, Indexes: []Index{{}}, After: after, Limit: max(1, size>>(2*n)), At: at,
			}, a.fresh)
			if err != nil {
				return batch{}, err
			}
			candidates := make([]authz.CandidateEntity, len(got.IDs))
			for i, id := range got.IDs {
				candidates[i].ID = id
			}
			count += len(candidates)
			results, _, err := s.decide(ctx, a, candidates, got.Revision)
			if !moved(err) || at != nil {
				return batch{ids: got.IDs, results: results, more: got.More, revision: got.Revision}, err
			}
		}
		return batch{}, movedTooOften()
	}, a.sizeFor(false))
	if err == nil && s.watcher != nil {
		s.watcher.Evaluated(outside.Where, count)
	}
	return result, revision, err
}

// decide asks the policy about candidates at a revision. If that is over the error is
// one of which moved says so, and the revision is a later one.
func (s *Service) decide(
	ctx context.Context, a *asked, candidates []authz.CandidateEntity, at authz.Revision,
) ([]bool, authz.Revision, error) {
	if len(candidates) == 0 {
		return nil, at, nil
	}
	requests := make([]*authz.Request, len(candidates))
	for i, c := range candidates {
		requests[i] = a.requestFor(c)
	}
	decisions, failed, stated, err := s.decisions.DecideAll(ctx, a.organisation, requests, authz.ExecuteAll, authz.Freshness{AtLeast: at})
	if err != nil {
		if authz.KindOf(err) == authz.Behind { // a revision that was there a moment ago
			return nil, at, admin.Moved()
		}
		return nil, at, err
	}
	if stated.Revision != at {
		return nil, stated.Revision, admin.Moved()
	}
	if err := errors.Join(failed...); err != nil {
		return nil, at, err
	}
	results := make([]bool, len(decisions))
	for i, d := range decisions {
		results[i] = d.Allow
	}
	return results, at, nil
}
