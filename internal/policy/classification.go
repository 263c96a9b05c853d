package policy

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
)

// classification answers what is known of the class of the question's resource, and
// otherwise evaluates with the machine and learns the class. Config.NoClasses turns it
// off, and so does Config.MemoBytes: classes are told apart by what is remembered of facts.
type classification struct {
	snapshot *Snapshot
	machine  *planned
	classes  classes
	next     decider
}

func (c *classification) decide(ctx context.Context, a *asked) (authz.Decision, error) {
	if a.key == nil || !c.snapshot.memo.repeatsClass(a.key) {
		return c.next.decide(ctx, a)
	}
	q := &classQuestion{asked: a, prepare: c.snapshot.prepare}
	d, known, learn := c.classes.get(q)
	switch {
	case known:
		c.snapshot.answered.Class.Add(1)
		return d, nil
	case learn:
		return c.watched(ctx, q)
	default:
		return c.next.decide(ctx, a)
	}
}

// watched evaluates a question and learns what was asked of its resource.
func (c *classification) watched(ctx context.Context, q *classQuestion) (authz.Decision, error) {
	s := c.snapshot
	in, err := s.input(ctx, q.Question) // what it learns keeps parts of it
	if err != nil {
		return authz.Decision{}, err
	}
	watch := in.watch(q.references)
	d, _, err := c.machine.watch(ctx, &in.term, watch)
	if err != nil && ctx.Err() != nil {
		return authz.Decision{}, evaluationError(ctx, err, s.places) // there is no time for another evaluation
	}
	if err != nil {
		return c.next.decide(ctx, q.asked)
	}
	for _, step := range watch.Steps {
		watch.Spoiled = watch.Spoiled || !q.expressible(&step)
	}
	c.classes.learn(q, watch, d)
	s.answered.Machine.Add(1)
	return d, nil
}
