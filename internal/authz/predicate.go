package authz

import "slices"

// manyValues is how many values are found by a scan; more are looked up.
const manyValues = 8

// Predicate is a Residual made ready to be asked about many entities. It is safe for
// concurrent use.
type Predicate struct {
	any [][]test
}

// test is one condition made ready.
type test struct {
	Condition
	among map[string]struct{} // In with many values
}

// Candidate is an entity that a Predicate is asked about.
type Candidate struct {
	// Fact is the entity, found. For a type of which the directory holds no facts it
	// has an id alone.
	Fact *Fact
	// References are what the entity refers to, those that were left open.
	References []Reference
	// Holds says whether a member among them holds a permission, after wildcards. It
	// may be nil where no condition is about permissions.
	Holds func(member *Fact, permission string) bool
}

// Predicate makes a residual ready.
func (r *Residual) Predicate() *Predicate {
	p := &Predicate{any: make([][]test, len(r.Any))}
	for i, all := range r.Any {
		p.any[i] = make([]test, len(all))
		for j, c := range all {
			t := test{Condition: c}
			if c.Op == In && len(c.Values) > manyValues {
				t.among = make(map[string]struct{}, len(c.Values))
				for _, v := range c.Values {
					t.among[v] = struct{}{}
				}
			}
			p.any[i][j] = t
		}
	}
	return p
}

// Holds reports whether what is left of the rule allows a candidate. It says no to
// what refers to nothing where a condition is about a reference.
func (p *Predicate) Holds(c *Candidate) bool {
	for _, all := range p.any {
		if c.all(all) {
			return true
		}
	}
	return false
}

func (c *Candidate) all(tests []test) bool {
	for i := range tests {
		if !c.holds(&tests[i]) {
			return false
		}
	}
	return true
}

func (c *Candidate) holds(t *test) bool {
	f := c.of(t.Leaf)
	if f == nil || (t.Op == Same || t.Op == Within) && c.of(t.Other) == nil {
		return false
	}
	return c.asked(f, t) != t.Not
}

// asked answers a condition without its negation.
func (c *Candidate) asked(f *Fact, t *test) bool {
	switch t.Op {
	case In:
		v, ok := f.Text(t.Leaf.Fact)
		if !ok {
			return false
		}
		if t.among != nil {
			_, ok = t.among[v]
			return ok
		}
		return slices.Contains(t.Values, v)
	case Has:
		if t.Leaf.Fact == FactPermissions {
			return c.Holds != nil && c.Holds(f, t.Values[0])
		}
		return slices.Contains(f.Set(t.Leaf.Fact), t.Values[0])
	case IsTrue:
		return f.Flag(t.Leaf.Fact)
	case Same, Within:
		v, ok := f.Text(t.Leaf.Fact)
		other := c.of(t.Other)
		if !ok || other == nil {
			return false
		}
		if t.Op == Within {
			return slices.Contains(other.Set(t.Other.Fact), v)
		}
		w, ok := other.Text(t.Other.Fact)
		return ok && v == w
	}
	return false
}

// of returns the entity that a leaf is a fact of, nil for a reference that is not
// there.
func (c *Candidate) of(l Leaf) *Fact {
	if l.Reference == "" {
		return c.Fact
	}
	for i := range c.References {
		if c.References[i].Name == l.Reference && c.References[i].Fact.Found {
			return c.References[i].Fact
		}
	}
	return nil
}
