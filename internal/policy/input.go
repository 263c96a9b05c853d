package policy

import (
	"context"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/machine"
)

// pair is a member of an object.
type pair = [2]*ast.Term

// input is what the policy sees of one question (see schemas/input.json), whoever asks:
// evaluation, partial evaluation, which leaves an entity open, or the classes of resources,
// which watch its facts. Facts stand beside properties and never inside them, so that no
// caller can forge one. Members are made when they are asked for.
type input struct {
	object            machine.Object
	term              ast.Term
	subject, resource entity
	action            *ast.Term
	context           verbatim
}

// entity is the subject, the resource, or what the resource refers to.
type entity struct {
	object      machine.Object
	term        ast.Term
	typ, id     string
	typeTerm    *ast.Term   // of typ, if it is at hand
	fact        *authz.Fact // nil for a type of which the directory holds none, and for an open one
	prepared    *prepared   // of a fact that is found
	permissions *ast.Term   // of a team member that is found
	properties  verbatim
	references  []*entity
	// open leaves out the id and the facts. What is open is taken to be there, if exists says
	// so, and nothing is said of that otherwise.
	open, exists bool
	// fresh are terms of its own for the id and each of its facts, if those are watched.
	fresh []*ast.Term
}

// input assembles what the policy sees of a question.
func (s *Snapshot) input(ctx context.Context, q authz.Question) (*input, error) {
	in := &input{}
	return in, s.assemble(ctx, in, &q)
}

func (s *Snapshot) assemble(ctx context.Context, in *input, q *authz.Question) error {
	if err := s.withFacts(ctx, &in.subject, "subject", &q.Request.Subject, q.Subject, q.Facts); err != nil {
		return err
	}
	if err := s.withFacts(ctx, &in.resource, "resource", &q.Request.Resource, q.Resource, q.Facts); err != nil {
		return err
	}
	if err := s.referred(ctx, &in.resource, q); err != nil {
		return err
	}
	return s.complete(in, q)
}

// complete adds what is not about an entity.
func (s *Snapshot) complete(in *input, q *authz.Question) (err error) {
	in.object.Members, in.term.Value = in, &in.object
	if in.action = s.actions[q.Action.Name]; in.action == nil || q.Action.Properties != nil {
		if in.action, err = actionTerm(&q.Action); err != nil {
			return err
		}
	}
	return in.context.make("context", q.Context)
}

func actionTerm(a *authz.Action) (*ast.Term, error) {
	var properties verbatim
	pairs := []pair{item("name", ast.StringTerm(a.Name))}
	if a.Properties != nil {
		if err := properties.make("action.properties", a.Properties); err != nil {
			return nil, err
		}
		pairs = append(pairs, item("properties", properties.Whole()))
	}
	return ast.ObjectTerm(pairs...), nil
}

// withFacts makes the subject or the resource of a question, which field says, with its facts.
func (s *Snapshot) withFacts(ctx context.Context, e *entity, field string, from *authz.Entity, fact *authz.Fact, facts *authz.Facts) error {
	e.typ, e.id = from.Type, from.ID
	if known := s.types[from.Type]; known != nil {
		e.typeTerm = known
	}
	if err := e.of(ctx, s, fact, facts); err != nil {
		return err
	}
	return e.properties.make(field+".properties", from.Properties)
}

// referred adds what a resource refers to.
func (s *Snapshot) referred(ctx context.Context, e *entity, q *authz.Question) error {
	if len(q.References) == 0 {
		return nil
	}
	all := make([]entity, len(q.References))
	for i, reference := range q.References {
		all[i].typ, all[i].id = reference.Name, reference.Fact.ID
		if err := all[i].of(ctx, s, reference.Fact, q.Facts); err != nil {
			return err
		}
		e.references = append(e.references, &all[i])
	}
	return nil
}

// of gives an entity its facts.
func (e *entity) of(ctx context.Context, s *Snapshot, fact *authz.Fact, facts *authz.Facts) (err error) {
	e.object.Members, e.term.Value, e.fact = e, &e.object, fact
	if fact == nil || !fact.Found {
		return nil
	}
	if e.prepared, err = s.prepare.of(fact); err == nil && fact.Kind == authz.KindTeamMember {
		e.permissions, err = e.prepared.permissions(ctx, s, fact, facts)
	}
	return err
}

// Member implements machine.Members.
func (in *input) Member(name string) *ast.Term {
	switch name {
	case "subject":
		return &in.subject.term
	case "action":
		return in.action
	case "resource":
		return &in.resource.term
	case "context":
		return in.context.value()
	}
	return nil
}

