package authz

import (
	"cmp"
	"slices"
	"strings"
)

// Simplify puts a residual into its shortest form, without a change of what it means:
// conditions once and in order, no alternative that contradicts itself, and none
// that says more than another one. It takes about as long as its input is large, but where
// many alternatives have all their conditions in common with others.
func (r *Residual) Simplify() {
	n := numbered(r.Any)
	slices.SortStableFunc(n.alternatives, func(a, b []int) int { return len(a) - len(b) })
	var kept [][]int
	under := make([][]int, len(n.conditions)) // which of kept have a condition that is the rarest of theirs
	within := make([]int, len(n.conditions))  // the last alternative that has the condition, counted from 1
	for i, all := range n.alternatives {
		if len(kept) > 0 && len(kept[0]) == 0 { // it holds anyway
			break
		}
		for _, c := range all {
			within[c] = i + 1
		}
		if slices.ContainsFunc(all, func(c int) bool {
			return slices.ContainsFunc(under[c], func(k int) bool {
				return !slices.ContainsFunc(kept[k], func(c int) bool { return within[c] != i+1 })
			})
		}) {
			continue
		}
		if len(all) > 0 {
			rarest := slices.MinFunc(all, func(a, b int) int { return n.count[a] - n.count[b] })
			under[rarest] = append(under[rarest], len(kept))
		}
		kept = append(kept, all)
	}
	slices.SortFunc(kept, slices.Compare[[]int])
	r.Any = nil
	for _, all := range kept {
		conditions := make([]Condition, len(all))
		for i, c := range all {
			conditions[i] = *n.conditions[c]
		}
		r.Any = append(r.Any, conditions)
	}
}

// numbers are alternatives with a number for each condition, in the order of these. Those
// alternatives that contradict themselves are left out, and so are conditions that always hold.
type numbers struct {
	conditions   []*Condition
	count        []int   // in how many alternatives each condition is
	alternatives [][]int // sorted, each number once
}

func numbered(alternatives [][]Condition) numbers {
	type use struct {
		*Condition
		alternative int
	}
	var uses []use
	impossible := make([]bool, len(alternatives))
	for i, all := range alternatives {
		for j := range all {
			if c := &all[j]; c.Op != In || len(c.Values) > 0 {
				uses = append(uses, use{c, i})
			} else if !c.Not {
				impossible[i] = true
			}
		}
	}
	slices.SortFunc(uses, func(a, b use) int { return cmp.Or(a.compare(b.Condition), a.alternative-b.alternative) })
	n := numbers{}
	of := make([][]int, len(alternatives))
	for _, u := range uses {
		c := len(n.conditions) - 1
		if c < 0 || n.conditions[c].compare(u.Condition) != 0 {
			c++
			n.conditions, n.count = append(n.conditions, u.Condition), append(n.count, 0)
		}
		if all := of[u.alternative]; len(all) == 0 || all[len(all)-1] != c {
			of[u.alternative] = append(all, c)
			n.count[c]++
		}
	}
	opposite := n.opposites()
	for i, all := range of {
		if impossible[i] || slices.ContainsFunc(all, func(c int) bool {
			_, both := slices.BinarySearch(all, opposite[c])
			return both
		}) {
			continue
		}
		n.alternatives = append(n.alternatives, all)
	}
	return n
}

// opposites says of each condition which one holds exactly where it does not, by their form;
// -1 for none.
func (n *numbers) opposites() []int {
	opposite, order := make([]int, len(n.conditions)), make([]int, len(n.conditions))
	for i := range order {
		opposite[i], order[i] = -1, i
	}
	slices.SortFunc(order, func(a, b int) int { return n.conditions[a].compareForm(n.conditions[b]) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; n.conditions[a].compareForm(n.conditions[b]) == 0 {
			opposite[a], opposite[b] = b, a
		}
	}
	return opposite
}

// compare orders conditions.
func (c *Condition) compare(d *Condition) int {
	if c.Leaf != d.Leaf {
		return strings.Compare(c.Leaf.String(), d.Leaf.String())
	}
	if c.Op != d.Op {
		return int(c.Op) - int(d.Op)
	}
	if c.Not != d.Not {
		if c.Not {
			return 1
		}
		return -1
	}
	return c.compareWith(d)
}

// compareForm orders conditions by everything but whether they are negated.
func (c *Condition) compareForm(d *Condition) int {
	if c.Leaf != d.Leaf {
		return strings.Compare(c.Leaf.String(), d.Leaf.String())
	}
	return cmp.Or(int(c.Op)-int(d.Op), c.compareWith(d))
}

// compareWith orders conditions by what their leaf is compared with.
func (c *Condition) compareWith(d *Condition) int {
	if c.Other != d.Other {
		return strings.Compare(c.Other.String(), d.Other.String())
	}
	if len(c.Values) > 0 && len(c.Values) == len(d.Values) && &c.Values[0] == &d.Values[0] {
		return 0
	}
	return slices.Compare(c.Values, d.Values)
}
