package policy

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"

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

func (c *classification) decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	class, ok := c.snapshot.classQuestion(q)
	if !ok {
		return c.next.decide(ctx, q)
	}
	d, known, learn := c.classes.get(class)
	switch {
	case known:
		c.snapshot.answered.Class.Add(1)
		return d, nil
	case learn:
		return c.watched(ctx, class)
	default:
		return c.next.decide(ctx, q)
	}
}

// watched evaluates a question and learns what was asked of its resource.
func (c *classification) watched(ctx context.Context, q *classQuestion) (authz.Decision, error) {
	s := c.snapshot
	input, watch, err := s.watchedInput(ctx, q)
	if err != nil {
		return authz.Decision{}, err
	}
	d, err := s.decideBy(func(entries ...string) ([]*ast.Term, error) {
		return c.machine.watch(ctx, input, watch, entries)
	})
	if err != nil && ctx.Err() != nil {
		return authz.Decision{}, evaluationError(ctx, err, s.places) // there is no time for another evaluation
	}
	if err != nil {
		return c.next.decide(ctx, q.Question)
	}
	for _, step := range watch.Steps {
		watch.Spoiled = watch.Spoiled || !expressible(q, &step)
	}
	c.classes.learn(q, watch, d)
	s.answered.Machine.Add(1)
	return d, nil
}
