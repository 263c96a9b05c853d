package bounded

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Function returns what evaluates a built-in function, nil for one that there is not.
func Function(name string) topdown.BuiltinFunc {
	call := topdown.GetBuiltin(name)
	check, limited := limits()[name]
	switch {
	case call == nil || !limited:
		return call
	case name == ast.WalkBuiltin.Name:
		return walk(call)
	}
	return func(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
		if err := check(args); err != nil {
			return err
		}
		return call(bctx, args, func(result *ast.Term) error {
			if n, ok := result.Value.(ast.Number); ok && len(n) > maxDigits {
				return errNumber
			}
			return iter(result)
		})
	}
}

// walk bounds the paths of what is walked, all of which may be kept, and stops when it is
// cancelled.
func walk(call topdown.BuiltinFunc) topdown.BuiltinFunc {
	return func(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
		steps := 0
		return call(bctx, args, func(result *ast.Term) error {
			steps++
			if pair, ok := result.Value.(*ast.Array); ok && pair.Len() == 2 {
				if path, ok := pair.Elem(0).Value.(*ast.Array); ok {
					steps += path.Len()
				}
			}
			if steps > 4*maxElements {
				return errors.New("what is walked is too large, or too deep")
			}
			if bctx.Cancel != nil && bctx.Cancel.Cancelled() {
				return &topdown.Error{Code: topdown.CancelErr, Message: "caller cancelled query execution"}
			}
			return iter(result)
		})
	}
}

// prefix is before the names under which OPA's general evaluator finds the functions that have
// limits: for its own names it takes its own functions.
const prefix = "bounded."

// replacedNames are the functions that OPA's evaluator calls by another name. walk yields one
// value at a time there, and the evaluator looks at the deadline between them.
func replacedNames() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(limits())), func(name string) bool { return name == ast.WalkBuiltin.Name })
}

// Use makes a compiler with these capabilities call the functions that have limits within
// them. What evaluates its modules needs Options.
func Use(compiler *ast.Compiler, capabilities *ast.Capabilities) *ast.Compiler {
	names := replacedNames()
	both := *capabilities
	for _, b := range capabilities.Builtins {
		if _, limited := slices.BinarySearch(names, b.Name); limited {
			again := *b
			again.Name = prefix + b.Name
			both.Builtins = append(slices.Clip(both.Builtins), &again)
		}
	}
	return compiler.WithCapabilities(&both).WithStageAfterID(ast.StageBuildRequiredCapabilities, ast.CompilerStageDefinition{
		Name: "BoundBuiltins", MetricName: "compile_stage_bound_builtins",
		Stage: func(c *ast.Compiler) *ast.Error {
			for _, module := range c.Modules {
				ast.WalkTerms(module, func(t *ast.Term) bool {
					ref, ok := t.Value.(ast.Ref)
					if !ok || ref.HasPrefix(ast.DefaultRootRef) || ref.HasPrefix(ast.InputRootRef) {
						return false
					}
					if name := ref.String(); ref.IsGround() || len(ref) == 1 {
						if _, limited := slices.BinarySearch(names, name); limited {
							t.Value = ast.MustParseRef(prefix + name)
						}
					}
					return false
				})
			}
			return nil
		},
	})
}

// Name returns the name by which a policy calls a function.
func Name(operator string) string { return strings.TrimPrefix(operator, prefix) }

// Options are what OPA's general evaluator needs for the modules of a compiler that Use was
// called for.
func Options() []func(*rego.Rego) {
	var options []func(*rego.Rego)
	for _, name := range replacedNames() {
		b, call := ast.BuiltinMap[name], Function(name)
		options = append(options, rego.FunctionDyn(
			&rego.Function{Name: prefix + name, Decl: b.Decl, Nondeterministic: b.Nondeterministic},
			func(bctx rego.BuiltinContext, args []*ast.Term) (result *ast.Term, err error) {
				err = call(bctx, args, func(t *ast.Term) error {
					result = t
					return nil
				})
				return result, err
			}))
	}
	return options
}

// Tested are the same for OPA's test runner.
func Tested() []*tester.Builtin {
	var out []*tester.Builtin
	for i, option := range Options() {
		name := replacedNames()[i]
		out = append(out, &tester.Builtin{Decl: &ast.Builtin{Name: prefix + name, Decl: ast.BuiltinMap[name].Decl}, Func: option})
	}
	return out
}
