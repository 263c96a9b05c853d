package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// searches asks a search for all its pages, small ones and large ones.
func (w *world) searches(ctx context.Context, sh *shelf, q *question) ([]answer, error) {
	over, searchable, err := w.searchRange(ctx, sh, q)
	if err != nil || !searchable {
		return nil, err
	}
	var against []string
	for _, c := range over {
		v, err := w.judge(ctx, q.requestFor(&c))
		if err != nil {
			return nil, err
		}
		if v.allow {
			against = append(against, encoded(c.ID))
		}
	}
	var out []answer
	for _, limit := range []int{2, search.MaxLimit} {
		a := answer{shape: fmt.Sprintf("%s search by %d", q.sought, limit), looked: len(over), against: against}
		w.pages(ctx, sh, q, limit, &a)
		out = append(out, a)
	}
	return out, nil
}

// searchRange returns what a search ranges over, in order: what the policy names, or what there
// is in the directory, or the actions of the catalogue.
func (w *world) searchRange(ctx context.Context, sh *shelf, q *question) (over []authz.CandidateEntity, searchable bool, err error) {
	catalogue := w.Rules.Catalogue()
	request := q.request
	typ := request.Resource.Type
	if q.sought == subjects {
		typ = request.Subject.Type
	}
	if kind := catalogue.Types[typ].Facts; kind != "" && q.sought != actions {
		for _, id := range slices.Sorted(slices.Values(w.scene.records.ids(kind))) {
			if w.known.exists(catalogue.Types[typ], id) {
				over = append(over, authz.CandidateEntity{ID: id})
			}
		}
		return over, true, nil
	}
	named := false
	ask := func(s *authz.Survey) (err error) {
		if q.sought == actions {
			typ = "action"
		}
		over, named, err = w.Rules.Candidates(ctx, s.Question, typ)
		return err
	}
	if q.sought == actions {
		_, err = sh.decisions.Whole(ctx, w.organisation, &request, authz.Freshness{}, ask)
	} else {
		_, err = sh.decisions.Survey(ctx, w.organisation, &request, authz.Open{Subject: q.sought == subjects}, authz.Freshness{}, ask)
	}
	if err != nil || named || q.sought != actions {
		return over, named, err
	}
	for _, name := range catalogue.Types[request.Resource.Type].Actions {
		over = append(over, authz.CandidateEntity{ID: name})
	}
	return over, true, nil
}

// requestFor returns the question about one candidate; what the question says of it is laid
// over what the policy says.
func (q *question) requestFor(c *authz.CandidateEntity) *authz.Request {
	r := q.request
	laid := func(given map[string]any) map[string]any {
		if len(c.Properties) == 0 {
			return given
		}
		out := maps.Clone(c.Properties)
		maps.Copy(out, given)
		return out
	}
	switch q.sought {
	case subjects:
		r.Subject.ID, r.Subject.Properties = c.ID, laid(r.Subject.Properties)
	case actions:
		r.Action.Name, r.Action.Properties = c.ID, laid(r.Action.Properties)
	default:
		r.Resource.ID, r.Resource.Properties = c.ID, laid(r.Resource.Properties)
	}
	return &r
}

// pages reads a search to its end.
func (w *world) pages(ctx context.Context, sh *shelf, q *question, limit int, a *answer) {
	ask := sh.search.Resources
	switch q.sought {
	case subjects:
		ask = sh.search.Subjects
	case actions:
		ask = sh.search.Actions
	}
	var from *search.Cursor
	for range a.looked + 2 { // a page that is not the last has one result at least, or ends where there is none
		page, stated, err := ask(ctx, w.organisation, &q.request, search.Page{Limit: limit, From: from}, authz.Freshness{})
		if a.stated(w, sh, stated, err); err != nil {
			return
		}
		if len(page.IDs) > limit {
			a.wrong = fmt.Sprintf("gives %d results on a page of %d", len(page.IDs), limit)
		}
		for _, id := range page.IDs {
			a.got = append(a.got, encoded(id))
		}
		if from = page.Next; from == nil {
			return
		}
	}
	a.wrong = "does not end"
}
