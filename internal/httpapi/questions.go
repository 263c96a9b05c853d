package httpapi

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/wire"
)

// Searcher answers which: what a subject may act on, who may act on a resource, and
// what a subject may do. Its methods return within ctx, with errors whose kind
// authz.KindOf knows. *search.Service is one.
type Searcher interface {
	// Resources finds resources of r.Resource.Type, Subjects subjects of r.Subject.Type
	// and Actions actions; what is looked for has no id, or name, in r.
	Resources(ctx context.Context, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness) (*search.Result, authz.Stated, error)
	Subjects(ctx context.Context, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness) (*search.Result, authz.Stated, error)
	Actions(ctx context.Context, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness) (*search.Result, authz.Stated, error)
}

// Filterer writes the rule as a filter for a caller's own database. It returns
// within ctx, with errors whose kind authz.KindOf knows. *filter.Service is one.
type Filterer interface {
	Filter(ctx context.Context, organisation string, q *filter.Question, fresh authz.Freshness) (*filter.Filter, authz.Stated, error)
}

// searchPath is where searches are answered, without what is looked for.
const searchPath = "/access/v1/search/"

// routeSearch registers the searches (AuthZEN 1.0, section 8) under base.
func (a *API) routeSearch(base string) {
	s := a.cfg.Searcher
	a.decisions.post(base+searchPath+"subject", a.search(wire.Subject, s.Subjects))
	a.decisions.post(base+searchPath+"resource", a.search(wire.Resource, s.Resources))
	a.decisions.post(base+searchPath+"action", a.search(wire.Action, s.Actions))
}

// finder is one of the methods of a Searcher.
type finder func(context.Context, string, *authz.Request, search.Page, authz.Freshness) (*search.Result, authz.Stated, error)

// search answers a page of what is found. That nothing is found is a 200.
func (a *API) search(sought wire.Part, find finder) handler {
	return func(x *exchange) error {
		asked, fresh, err := question(x, a.pages.searchFor(sought))
		if err != nil {
			return err
		}
		found, stated, err := find(x.ctx, x.organisation(), asked.request, asked.page, fresh)
		if err != nil {
			return err
		}
		next, err := a.pages.searchToken(found.Next, asked.page.Limit)
		if err != nil {
			return err
		}
		x.out = wire.AppendFound(x.out[:0], found, next)
		return x.answer(stated)
	}
}

// filter answers a filter. That it lets nothing through is a 200.
func (a *API) filter(x *exchange) error {
	asked, fresh, err := question(x, (*wire.Decoder).Filter)
	if err != nil {
		return err
	}
	made, stated, err := a.cfg.Filterer.Filter(x.ctx, x.organisation(), asked, fresh)
	if err != nil {
		return err
	}
	answer, err := wire.NewFilter(made, asked.Dialect)
	if err != nil {
		return err
	}
	return x.answerWith(answer, stated)
}
