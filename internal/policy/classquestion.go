package policy

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/machine"
)

// classQuestion is a question taken apart into what is known and what is open.
type classQuestion struct {
	authz.Question
	references []authz.Reference // open ones, in the order of their names
	key        []byte
	facts      []*identity
}

// leafFacts are the facts of a kind, in the order in which they are numbered.
func leafFacts(fact *authz.Fact) []string {
	if fact == nil || !fact.Found {
		return nil
	}
	return factsOf(fact.Kind)
}

// classQuestion takes a question apart. False means that it is too large.
func (s *Snapshot) classQuestion(q authz.Question) (*classQuestion, bool) {
	c := &classQuestion{Question: q}
	known := *q.Request
	known.Resource.ID = ""
	for _, reference := range q.References {
		if reference.Fact.Found {
			c.references = append(c.references, reference)
		}
	}
	if len(c.references) > 0 {
		slices.SortFunc(c.references, func(a, b authz.Reference) int { return strings.Compare(a.Name, b.Name) })
		known.Resource.Properties = maps.Clone(known.Resource.Properties)
		for _, reference := range c.references {
			delete(known.Resource.Properties, reference.Name)
		}
	}
	b, ok := appendQuestion(make([]byte, 0, 160), &known)
	if !ok {
		return nil, false
	}
	b = appendPresence(b, q.Resource)
	for _, reference := range c.references {
		b = appendPresence(appendText(b, reference.Name), reference.Fact)
	}
	var room [8]*identity
	c.facts = s.memo.appendFact(room[:0], q.Subject, q.Facts)
	if len(c.facts) > memoFacts {
		return nil, false
	}
	if c.facts[0] != nil {
		b = binary.BigEndian.AppendUint64(b, c.facts[0].place)
	}
	c.key = b
	return c, true
}

// appendPresence appends what of an entity is there at all.
func appendPresence(b []byte, fact *authz.Fact) []byte {
	switch {
	case fact == nil:
		return append(b, 'n')
	case !fact.Found:
		return append(b, 'a')
	case fact.Role != "":
		return append(b, 'r')
	}
	return append(b, 'f')
}

// answer asks one question of the resource.
func (q *classQuestion) answer(step *machine.Step) bool {
	leaf := q.term(step.Leaf)
	switch step.Op {
	case machine.Equals:
		return ast.ValueEqual(leaf.Value, step.Value.Value)
	case machine.Among:
		return machine.Member(&leaf, step.Value)
	case machine.Contains:
		fact, name := q.leaf(step.Leaf)
		text, ok := step.Value.Value.(ast.String)
		return ok && slices.Contains(fact.Set(name), string(text))
	case machine.EqualLeaf:
		other := q.term(step.Other)
		return ast.ValueEqual(leaf.Value, other.Value)
	default:
		text, ok := leaf.Value.(ast.String)
		fact, name := q.leaf(step.Other)
		return ok && slices.Contains(fact.Set(name), string(text))
	}
}

// leaf returns what a numbered leaf is a fact of, and its name: first the id and the
// facts of the resource, then for each reference its id, twice, and its facts.
func (q *classQuestion) leaf(number int) (*authz.Fact, string) {
	names := leafFacts(q.Resource)
	if number == 0 {
		return q.Resource, authz.FactID
	}
	if number--; number < len(names) {
		return q.Resource, names[number]
	}
	number -= len(names)
	for _, reference := range q.references {
		names := leafFacts(reference.Fact)
		switch {
		case number < 2:
			return reference.Fact, authz.FactID
		case number < 2+len(names):
			return reference.Fact, names[number-2]
		}
		number -= 2 + len(names)
	}
	return nil, ""
}

// term returns the value of a numbered leaf. Sets that are asked for one element alone
// are not made for it.
func (q *classQuestion) term(number int) ast.Term {
	fact, name := q.leaf(number)
	switch name {
	case authz.FactID:
		if number == 0 {
			return ast.Term{Value: ast.String(q.Request.Resource.ID)}
		}
		return ast.Term{Value: ast.String(fact.ID)}
	case authz.FactPatientGroup, authz.FactRole:
		text, _ := fact.Text(name)
		return ast.Term{Value: ast.String(text)}
	case authz.FactProvider:
		return ast.Term{Value: ast.Boolean(fact.Provider)}
	}
	return ast.Term{Value: ast.Null{}}
}

