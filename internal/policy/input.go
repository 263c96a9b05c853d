package policy

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
)

// pair is a member of an object.
type pair = [2]*ast.Term

// prepared is a fact in the form that the policy evaluates. It hangs on the fact
// and is made once, so that a fact that is cached is prepared already.
type prepared struct {
	identity *identity
	pairs    []pair // found and the facts of its kind, permissions left out
	// last is the entity as it was last assembled: under the type that its kind is
	// named after, and under another one, such as provider.
	last [2]atomic.Pointer[assembled]
}

// assembled is an entity as it stood in the last input, with what it was made
// of. Facts are immutable, so the same ones make the same entity.
type assembled struct {
	snapshot *identity
	typ      string
	sources  []*authz.Fact // role and groups
	pairs    []pair
	term     *ast.Term
}

// input assembles what the policy sees (see schemas/input.json). Facts stand
// beside properties and never inside them, so that no caller can forge one.
func (s *Snapshot) input(ctx context.Context, q authz.Question) (*ast.Term, error) {
	subject, err := s.entity(ctx, "subject", &q.Request.Subject, q.Subject, q.Facts, nil)
	if err != nil {
		return nil, err
	}
	resource, err := s.entity(ctx, "resource", &q.Request.Resource, q.Resource, q.Facts, q.References)
	if err != nil {
		return nil, err
	}
	return s.assemble(&q, subject, resource)
}

// assemble makes the input of a subject and a resource and the rest of a question.
func (s *Snapshot) assemble(q *authz.Question, subject, resource *ast.Term) (*ast.Term, error) {
	action, err := s.action(&q.Action)
	if err != nil {
		return nil, err
	}
	pairs := append(make([]pair, 0, 4),
		pair{s.names.subject, subject}, pair{s.names.action, action}, pair{s.names.resource, resource})
	if q.Context != nil {
		value, err := verbatim("context", q.Context)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{s.names.context, value})
	}
	return ast.ObjectTerm(pairs...), nil
}

func (s *Snapshot) action(a *authz.Action) (*ast.Term, error) {
	if a.Properties == nil {
		if t := s.actions[a.Name]; t != nil {
			return t, nil
		}
		return ast.ObjectTerm(item("name", ast.StringTerm(a.Name))), nil
	}
	properties, err := verbatim("action.properties", a.Properties)
	if err != nil {
		return nil, err
	}
	return ast.ObjectTerm(item("name", ast.StringTerm(a.Name)), item("properties", properties)), nil
}

// entity assembles a subject or a resource, which field says. fact is nil for a type of which the
// directory holds no facts.
func (s *Snapshot) entity(
	ctx context.Context, field string, e *authz.Entity, fact *authz.Fact, facts *authz.Facts, references []authz.Reference,
) (*ast.Term, error) {
	var pairs []pair
	if fact == nil {
		pairs = []pair{{s.names.typ, ast.StringTerm(e.Type)}, {s.names.id, ast.StringTerm(e.ID)}}
	} else {
		entity, err := s.known(ctx, e.Type, fact, facts)
		if err != nil {
			return nil, err
		}
		if e.Properties == nil && len(references) == 0 {
			return entity.term, nil
		}
		pairs = slices.Clip(entity.pairs) // appending copies
	}
	if e.Properties != nil {
		properties, err := verbatim(field+".properties", e.Properties)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{s.names.properties, properties})
	}
	for _, reference := range references {
		referred, err := s.known(ctx, reference.Name, reference.Fact, facts)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, item(reference.Name, referred.term))
	}
	return ast.ObjectTerm(pairs...), nil
}

// known returns an entity of type typ with its facts.
func (s *Snapshot) known(ctx context.Context, typ string, fact *authz.Fact, facts *authz.Facts) (*assembled, error) {
	p, ok := fact.Prepared(prepare).(*prepared)
	if !ok {
		return nil, &authz.Error{Kind: authz.Internal, Message: "a fact was prepared by somebody else"}
	}
	sources := sourcesOf(fact, facts)
	slot := &p.last[0]
	if typ != string(fact.Kind) {
		slot = &p.last[1]
	}
	if last := slot.Load(); last != nil && last.snapshot == s.identity && last.typ == typ && slices.Equal(last.sources, sources) {
		return last, nil
	}
	a := &assembled{snapshot: s.identity, typ: typ, sources: sources}
	a.pairs = make([]pair, 0, len(p.pairs)+3)
	a.pairs = append(a.pairs, item("type", ast.StringTerm(typ)), item("id", ast.StringTerm(fact.ID)))
	a.pairs = append(a.pairs, p.pairs...)
	if fact.Kind == authz.KindTeamMember && fact.Found {
		permissions, err := s.permissions(ctx, sources)
		if err != nil {
			return nil, err
		}
		a.pairs = append(a.pairs, item("permissions", permissions))
	}
	a.term = ast.ObjectTerm(a.pairs...)
	slot.Store(a)
	return a, nil
}

// sourcesOf returns the role and the groups of a team member, those that exist.
func sourcesOf(fact *authz.Fact, facts *authz.Facts) []*authz.Fact {
	if fact.Kind != authz.KindTeamMember || !fact.Found {
		return nil
	}
	sources := make([]*authz.Fact, 0, 1+len(fact.Groups))
	for key := range fact.Sources() {
		if source := facts.Get(key); source.Found {
			sources = append(sources, source)
		}
	}
	return sources
}

// prepare makes the pairs of a fact.
func prepare(f *authz.Fact) any {
	p := &prepared{identity: newIdentity(), pairs: []pair{item("found", ast.InternedTerm(f.Found))}}
	if !f.Found {
		return p
	}
	switch f.Kind {
	case authz.KindTeamMember:
		p.pairs = append(p.pairs,
			item("groups", setOf(f.Groups)),
			item("access", setOf(f.Access)),
			item("booking", setOf(f.Booking)),
			item("provider", ast.InternedTerm(f.Provider)),
		)
		if f.Role != "" {
			p.pairs = append(p.pairs, item("role", ast.StringTerm(f.Role)))
		}
	case authz.KindPatient:
		p.pairs = append(p.pairs,
			item("patient_group", ast.StringTerm(f.PatientGroup)),
			item("care_team", setOf(f.CareTeam)),
		)
	}
	return p
}

// names are the member names that every input has, made once.
type names struct {
	subject, action, resource, context, typ, id, properties, allow *ast.Term
}

func newNames() names {
	return names{
		subject: ast.StringTerm("subject"), action: ast.StringTerm("action"), resource: ast.StringTerm("resource"),
		context: ast.StringTerm("context"), typ: ast.StringTerm("type"), id: ast.StringTerm("id"),
		properties: ast.StringTerm("properties"), allow: ast.StringTerm("allow"),
	}
}

func item(name string, value *ast.Term) pair { return pair{ast.InternedTerm(name), value} }

func setOf(ids []string) *ast.Term {
	set := ast.NewSetWithCapacity(len(ids))
	for _, id := range ids {
		set.Add(ast.StringTerm(id))
	}
	return ast.NewTerm(set)
}

// verbatim turns what a caller gave into a term.
func verbatim(field string, v map[string]any) (*ast.Term, error) {
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		return nil, &authz.Error{Kind: authz.Malformed, Field: field, Message: "holds a number that is out of range; write it as a string", Err: err}
	}
	return ast.NewTerm(value), nil
}
