package authz

import (
	"slices"
	"strings"
)

// Open says which facts a question leaves open: those of the entity that is looked
// for. Its type is known, and that it exists; its id and its facts are not.
type Open struct {
	// Subject leaves the subject open; otherwise it is the resource.
	Subject bool
	// Both leaves the subject open beside the resource. Its leaves have the reference
	// SubjectLeaf.
	Both bool
	// References are references of the resource that are open as well: given, naming
	// an entity that exists, with its id and facts unknown.
	References []string
}

// SubjectLeaf is the reference of the leaves of a subject that is open beside the
// resource.
const SubjectLeaf = "subject"

// Names of facts that a Leaf has beside those of the directory's records. A type
// that requires a provider is known to exist only where FactProvider is true, and
// a Residual says so by a condition.
const (
	FactID           = "id"
	FactPatientGroup = "patient_group"
	FactCareTeam     = "care_team"
	FactRole         = "role"
	FactGroups       = "groups"
	FactAccess       = "access"
	FactBooking      = "booking"
	FactProvider     = "provider"
	FactPermissions  = "permissions"
)

// Leaf is one open fact: of the entity that is looked for, or of what it refers to.
type Leaf struct {
	Reference string // the name of the reference, "" for the entity itself
	Fact      string // one of the names above
}

// String writes a leaf as the policy does, below subject or resource.
func (l Leaf) String() string {
	if l.Reference == "" {
		return l.Fact
	}
	return l.Reference + "." + l.Fact
}

// Op is what a Condition asks of a leaf.
type Op int

// The operations. The leaves that they can be about are said with each.
const (
	// In asks whether the leaf, one text (id, patient_group, role), is among Values.
	In Op = iota + 1
	// Has asks whether the leaf, a set (care_team, groups, access, booking), has
	// Values[0], or whether permissions, which are names, hold it.
	Has
	// IsTrue asks whether the leaf (provider) is true.
	IsTrue
	// Same asks whether two leaves, both one text, are the same.
	Same
	// Within asks whether the leaf, one text, is in the set that Other is.
	Within
)

// Condition is one question about open facts. A leaf that an entity does not have,
// such as the role of a member without one, makes it false, and its negation true.
type Condition struct {
	Op     Op
	Not    bool
	Leaf   Leaf
	Values []string // In, Has; sorted, each once
	Other  Leaf     // Same, Within
}

// Residual is what is left of `allow` when everything that is known has been
// settled: alternatives, each of them conditions that must all hold. It has no
// alternative when the answer is no, whatever the open facts are, and one without
// conditions when it is yes.
type Residual struct {
	Any [][]Condition
}

// Never reports whether nothing can be allowed.
func (r *Residual) Never() bool { return len(r.Any) == 0 }

// Always reports whether everything is allowed that exists.
func (r *Residual) Always() bool {
	return slices.ContainsFunc(r.Any, func(all []Condition) bool { return len(all) == 0 })
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
	if c.Other != d.Other {
		return strings.Compare(c.Other.String(), d.Other.String())
	}
	return slices.Compare(c.Values, d.Values)
}

// opposes reports whether exactly one of two conditions holds, by their form.
func (c *Condition) opposes(d *Condition) bool {
	return c.Not != d.Not && c.Leaf == d.Leaf && c.Op == d.Op && c.Other == d.Other && slices.Equal(c.Values, d.Values)
}

// Simplify puts a residual into its shortest form, without a change of what it means:
// conditions once and in order, no alternative that contradicts itself, and none
// that says more than another one.
func (r *Residual) Simplify() {
	var possible [][]Condition
	for _, all := range r.Any {
		if all, ok := simplify(all); ok {
			possible = append(possible, all)
		}
	}
	slices.SortStableFunc(possible, func(a, b []Condition) int { return len(a) - len(b) })
	kept := possible[:0]
	for _, all := range possible {
		if !slices.ContainsFunc(kept, func(shorter []Condition) bool { return includes(all, shorter) }) {
			kept = append(kept, all)
		}
	}
	slices.SortFunc(kept, func(a, b []Condition) int {
		return slices.CompareFunc(a, b, func(c, d Condition) int { return c.compare(&d) })
	})
	r.Any = kept
}

// simplify does the same with the conditions of one alternative, and reports
// whether they can hold together.
func simplify(all []Condition) ([]Condition, bool) {
	out := make([]Condition, 0, len(all))
	for _, c := range all {
		switch {
		case c.Op == In && len(c.Values) == 0:
			if c.Not {
				continue
			}
			return nil, false
		case slices.ContainsFunc(out, func(d Condition) bool { return c.compare(&d) == 0 }):
			continue
		case slices.ContainsFunc(out, func(d Condition) bool { return c.opposes(&d) }):
			return nil, false
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(c, d Condition) int { return c.compare(&d) })
	return out, true
}

// includes reports whether all has every condition of some.
func includes(all, some []Condition) bool {
	for i := range some {
		if !slices.ContainsFunc(all, func(c Condition) bool { return c.compare(&some[i]) == 0 }) {
			return false
		}
	}
	return true
}

// Outside is the cause of an error about a policy that cannot be turned into a
// Residual: it leaves the fragment that partial evaluation can settle. Where names
// the places of the policy, as file:row and what is wrong.
type Outside struct {
	Where []string
}

func (o *Outside) Error() string {
	return "the policy cannot be turned into a filter: " + strings.Join(o.Where, "; ")
}
