package review

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// ready asks what is the same for all candidates: who may do what was asked, and what
// the member holds.
func (t *trial) ready(ctx context.Context) error {
	q := t.question.Request
	k, ok := t.decisions.Lookup(q.Subject.Type, q.Subject.ID)
	if !ok || k.Kind != authz.KindTeamMember || !t.question.Facts.Get(k).Found {
		return nil
	}
	t.member, t.alone = t.question.Facts.Get(k), map[*authz.Fact]map[string]authz.Grant{}
	var err error
	if t.holds, err = t.rules.Permissions(ctx, t.member, t.question.Facts); err != nil {
		return err
	}
	open := authz.Open{Subject: true}
	_, err = t.decisionsFrom(t.question.Facts).Survey(ctx, t.counter.organisation, q, open, authz.Freshness{}, func(s *authz.Survey) error {
		left, err := t.rules.Residual(ctx, s.Question, open)
		if err == nil {
			t.who = left.Predicate()
		}
		return err
	})
	if _, outside := errors.AsType[*authz.Outside](err); outside {
		return nil // then each candidate is evaluated
	}
	return err
}

// own returns the role and the groups of the member that are tried, those that fewest
// have first, and whether there are more.
func (t *trial) own(ctx context.Context) (own []*authz.Fact, more bool, err error) {
	if t.member == nil {
		return nil, false, nil
	}
	for key := range t.member.Sources() {
		if f := t.question.Facts.Get(key); f.Found {
			own = append(own, f)
		}
	}
	if len(own) <= maxOwn {
		return own, false, nil
	}
	sizes := make(map[*authz.Fact]int, len(own))
	for some := range slices.Chunk(own, pageSize) {
		indexes := make([]search.Index, len(some))
		for i, source := range some {
			indexes[i] = search.Index{Relation: admin.MemberOfGroup, To: source.ID}
			if source.Kind == authz.KindRole {
				indexes[i].Relation = admin.RoleOf
			}
		}
		found, at, err := t.store.Sizes(ctx, t.counter.organisation, authz.KindTeamMember, indexes)
		if err != nil {
			return nil, false, err
		}
		if at != t.counter.at {
			return nil, false, admin.Moved()
		}
		for i, source := range some {
			sizes[source] = found[i]
		}
	}
	slices.SortFunc(own, func(a, b *authz.Fact) int {
		return cmp.Or(sizes[a]-sizes[b], cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return own[:maxOwn], true, nil
}

// allows reports whether a candidate would allow the question.
func (t *trial) allows(ctx context.Context, c *candidate) (bool, error) {
	if t.who != nil && c.member != nil {
		after, err := t.after(ctx, c, c.member, t.holds)
		return err == nil && t.who.Holds(after), err
	}
	facts := c.overlay(t.question.Facts)
	t.seen += len(facts.All())
	d, _, err := t.decisionsFrom(facts).Decide(ctx, t.counter.organisation, t.question.Request, authz.Freshness{})
	return d.Allow, err
}

// after returns a member as a candidate would leave them, with what they would hold; held
// is what they hold now. A permission is held by any of its sources (P2).
func (t *trial) after(
	ctx context.Context, c *candidate, member *authz.Fact, held map[string]authz.Grant,
) (*authz.Candidate, error) {
	granted, err := t.aloneOf(ctx, c.source)
	if err != nil {
		return nil, err
	}
	return &authz.Candidate{Fact: member, Holds: func(_ *authz.Fact, permission string) bool {
		if _, of := granted[permission]; of {
			return true
		}
		grant, was := held[permission]
		switch {
		case !was:
			return false
		case c.form == anotherOne || c.form == changedOne && c.source.Kind == authz.KindRole:
			return len(grant.Groups) > 0
		case c.form == changedOne:
			return grant.Role != "" || len(grant.Groups) > 1 || grant.Groups[0] != c.source.ID
		}
		return true
	}}, nil
}

// aloneOf returns what a role or group grants by itself, nothing for none.
func (t *trial) aloneOf(ctx context.Context, source *authz.Fact) (map[string]authz.Grant, error) {
	if source == nil {
		return nil, nil //nolint:nilnil // nothing grants nothing
	}
	if granted, known := t.alone[source]; known {
		return granted, nil
	}
	one := &authz.Fact{Key: t.member.Key, Found: true}
	if source.Kind == authz.KindRole {
		one.Role = source.ID
	} else {
		one.Groups = []string{source.ID}
	}
	granted, err := t.rules.Permissions(ctx, one, authz.NewFacts(true, t.counter.at, source))
	if err == nil {
		t.alone[source] = granted
	}
	return granted, err
}

// maxLooked is the most that is read, for all remedies together, of members who have a
// role or group that would change: each counts with their groups and their Access.
const maxLooked = 20_000

// sourceHolders are the members who have a role or group: the one of the candidate before.
type sourceHolders struct {
	of      authz.Key
	members []holder
	whole   bool // they are all of them
	looked  int
}

// holder is a member with what they hold.
type holder struct {
	fact *authz.Fact
	held map[string]authz.Grant
}

// errEnough ends a reading of holders.
var errEnough = errors.New("enough members were looked at")

// holders reads the members who have what a candidate changes. whole is false when there
// are more of them than may be looked at.
func (t *trial) holders(ctx context.Context, c *candidate) (all []holder, whole bool, err error) {
	s := &t.sources
	if s.of == c.source.Key {
		return s.members, s.whole, nil
	}
	s.of, s.members, s.whole = c.source.Key, nil, false
	if s.looked > maxLooked {
		return nil, false, nil
	}
	held := authz.NewHoldings(t.rules)
	r := search.Range{Kind: authz.KindTeamMember, Indexes: []search.Index{{Relation: c.holders, To: c.source.ID}}, Facts: true}
	err = t.counter.pagesOf(ctx, r, func(found *search.Found) error {
		for _, id := range found.IDs {
			fact := found.Facts.Get(authz.Key{Kind: authz.KindTeamMember, ID: id})
			grants, err := held.Grants(ctx, fact, found.Facts)
			if err != nil {
				return err
			}
			s.members = append(s.members, holder{fact, grants})
			s.looked += 1 + len(fact.Groups) + len(fact.Access)
		}
		if s.looked > maxLooked {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil, false, nil
	}
	s.whole = err == nil
	return s.members, s.whole, err
}
