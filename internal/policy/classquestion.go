package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/machine"
)

// classQuestion is a question whose resource is told apart from others by what the policy
// asks of it: of its leaves. They are numbered: first the id and the facts of the resource,
// then for each reference its property, its id and its facts.
type classQuestion struct {
	*asked
	prepare *preparer
}

// watchedLeaf is one leaf: a fact of an entity, which has none but its id where fact is nil.
type watchedLeaf struct {
	fact *authz.Fact
	id   string
	leaf leaf
}

// watch makes terms of their own for the leaves of an input, and tells them by a Watch.
func (in *input) watch(references []authz.Reference) *machine.Watch {
	w := &machine.Watch{Objects: []*ast.Term{&in.term, &in.resource.term}}
	in.resource.watch(w)
	properties := &in.resource.properties
	if properties.members != nil {
		w.Objects = append(w.Objects, &properties.term)
		properties.instead = map[string]*ast.Term{}
	}
	for _, reference := range references {
		property := &ast.Term{Value: ast.String(reference.Fact.ID)}
		w.Leaves = append(w.Leaves, property)
		properties.instead[reference.Name] = property
		for _, e := range in.resource.references {
			if e.typ == reference.Name {
				e.watch(w)
				w.Objects = append(w.Objects, &e.term)
			}
		}
	}
	return w
}

// watch makes terms of their own for the id and the facts of an entity. One that is not
// there keeps its number.
func (e *entity) watch(w *machine.Watch) {
	fresh := []*ast.Term{{Value: ast.String(e.id)}}
	w.Leaves = append(w.Leaves, fresh[0])
	if e.prepared != nil {
		for i := range e.prepared.leaves {
			value := e.leaf(i)
			if value != nil {
				value = &ast.Term{Value: value.Value}
			}
			fresh, w.Leaves = append(fresh, value), append(w.Leaves, value)
		}
	}
	e.fresh = fresh
}

// leafAt returns a numbered leaf.
func (q *classQuestion) leafAt(number int) watchedLeaf {
	id := leaf{name: authz.FactID, typ: textLeaf}
	if number == 0 {
		return watchedLeaf{q.Resource, q.Request.Resource.ID, id}
	}
	leaves := q.leaves(q.Resource)
	if number--; number < len(leaves) {
		return watchedLeaf{q.Resource, q.Request.Resource.ID, leaves[number]}
	}
	number -= len(leaves)
	for _, reference := range q.references {
		leaves := q.leaves(reference.Fact)
		switch {
		case number < 2:
			return watchedLeaf{reference.Fact, reference.Fact.ID, id}
		case number < 2+len(leaves):
			return watchedLeaf{reference.Fact, reference.Fact.ID, leaves[number-2]}
		}
		number -= 2 + len(leaves)
	}
	return watchedLeaf{} // never: a step is about a leaf
}

func (q *classQuestion) leaves(fact *authz.Fact) []leaf {
	if fact == nil || !fact.Found {
		return nil
	}
	return q.prepare.leaves[fact.Kind]
}

// scalar returns the value of a leaf that is one text or a flag, and null for any other.
func (l *watchedLeaf) scalar() ast.Value {
	if l.leaf.name == authz.FactID {
		return ast.String(l.id)
	}
	switch l.leaf.typ {
	case textLeaf:
		text, _ := l.fact.Text(l.leaf.name)
		return ast.String(text)
	case flagLeaf:
		return ast.Boolean(l.fact.Flag(l.leaf.name))
	}
	return ast.Null{}
}

// has reports whether a leaf that is a set has a text.
func (q *classQuestion) has(l watchedLeaf, value ast.Value) bool {
	text, ok := value.(ast.String)
	if !ok {
		return false
	}
	p, err := q.prepare.of(l.fact)
	return err == nil && p.sets[l.leaf.set].Has(string(text))
}

// answer asks one question of the resource.
func (q *classQuestion) answer(step *machine.Step) bool {
	leaf := q.leafAt(step.Leaf)
	switch step.Op {
	case machine.Equals:
		return ast.ValueEqual(leaf.scalar(), step.Value.Value)
	case machine.Among:
		return machine.IsMember(&ast.Term{Value: leaf.scalar()}, step.Value)
	case machine.Contains:
		return q.has(leaf, step.Value.Value)
	case machine.EqualLeaf:
		other := q.leafAt(step.Other)
		return ast.ValueEqual(leaf.scalar(), other.scalar())
	default:
		return q.has(q.leafAt(step.Other), leaf.scalar())
	}
}

// expressible reports whether a step can be asked without an evaluation.
func (q *classQuestion) expressible(step *machine.Step) bool {
	is := func(number int, types ...leafType) bool {
		typ := q.leafAt(number).leaf.typ
		for _, t := range types {
			if typ == t {
				return true
			}
		}
		return false
	}
	switch step.Op {
	case machine.Equals, machine.Among:
		return is(step.Leaf, textLeaf, flagLeaf)
	case machine.Contains:
		return is(step.Leaf, setLeaf)
	case machine.EqualLeaf:
		return is(step.Leaf, textLeaf, flagLeaf) && is(step.Other, textLeaf, flagLeaf)
	default:
		return is(step.Leaf, textLeaf, flagLeaf) && is(step.Other, setLeaf)
	}
}
