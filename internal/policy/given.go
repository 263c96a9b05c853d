package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/bounded"
	"github.com/caregate/caregate/internal/policy/machine"
)

// given knows, for the place of each call in a policy, which values of the caller's its
// arguments are made of, in its own body, by way of other rules, and as arguments of the
// function that it stands in.
type given map[string][]ast.Ref

// maxBlamed is how many values of a call are tried, each by another evaluation.
const maxBlamed = 4

// givenIn reads the rules of a compiled policy twice: those that others refer to first, for
// what they are made of, and last, for what the arguments of functions are.
func givenIn(compiler *ast.Compiler) given {
	f := flow{made: map[string][]ast.Ref{}, arguments: map[string][]ast.Ref{}}
	sorted, _ := compiler.Graph.Sort() // it has no cycle, or it would not have been compiled
	for _, node := range sorted {
		if rule, ok := node.(*ast.Rule); ok {
			of, name := f.variables(rule), nameOf(rule.Ref())
			f.made[name] = union(f.made[name], f.valuesOf(of, headOf(rule)))
		}
	}
	g := given{}
	for _, node := range slices.Backward(sorted) {
		rule, ok := node.(*ast.Rule)
		if !ok {
			continue
		}
		of := f.variables(rule)
		ast.WalkExprs(rule, func(expr *ast.Expr) bool {
			terms, ok := expr.Terms.([]*ast.Term)
			if !ok {
				return false
			}
			if expr.Location != nil {
				at := position(expr.Location)
				g[at] = union(g[at], f.valuesOf(of, terms[1:]))
			}
			if function, isRef := terms[0].Value.(ast.Ref); isRef && function.HasPrefix(ast.DefaultRootRef) {
				for i, term := range terms[1:] {
					at := argument(nameOf(function), i)
					f.arguments[at] = union(f.arguments[at], f.valuesOf(of, []*ast.Term{term}))
				}
			}
			return false
		})
	}
	return g
}

// flow is what is known of where the caller's values go.
type flow struct {
	made      map[string][]ast.Ref // what a rule is made of
	arguments map[string][]ast.Ref // what an argument of a function is made of
}

// variables says which values the variables of a rule are made of.
func (f *flow) variables(rule *ast.Rule) map[ast.Var][]ast.Ref {
	of := map[ast.Var][]ast.Ref{}
	for i, term := range rule.Head.Args {
		ast.WalkVars(term, func(v ast.Var) bool {
			of[v] = f.arguments[argument(nameOf(rule.Ref()), i)]
			return false
		})
	}
	for changed := true; changed; {
		changed = false
		ast.WalkExprs(rule, func(expr *ast.Expr) bool {
			var refs []ast.Ref
			var made []*ast.Term
			switch terms := expr.Terms.(type) {
			case []*ast.Term:
				refs, made = f.valuesOf(of, terms[1:]), results(expr, terms)
			case *ast.Every:
				refs, made = f.valuesOf(of, []*ast.Term{terms.Domain}), []*ast.Term{terms.Key, terms.Value}
			}
			for _, term := range made {
				if term == nil {
					continue
				}
				if v, isVar := term.Value.(ast.Var); isVar {
					if all := union(of[v], refs); len(all) > len(of[v]) {
						of[v], changed = all, true
					}
				}
			}
			return false
		})
	}
	return of
}

// headOf returns the terms that a rule answers with.
func headOf(rule *ast.Rule) []*ast.Term {
	terms := append([]*ast.Term(nil), rule.Head.Reference[1:]...)
	for _, term := range []*ast.Term{rule.Head.Key, rule.Head.Value} {
		if term != nil {
			terms = append(terms, term)
		}
	}
	return terms
}

// nameOf is the name of a rule, as far as it is constant.
func nameOf(ref ast.Ref) string { return ref.ConstantPrefix().String() }

func argument(function string, i int) string { return fmt.Sprintf("%s %d", function, i) }

// union adds references to others, up to as many as are tried.
func union(refs, more []ast.Ref) []ast.Ref {
	for _, ref := range more {
		if len(refs) < maxBlamed && !slices.ContainsFunc(refs, func(other ast.Ref) bool { return other.Equal(ref) }) {
			refs = append(slices.Clip(refs), ref)
		}
	}
	return refs
}

// results are the terms of a call that get their values from the others.
func results(expr *ast.Expr, terms []*ast.Term) []*ast.Term {
	if expr.IsEquality() {
		return terms[1:]
	}
	b := ast.BuiltinMap[bounded.Name(terms[0].String())]
	if len(terms) < 2 || b != nil && b.Decl.Arity() >= len(terms)-1 {
		return nil
	}
	return terms[len(terms)-1:]
}

