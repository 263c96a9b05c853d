package machine

import (
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Eligible reports why modules cannot be evaluated by the machine, nil when they
// can. It refuses what a plan is known to give another meaning than OPA's general
// evaluator does, or is not known well enough to give the same one; the error
// names the place. What it refuses is rare in policies, and the general evaluator
// is there for it.
func Eligible(modules map[string]*ast.Module) error {
	var errs []error
	for _, module := range modules {
		for _, rule := range module.Rules {
			errs = append(errs, eligibleHead(rule))
		}
		ast.WalkExprs(module, func(e *ast.Expr) bool {
			if len(e.With) > 0 {
				errs = append(errs, fmt.Errorf("%v: with", e.Location))
			}
			errs = append(errs, eligibleStatement(e))
			return false
		})
	}
	return errors.Join(errs...)
}

// eligibleHead refuses rules whose names have parts other than text, those whose
// open part is not the last one, and sets of sets or objects that depend on the
// body: the general evaluator does not always find those by a look-up.
func eligibleHead(rule *ast.Rule) error {
	if key := rule.Head.Key; key != nil && !key.IsGround() {
		switch key.Value.(type) {
		case ast.Set, ast.Object:
			return fmt.Errorf("%v: a set of sets or objects", rule.Location)
		}
	}
	ref := rule.Head.Ref()
	for i, term := range ref {
		switch term.Value.(type) {
		case ast.String:
		case ast.Var:
			if i > 0 && i < len(ref)-1 {
				return fmt.Errorf("%v: a rule's name that goes on after an open part", rule.Location)
			}
		default:
			if i < len(ref)-1 || ast.IsConstant(term.Value) {
				return fmt.Errorf("%v: a rule's name with a part that is no text", rule.Location)
			}
		}
	}
	return nil
}

// eligibleStatement refuses a composite value that stands as a statement: a plan
// leaves it out, and with it the errors of what is inside.
func eligibleStatement(e *ast.Expr) error {
	term, ok := e.Terms.(*ast.Term)
	if !ok {
		return nil
	}
	switch term.Value.(type) {
	case *ast.Array, ast.Object, ast.Set, *ast.ArrayComprehension, *ast.ObjectComprehension, *ast.SetComprehension:
		return fmt.Errorf("%v: a composite value as a statement", e.Location)
	}
	return nil
}