// expressible reports whether a step can be asked without an evaluation.
func expressible(q *classQuestion, step *machine.Step) bool {
	scalar := func(number int) bool {
		switch _, name := q.leaf(number); name {
		case authz.FactID, authz.FactPatientGroup, authz.FactRole, authz.FactProvider:
			return true
		}
		return false
	}
	set := func(number int) bool {
		_, name := q.leaf(number)
		return !scalar(number) && name != authz.FactPermissions
	}
	switch step.Op {
	case machine.Equals, machine.Among:
		return scalar(step.Leaf)
	case machine.Contains:
		return set(step.Leaf)
	case machine.EqualLeaf:
		return scalar(step.Leaf) && scalar(step.Other)
	default:
		return scalar(step.Leaf) && set(step.Other)
	}
}

// watchedInput assembles the input with terms of its own for everything that is open.
func (s *Snapshot) watchedInput(ctx context.Context, q *classQuestion) (*ast.Term, *machine.Watch, error) {
	subject, err := s.entity(ctx, "subject", &q.Request.Subject, q.Subject, q.Facts, nil)
	if err != nil {
		return nil, nil, err
	}
	w := &machine.Watch{}
	fresh := func(v ast.Value) *ast.Term {
		t := &ast.Term{Value: v}
		w.Leaves = append(w.Leaves, t)
		return t
	}
	id := fresh(ast.String(q.Request.Resource.ID))
	pairs := []pair{{s.names.typ, ast.StringTerm(q.Request.Resource.Type)}, {s.names.id, id}}
	own, err := s.freshFacts(ctx, q.Resource, q.Facts, fresh)
	if err != nil {
		return nil, nil, err
	}
	pairs = append(pairs, own...)
	var ids []pair
	for _, reference := range q.references {
		property := fresh(ast.String(reference.Fact.ID))
		own := []pair{item("type", ast.StringTerm(reference.Name)), item("id", fresh(ast.String(reference.Fact.ID)))}
		facts, err := s.freshFacts(ctx, reference.Fact, q.Facts, fresh)
		if err != nil {
			return nil, nil, err
		}
		ids = append(ids, item(reference.Name, property))
		object := ast.ObjectTerm(append(own, facts...)...)
		pairs = append(pairs, item(reference.Name, object))
		w.Objects = append(w.Objects, object)
	}
	for _, reference := range q.References {
		if !reference.Fact.Found {
			referred, err := s.known(ctx, reference.Name, reference.Fact, q.Facts)
			if err != nil {
				return nil, nil, err
			}
			pairs = append(pairs, item(reference.Name, referred.term))
		}
	}
	if given := q.Request.Resource.Properties; given != nil {
		properties, err := verbatim("resource.properties", given)
		if err != nil {
			return nil, nil, err
		}
		object, ok := properties.Value.(ast.Object)
		if !ok {
			return nil, nil, shapeError("properties are no object")
		}
		object.Foreach(func(name, value *ast.Term) {
			if !slices.ContainsFunc(ids, func(p pair) bool { return p[0].Equal(name) }) {
				ids = append(ids, pair{name, value})
			}
		})
		properties = ast.ObjectTerm(ids...)
		w.Objects = append(w.Objects, properties)
		pairs = append(pairs, pair{s.names.properties, properties})
	}
	resource := ast.ObjectTerm(pairs...)
	input, err := s.assemble(&q.Question, subject, resource)
	w.Objects = append(w.Objects, resource, input)
	return input, w, err
}

// freshFacts makes the pairs of an entity's facts, each value a leaf but whether it was
// found.
func (s *Snapshot) freshFacts(
	ctx context.Context, fact *authz.Fact, facts *authz.Facts, fresh func(ast.Value) *ast.Term,
) ([]pair, error) {
	if fact == nil {
		return nil, nil
	}
	pairs := []pair{item("found", ast.InternedTerm(fact.Found))}
	for _, name := range leafFacts(fact) {
		var value ast.Value
		switch name {
		case authz.FactPatientGroup, authz.FactRole:
			text, there := fact.Text(name)
			if value = ast.String(text); !there {
				fresh(value) // it keeps its number
				continue
			}
		case authz.FactProvider:
			value = ast.Boolean(fact.Provider)
		case authz.FactPermissions:
			permissions, err := s.permissions(ctx, sourcesOf(fact, facts))
			if err != nil {
				return nil, err
			}
			value = permissions.Value
		default:
			value = setOf(fact.Set(name)).Value
		}
		pairs = append(pairs, item(name, fresh(value)))
	}
	return pairs, nil
}
