package policy

import (
	"context"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/caregate/caregate/internal/authz"
)

// leftover reads what partial evaluation left of a rule as a formula over leaves. What
// is no such formula is reported, and makes what was read worthless.
type leftover struct {
	ctx     context.Context //nolint:containedctx // a leftover is one call's; when it is over, what is read is worthless
	leaves  []openLeaf
	support map[string][]*ast.Rule
	made    map[string]*formula // of rules that were read
	vars    map[ast.Var]int     // how often each variable stands in the body that is read
	// outside is told of each expression that is outside of the fragment, and why.
	outside func(expr *ast.Expr, location *ast.Location, why string)
}

// openLeaf is one fact that was left open, as the policy refers to it.
type openLeaf struct {
	ref  ast.Ref
	leaf authz.Leaf
}

// Reasons for which an expression is outside of the fragment.
const (
	whyForm    = "use in, == and not on one fact at a time"
	whySupport = "a rule of its own would be left; not and every work on what is known, or on single facts"
	whyAbsent  = "not of a fact that may be absent; ask for what has to hold instead"
)

// formulaOf reads the alternatives that were left.
func (l *leftover) formulaOf(left *rego.PartialQueries) *formula {
	l.support, l.made = map[string][]*ast.Rule{}, map[string]*formula{}
	for _, module := range left.Support {
		for _, rule := range module.Rules {
			name := module.Package.Path.Extend(rule.Head.Ref()).String()
			l.support[name] = append(l.support[name], rule)
		}
	}
	alternatives := make([]*formula, len(left.Queries))
	for i, query := range left.Queries {
		alternatives[i] = l.body(query)
	}
	return anyOf(alternatives...)
}

func (l *leftover) body(body ast.Body) *formula {
	if l.ctx.Err() != nil {
		return truth(false)
	}
	around := l.vars
	defer func() { l.vars = around }()
	l.vars = map[ast.Var]int{}
	ast.WalkVars(body, func(v ast.Var) bool {
		l.vars[v]++
		return false
	})
	all := make([]*formula, len(body))
	for i, expr := range body {
		all[i] = l.expr(expr)
	}
	return allOf(all...)
}

func (l *leftover) refuse(expr *ast.Expr, why string) *formula {
	l.outside(expr, expr.Location, why)
	return truth(false)
}

func (l *leftover) expr(expr *ast.Expr) *formula {
	if len(expr.With) > 0 {
		return l.refuse(expr, "with is left in it")
	}
	var f *formula
	switch terms := expr.Terms.(type) {
	case *ast.Term:
		f = l.term(expr, terms)
	case []*ast.Term:
		f = l.call(expr, terms)
	}
	if f == nil {
		return l.refuse(expr, whyForm)
	}
	if !expr.Negated {
		return f
	}
	// What is negated here may have been a variable or an argument in the policy. Then a
	// fact that is absent makes all of it undefined, and not what is under the not alone,
	// which is not to be seen in what is left.
	if l.mayBeAbsent(expr) {
		return l.refuse(expr, whyAbsent)
	}
	return f.negation()
}

// mayBeAbsent reports whether an expression is about a fact, or an element of one, that
// is not there for every entity.
func (l *leftover) mayBeAbsent(expr *ast.Expr) bool {
	found := false
	ast.WalkRefs(expr, func(ref ast.Ref) bool {
		for _, leaf := range l.leaves {
			if ref.HasPrefix(leaf.ref) {
				found = found || always(leaf) == nil || len(ref) > len(leaf.ref)
			}
		}
		return false
	})
	return found
}

// term reads an expression that is one term, nil for one outside of the fragment.
func (l *leftover) term(expr *ast.Expr, t *ast.Term) *formula {
	switch v := t.Value.(type) {
	case ast.Boolean:
		return truth(bool(v))
	case ast.Ref:
		if v.HasPrefix(ast.DefaultRootRef) {
			return l.rules(expr, v)
		}
		if leaf, ok := l.leaf(t); ok {
			if leaf.isFlag() {
				return condition(authz.Condition{Op: authz.IsTrue, Leaf: leaf.leaf})
			}
			return always(leaf)
		}
		return l.permission(v)
	}
	return nil
}

// rules reads a reference to a rule that partial evaluation made.
func (l *leftover) rules(expr *ast.Expr, ref ast.Ref) *formula {
	name := ref.String()
	if f := l.made[name]; f != nil {
		return f
	}
	rules := l.support[name]
	var alternatives []*formula
	for _, rule := range rules {
		whole := rule.Head.Value != nil && rule.Head.Value.Equal(ast.BooleanTerm(true))
		if len(rule.Head.Args) > 0 || rule.Head.Key != nil || rule.Default || rule.Else != nil || !whole {
			rules = nil
			break
		}
		alternatives = append(alternatives, l.body(rule.Body))
	}
	if len(rules) == 0 {
		return l.refuse(expr, whySupport)
	}
	l.made[name] = anyOf(alternatives...)
	return l.made[name]
}

// call reads an expression that asks something of two terms.
func (l *leftover) call(expr *ast.Expr, terms []*ast.Term) *formula {
	if len(terms) != 3 {
		return nil
	}
	a, b := terms[1], terms[2]
	switch terms[0].String() {
	case ast.Member.Name:
		return l.member(a, b)
	case ast.Equality.Name, ast.Equal.Name:
		if l.isBlank(a) {
			return l.isDefined(expr, b)
		}
		if l.isBlank(b) {
			return l.isDefined(expr, a)
		}
		if f := l.equal(a, b); f != nil {
			return f
		}
		return l.equal(b, a)
	case ast.NotEqual.Name:
		f := l.equal(a, b)
		if f == nil {
			f = l.equal(b, a)
		}
		if f == nil || !l.surelyThere(a) || !l.surelyThere(b) {
			return nil
		}
		return f.negation()
	}
	return nil
}

