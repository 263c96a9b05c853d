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

// Leaf is one open fact: of the entity that is looked for, or of what it refers to.
type Leaf struct {
	Reference string // the name of the reference, "" for the entity itself
	Fact      string // one of the names of facts
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

// Outside is the cause of an error about a policy that cannot be turned into a
// Residual: it leaves the fragment that partial evaluation can settle. Where names
// the places of the policy, as file:row and what is wrong.
type Outside struct {
	Where []string
}

func (o *Outside) Error() string {
	return "the policy cannot be turned into a filter: " + strings.Join(o.Where, "; ")
}
