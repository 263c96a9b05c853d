package authz

import "slices"

// Settle returns what is left of a residual once the entity is known that its leaves of
// a reference are about, "" for those without one: a candidate, found. It is simplified.
func (r *Residual) Settle(reference string, known *Candidate) *Residual {
	out := &Residual{}
	for _, all := range r.Any {
		kept, possible := make([]Condition, 0, len(all)), true
		for _, c := range all {
			left, holds, settled := c.settle(reference, known)
			switch {
			case !settled:
				kept = append(kept, left)
			case !holds:
				possible = false
			}
		}
		if possible {
			out.Any = append(out.Any, kept)
		}
	}
	out.Simplify()
	return out
}

// settle returns what is left of a condition, or whether it holds, if that can be said.
func (c Condition) settle(reference string, known *Candidate) (left Condition, holds, settled bool) {
	two := c.Op == Same || c.Op == Within
	one, other := c.Leaf.Reference == reference, two && c.Other.Reference == reference
	switch {
	case !one && !other:
		return c, false, false
	case one && (other || !two):
		c.Leaf.Reference, c.Other.Reference = "", ""
		return c, known.all([]test{{Condition: c}}), true
	case other: // and what ranges is compared with it
		return Condition{Op: In, Not: c.Not, Leaf: c.Leaf, Values: known.Fact.Values(c.Other.Fact)}, false, false
	}
	value, ok := known.Fact.Text(c.Leaf.Fact)
	if !ok {
		return c, c.Not, true
	}
	op := In
	if c.Op == Within {
		op = Has
	}
	return Condition{Op: op, Not: c.Not, Leaf: c.Other, Values: []string{value}}, false, false
}

// Values returns what a fact says, in order and each once: of a set its elements, of one
// text that or nothing.
func (f *Fact) Values(fact string) []string {
	out := slices.Clone(f.Set(fact))
	if text, ok := f.Text(fact); ok {
		out = append(out, text)
	}
	slices.Sort(out)
	out = slices.DeleteFunc(out, func(v string) bool { return v == "" })
	return slices.Compact(out)
}
