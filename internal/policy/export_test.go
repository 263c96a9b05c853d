package policy

import (
	"context"
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Alone returns the snapshot without the general evaluator behind the machine, so
// that a test sees what the machine answers, and that it does.
func (s *Snapshot) Alone() *Snapshot {
	if p, ok := s.evaluator.(planned); ok {
		p.general = nobody{}
		s.evaluator = p
	}
	return s
}

type nobody struct{}

func (nobody) evaluate(context.Context, *ast.Term, ...string) ([]*ast.Term, error) {
	return nil, errors.New("the machine failed, and left it to the general evaluator")
}
