package policy

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/machine"
)

// What is remembered of roles and groups is bounded: how many of them, and about how
// many bytes what they grant together takes. Past it a memo starts afresh.
const (
	maxGranted  = 4096
	maxUnions   = 8 << 20
	unionEntry  = 500 // bytes of a union, beside what it says of each permission
	unionMember = 300
)

// granted is what one version of a role or group grants, after the policy has
// read its wildcards.
type granted struct {
	serial      uint64 // never given twice, so it stands for the content
	permissions []string
	terms       []*ast.Term // the same, shared by all unions
}

// grantMemo remembers what the policy made of roles and groups. Entries are keyed
// by content, never by age, so they cannot be stale.
type grantMemo struct {
	mu      sync.Mutex
	serial  uint64
	sources map[string]*granted
	unions  map[string]*ast.Term
	bytes   int // of unions, about
}

// Permissions returns what a team member holds, after wildcards (P2, P3, P6).
func (s *Snapshot) Permissions(ctx context.Context, member *authz.Fact, facts *authz.Facts) (map[string]authz.Grant, error) {
	sources := sourcesOf(member, facts)
	all, err := s.grantedAll(ctx, sources)
	if err != nil {
		return nil, err
	}
	grants := map[string]authz.Grant{}
	for i, source := range sources {
		for _, permission := range all[i].permissions {
			g := grants[permission]
			if source.Kind == authz.KindRole {
				g.Role = source.ID
			} else {
				g.Groups = append(g.Groups, source.ID)
			}
			grants[permission] = g
		}
	}
	for _, g := range grants {
		slices.Sort(g.Groups)
	}
	return grants, nil
}

func (s *Snapshot) grantedAll(ctx context.Context, sources []*authz.Fact) ([]*granted, error) {
	all := make([]*granted, len(sources))
	long := authz.IsLongWork(ctx)
	for i, source := range sources {
		if long { // a member may be in thousands of groups
			authz.GiveWay(ctx)
		}
		g, err := s.granted(ctx, source)
		if err != nil {
			return nil, err
		}
		all[i] = g
	}
	return all, nil
}

// permissions returns what a role and groups grant together, as the policy sees it:
// each permission with where it comes from.
func (s *Snapshot) permissions(ctx context.Context, sources []*authz.Fact) (*ast.Term, error) {
	all, err := s.grantedAll(ctx, sources)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 0, 8*len(all))
	for _, g := range all {
		key = binary.BigEndian.AppendUint64(key, g.serial)
	}
	m := &s.grants
	m.mu.Lock()
	union := m.unions[string(key)]
	m.mu.Unlock()
	if union != nil {
		return union, nil
	}
	union, members := join(sources, all)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unions == nil || m.bytes > maxUnions {
		m.unions, m.bytes = map[string]*ast.Term{}, 0
	}
	m.unions[string(key)] = union
	m.bytes += unionEntry + unionMember*members
	return union, nil
}

// join makes the object of what sources grant together, and says how many members it
// has. Permissions that come from the same sources share the account of them.
func join(sources []*authz.Fact, all []*granted) (union *ast.Term, members int) {
	holders := map[string][]byte{} // permission → the numbers of its sources, four bytes each
	terms := map[string]*ast.Term{}
	for i := range sources {
		for j, permission := range all[i].permissions {
			holders[permission] = binary.BigEndian.AppendUint32(holders[permission], uint32(i))
			terms[permission] = all[i].terms[j]
		}
	}
	accounts := map[string]*ast.Term{}
	pairs := make([]pair, 0, len(holders))
	for permission, who := range holders {
		account := accounts[string(who)]
		if account == nil {
			account = accountOf(sources, who)
			accounts[string(who)] = account
		}
		pairs = append(pairs, pair{terms[permission], account})
	}
	return machine.Table(ast.ObjectTerm(pairs...)), len(pairs)
}

// accountOf says where a permission comes from: the sources with these numbers.
func accountOf(sources []*authz.Fact, numbers []byte) *ast.Term {
	account := make([]pair, 0, 2)
	var groups []string
	for at := range slices.Chunk(numbers, 4) {
		if source := sources[binary.BigEndian.Uint32(at)]; source.Kind == authz.KindRole {
			account = append(account, item("role", ast.StringTerm(source.ID)))
		} else {
			groups = append(groups, source.ID)
		}
	}
	if len(groups) > 0 {
		slices.Sort(groups)
		terms := make([]*ast.Term, len(groups))
		for i, id := range groups {
			terms[i] = ast.StringTerm(id)
		}
		account = append(account, item("groups", ast.ArrayTerm(terms...)))
	}
	return ast.ObjectTerm(account...)
}

// granted asks the policy what one role or group grants. A policy that has no
// rule for it takes the permissions as they are listed.
func (s *Snapshot) granted(ctx context.Context, source *authz.Fact) (*granted, error) {
	key := strings.Join(append([]string{string(source.Kind), source.ID}, source.Permissions...), "\x00")
	s.grants.mu.Lock()
	g := s.grants.sources[key]
	s.grants.mu.Unlock()
	if g != nil {
		return g, nil
	}
	permissions := source.Permissions
	if s.has[entryGranted] {
		var err error
		if permissions, err = s.askGranted(ctx, source); err != nil {
			return nil, err
		}
	}
	s.grants.mu.Lock()
	defer s.grants.mu.Unlock()
	if s.grants.sources == nil || len(s.grants.sources) >= maxGranted {
		s.grants.sources = map[string]*granted{}
	}
	if g := s.grants.sources[key]; g != nil {
		return g, nil
	}
	terms := make([]*ast.Term, len(permissions))
	for i, permission := range permissions {
		terms[i] = ast.StringTerm(permission)
	}
	s.grants.serial++
	g = &granted{serial: s.grants.serial, permissions: permissions, terms: terms}
	s.grants.sources[key] = g
	return g, nil
}

func (s *Snapshot) askGranted(ctx context.Context, source *authz.Fact) ([]string, error) {
	input := ast.ObjectTerm(
		item("type", ast.StringTerm(string(source.Kind))),
		item("id", ast.StringTerm(source.ID)),
		item("permissions", setOf(source.Permissions)),
	)
	values, err := s.evaluator.evaluate(ctx, input, entryGranted)
	if err != nil {
		return nil, evaluationError(ctx, err, s.places)
	}
	if values[0] == nil {
		return nil, nil
	}
	set, ok := values[0].Value.(ast.Set)
	if !ok {
		return nil, shapeError("data.%s is %s; it must be a set of permissions", strings.ReplaceAll(entryGranted, "/", "."), values[0])
	}
	permissions := make([]string, 0, set.Len())
	for _, t := range set.Slice() {
		permission, ok := t.Value.(ast.String)
		if !ok {
			return nil, shapeError("a permission granted is %s; it must be a string", fmt.Sprint(ast.ValueName(t.Value)))
		}
		permissions = append(permissions, string(permission))
	}
	return permissions, nil
}
