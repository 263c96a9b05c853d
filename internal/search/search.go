package search

import (
	"context"
	"errors"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// The sizes of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Page is the part of the results that is asked for.
type Page struct {
	Limit int     // 1 to MaxLimit, 0 for DefaultLimit
	From  *Cursor // where the page before ended, nil for the first page
}

// Result is one page of what was found, true at the revision stated.
type Result struct {
	Type string   // of the entities, "" for actions
	IDs  []string // ids, or names of actions, in order; never nil
	// Next is where the next page begins, nil only when there is nothing more. There can
	// be fewer ids than the limit before it, and none at all: a page ends where too
	// many candidates were looked at, or the facts changed.
	Next *Cursor
}

// Watcher is told of searches that a policy outside the fragment makes slow.
type Watcher interface {
	// Evaluated is called for each page that was found by asking the policy about one
	// candidate after the other; asked is how many there were.
	Evaluated(where []string, asked int)
}

// Service answers searches. It is safe for concurrent use.
type Service struct {
	decisions *authz.Service
	rules     authz.Rules
	store     Store
	watcher   Watcher
}

// NewService returns a service that searches store by rules. All three have to be
// about the same facts and policy. watcher may be nil.
func NewService(decisions *authz.Service, rules authz.Rules, store Store, watcher Watcher) *Service {
	return &Service{decisions: decisions, rules: rules, store: store, watcher: watcher}
}

// Resources finds the resources of r.Resource.Type that the subject may do the action
// to; r.Resource.ID is ignored, its properties hold for all of them. The errors are
// those of all searches:
//
//	Malformed  about page.token for a Cursor of another search, page.limit, or the
//	           type, where the directory holds none of it and the policy names no candidates
//	Conflict   about page.token for a Cursor of another policy
//	Behind     about page.token for one whose facts are lost
//	TooLarge   the policy names too many candidates
//	Unavailable, Timeout
//
// An organisation, or whatever the question names, that does not exist has no results
// where the policy denies it (V9).
func (s *Service) Resources(ctx context.Context, organisation string, r *authz.Request, p Page, fresh authz.Freshness) (*Result, authz.Stated, error) {
	known := *r
	known.Resource.ID = ""
	return s.search(ctx, &asked{what: resources, organisation: organisation, request: &known, fresh: fresh}, p)
}

// Subjects finds the subjects of r.Subject.Type who may do the action to the resource;
// r.Subject.ID is ignored, its properties hold for all of them.
func (s *Service) Subjects(ctx context.Context, organisation string, r *authz.Request, p Page, fresh authz.Freshness) (*Result, authz.Stated, error) {
	known := *r
	known.Subject.ID = ""
	return s.search(ctx, &asked{what: subjects, organisation: organisation, request: &known, fresh: fresh}, p)
}

// Actions finds what the subject may do to the resource; r.Action.Name is ignored.
func (s *Service) Actions(ctx context.Context, organisation string, r *authz.Request, p Page, fresh authz.Freshness) (*Result, authz.Stated, error) {
	known := *r
	known.Action.Name = ""
	return s.search(ctx, &asked{what: actions, organisation: organisation, request: &known, fresh: fresh}, p)
}

// attempts is how often a page is begun while the facts keep changing.
const attempts = 5

// search answers one search from what holds candidates for it.
func (s *Service) search(ctx context.Context, a *asked, p Page) (*Result, authz.Stated, error) {
	if err := s.begin(a, p); err != nil {
		return nil, authz.Stated{Policy: s.rules.Digest()}, err
	}
	find := s.amongNamed
	if _, held := s.decisions.Lookup(a.typ(), ""); held && a.what != actions {
		find = s.amongHeld
	}
	result, revision, err := find(ctx, a)
	stated := authz.Stated{Revision: revision, Policy: s.rules.Digest()}
	if err != nil {
		return nil, stated, a.behind(err, a.fresh.AtLeast)
	}
	if err := s.includes(ctx, a, revision); err != nil {
		return nil, stated, err
	}
	return result, stated, nil
}

// moved reports whether an error says that the facts are no longer those that a
// page was begun with, the end of the organisation included.
func moved(err error) bool {
	return errors.Is(err, admin.ErrMoved) || err != nil && authz.KindOf(err) == authz.NotFound
}

func movedTooOften() error {
	return authz.Errorf(authz.Unavailable, "", "the facts changed too often while the page was made; ask again, or for fewer at a time")
}
