package verify

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// grants are roles and groups with what they list.
type grants []struct {
	key         authz.Key
	permissions []string
}

func (a *warden) grantsOf(role string, groups []string) grants {
	var out grants
	add := func(key authz.Key) {
		if fact := a.known[key]; fact != nil {
			out = append(out, grants{{key, fact.Permissions}}...)
		}
	}
	add(authz.Key{Kind: authz.KindRole, ID: role})
	for _, id := range groups {
		add(authz.Key{Kind: authz.KindGroup, ID: id})
	}
	return out
}

func (g grants) lists(permission string) bool {
	for _, s := range g {
		if slices.Contains(s.permissions, permission) {
			return true
		}
	}
	return false
}

func (g grants) has(key authz.Key) bool {
	for _, s := range g {
		if s.key == key {
			return true
		}
	}
	return false
}

// gives is A4 of permissions: the actor holds whatever somebody gets. Of a record that the
// actor does not see they know only what the edit says of it; and they give no role and no
// group that they do not see.
func (a *warden) gives(ctx context.Context, of authz.Key, was, now, said grants) (bool, error) {
	own := a.grantsOf(a.member().Role, a.member().Groups)
	if own.lists(a.names.Everything) {
		return true, nil
	}
	sees, err := a.sees(ctx, of)
	if err != nil {
		return false, err
	}
	if !sees {
		was, now = nil, said
	}
	before, _, err := a.seen(ctx, of, was)
	if err != nil {
		return false, err
	}
	after, unseen, err := a.seen(ctx, of, now)
	if err != nil || slices.ContainsFunc(unseen, func(key authz.Key) bool { return !was.has(key) }) {
		return false, err
	}
	return a.holds(ctx, own, before, after)
}

// seen returns those of roles and groups that the actor sees, or writes to, and the others.
func (a *warden) seen(ctx context.Context, written authz.Key, all grants) (seen grants, unseen []authz.Key, err error) {
	for _, s := range all {
		sees, err := a.sees(ctx, s.key)
		switch {
		case err != nil:
			return nil, nil, err
		case sees || s.key == written:
			seen = append(seen, s)
		default:
			unseen = append(unseen, s.key)
		}
	}
	return seen, unseen, nil
}

// holds reports whether own grants have all that is there after an edit and was not before.
// What means nothing today, and what means everything, they have to have as it is listed.
func (a *warden) holds(ctx context.Context, own, before, after grants) (bool, error) {
	var sets [3]map[string]authz.Grant
	for i, of := range []grants{own, before, after} {
		var err error
		if sets[i], err = a.expanded(ctx, of); err != nil {
			return false, err
		}
	}
	for permission := range sets[2] {
		_, mine := sets[0][permission]
		if _, had := sets[1][permission]; !had && !mine {
			return false, nil
		}
	}
	for _, s := range after {
		for _, permission := range s.permissions {
			if own.lists(permission) || before.lists(permission) || before.lists(a.names.Everything) {
				continue
			}
			today, err := a.expanded(ctx, grants{{s.key, []string{permission}}})
			if err != nil || len(today) == 0 || permission == a.names.Everything {
				return false, err
			}
		}
	}
	return true, nil
}

// expanded returns what roles and groups grant together, as the oracle reads it (P2, P3).
func (a *warden) expanded(ctx context.Context, of grants) (map[string]authz.Grant, error) {
	member := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: madeUp}, Found: true}
	facts := []*authz.Fact{member}
	for _, s := range of {
		facts = append(facts, &authz.Fact{Key: s.key, Found: true, Permissions: s.permissions})
		if s.key.Kind == authz.KindRole {
			member.Role = s.key.ID
		} else {
			member.Groups = append(member.Groups, s.key.ID)
		}
	}
	return a.Oracle.Permissions(ctx, member, authz.NewFacts(true, authz.Revision{Count: 1}, facts...))
}
