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
	decide(ctx context.Context, q authz.Question) (authz.Decision, error)
}

// deciders assembles the chain: what is remembered of the same question, what is known of
// resources like the one that it is about, the machine, and OPA's evaluator. machine is
// nil for a policy that it does not evaluate.
func (s *Snapshot) deciders(machine *planned, config Config) decider {
	var d decider = &evaluation{snapshot: s, evaluator: s.whole, answered: &s.answered.General}
	if machine != nil {
		d = &evaluation{snapshot: s, evaluator: machineOnly{machine}, answered: &s.answered.Machine, next: d}
		if s.memo != nil && !config.NoClasses {
			d = &classification{snapshot: s, machine: machine, next: d}
		}
	}
	if s.memo != nil {
		d = &recollection{memo: s.memo, answered: &s.answered.Memory, next: d}
	}
	return d
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
