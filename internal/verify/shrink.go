package verify

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// counterexample is a question about a scene to which shapes answer differently.
type counterexample struct {
	scene    *scene
	question question
	answers  []answer
	// repeated says that it was seen again, in another organisation.
	repeated bool
}

// shrinking looks for a smaller counterexample, each time in an organisation of its own.
type shrinking struct {
	*verifier
	best  *counterexample
	until time.Time
}

// shrink makes a counterexample as small as it finds in the time that there is.
func (v *verifier) shrink(ctx context.Context, found *counterexample) (*counterexample, error) {
	s := &shrinking{verifier: v, best: found, until: time.Now().Add(v.Shrink)}
	once := found.scene.copied()
	once.before = nil
	if !s.try(ctx, once, found.question) && !s.try(ctx, found.scene.copied(), found.question) {
		return found, ctx.Err()
	}
	for again := true; again && s.time(ctx); {
		again = s.rows(ctx)
		again = s.records(ctx) || again
		again = s.lists(ctx) || again
		again = s.before(ctx) || again
		again = s.asked(ctx) || again
	}
	s.plainNames(ctx)
	return s.best, ctx.Err()
}

func (s *shrinking) time(ctx context.Context) bool {
	return ctx.Err() == nil && time.Now().Before(s.until)
}

// try takes a scene and a question for the best, if shapes still disagree.
func (s *shrinking) try(ctx context.Context, sc *scene, q question) bool {
	if !s.time(ctx) && s.best.repeated {
		return false
	}
	sc.dropGone(s.Rules.Catalogue())
	organisation := s.fresh()
	if sc.before != nil {
		if _, err := s.answers(ctx, sc.earlier(s.Rules.Catalogue()), organisation, &q); err != nil {
			return false
		}
	}
	answers, err := s.answers(ctx, sc, organisation, &q)
	if err != nil || !disagree(answers) { // an error says that it is no organisation any more
		return false
	}
	s.best = &counterexample{scene: sc, question: q, answers: answers, repeated: true}
	return true
}

func (s *shrinking) answers(ctx context.Context, sc *scene, organisation string, q *question) ([]answer, error) {
	w, err := s.newWorld(ctx, sc, organisation)
	if err != nil {
		return nil, err
	}
	return w.ask(ctx, q)
}

// dropGone takes away the rows of what there is no more.
func (sc *scene) dropGone(catalogue *authz.Catalogue) {
	k := sc.records.facts()
	for typ, rows := range sc.rows {
		spec := catalogue.Types[typ]
		sc.rows[typ] = slices.DeleteFunc(rows, func(r row) bool {
			if sc.hosting.resolved {
				return !k.resolves(spec, &r, catalogue)
			}
			return r.Lacks == "" && spec.Facts != "" && k[authz.Key{Kind: spec.Facts, ID: r.ID}] == nil
		})
	}
}

// resolves reports whether a row and all that it refers to are in the directory.
func (k factsByKey) resolves(spec authz.TypeSpec, r *row, catalogue *authz.Catalogue) bool {
	for name, id := range r.References {
		if !k.exists(catalogue.Types[name], id) {
			return false
		}
	}
	return k.exists(spec, r.ID)
}

// drop tries to take away parts of n things, large parts first. Two or three that are next to
// each other are tried wherever they begin: without only one of them pages may end elsewhere.
func (s *shrinking) drop(ctx context.Context, n int, without func(from, to int) (*scene, question)) bool {
	dropped := false
	for size := n; size > 0; size /= 2 {
		step := size
		if size <= 3 {
			step = 1
		}
		for from := n - size; from >= 0 && s.time(ctx); from -= step {
			if sc, q := without(from, from+size); s.try(ctx, sc, q) {
				dropped = true
				n -= size
			}
		}
	}
	return dropped
}

// rows tries to take away rows of the table asked about, and what they refer to. Those that
// others are joined with stay: a host has a row for each entity.
func (s *shrinking) rows(ctx context.Context) bool {
	typ := s.best.question.request.Resource.Type
	dropped := false
	if _, itself := s.Rules.Catalogue().Types[typ].References[typ]; !itself {
		dropped = s.drop(ctx, len(s.best.scene.rows[typ]), func(from, to int) (*scene, question) {
			sc := s.best.scene.copied()
			n := len(sc.rows[typ])
			sc.rows[typ] = slices.Delete(sc.rows[typ], min(from, n), min(to, n))
			return sc, s.best.question
		})
	}
	for i := 0; i < len(s.best.scene.rows[typ]); i++ {
		for _, name := range slices.Sorted(maps.Keys(s.best.scene.rows[typ][i].References)) {
			dropped = s.unreferred(ctx, typ, i, name) || dropped
		}
	}
	return dropped
}

