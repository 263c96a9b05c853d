package search

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// maxCandidates is how many candidates a policy may name.
const maxCandidates = 10_000

// amongNamed searches what the policy names, or the catalogue: actions, and types of
// which the directory holds no facts. The candidates and all decisions about them are
// of one revision.
func (s *Service) amongNamed(ctx context.Context, a *asked) (*Result, authz.Revision, error) {
	fresh := a.fresh
	for n := range attempts {
		candidates, at, err := s.candidates(ctx, a, fresh)
		if err != nil {
			return nil, authz.Revision{}, err
		}
		later := at
		result, revision, err := a.page(ctx, func(ctx context.Context, after string, size int, _ *authz.Revision) (batch, error) {
			rest := candidatesAfter(candidates, after)
			out := batch{more: len(rest) > size, revision: at}
			rest = rest[:min(size, len(rest))]
			for _, c := range rest {
				out.ids = append(out.ids, c.ID)
			}
			var err error
			out.results, later, err = s.decide(ctx, a, rest, at)
			return out, err
		}, max(1, a.sizeFor(false)>>(2*n)))
		if !moved(err) {
			return result, revision, err
		}
		fresh.AtLeast = later
		fresh.Full = fresh.Full || later == at
	}
	return nil, authz.Revision{}, movedTooOften()
}

// candidatesAfter returns the candidates that come after an id, "" for all. No id is
// empty.
func candidatesAfter(candidates []authz.CandidateEntity, after string) []authz.CandidateEntity {
	i := slices.IndexFunc(candidates, func(c authz.CandidateEntity) bool { return c.ID > after })
	if i < 0 {
		return nil
	}
	return candidates[i:]
}

// candidates returns what a search ranges over, in order, and at which revision.
func (s *Service) candidates(ctx context.Context, a *asked, fresh authz.Freshness) ([]authz.CandidateEntity, authz.Revision, error) {
	var of []authz.CandidateEntity
	ask := func(q *authz.Survey) error {
		if of = nil; !q.Facts.Organisation {
			return nil
		}
		what := a.typ()
		if a.what == actions {
			what = actions
		}
		named, defined, err := s.rules.Candidates(ctx, q.Question, what)
		if err == nil && !defined {
			named, err = s.catalogued(a)
		}
		if err == nil && len(named) > maxCandidates {
			err = authz.Errorf(authz.TooLarge, a.field(),
				"the policy names more than %d candidates in data.authz.candidates; name fewer there, by what the question says", maxCandidates)
		}
		of = named
		return err
	}
	var stated authz.Stated
	var err error
	if a.what == actions {
		stated, err = s.decisions.Whole(ctx, a.organisation, a.request, fresh, ask)
	} else {
		stated, err = s.decisions.Survey(ctx, a.organisation, a.request, a.openFacts(), fresh, ask)
	}
	return of, stated.Revision, err
}

// catalogued returns what the catalogue names, where the policy does not. What the
// catalogue does not have has no results; a type that it has, and nobody names what
// there is of it, cannot be searched.
func (s *Service) catalogued(a *asked) ([]authz.CandidateEntity, error) {
	catalogue := s.rules.Catalogue()
	if catalogue != nil {
		spec, known := catalogue.Types[a.request.Resource.Type]
		if a.what == actions {
			var out []authz.CandidateEntity
			for _, name := range spec.Actions {
				out = append(out, authz.CandidateEntity{ID: name})
			}
			return out, nil
		}
		if _, typed := catalogue.Types[a.typ()]; !known || !typed || !slices.Contains(spec.Actions, a.request.Action.Name) {
			return nil, nil
		}
	}
	if a.what == actions {
		return nil, authz.Errorf(authz.Malformed, "", "cannot be searched: the policy has no catalogue; let it define data.authz.candidates.action, a set of names")
	}
	return nil, authz.Errorf(authz.Malformed, a.field(),
		"the directory holds nothing of this type; to search it, let the policy define data.authz.candidates.<type>, a set of ids")
}

// field names the type of what is looked for in a request.
func (a *asked) field() string {
	if a.what == actions {
		return ""
	}
	return a.what + ".type"
}
