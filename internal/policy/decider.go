package policy

import (
	"context"
	"sync/atomic"

	"github.com/caregate/caregate/internal/authz"
)

// decider is one way to answer questions. The ways stand in a chain, the cheapest first:
// each answers what it can, and leaves the rest to the next. Singles and the questions of
// a batch take the same chain.
type decider interface {
	decide(ctx context.Context, a *asked) (authz.Decision, error)
}

// deciders assembles the chain: what is remembered of the same question, what was learnt of
// resources like the one that it is about, the machine, and OPA's evaluator. machine is
// nil for a policy that it does not evaluate. It returns the end of it too, which evaluates.
func (s *Snapshot) deciders(machine *planned, config Config) (first decider, last *evaluation) {
	last = &evaluation{snapshot: s, evaluator: s.general, answered: &s.answered.General}
	if machine != nil {
		last = &evaluation{snapshot: s, evaluator: machine, answered: &s.answered.Machine, next: last}
	}
	first = last
	if s.memo == nil {
		return first, last
	}
	if machine != nil && !config.NoClasses {
		first = &classification{snapshot: s, machine: machine, next: first}
	}
	return &recollection{memo: s.memo, answered: &s.answered.Memory, next: first}, last
}

// answers counts the decisions that each way has made, errors left out.
type answers struct{ Memory, Class, Machine, General atomic.Uint64 }

// Answered returns how many decisions each way of answering has made: by memory, class,
// machine and general.
func (s *Snapshot) Answered() map[string]uint64 {
	return map[string]uint64{
		"memory": s.answered.Memory.Load(), "class": s.answered.Class.Load(),
		"machine": s.answered.Machine.Load(), "general": s.answered.General.Load(),
	}
}