// unreferred tries to take a reference away from a row.
func (s *shrinking) unreferred(ctx context.Context, typ string, i int, name string) bool {
	sc := s.best.scene.copied()
	if i >= len(sc.rows[typ]) {
		return false
	}
	references := maps.Clone(sc.rows[typ][i].References)
	delete(references, name)
	sc.rows[typ][i].References = references
	return s.try(ctx, sc, s.best.question)
}

func (s *shrinking) records(ctx context.Context) bool {
	return s.drop(ctx, len(s.best.scene.records), func(from, to int) (*scene, question) {
		sc := s.best.scene.copied()
		place := -1
		sc.records = sc.records.remaining(func(*admin.Record) bool { place++; return place >= from && place < to })
		if sc.before != nil {
			sc.before = sc.before.remaining(func(r *admin.Record) bool { return !sc.records.has(r.Key()) })
		}
		return sc, s.best.question
	})
}

func (rs records) has(key authz.Key) bool {
	return slices.ContainsFunc(rs, func(r admin.Record) bool { return r.Key() == key })
}

// before tries to let what was before be as it is later, one record after the other.
func (s *shrinking) before(ctx context.Context) bool {
	alike := false
	for i := 0; i < len(s.best.scene.before); i++ {
		sc := s.best.scene.copied()
		for _, r := range sc.records {
			if was := &sc.before[i]; was.Key() == r.Key() && !reflect.DeepEqual(*was, r) {
				*was = r
				alike = s.try(ctx, sc, s.best.question) || alike
				break
			}
		}
	}
	return alike
}

// lists tries to take away what records say, one thing after the other.
func (s *shrinking) lists(ctx context.Context) bool {
	shorter := false
	for i := 0; i < len(s.best.scene.records); i++ {
		for _, f := range model.Fields(s.best.scene.records[i].Kind) {
			shorter = s.field(ctx, i, &f) || shorter
		}
	}
	return shorter
}

// field tries to take away what a record says in a field.
func (s *shrinking) field(ctx context.Context, i int, f *model.Field) bool {
	r := &s.best.scene.records[i]
	switch {
	case f.List != nil:
		return s.drop(ctx, len(*f.List(r)), func(from, to int) (*scene, question) {
			return s.changed(i, func(r *admin.Record) {
				list := slices.Clone(*f.List(r))
				*f.List(r) = slices.Delete(list, min(from, len(list)), min(to, len(list)))
			})
		})
	case f.Type == model.ID && !f.Always && *f.Text(r) != "":
		return s.tryChanged(ctx, i, func(r *admin.Record) { *f.Text(r) = "" })
	case f.Flag != nil && *f.Flag(r):
		return s.tryChanged(ctx, i, func(r *admin.Record) { *f.Flag(r) = false }) // an error for a provider with assignments
	}
	return false
}

func (s *shrinking) changed(i int, change func(*admin.Record)) (*scene, question) {
	sc := s.best.scene.copied()
	change(&sc.records[i])
	return sc, s.best.question
}

func (s *shrinking) tryChanged(ctx context.Context, i int, change func(*admin.Record)) bool {
	sc, q := s.changed(i, change)
	return s.try(ctx, sc, q)
}

// asked tries to take away parts of the question.
func (s *shrinking) asked(ctx context.Context) bool {
	shorter := s.drop(ctx, len(s.best.question.batch), func(from, to int) (*scene, question) {
		q := s.best.question
		n := len(q.batch)
		q.batch = slices.Delete(slices.Clone(q.batch), min(from, n), min(to, n))
		return s.best.scene.copied(), q
	})
	shorter = s.drop(ctx, len(s.best.question.acts), func(from, to int) (*scene, question) {
		q := s.best.question
		n := len(q.acts)
		q.acts = slices.Delete(slices.Clone(q.acts), min(from, n), min(to, n))
		return s.best.scene.copied(), q
	}) || shorter
	for _, name := range slices.Sorted(maps.Keys(s.best.question.request.Resource.Properties)) {
		q := s.best.question
		q.request.Resource.Properties = maps.Clone(q.request.Resource.Properties)
		delete(q.request.Resource.Properties, name)
		shorter = s.try(ctx, s.best.scene.copied(), q) || shorter
	}
	return shorter
}
