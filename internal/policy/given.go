package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/bounded"
)

// given knows, for the place of each call in a policy, which values of the caller's its
// arguments are made of, as far as the body around it shows.
type given map[string][]ast.Ref

// maxBlamed is how many values of a call are tried, each by another evaluation.
const maxBlamed = 4

func givenIn(modules map[string]*ast.Module) given {
	g := given{}
	for _, module := range modules {
		for _, rule := range module.Rules {
			of := map[ast.Var][]ast.Ref{}
			for changed := true; changed; {
				changed = false
				ast.WalkExprs(rule, func(expr *ast.Expr) bool {
					terms, ok := expr.Terms.([]*ast.Term)
					if !ok {
						return false
					}
					refs := valuesOf(of, terms[1:])
					for _, term := range results(expr, terms) {
						if v, isVar := term.Value.(ast.Var); isVar && len(of[v]) < len(refs) {
							of[v], changed = refs, true
						}
					}
					return false
				})
			}
			ast.WalkExprs(rule, func(expr *ast.Expr) bool {
				if terms, ok := expr.Terms.([]*ast.Term); ok && expr.Location != nil {
					g[position(expr.Location)] = valuesOf(of, terms[1:])
				}
				return false
			})
		}
	}
	return g
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
func valuesOf(of map[ast.Var][]ast.Ref, terms []*ast.Term) []ast.Ref {
	var out []ast.Ref
	add := func(ref ast.Ref) {
		if len(out) < maxBlamed && !slices.ContainsFunc(out, func(other ast.Ref) bool { return other.Equal(ref) }) {
			out = append(out, ref)
		}
	}
	for _, term := range terms {
		ast.WalkRefs(term, func(ref ast.Ref) bool {
			if ref = ref.ConstantPrefix(); fieldOf(ref) != "" {
				add(ref)
			}
			return false
		})
		ast.WalkVars(term, func(v ast.Var) bool {
			for _, ref := range of[v] {
				add(ref)
			}
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
// where the value goes into the call, and the call does not fail without it. Whatever else
// fails is the policy's own, and any other error stays what it is.
func (s *Snapshot) blame(err error, input *ast.Term, again func(input *ast.Term) error) error {
	failed := builtinError(err)
	if failed == nil {
		return err
	}
	for _, ref := range s.given[position(failed.Location)] {
		rest, ok := without(input, ref[1:])
		if !ok {
			continue
		}
		other := again(rest)
		if next := builtinError(other); other == nil || next != nil && position(next.Location) != position(failed.Location) {
			return authz.Errorf(authz.Malformed, fieldOf(ref), "is not what the rule at %s:%d can use; correct it, or leave it out",
				failed.Location.File, failed.Location.Row)
		}
	}
	return err
}

// builtinError returns what OPA says of a call that failed, nil for any other error.
func builtinError(err error) *topdown.Error {
	e, ok := err.(*topdown.Error) //nolint:errorlint // it is not wrapped: the evaluators return it as it is
	if !ok || e.Location == nil || e.Code != topdown.BuiltinErr && e.Code != topdown.TypeErr {
		return nil
	}
	return e
}
