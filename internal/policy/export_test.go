package policy

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
)

// Alone returns the snapshot without the general evaluator behind the machine, so
// that a test sees what the machine answers, and that it does.
func (s *Snapshot) Alone() *Snapshot {
	s.evaluator.next = nil
	return s
}

// Remembers reports whether the snapshot remembers decisions at all.
func (s *Snapshot) Remembers() bool { return s.memo != nil }

// Remembered returns how many decisions are remembered, how many bytes the memo
// counts for them, and how many they are.
func (s *Snapshot) Remembered() (decisions int, counted, bytes int64) {
	for i := range s.memo.places {
		if r := s.memo.places[i].Load(); r != nil {
			decisions++
			bytes += r.size()
		}
	}
	return decisions, s.memo.bytes.Load(), bytes
}

// Knows reports whether a question is answered from memory.
func (s *Snapshot) Knows(q authz.Question) bool {
	key, ok := s.memo.key(&asked{Question: q})
	_, known := s.memo.get(key)
	return ok && known
}

// Forgetful is a snapshot whose memo leaves facts of one kind out of its keys.
type Forgetful struct {
	*Snapshot
	Kind authz.Kind
}

// Decide is Snapshot.Decide with that one fault.
func (f Forgetful) Decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	a := &asked{Question: q}
	key, _ := f.memo.key(a)
	for _, fact := range q.Facts.All() {
		for i, id := range key.facts {
			if fact.Kind == f.Kind && id == f.memo.identity(fact) {
				key.facts[i] = f.memo.absent
			}
		}
	}
	f.memo.hash(key)
	a.key = key
	if d, ok := f.memo.get(key); ok {
		return d, nil
	}
	d, err := f.first.(*recollection).next.decide(ctx, a)
	if err == nil {
		f.memo.put(key, d)
	}
	return d, err
}

// Classes returns of how many questions classes are kept, and for how many of them
// that cannot be.
func (s *Snapshot) Classes() (trees, spoiled int) {
	c, ok := s.first.(*recollection).next.(*classification)
	if !ok {
		return 0, 0
	}
	for _, tree := range c.classes.trees {
		if tree.spoiled.Load() {
			spoiled++
		}
	}
	return len(c.classes.trees), spoiled
}

// Together puts parts that all have to hold, each with its alternatives, into alternatives.
// The whole is doubled as often as is said: it has to hold twice, and that twice.
func Together(ctx context.Context, doubled int, parts ...[][]authz.Condition) (*authz.Residual, bool) {
	f := allOf()
	for _, any := range parts {
		part := anyOf()
		for _, all := range any {
			together := allOf()
			for _, c := range all {
				together.parts = append(together.parts, condition(c))
			}
			part.parts = append(part.parts, together)
		}
		f.parts = append(f.parts, part)
	}
	for range doubled {
		f = allOf(f, f)
	}
	return f.residual(ctx)
}
