package policy

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/policy/machine"
)

// confirm runs the tests that passed or failed once more on the evaluator that
// serves, and fails those that end differently there: what a test shows has to be
// true of the answers. OPA's test runner knows the general evaluator alone.
//
// A policy that the machine does not evaluate needs no second run, and a test file
// that replaces more than the input cannot have one.
func (r *testRun) confirm(ctx context.Context) {
	source := r.source
	if machine.Eligible(source.Modules) != nil {
		return
	}
	modules := maps.Clone(source.Modules)
	entries := map[string]bool{}
	for name, module := range source.Tests {
		if !replacesInputAlone(module) {
			continue
		}
		modules[name] = module
		for _, rule := range module.Rules {
			path, err := rule.Ref().Ptr()
			if err == nil && strings.HasPrefix(string(rule.Head.Name), "test_") && len(rule.Head.Args) == 0 {
				entries[path] = true
			}
		}
	}
	program, err := plan(ctx, modules, source.Data, slices.Sorted(maps.Keys(entries)))
	if err != nil {
		return // the machine serves the policy; it is the tests that it cannot do
	}
	for i := range r.report.Results {
		result := &r.report.Results[i]
		entry, planned := program.Entry(strings.ReplaceAll(result.Package, ".", "/") + "/" + result.Name)
		if !planned || result.Outcome != Passed && result.Outcome != Failed {
			continue
		}
		passes, err := r.holds(ctx, program, entry)
		if topdown.IsCancel(err) {
			result.Outcome, result.Text = Errored, r.unended(err, " on the evaluator that serves")
			continue
		}
		if err != nil || passes == (result.Outcome == Passed) {
			continue // an error is left to the general evaluator when serving, too
		}
		result.Outcome = Failed
		result.Text = "it ends differently on the evaluator that serves; please report this with the rule it tests"
	}
}

func (r *testRun) holds(ctx context.Context, program *machine.Program, entry machine.Entry) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	e := program.New(ctx, cancelOf(ctx), nil)
	defer e.Release()
	value, err := e.Get(entry)
	return value != nil && !ast.Boolean(false).Equal(value.Value), err
}

// replacesInputAlone reports whether every `with` of a module is about input.
func replacesInputAlone(module *ast.Module) bool {
	alone := true
	ast.WalkExprs(module, func(e *ast.Expr) bool {
		for _, with := range e.With {
			ref, ok := with.Target.Value.(ast.Ref)
			alone = alone && ok && ref.HasPrefix(ast.InputRootRef)
		}
		return false
	})
	return alone
}