// isBlank reports whether a term is a variable that nothing else is said of. Two
// leaves that are put into one variable are compared by that.
func (l *leftover) isBlank(t *ast.Term) bool {
	v, ok := t.Value.(ast.Var)
	return ok && l.vars[v] == 1
}

// isDefined reads `_ = term`, which holds if there is such a thing.
func (l *leftover) isDefined(expr *ast.Expr, t *ast.Term) *formula {
	if leaf, ok := l.leaf(t); ok {
		return always(leaf)
	}
	if ref, ok := t.Value.(ast.Ref); ok && !ref.HasPrefix(ast.DefaultRootRef) {
		return l.permission(ref)
	}
	return l.refuse(expr, whyForm)
}

// always says that a leaf is there, nil for one that may be absent.
func always(leaf openLeaf) *formula {
	if leaf.leaf.Fact == authz.FactRole {
		return nil
	}
	return truth(true)
}

// surelyThere reports whether a term has a value for every entity.
func (l *leftover) surelyThere(t *ast.Term) bool {
	leaf, ok := l.leaf(t)
	return !ok || always(leaf) != nil
}

func (l *leftover) member(a, b *ast.Term) *formula {
	element, isLeaf := l.leaf(a)
	set, ofLeaf := l.leaf(b)
	switch {
	case isLeaf && element.isText() && ofLeaf && set.isSet():
		return condition(authz.Condition{Op: authz.Within, Leaf: element.leaf, Other: set.leaf})
	case isLeaf && element.isText() && isClosed(b):
		values, ok := texts(b)
		if !ok {
			return nil
		}
		return condition(authz.Condition{Op: authz.In, Leaf: element.leaf, Values: values})
	case ofLeaf && set.isSet() && isClosed(a):
		text, ok := a.Value.(ast.String)
		if !ok {
			return truth(false) // they are sets of texts
		}
		return condition(authz.Condition{Op: authz.Has, Leaf: set.leaf, Values: []string{string(text)}})
	}
	return nil
}

// equal reads a == b with a leaf first.
func (l *leftover) equal(a, b *ast.Term) *formula {
	first, ok := l.leaf(a)
	if !ok {
		return nil
	}
	second, isLeaf := l.leaf(b)
	switch {
	case first.isText() && isLeaf && second.isText():
		return condition(authz.Condition{Op: authz.Same, Leaf: first.leaf, Other: second.leaf})
	case first.isText() && isClosed(b):
		text, ok := b.Value.(ast.String)
		if !ok {
			return truth(false)
		}
		return condition(authz.Condition{Op: authz.In, Leaf: first.leaf, Values: []string{string(text)}})
	case first.isFlag() && isClosed(b):
		is, ok := b.Value.(ast.Boolean)
		if !ok {
			return truth(false)
		}
		return condition(authz.Condition{Op: authz.IsTrue, Leaf: first.leaf, Not: !bool(is)})
	}
	return nil
}

// permission reads permissions["t:a"], nil for anything else.
func (l *leftover) permission(ref ast.Ref) *formula {
	name, ok := ref[len(ref)-1].Value.(ast.String)
	if !ok {
		return nil
	}
	leaf, ok := l.leaf(ast.NewTerm(ref[:len(ref)-1]))
	if !ok || leaf.leaf.Fact != authz.FactPermissions {
		return nil
	}
	return condition(authz.Condition{Op: authz.Has, Leaf: leaf.leaf, Values: []string{string(name)}})
}

// leaf returns the open fact that a term is, whole.
func (l *leftover) leaf(t *ast.Term) (openLeaf, bool) {
	ref, ok := t.Value.(ast.Ref)
	if !ok {
		return openLeaf{}, false
	}
	for _, leaf := range l.leaves {
		if leaf.ref.Equal(ref) {
			return leaf, true
		}
	}
	return openLeaf{}, false
}

func (o openLeaf) isText() bool { return leafTypeNamed(o.leaf.Fact) == textLeaf }
func (o openLeaf) isFlag() bool { return leafTypeNamed(o.leaf.Fact) == flagLeaf }
func (o openLeaf) isSet() bool  { return leafTypeNamed(o.leaf.Fact) == setLeaf }

// isClosed reports whether nothing about a term is open.
func isClosed(t *ast.Term) bool { return t.IsGround() && !hasRef(t) }

func hasRef(t *ast.Term) bool {
	found := false
	ast.WalkRefs(t, func(ast.Ref) bool {
		found = true
		return true
	})
	return found
}

// texts returns the texts in a collection, sorted, each once. What is no text
// equals none.
func texts(t *ast.Term) (values []string, ok bool) {
	values = []string{}
	add := func(e *ast.Term) {
		if text, ok := e.Value.(ast.String); ok {
			values = append(values, string(text))
		}
	}
	switch v := t.Value.(type) {
	case ast.Set:
		v.Foreach(add)
	case *ast.Array:
		v.Foreach(add)
	case ast.Object:
		v.Foreach(func(_, e *ast.Term) { add(e) })
	default:
		return nil, false
	}
	slices.Sort(values)
	return slices.Compact(values), true
}

// place names where in a policy an expression stands, and nothing of what it says:
// that may have been filled with identifiers.
func place(location *ast.Location, why string) string {
	if location == nil {
		return why
	}
	return fmt.Sprintf("%s:%d: %s", location.File, location.Row, why)
}
