package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/search"
)

// Store is a store of facts in which organisations are made. Nothing in it is looked at
// that was there before.
type Store interface {
	admin.Store
	authz.Directory
	search.Store
	// Import fills an organisation from JSON Lines.
	Import(ctx context.Context, organisation string, records io.Reader) error
}

// NamedStore is a store with the name that answers from it are given.
type NamedStore struct {
	Name string
	Store
}

// answer is what one shape says to a question, and what the oracle says to the same.
type answer struct {
	shape   string
	looked  int      // how many things it looked at
	against []string // those that the oracle allows
	got     []string // those that the shape does
	refused string   // why it has no answer, which is no disagreement
	wrong   string   // why it has none, which is one
	detail  string   // the filter
	err     error    // the facts could not be read: nothing is known
}

func (a *answer) disagrees() bool {
	return a.refused == "" && (a.wrong != "" || !slices.Equal(a.against, a.got))
}

// shelf is one store with what answers from it.
type shelf struct {
	name      string
	decisions *authz.Service
	search    *search.Service
	filters   *filter.Service
	review    *review.Service
	admin     *admin.Service
	revision  authz.Revision
}

// world is a scene that questions can be asked about.
type world struct {
	*verifier
	scene        *scene
	known        factsByKey
	organisation string
	oracle       *authz.Service
	shelves      []*shelf
	tables       []Table
	verdicts     map[string]verdict
}

// verdict is what the oracle says.
type verdict struct {
	allow  bool
	failed string
}

// fresh names an organisation that there is not yet.
func (v *verifier) fresh() string {
	v.opened++
	return "verify-" + strconv.Itoa(v.opened)
}

