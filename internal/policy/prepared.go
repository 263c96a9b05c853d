package policy

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/policy/machine"
)

// prepared is a fact in the form that the policy evaluates. It hangs on the fact and is made
// once, so that a fact that is cached is prepared already.
type prepared struct {
	identity *identity
	leaves   []leaf          // of its kind; nil for a fact that is not found
	sets     []machine.Texts // of those leaves that are sets
	held     atomic.Pointer[held]
}

// held are the permissions of a team member as they were last assembled, with what they were
// made of. Facts are immutable, so the same ones make the same permissions.
type held struct {
	snapshot *identity
	sources  []*authz.Fact // role and groups
	term     *ast.Term
}

// leaf is a fact of a kind that the policy sees.
type leaf struct {
	name string
	typ  leafType
	set  int // its number among the sets
}

// leafType says in which form the policy sees a fact.
type leafType uint8

const (
	noLeaf leafType = iota
	textLeaf
	flagLeaf
	setLeaf
	permissionsLeaf // what a team member's role and groups grant together (P2)
)

// leafTypeOf returns the form of a field.
func leafTypeOf(f *model.Field) leafType {
	switch {
	case f.Text != nil:
		return textLeaf
	case f.Flag != nil:
		return flagLeaf
	default:
		return setLeaf
	}
}

// leavesOf returns the facts that the policy sees of a kind, in the order of the model.
func leavesOf(kind authz.Kind) (leaves []leaf) {
	sets := 0
	for _, f := range model.Fields(kind) {
		if f.Leaf {
			leaves = append(leaves, leaf{f.Name, leafTypeOf(&f), sets})
			if f.List != nil {
				sets++
			}
		}
	}
	if kind == authz.KindTeamMember {
		leaves = append(leaves, leaf{name: authz.FactPermissions, typ: permissionsLeaf})
	}
	return leaves
}

// factsOf names the facts that the policy sees of entities of one kind.
func factsOf(kind authz.Kind) (facts []string) {
	for _, l := range leavesOf(kind) {
		facts = append(facts, l.name)
	}
	return facts
}

// leafTypeNamed returns in which form the policy sees the facts of a name, of whatever kind.
func leafTypeNamed(name string) leafType {
	switch name {
	case authz.FactID:
		return textLeaf
	case authz.FactPermissions:
		return permissionsLeaf
	}
	for _, kind := range model.Kinds() {
		if f := model.FieldOf(kind, name); f != nil && f.Leaf {
			return leafTypeOf(f)
		}
	}
	return noLeaf
}

// preparer prepares facts.
type preparer struct {
	leaves map[authz.Kind][]leaf
	make   func(*authz.Fact) any // prepare, bound once
}

func newPreparer() *preparer {
	p := &preparer{leaves: map[authz.Kind][]leaf{}}
	for _, kind := range model.Kinds() {
		p.leaves[kind] = leavesOf(kind)
	}
	p.make = p.prepare
	return p
}

func (r *preparer) prepare(f *authz.Fact) any {
	p := &prepared{identity: newIdentity()}
	if !f.Found {
		return p
	}
	p.leaves = r.leaves[f.Kind]
	for i := range p.leaves {
		if p.leaves[i].typ == setLeaf {
			p.sets = append(p.sets, machine.Texts{})
		}
	}
	for i := range p.leaves {
		if l := &p.leaves[i]; l.typ == setLeaf {
			p.sets[l.set].Make(f.Set(l.name))
		}
	}
	return p
}

// of returns what was prepared of a fact.
func (r *preparer) of(fact *authz.Fact) (*prepared, error) {
	p, ok := fact.Prepared(r.make).(*prepared)
	if !ok {
		return nil, &authz.Error{Kind: authz.Internal, Message: "a fact was prepared by somebody else"}
	}
	return p, nil
}

// value returns a leaf of a fact, permissions aside, nil for one that it does not have.
func (p *prepared) value(f *authz.Fact, l *leaf) *ast.Term {
	switch l.typ {
	case setLeaf:
		return p.sets[l.set].Term()
	case flagLeaf:
		return ast.InternedTerm(f.Flag(l.name))
	}
	if text, there := f.Text(l.name); there {
		return ast.StringTerm(text)
	}
	return nil
}

// permissions returns what a team member holds by the facts of a question.
func (p *prepared) permissions(ctx context.Context, s *Snapshot, member *authz.Fact, facts *authz.Facts) (*ast.Term, error) {
	last := p.held.Load()
	if last != nil && last.snapshot == s.identity && last.madeOf(member, facts) {
		return last.term, nil
	}
	sources := sourcesOf(member, facts)
	term, err := s.permissions(ctx, sources)
	if err == nil {
		p.held.Store(&held{s.identity, sources, term})
	}
	return term, err
}

// madeOf reports whether permissions were made of the sources that a member has now.
func (h *held) madeOf(member *authz.Fact, facts *authz.Facts) bool {
	left := h.sources
	for key := range member.Sources() {
		source := facts.Get(key)
		switch {
		case !source.Found:
		case len(left) == 0 || left[0] != source:
			return false
		default:
			left = left[1:]
		}
	}
	return len(left) == 0
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
	return slices.Clip(sources)
}

func setOf(ids []string) *ast.Term {
	set := ast.NewSetWithCapacity(len(ids))
	for _, id := range ids {
		set.Add(ast.StringTerm(id))
	}
	return ast.NewTerm(set)
}
