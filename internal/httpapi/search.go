package httpapi

import (
	"context"
	"strconv"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
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

// searchPath is where searches are answered, without what is looked for.
const searchPath = "/access/v1/search/"

// routeSearch registers the searches (AuthZEN 1.0, section 8) under base.
func (a *API) routeSearch(base string) {
	s := a.cfg.Searcher
	a.decisions.post(base+searchPath+"subject", a.search(subject, s.Subjects))
	a.decisions.post(base+searchPath+"resource", a.search(resource, s.Resources))
	a.decisions.post(base+searchPath+"action", a.search(action, s.Actions))
}

// searching is one of the methods of a Searcher.
type searching func(context.Context, string, *authz.Request, search.Page, authz.Freshness) (*search.Result, authz.Stated, error)

// search answers a page of what is found. That nothing is found is a 200.
func (a *API) search(sought part, find searching) handler {
	return func(x *exchange) error {
		if err := x.read(); err != nil {
			return err
		}
		request, asked, err := x.in.search(sought)
		if err != nil {
			return err
		}
		p, err := a.pages.searchPage(asked)
		if err != nil {
			return err
		}
		fresh, err := x.freshness()
		if err != nil {
			return err
		}
		found, stated, err := find(x.ctx, x.organisation(), request, p, fresh)
		if err != nil {
			return err
		}
		next, err := a.pages.searchToken(found.Next, p.Limit)
		if err != nil {
			return err
		}
		x.out = appendFound(x.out[:0], found, next, sought)
		x.answer(stated)
		return nil
	}
}

// search reads d.body as a search for what is sought (AuthZEN 1.0, sections 8.4 to
// 8.6). Members that it does not know are ignored, as the specification demands, and
// so is the id, or the action, that is looked for.
func (d *decoding) search(sought part) (*authz.Request, askedPage, error) {
	var p askedPage
	if err := d.begin(); err != nil {
		return nil, p, err
	}
	d.sought = sought
	q := new(question)
	for {
		name, more, err := d.member()
		if err != nil {
			return nil, p, err
		}
		if !more {
			break
		}
		switch {
		case string(name) == "page":
			p, err = d.page()
		case string(name) == "action" && sought == action:
			err = d.skip()
		default:
			var known bool
			if known, err = d.question(q, name); err == nil && !known {
				err = d.skip()
			}
		}
		if err != nil {
			return nil, p, err
		}
	}
	if err := d.end(); err != nil {
		return nil, p, err
	}
	if err := d.complete(q); err != nil {
		return nil, p, err
	}
	return &q.Request, p, nil
}

// appendFound appends a page of what was found (AuthZEN 1.0, section 8.3). The page
// comes first, as it recommends.
func appendFound(dst []byte, found *search.Result, next string, sought part) []byte {
	dst = append(dst, `{"page":{"next_token":`...)
	dst = appendString(dst, next)
	dst = append(dst, `,"count":`...)
	dst = strconv.AppendInt(dst, int64(len(found.IDs)), 10)
	dst = append(dst, `},"results":[`...)
	for i, id := range found.IDs {
		if i > 0 {
			dst = append(dst, ',')
		}
		if sought == action {
			dst = append(dst, `{"name":`...)
		} else {
			dst = appendString(append(dst, `{"type":`...), found.Type)
			dst = append(dst, `,"id":`...)
		}
		dst = append(appendString(dst, id), '}')
	}
	return append(dst, `]}`...)
}