// newWorld makes an organisation as a scene has it, or changes it to that.
func (v *verifier) newWorld(ctx context.Context, s *scene, organisation string) (*world, error) {
	w := &world{verifier: v, scene: s, known: s.records.facts(), verdicts: map[string]verdict{}, organisation: organisation}
	w.oracle = authz.NewService(w.known, v.Oracle)
	lines := s.records.lines()
	mapping, err := v.layout.mapping(s.hosting)
	if err != nil {
		return nil, fmt.Errorf("the mapping for the catalogue: %w", err)
	}
	for _, st := range v.Stores {
		if err := st.Import(ctx, w.organisation, strings.NewReader(strings.Join(lines, "\n"))); err != nil {
			return nil, fmt.Errorf("%s: %w", st.Name, err)
		}
		sh := &shelf{name: st.Name, decisions: authz.NewService(st, v.Rules)}
		sh.search = search.NewService(sh.decisions, v.Rules, st, v)
		sh.filters = filter.NewService(sh.decisions, v.Rules, st, mapping)
		sh.review = review.NewService(sh.decisions, v.Rules, st)
		sh.admin = admin.NewService(sh.decisions, trying{st})
		if _, sh.revision, err = st.Records(ctx, w.organisation, nil); err != nil {
			return nil, fmt.Errorf("%s: %w", st.Name, err)
		}
		w.shelves = append(w.shelves, sh)
	}
	w.tables = v.layout.tables(s, w.known)
	for _, d := range v.Databases {
		if err := d.Fill(ctx, w.tables); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// judge asks the oracle.
func (w *world) judge(ctx context.Context, r *authz.Request) (verdict, error) {
	key := encoded(r)
	if v, known := w.verdicts[key]; known {
		return v, nil
	}
	d, _, err := w.oracle.Decide(ctx, w.organisation, r, authz.Freshness{})
	if ctx.Err() != nil {
		return verdict{}, late(ctx, err)
	}
	v := verdict{allow: err == nil && d.Allow}
	if err != nil {
		v.failed = message(err)
	}
	w.verdicts[key] = v
	return v, nil
}

// late is the error of a question for which there was no time: what the policy says of it, if
// it does.
func late(ctx context.Context, err error) error {
	if authz.KindOf(err) == authz.Timeout {
		return err
	}
	return ctx.Err()
}

// ask asks a question in every shape.
func (w *world) ask(ctx context.Context, q *question) ([]answer, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	var out []answer
	for _, sh := range w.shelves {
		answers, err := w.askOf(ctx, sh, q)
		if err != nil {
			return nil, err
		}
		if err := sh.unread(answers); err != nil {
			return nil, err
		}
		for i := range answers {
			if len(w.shelves) > 1 {
				answers[i].shape += ", " + sh.name
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out = append(out, answers...)
	}
	return out, nil
}

// unread returns the first error of answers of which nothing is known.
func (sh *shelf) unread(answers []answer) error {
	for i := range answers {
		if err := answers[i].err; err != nil {
			return fmt.Errorf("%s, %s: %w", answers[i].shape, sh.name, err)
		}
	}
	return nil
}

func (w *world) askOf(ctx context.Context, sh *shelf, q *question) ([]answer, error) {
	switch q.sought {
	case administering:
		return w.administer(ctx, sh, q.acts)
	case nothing:
		requests := make([]*authz.Request, len(q.batch))
		for i := range q.batch {
			requests[i] = &q.batch[i]
		}
		return w.checks(ctx, sh, requests)
	case resources:
		rows := w.scene.rows[q.request.Resource.Type]
		requests := make([]*authz.Request, len(rows))
		for i := range rows {
			requests[i] = rows[i].requestFor(&q.request)
		}
		out, err := w.checks(ctx, sh, requests)
		if err == nil {
			err = sh.unread(out) // before more is asked for which there is no time left
		}
		if err != nil {
			return nil, err
		}
		filters, err := w.filters(ctx, sh, q, requests)
		if err == nil {
			err = sh.unread(filters)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, filters...)
		searches, err := w.searches(ctx, sh, q)
		return append(out, searches...), err
	default:
		return w.searches(ctx, sh, q)
	}
}

// explained is how many of the requests of one question are explained.
const explained = 3

// checks asks for each of several decisions: alone, in a batch, and with an explanation.
func (w *world) checks(ctx context.Context, sh *shelf, requests []*authz.Request) ([]answer, error) {
	var against []string
	for i, r := range requests {
		v, err := w.judge(ctx, r)
		if err != nil {
			return nil, err
		}
		if v.allow {
			against = append(against, number(i))
		}
		if v.failed != "" {
			w.note("a question could not be evaluated: " + v.failed)
		}
	}
	single := answer{shape: "check", looked: len(requests), against: against}
	for i, r := range requests {
		d, stated, err := sh.decisions.Decide(ctx, w.organisation, r, authz.Freshness{})
		single.stated(w, sh, stated, err)
		if err == nil && d.Allow {
			single.got = append(single.got, number(i))
		}
	}
	batch := answer{shape: "batch", looked: len(requests), against: against}
	decisions, failed, stated, err := sh.decisions.DecideAll(ctx, w.organisation, requests, authz.ExecuteAll, authz.Freshness{})
	batch.stated(w, sh, stated, err)
	for i, d := range decisions {
		if failed[i] == nil && d.Allow {
			batch.got = append(batch.got, number(i))
		}
	}
	// The first of them, and one that is allowed, if there is one.
	why := answer{shape: "explanation"}
	for i, r := range requests {
		allowed := slices.Contains(against, number(i))
		if i >= explained-1 && (!allowed || len(why.against) > 0) {
			continue
		}
		e, stated, err := sh.review.Explain(ctx, w.organisation, r, review.Viewer{}, authz.Freshness{})
		why.looked++
		why.stated(w, sh, stated, err)
		if allowed {
			why.against = append(why.against, number(i))
		}
		if err == nil && e.Decision.Allow {
			why.got = append(why.got, number(i))
		}
	}
	return []answer{single, batch, why}, nil
}

// stated notes an error, but for one that the oracle has too, and an answer that is not
// about this revision and policy.
func (a *answer) stated(w *world, sh *shelf, stated authz.Stated, err error) {
	switch {
	case a.wrong != "" || a.refused != "" || a.err != nil:
	case unread(err):
		a.err = err
	case err != nil && authz.KindOf(err) == authz.Internal && w.fails():
		a.refused = message(err)
	case err != nil:
		a.wrong = "failed: " + message(err)
	case stated.Revision != sh.revision:
		a.wrong = fmt.Sprintf("states another revision than that of the facts: %d in place of %d", stated.Revision.Count, sh.revision.Count)
	case stated.Policy != w.Rules.Digest():
		a.wrong = "states another policy"
	}
}

// unread reports whether an error says that a store did not answer.
func unread(err error) bool {
	kind := authz.KindOf(err)
	return err != nil && (kind == authz.Unavailable || kind == authz.Timeout)
}

// fails reports whether the oracle failed with anything in this world: the policy is
// then such that its evaluation fails.
func (w *world) fails() bool {
	for _, v := range w.verdicts {
		if v.failed != "" {
			return true
		}
	}
	return false
}

// number writes the place of a row or a request for a reader.
func number(i int) string { return strconv.Itoa(i + 1) }

// message is what an error says, without its cause.
func message(err error) string {
	if e, ok := errors.AsType[*authz.Error](err); ok {
		if e.Field != "" {
			return e.Field + ": " + e.Message
		}
		return e.Message
	}
	return err.Error()
}
