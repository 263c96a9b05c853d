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
)

// memoLimit bounds how many roles and groups, and how many unions of them, are
// remembered. Past it a memo starts afresh.
const memoLimit = 4096

// granted is what one version of a role or group grants, after the policy has
// read its wildcards.
type granted struct {
	serial      uint64 // never given twice, so it stands for the content
	permissions []string
}

// union is what a role and groups grant together, with where each comes from.
type union struct {
	grants map[string]authz.Grant
	term   *ast.Term
}

// grantMemo remembers what the policy made of roles and groups. Entries are keyed
// by content, never by age, so they cannot be stale.
type grantMemo struct {
	mu      sync.Mutex
	serial  uint64
	sources map[string]*granted
	unions  map[string]*union
}

// Permissions returns what a team member holds, after wildcards (P2, P3, P6).
func (s *Snapshot) Permissions(ctx context.Context, member *authz.Fact, facts *authz.Facts) (map[string]authz.Grant, error) {
	u, err := s.permissions(ctx, sourcesOf(member, facts))
	if err != nil {
		return nil, err
	}
	return u.grants, nil
}

// permissions joins what a role and groups grant.
func (s *Snapshot) permissions(ctx context.Context, sources []*authz.Fact) (*union, error) {
	all := make([]*granted, len(sources))
	key := make([]byte, 0, 8*len(sources))
	for i, source := range sources {
		g, err := s.granted(ctx, source)
		if err != nil {
			return nil, err
		}
		all[i] = g
		key = binary.BigEndian.AppendUint64(key, g.serial)
	}
	s.grants.mu.Lock()
	u := s.grants.unions[string(key)]
	s.grants.mu.Unlock()
	if u != nil {
		return u, nil
	}
	u = join(sources, all)
	s.grants.mu.Lock()
	defer s.grants.mu.Unlock()
	if s.grants.unions == nil || len(s.grants.unions) >= memoLimit {
		s.grants.unions = map[string]*union{}
	}
	s.grants.unions[string(key)] = u
	return u, nil
}

func join(sources []*authz.Fact, all []*granted) *union {
	u := &union{grants: map[string]authz.Grant{}}
	for i, source := range sources {
		for _, permission := range all[i].permissions {
			g := u.grants[permission]
			if source.Kind == authz.KindRole {
				g.Role = source.ID
			} else {
				g.Groups = append(g.Groups, source.ID)
			}
			u.grants[permission] = g
		}
	}
	pairs := make([]pair, 0, len(u.grants))
	for permission, g := range u.grants {
		slices.Sort(g.Groups)
		from := make([]pair, 0, 2)
		if g.Role != "" {
			from = append(from, item("role", ast.StringTerm(g.Role)))
		}
		if len(g.Groups) > 0 {
			groups := make([]*ast.Term, len(g.Groups))
			for i, id := range g.Groups {
				groups[i] = ast.StringTerm(id)
			}
			from = append(from, item("groups", ast.ArrayTerm(groups...)))
		}
		pairs = append(pairs, pair{ast.StringTerm(permission), ast.ObjectTerm(from...)})
	}
	u.term = ast.ObjectTerm(pairs...)
	return u
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
	if s.hasGrants {
		var err error
		if permissions, err = s.askGranted(ctx, source); err != nil {
			return nil, err
		}
	}
	s.grants.mu.Lock()
	defer s.grants.mu.Unlock()
	if s.grants.sources == nil || len(s.grants.sources) >= memoLimit {
		s.grants.sources = map[string]*granted{}
	}
	if g := s.grants.sources[key]; g != nil {
		return g, nil
	}
	s.grants.serial++
	g = &granted{serial: s.grants.serial, permissions: permissions}
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
		return nil, evaluationError(ctx, err)
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
