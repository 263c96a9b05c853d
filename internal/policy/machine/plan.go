package machine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/ir"
)

// Plan has OPA plan modules for entry points such as "authz/allow", all of which
// must exist, and lowers the plan over data. modules maps file names to parsed
// modules, which are not changed.
func Plan(
	ctx context.Context, modules map[string]*ast.Module, data ast.Value,
	capabilities *ast.Capabilities, entrypoints ...string,
) (*Program, error) {
	plan, err := planOf(ctx, modules, capabilities, entrypoints)
	if err != nil {
		return nil, err
	}
	return Compile(plan, data, relationsOf(capabilities))
}

// relationsOf says which built-in functions have many results.
func relationsOf(capabilities *ast.Capabilities) map[string]bool {
	relations := map[string]bool{}
	for _, b := range capabilities.Builtins {
		relations[b.Name] = b.Relation
	}
	return relations
}

// planOf has OPA plan modules.
func planOf(ctx context.Context, modules map[string]*ast.Module, capabilities *ast.Capabilities, entrypoints []string) (*ir.Policy, error) {
	b := &bundle.Bundle{Data: map[string]any{}}
	for name, module := range modules {
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: name, Path: name, Parsed: module.Copy()})
	}
	compiler := compile.New().
		WithTarget(compile.TargetPlan).
		WithEntrypoints(entrypoints...).
		WithPruneUnused(true). // only the entry points are asked for
		WithCapabilities(capabilities).
		WithBundle(b)
	if err := build(ctx, compiler); err != nil {
		return nil, fmt.Errorf("planning: %w", err)
	}
	var plan ir.Policy
	if err := json.Unmarshal(compiler.Bundle().PlanModules[0].Raw, &plan); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	return &plan, nil
}

// build plans, and makes an error of the panics that OPA's planner has for some
// rules that its compiler accepts.
func build(ctx context.Context, compiler *compile.Compiler) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the planner cannot do this policy: %v", r)
		}
	}()
	return compiler.Build(ctx)
}
