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
	next decider
}

func (e *evaluation) decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	s := e.snapshot
	input, err := s.input(ctx, q)
	if err != nil {
		return authz.Decision{}, err
	}
	failed := false
	decide := func(input *ast.Term) (authz.Decision, error) {
		return s.decideBy(func(entries ...string) ([]*ast.Term, error) {
			values, err := e.evaluator.evaluate(ctx, input, entries...)
			failed = err != nil
			return values, err
		})
	}
	d, err := decide(input)
	switch {
	case err == nil:
		e.answered.Add(1)
		return d, nil
	case failed && e.next != nil && ctx.Err() == nil:
		return e.next.decide(ctx, q)
	}
	return d, s.classed(ctx, err, input, func(input *ast.Term) error {
		_, err := decide(input)
		return err
	})
}

// machineOnly evaluates with the machine, and with nothing else what that fails.
type machineOnly struct{ machine *planned }

func (m machineOnly) evaluate(ctx context.Context, input *ast.Term, entries ...string) ([]*ast.Term, error) {
	return m.machine.watch(ctx, input, nil, entries)
}
