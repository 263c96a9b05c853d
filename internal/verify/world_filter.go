package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
)

// filters asks for the filter of a question, and executes it: in every database, and as
// UCAST. requests are those about the rows.
func (w *world) filters(ctx context.Context, sh *shelf, q *question, requests []*authz.Request) ([]answer, error) {
	rows := w.scene.rows[q.request.Resource.Type]
	var against []string
	for i := range rows {
		v, err := w.judge(ctx, requests[i])
		if err != nil {
			return nil, err
		}
		shown, dangling := w.scene.expected(w.known, &rows[i], &q.request, w.Rules.Catalogue())
		if shown && v.allow {
			against = append(against, number(i))
		}
		if dangling && v.allow {
			w.note("a check allows what refers to something that does not exist; a filter shows no such row")
		}
	}
	var out []answer
	for _, d := range w.Databases {
		a := answer{shape: "filter, " + d.Name(), looked: len(rows), against: against}
		if f := w.filter(ctx, sh, q, d.Dialect(), &a); f != nil {
			a.detail = f.Where + "  " + encoded(f.Args)
			numbers, err := d.Select(ctx, w.layout.names[q.request.Resource.Type], f)
			a.show(f, numbers, err, len(rows))
		}
		out = append(out, a)
	}
	a := answer{shape: "filter, UCAST", looked: len(rows), against: against}
	if f := w.filter(ctx, sh, q, filter.UCAST, &a); f != nil {
		a.detail = string(f.UCAST)
		for _, nulls := range []bool{true, false} {
			numbers, err := newInterpreter(w.layout, w.tables, nulls).rows(q.request.Resource.Type, f.UCAST)
			if a.show(f, numbers, err, len(rows)); a.disagrees() {
				break
			}
		}
	}
	return append(out, a), nil
}

// filter makes a filter, nil for none.
func (w *world) filter(ctx context.Context, sh *shelf, q *question, dialect filter.Dialect, a *answer) *filter.Filter {
	f, stated, err := sh.filters.Filter(ctx, w.organisation, &filter.Question{Request: &q.request, Dialect: dialect}, authz.Freshness{})
	if refusal(err) {
		a.refused = message(err)
		w.note("a filter was refused: " + a.refused)
		return nil
	}
	a.stated(w, sh, stated, err)
	if err != nil {
		return nil
	}
	return f
}

// refusal reports whether there is no filter for a reason that the policy or its
// catalogue gives.
func refusal(err error) bool {
	if err == nil {
		return false
	}
	switch authz.KindOf(err) {
	case authz.NotFound, authz.TooLarge, authz.Malformed, authz.Unsupported:
		return true
	}
	return false
}

// show takes what a filter shows, which has to fit what it says in a word.
func (a *answer) show(f *filter.Filter, numbers []int, err error, rows int) {
	a.got = nil
	for _, n := range numbers {
		a.got = append(a.got, number(n))
	}
	switch {
	case err != nil:
		a.wrong = "failed: " + err.Error()
	case f.Matches == filter.All && len(numbers) != rows:
		a.wrong = fmt.Sprintf("says all, and shows %d of %d rows", len(numbers), rows)
	case f.Matches == filter.None && len(numbers) != 0:
		a.wrong = fmt.Sprintf("says none, and shows %d rows", len(numbers))
	}
}

// Evaluated implements search.Watcher.
func (v *verifier) Evaluated(where []string, _ int) {
	v.note("searches evaluate one candidate after the other: " + strings.Join(where, "; "))
}

// note keeps what the run has to say, each thing once.
func (v *verifier) note(text string) {
	if !slices.Contains(v.notes, text) && len(v.notes) < maxNotes {
		v.notes = append(v.notes, text)
	}
}

// maxNotes is how many notes are kept.
const maxNotes = 20
