package policy

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// Bounds of a residual. A rule that is past them is not a filter anybody can read.
const (
	maxAlternatives = 1000
	maxConditions   = 10_000 // in all alternatives together
)

// formula is what is left of a rule, before it is put into alternatives. What stands in
// several places of a rule is one formula, which is worked out once.
type formula struct {
	op    connective
	parts []*formula
	cond  authz.Condition

	negated *formula
	made    *alternatives
}

// alternatives are conditions of which those of one have to hold.
type alternatives struct {
	any [][]authz.Condition
	ok  bool // false: there would be too many, or there was no time
}

type connective int

const (
	isCondition connective = iota
	isAll                  // all parts hold; true without parts
	isAny                  // a part holds; false without parts
)

func truth(b bool) *formula {
	if b {
		return &formula{op: isAll}
	}
	return &formula{op: isAny}
}

func condition(c authz.Condition) *formula { return &formula{cond: c} }

func allOf(parts ...*formula) *formula { return &formula{op: isAll, parts: parts} }

func anyOf(parts ...*formula) *formula { return &formula{op: isAny, parts: parts} }

// negation returns what holds exactly where f does not.
func (f *formula) negation() *formula {
	if f.negated != nil {
		return f.negated
	}
	if f.op == isCondition {
		c := f.cond
		c.Not = !c.Not
		f.negated = condition(c)
		return f.negated
	}
	n := &formula{op: isAll + isAny - f.op, parts: make([]*formula, len(f.parts))}
	for i, part := range f.parts {
		n.parts[i] = part.negation()
	}
	f.negated = n
	return n
}

// residual puts f into alternatives. False means that there would be too many, or that ctx
// was over before they were there.
func (f *formula) residual(ctx context.Context) (*authz.Residual, bool) {
	of := f.alternatives(ctx)
	if !of.ok {
		return nil, false
	}
	r := &authz.Residual{Any: of.any}
	r.Simplify()
	return r, ctx.Err() == nil
}

func (f *formula) alternatives(ctx context.Context) *alternatives {
	if f.made != nil {
		return f.made
	}
	f.made = &alternatives{}
	switch f.op {
	case isAll:
		f.made.any, f.made.ok = allTogether(ctx, f.parts)
	case isAny:
		f.made.any, f.made.ok = oneOf(ctx, f.parts)
	default:
		f.made.any, f.made.ok = [][]authz.Condition{{f.cond}}, true
	}
	return f.made
}

// oneOf makes the alternatives of which a part holds.
func oneOf(ctx context.Context, parts []*formula) (sum [][]authz.Condition, ok bool) {
	conditions := 0
	for _, part := range parts {
		with := part.alternatives(ctx)
		if !with.ok || ctx.Err() != nil {
			return nil, false
		}
		for _, all := range with.any {
			conditions += len(all)
		}
		sum = append(sum, with.any...)
		if len(sum) > maxAlternatives || conditions > maxConditions {
			return nil, false
		}
	}
	return sum, true
}

// allTogether makes the alternatives of which all parts hold. The parts that have one each are
// put together once.
func allTogether(ctx context.Context, parts []*formula) (product [][]authz.Condition, ok bool) {
	var common []authz.Condition
	product = [][]authz.Condition{nil}
	for _, part := range parts {
		with := part.alternatives(ctx)
		if !with.ok || ctx.Err() != nil {
			return nil, false
		}
		if len(with.any) != 1 {
			if product, ok = combine(product, with.any); !ok {
				return nil, false
			}
			continue
		}
		if common = append(common, with.any[0]...); len(common) > maxConditions {
			return nil, false
		}
	}
	once := authz.Residual{Any: [][]authz.Condition{common}}
	once.Simplify()
	return combine(once.Any, product)
}

// combine makes every alternative of a and b together. What repeats is taken out
// on the way, so that helpers which are asked twice do not multiply.
func combine(a, b [][]authz.Condition) ([][]authz.Condition, bool) {
	if len(a)*len(b) > maxAlternatives {
		return nil, false
	}
	product := make([][]authz.Condition, 0, len(a)*len(b))
	conditions := 0
	for _, x := range a {
		for _, y := range b {
			if conditions += len(x) + len(y); conditions > maxConditions {
				return nil, false
			}
			product = append(product, slices.Concat(x, y))
		}
	}
	if len(product) > 1 {
		r := authz.Residual{Any: product}
		r.Simplify()
		product = r.Any
	}
	return product, true
}
