package review

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// sizes returns the patient groups that have patients, in order.
func (c *counter) sizes(ctx context.Context) ([]GroupCount, error) {
	if c.known {
		return c.groups, nil
	}
	var groups []GroupCount
	err := c.pagesOf(ctx, search.Range{Kind: authz.KindPatientGroup, Indexes: []search.Index{{}}}, func(found *search.Found) error {
		indexes := make([]search.Index, len(found.IDs))
		for i, id := range found.IDs {
			indexes[i] = search.Index{Relation: admin.PatientGroupOf, To: id}
		}
		if len(indexes) == 0 {
			return nil
		}
		sizes, revision, err := c.store.Sizes(ctx, c.organisation, authz.KindPatient, indexes)
		if err != nil {
			return err
		}
		if revision != c.at {
			return admin.Moved()
		}
		for i, id := range found.IDs {
			if sizes[i] > 0 {
				groups = append(groups, GroupCount{Group: id, Patients: sizes[i]})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.groups, c.known = groups, true
	return groups, nil
}

// team returns the patients whom a member looks after.
func (c *counter) team(ctx context.Context, member string) ([]*authz.Fact, error) {
	if team, known := c.teams[member]; known {
		return team, nil
	}
	var team []*authz.Fact
	r := search.Range{Kind: authz.KindPatient, Indexes: []search.Index{{Relation: admin.CareTeam, To: member}}, Facts: true}
	err := c.pagesOf(ctx, r, func(found *search.Found) error {
		for _, id := range found.IDs {
			team = append(team, found.Facts.Get(authz.Key{Kind: authz.KindPatient, ID: id}))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.teams[member] = team
	return team, nil
}

// maxAhead is the most places on care teams that are read ahead.
const maxAhead = 100_000

// teamsAtOnce is how many care teams are read together: each script looks at all of them.
const teamsAtOnce = 25

// readTeams reads the care teams of members ahead, so that what is worked out from them
// takes no further look at facts that may change meanwhile. When there are too many
// to be kept, each is read when it is needed.
func (c *counter) readTeams(ctx context.Context, members []string) error {
	for some := range slices.Chunk(members, teamsAtOnce) {
		indexes := make([]search.Index, len(some))
		wanted := make(map[string]bool, len(some))
		for i, member := range some {
			indexes[i], wanted[member] = search.Index{Relation: admin.CareTeam, To: member}, true
		}
		sizes, revision, err := c.store.Sizes(ctx, c.organisation, authz.KindPatient, indexes)
		if err != nil {
			return err
		}
		if revision != c.at {
			return admin.Moved()
		}
		for _, size := range sizes {
			c.ahead += size
		}
		if c.ahead > maxAhead {
			return nil
		}
		for member := range wanted {
			c.teams[member] = nil
		}
		r := search.Range{Kind: authz.KindPatient, Indexes: indexes, Facts: true}
		err = c.pagesOf(ctx, r, func(found *search.Found) error {
			for _, id := range found.IDs {
				patient := found.Facts.Get(authz.Key{Kind: authz.KindPatient, ID: id})
				for _, member := range patient.CareTeam {
					if wanted[member] {
						c.teams[member] = append(c.teams[member], patient)
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forget drops what was read of a member.
func (c *counter) forget(member string) { delete(c.teams, member) }

// readNamed reads patients by their ids, which are in order.
func (c *counter) readNamed(ctx context.Context, patients []string) error {
	patients = slices.DeleteFunc(patients, func(id string) bool {
		_, known := c.named[id]
		return known || !admin.ValidID(id)
	})
	for some := range slices.Chunk(patients, pageSize) {
		for _, id := range some {
			c.named[id] = nil
		}
		err := c.pagesOf(ctx, search.Range{Kind: authz.KindPatient, IDs: some, Facts: true}, func(found *search.Found) error {
			for _, id := range found.IDs {
				c.named[id] = found.Facts.Get(authz.Key{Kind: authz.KindPatient, ID: id})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pagesOf visits all pages of a range.
func (c *counter) pagesOf(ctx context.Context, r search.Range, visit func(*search.Found) error) error {
	r.At, r.Limit = &c.at, pageSize
	for {
		authz.GiveWay(ctx)
		found, err := c.store.Range(ctx, c.organisation, r, authz.Freshness{})
		if err != nil {
			return err
		}
		if found.Revision != c.at {
			return admin.Moved()
		}
		if err := visit(&found); err != nil || !found.More {
			return err
		}
		if len(found.IDs) == 0 {
			return emptyPage()
		}
		r.After = found.IDs[len(found.IDs)-1]
	}
}

// listed are the first patients of a group, as far as they were read.
type listed struct {
	ids  []string
	more bool
}

// sample returns up to want patients of a group whom skip does not skip.
func (c *counter) sample(ctx context.Context, group string, want int, skip func(id string) bool) ([]string, error) {
	page := c.pages[group]
	if page == nil {
		page = &listed{more: true}
		c.pages[group] = page
	}
	var out []string
	for i := 0; len(out) < want; i++ {
		for i == len(page.ids) && page.more {
			if err := c.extend(ctx, group, page); err != nil {
				return nil, err
			}
		}
		if i == len(page.ids) {
			break
		}
		if !skip(page.ids[i]) {
			out = append(out, page.ids[i])
		}
	}
	return out, nil
}

// extend reads more patients of a group, the more the more there are already: most
// examples are among the first few.
func (c *counter) extend(ctx context.Context, group string, page *listed) error {
	r := search.Range{
		Kind: authz.KindPatient, Indexes: []search.Index{{Relation: admin.PatientGroupOf, To: group}},
		At: &c.at, Limit: min(pageSize, 4*MaxExamples+2*len(page.ids)),
	}
	if n := len(page.ids); n > 0 {
		r.After = page.ids[n-1]
	}
	found, err := c.store.Range(ctx, c.organisation, r, authz.Freshness{})
	if err != nil {
		return err
	}
	if found.Revision != c.at {
		return admin.Moved()
	}
	if found.More && len(found.IDs) == 0 {
		return emptyPage()
	}
	page.ids, page.more = append(page.ids, found.IDs...), found.More
	return nil
}

func emptyPage() error {
	return authz.Errorf(authz.Internal, "", "a page of an index is empty and not the last one; run caregate audit")
}

// members visits all team members in order, each with facts that have their role and
// groups.
func (c *counter) members(ctx context.Context, visit func(member *authz.Fact, facts *authz.Facts) error) error {
	r := search.Range{Kind: authz.KindTeamMember, Indexes: []search.Index{{}}, Facts: true}
	return c.pagesOf(ctx, r, func(found *search.Found) error {
		if ctx.Err() != nil {
			return &authz.Error{Kind: authz.Timeout, Message: "not all team members were looked at in time", Err: ctx.Err()}
		}
		for _, id := range found.IDs {
			if err := visit(found.Facts.Get(authz.Key{Kind: authz.KindTeamMember, ID: id}), found.Facts); err != nil {
				return err
			}
		}
		return nil
	})
}
