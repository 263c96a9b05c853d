package policy

import (
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// Bounds of a residual. A rule that is past them is not a filter anybody can read.
const (
	maxAlternatives = 1000
	maxConditions   = 10_000 // in all alternatives together
)

// formula is what is left of a rule, before it is put into alternatives. A nil
// formula is true.
type formula struct {
	op    connective
	parts []*formula
	cond  authz.Condition
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
	if f.op == isCondition {
		c := f.cond
		c.Not = !c.Not
		return condition(c)
	}
	n := &formula{op: isAll + isAny - f.op, parts: make([]*formula, len(f.parts))}
	for i, part := range f.parts {
		n.parts[i] = part.negation()
	}
	return n
}

// residual puts f into alternatives. False means that there would be too many.
func (f *formula) residual() (*authz.Residual, bool) {
	alternatives, ok := f.alternatives()
	if !ok {
		return nil, false
	}
	r := &authz.Residual{Any: alternatives}
	r.Simplify()
	return r, true
}

func (f *formula) alternatives() ([][]authz.Condition, bool) {
	switch f.op {
	case isAll:
		product := [][]authz.Condition{nil}
		for _, part := range f.parts {
			with, ok := part.alternatives()
			if !ok {
				return nil, false
			}
			if product, ok = combine(product, with); !ok {
				return nil, false
			}
		}
		return product, true
	case isAny:
		var sum [][]authz.Condition
		for _, part := range f.parts {
			with, ok := part.alternatives()
			if sum = append(sum, with...); !ok || !within(sum) {
				return nil, false
			}
		}
		return sum, true
	default:
		return [][]authz.Condition{{f.cond}}, true
	}
}

// combine makes every alternative of a and b together. What repeats is taken out
// on the way, so that helpers which are asked twice do not multiply.
func combine(a, b [][]authz.Condition) ([][]authz.Condition, bool) {
	if len(a)*len(b) > maxAlternatives {
		return nil, false
	}
	product := make([][]authz.Condition, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			product = append(product, append(slices.Clip(x), y...))
		}
		if !within(product) {
			return nil, false
		}
	}
	if len(product) > 1 {
		r := authz.Residual{Any: product}
		r.Simplify()
		product = r.Any
	}
	return product, true
}

// within reports whether alternatives are within the bounds.
func within(alternatives [][]authz.Condition) bool {
	n := 0
	for _, all := range alternatives {
		n += len(all)
	}
	return len(alternatives) <= maxAlternatives && n <= maxConditions
}
