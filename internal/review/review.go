// Package review answers why, and what if: explanations of decisions with what would
// change them, reviews of who sees what, and previews of changes that are not made. It
// belongs to the domain and imports the standard library and its neighbours there.
package review

import (
	"context"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// Store is what reviews read beside decisions.
type Store interface {
	search.Store
	// Records and Related are admin.Store's.
	Records(ctx context.Context, organisation string, keys []authz.Key) ([]*admin.Stored, authz.Revision, error)
	Related(ctx context.Context, organisation string, relation admin.Relation, to, after string, limit int) (admin.RelatedPage, error)
	// Preview is admin.Store's.
	Preview(ctx context.Context, organisation string, change admin.Change) (admin.Previewed, error)
}

// Service explains, reviews and previews. It is safe for concurrent use.
type Service struct {
	decisions *authz.Service
	rules     authz.Rules
	store     Store
}

// NewService returns a service over decisions, rules and a store that are all about
// the same facts and policy.
func NewService(decisions *authz.Service, rules authz.Rules, store Store) *Service {
	return &Service{decisions: decisions, rules: rules, store: store}
}
