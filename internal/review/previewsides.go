package review

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/search"
)

// comparison is a change with what its preview is made from: the organisation as it
// is, and what would be otherwise.
type comparison struct {
	*Service
	*counter
	// altered are the entities that the change touches, as they would be: not found for
	// one that would be gone.
	altered map[authz.Key]*authz.Fact
	// sources are roles and groups that altered members would have and that do not change.
	sources  map[authz.Key]*authz.Fact
	patients []changedPatient // among the altered, in the order of their ids
	changed  map[string]bool  // their ids
	after    map[string]int   // how many patients each group would have
	// What members hold, and what they would.
	now, would *authz.Holdings
}

// changedPatient is a patient as they are and as they would be; nil for one who does
// not, or would not, exist.
type changedPatient struct {
	id            string
	before, after *authz.Fact
}

// someone is a team member as they are and as they would be, each with facts that have
// their role and groups.
type someone struct {
	id            string
	before, after *authz.Facts
}

func (s *Service) comparison(organisation string, previewed *admin.Previewed) *comparison {
	c := &comparison{
		Service: s, counter: s.counter(organisation, previewed.Revision),
		altered: map[authz.Key]*authz.Fact{}, sources: map[authz.Key]*authz.Fact{},
		changed: map[string]bool{}, now: authz.NewHoldings(s.rules), would: authz.NewHoldings(s.rules),
	}
	for _, altered := range previewed.Altered {
		before, after := factOf(altered.Before), factOf(altered.After)
		var key authz.Key
		switch {
		case after != nil:
			key = after.Key
			c.altered[key] = after
		case before != nil:
			key = before.Key
			c.altered[key] = &authz.Fact{Key: key}
		default:
			continue
		}
		if key.Kind == authz.KindPatient {
			c.patients = append(c.patients, changedPatient{key.ID, before, after})
			c.changed[key.ID] = true
		}
	}
	slices.SortFunc(c.patients, func(a, b changedPatient) int { return strings.Compare(a.id, b.id) })
	return c
}

// factOf returns what a record says as a policy is told it.
func factOf(r *admin.Stored) *authz.Fact {
	if r == nil {
		return nil
	}
	careTeam := slices.Sorted(maps.Keys(r.Sources)) // manual places, and those that bookings brought (B5)
	return model.FactOf(r.Key(), r.Since, &r.Record, careTeam)
}

// readSources reads the roles and groups that altered members would have.
func (c *comparison) readSources(ctx context.Context) error {
	wanted := map[authz.Key]bool{}
	for _, fact := range c.altered {
		for key := range fact.Sources() {
			if c.altered[key] == nil {
				wanted[key] = true
			}
		}
	}
	keys := slices.Collect(maps.Keys(wanted))
	for some := range slices.Chunk(keys, pageSize) {
		records, revision, err := c.counter.store.Records(ctx, c.organisation, some)
		if err != nil {
			return err
		}
		if revision != c.at {
			return admin.Moved()
		}
		for i, record := range records {
			if record != nil {
				c.sources[some[i]] = factOf(record)
			}
		}
	}
	return nil
}

// readSizes reads how many patients the groups have, and works out how many they would.
func (c *comparison) readSizes(ctx context.Context) error {
	groups, err := c.sizes(ctx)
	if err != nil {
		return err
	}
	c.after = make(map[string]int, len(groups))
	for _, group := range groups {
		c.after[group.Group] = group.Patients
	}
	for _, p := range c.patients {
		if p.before != nil {
			c.after[p.before.PatientGroup]--
		}
		if p.after != nil {
			c.after[p.after.PatientGroup]++
		}
	}
	return nil
}

// concerned returns the team members who change themselves, or whose role or group
// does. For all others a change can only be about the patients that it changes.
func (c *comparison) concerned(ctx context.Context) ([]*someone, error) {
	r := search.Range{Kind: authz.KindTeamMember, Facts: true}
	for key := range c.altered {
		switch key.Kind {
		case authz.KindTeamMember:
			r.IDs = append(r.IDs, key.ID)
		case authz.KindRole:
			r.Indexes = append(r.Indexes, search.Index{Relation: admin.RoleOf, To: key.ID})
		case authz.KindGroup:
			r.Indexes = append(r.Indexes, search.Index{Relation: admin.MemberOfGroup, To: key.ID})
		}
	}
	if len(r.IDs)+len(r.Indexes) == 0 {
		return nil, nil
	}
	slices.Sort(r.IDs)
	out, found := []*someone{}, map[string]bool{}
	err := c.pagesOf(ctx, r, func(page *search.Found) error {
		for _, id := range page.IDs {
			out = append(out, c.someone(id, page.Facts))
			found[id] = true
		}
		if len(out) > MaxAffected {
			return tooMany()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range r.IDs {
		if !found[id] { // who would be made
			out = append(out, c.someone(id, authz.NewFacts(true, c.at)))
		}
	}
	if len(out) > MaxAffected {
		return nil, tooMany()
	}
	return out, nil
}

func tooMany() error {
	return authz.Errorf(authz.TooLarge, "edits",
		"change a role or groups of more than %d team members; preview a change to fewer of them, or review members one by one", MaxAffected)
}

// someone returns a team member whom facts hold, or who would be made, as they are
// and as they would be.
func (c *comparison) someone(id string, facts *authz.Facts) *someone {
	key := authz.Key{Kind: authz.KindTeamMember, ID: id}
	m := &someone{id: id, before: withSources(facts.Get(key), facts)}
	member, same := facts.Get(key), true
	if altered := c.altered[key]; altered != nil {
		member, same = altered, false
	}
	after := []*authz.Fact{member}
	for source := range member.Sources() {
		fact := facts.Get(source)
		if altered := c.altered[source]; altered != nil {
			fact, same = altered, false
		} else if !fact.Found && c.sources[source] != nil {
			fact = c.sources[source]
		}
		after = append(after, fact)
	}
	if m.after = m.before; !same {
		m.after = authz.NewFacts(true, c.at, after...)
	}
	return m
}
