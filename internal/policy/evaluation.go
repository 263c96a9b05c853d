package policy

import (
	"context"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
)

// evaluation answers by evaluating the policy. Config.General leaves the machine out.
type evaluation struct {
	snapshot  *Snapshot
	evaluator evaluator
	answered  *atomic.Uint64
	// next answers what the evaluator fails, nil for nobody: then its error says what
	// is wrong. An evaluation whose time is over is not begun again.
	next *evaluation
}

func (e *evaluation) decide(ctx context.Context, a *asked) (authz.Decision, error) {
	if err := e.snapshot.assemble(ctx, &a.input, &a.Question); err != nil {
		return authz.Decision{}, err
	}
	return e.decision(ctx, &a.input.term)
}

// decision decides for an input, and says whose fault an error is.
func (e *evaluation) decision(ctx context.Context, input *ast.Term) (authz.Decision, error) {
	d, failed, err := e.evaluator.decide(ctx, input)
	switch {
	case err == nil:
		e.answered.Add(1)
		return d, nil
	case failed && e.next != nil && ctx.Err() == nil:
		return e.next.decision(ctx, input)
	}
	return d, e.snapshot.classed(ctx, err, input, func(input *ast.Term) error {
		_, _, err := e.evaluator.decide(ctx, input)
		return err
	})
}

// evaluate evaluates entry points that are no decisions in the same way.
func (e *evaluation) evaluate(ctx context.Context, input *ast.Term, entries ...string) ([]*ast.Term, error) {
	values, err := e.evaluator.evaluate(ctx, input, entries...)
	if err != nil && e.next != nil && ctx.Err() == nil {
		return e.next.evaluate(ctx, input, entries...)
	}
	return values, err
}