func position(l *ast.Location) string { return fmt.Sprintf("%s:%d:%d", l.File, l.Row, l.Col) }

// valuesOf returns the values of the caller's that terms are made of, by what is known of
// variables.
func (f *flow) valuesOf(of map[ast.Var][]ast.Ref, terms []*ast.Term) []ast.Ref {
	var out []ast.Ref
	for _, term := range terms {
		ast.WalkRefs(term, func(ref ast.Ref) bool {
			ref = ref.ConstantPrefix()
			if fieldOf(ref) != "" {
				out = union(out, []ast.Ref{ref})
			}
			for n := len(ref); n > 1 && ref[0].Equal(ast.DefaultRootDocument); n-- {
				out = union(out, f.made[ref[:n].String()])
			}
			return false
		})
		ast.WalkVars(term, func(v ast.Var) bool {
			out = union(out, of[v])
			return false
		})
	}
	return out
}

// fieldOf names the field of a request that a reference is to, "" for what is no caller's.
func fieldOf(ref ast.Ref) string {
	parts := make([]string, 0, len(ref))
	for _, part := range ref {
		switch v := part.Value.(type) {
		case ast.Var:
			parts = append(parts, string(v))
		case ast.String:
			parts = append(parts, string(v))
		default:
			return ""
		}
	}
	if len(parts) > 1 && parts[0] == "input" && (parts[1] == "context" || len(parts) > 2 && parts[2] == "properties") {
		return strings.Join(parts[1:], ".")
	}
	return ""
}

// without returns an input that lacks one value, false where it has none there.
func without(term *ast.Term, path ast.Ref) (*ast.Term, bool) {
	object, ok := term.Value.(ast.Object)
	if !ok || object.Get(path[0]) == nil {
		return nil, false
	}
	var pairs []pair
	changed := false
	object.Foreach(func(key, value *ast.Term) {
		if key.Equal(path[0]) {
			if len(path) == 1 {
				changed = true
				return
			}
			value, changed = without(value, path[1:])
			if !changed {
				return
			}
		}
		pairs = append(pairs, pair{key, value})
	})
	return ast.ObjectTerm(pairs...), changed
}

// blame says of a call that failed on a value which the caller gave that this is malformed:
// where the value goes into the call, and the call does not fail without it. Where that is so
// of several values, one of them may only decide whether the call is made, so all are named,
// and the field is what they stand in. Whatever else fails is the policy's own, and any other
// error stays what it is.
func (s *Snapshot) blame(err error, input *ast.Term, again func(input *ast.Term) error) error {
	failed := builtinError(err)
	if failed == nil {
		return err
	}
	input = machine.Whole(input)
	refs := slices.Clone(s.given[position(failed.Location)])
	slices.SortStableFunc(refs, func(a, b ast.Ref) int { return len(b) - len(a) }) // a member before what it is in
	var blamed []ast.Ref
	for _, ref := range refs {
		rest, ok := without(input, ref[1:])
		if !ok || slices.ContainsFunc(blamed, func(member ast.Ref) bool { return member.HasPrefix(ref) }) {
			continue
		}
		other := again(rest)
		if next := builtinError(other); other == nil || next != nil && position(next.Location) != position(failed.Location) {
			blamed = append(blamed, ref)
		}
	}
	if len(blamed) == 0 {
		return err
	}
	common, names := blamed[0], make([]string, len(blamed))
	for i, ref := range blamed {
		for !ref.HasPrefix(common) {
			common = common[:len(common)-1]
		}
		names[i] = fieldOf(ref)
	}
	which := "is"
	if len(names) > 1 {
		which = strings.Join(names, " or ") + " is"
	}
	return authz.Errorf(authz.Malformed, fieldOf(common), "%s not what the rule at %s:%d can use; correct it, or leave it out",
		which, failed.Location.File, failed.Location.Row)
}

// classed says whose fault the failure of an evaluation is. Again evaluates another input.
func (s *Snapshot) classed(ctx context.Context, err error, input *ast.Term, again func(input *ast.Term) error) error {
	err = s.blame(err, input, again)
	if _, classed := errors.AsType[*authz.Error](err); classed {
		return err
	}
	return evaluationError(ctx, err, s.places)
}

// builtinError returns what OPA says of a call that failed, nil for any other error.
func builtinError(err error) *topdown.Error {
	e, ok := err.(*topdown.Error) //nolint:errorlint // it is not wrapped: the evaluators return it as it is
	if !ok || e.Location == nil || e.Code != topdown.BuiltinErr && e.Code != topdown.TypeErr {
		return nil
	}
	return e
}
