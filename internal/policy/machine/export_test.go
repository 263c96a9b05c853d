package machine

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
)

// PlanOnly is Plan without the lowering, for tests that lower one plan over
// several data.
func PlanOnly(ctx context.Context, modules map[string]*ast.Module, entrypoints ...string) (*ir.Policy, error) {
	return planOf(ctx, modules, ast.CapabilitiesForThisVersion(), entrypoints)
}

// Relations are the built-in functions of this version that have many results.
func Relations() map[string]bool { return relationsOf(ast.CapabilitiesForThisVersion()) }

// ErrNumbers is what the machine fails with to leave an evaluation to OPA.
var ErrNumbers = errNumbers