// Whole implements machine.Members.
func (in *input) Whole() *ast.Term {
	return wholeOf(in, slices.Values([]string{"subject", "action", "resource", "context"}))
}

// Member implements machine.Members.
func (e *entity) Member(name string) *ast.Term {
	switch name {
	case "type":
		if e.typeTerm != nil {
			return e.typeTerm
		}
		return ast.StringTerm(e.typ)
	case "found":
		if e.fact != nil {
			return ast.InternedTerm(e.fact.Found)
		}
		if e.exists {
			return ast.InternedTerm(true)
		}
		return nil
	case "properties":
		return e.properties.value()
	case authz.FactID:
		if e.open {
			return nil
		}
		if e.fresh != nil {
			return e.fresh[0]
		}
		return ast.StringTerm(e.id)
	}
	if e.prepared != nil {
		for i := range e.prepared.leaves {
			if e.prepared.leaves[i].name != name {
				continue
			}
			if e.fresh != nil {
				return e.fresh[1+i]
			}
			return e.leaf(i)
		}
	}
	for _, reference := range e.references {
		if reference.typ == name {
			return &reference.term
		}
	}
	return nil
}

// leaf returns the value of a fact by its number, nil for one that it does not have.
func (e *entity) leaf(i int) *ast.Term {
	l := &e.prepared.leaves[i]
	if l.typ == permissionsLeaf {
		return e.permissions
	}
	return e.prepared.value(e.fact, l)
}

// Whole implements machine.Members.
func (e *entity) Whole() *ast.Term {
	return wholeOf(e, func(yield func(string) bool) {
		for _, name := range [...]string{"type", authz.FactID, "found", "properties"} {
			if !yield(name) {
				return
			}
		}
		if e.prepared != nil {
			for i := range e.prepared.leaves {
				if !yield(e.prepared.leaves[i].name) {
					return
				}
			}
		}
		for _, reference := range e.references {
			if !yield(reference.typ) {
				return
			}
		}
	})
}

// wholeOf returns the object of the members with these names, those that there are.
func wholeOf(of machine.Members, names func(yield func(string) bool)) *ast.Term {
	pairs := make([]pair, 0, 12)
	for name := range names {
		if value := of.Member(name); value != nil {
			pairs = append(pairs, item(name, machine.Whole(value)))
		}
	}
	return ast.ObjectTerm(pairs...)
}

func item(name string, value *ast.Term) pair { return pair{ast.InternedTerm(name), value} }

// verbatim is an object as a caller gave it. The zero value is one that was not given.
type verbatim struct {
	object  machine.Object
	term    ast.Term
	members map[string]any
	// instead are members with values of their own, nil for those that are left open.
	instead map[string]*ast.Term
}

// make makes what was given as field. It is Malformed if it holds a number that OPA cannot
// have.
func (v *verbatim) make(field string, members map[string]any) error {
	if members == nil {
		return nil
	}
	if err := checkNumbers(members); err != nil {
		return &authz.Error{Kind: authz.Malformed, Field: field, Message: "holds a number that is out of range; write it as a string", Err: err}
	}
	v.object.Members, v.term.Value, v.members = v, &v.object, members
	return nil
}

// checkNumbers fails for a value that no term can be made of.
func checkNumbers(value any) (err error) {
	switch value := value.(type) {
	case nil, bool, string:
	case map[string]any:
		for _, member := range value {
			if err = checkNumbers(member); err != nil {
				return err
			}
		}
	case []any:
		for _, element := range value {
			if err = checkNumbers(element); err != nil {
				return err
			}
		}
	default:
		_, err = ast.InterfaceToValue(value)
	}
	return err
}

// value returns the object, nil for none.
func (v *verbatim) value() *ast.Term {
	if v.members == nil {
		return nil
	}
	return &v.term
}

// Member implements machine.Members.
func (v *verbatim) Member(name string) *ast.Term {
	if value, replaced := v.instead[name]; replaced {
		return value
	}
	member, ok := v.members[name]
	if !ok {
		return nil
	}
	if text, ok := member.(string); ok {
		return ast.StringTerm(text)
	}
	value, err := ast.InterfaceToValue(member)
	if err != nil {
		return nil // never: make has checked it
	}
	return ast.NewTerm(value)
}

// Whole implements machine.Members.
func (v *verbatim) Whole() *ast.Term {
	return wholeOf(v, func(yield func(string) bool) {
		for name := range v.members {
			if !yield(name) {
				return
			}
		}
	})
}
