package filter

import (
	"context"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// lists reads the ids of the patients of each care team whose ids stand in the filter,
// by member; nil for none. All are of the revision that is returned, at which the
// facts of the plan are still as they were; else the error is admin.ErrMoved.
func (s *Service) lists(
	ctx context.Context, organisation string, p *plan, fresh authz.Freshness,
) (map[string][]string, authz.Revision, error) {
	members := p.members()
	if len(members) == 0 {
		return nil, authz.Revision{}, nil
	}
	r := search.Range{Kind: authz.KindPatient, Limit: search.MaxLimit, Basis: p.basis}
	lists := make(map[string][]string, len(members))
	for _, member := range members {
		r.Indexes = []search.Index{{Relation: admin.CareTeam, To: member}}
		r.After = ""
		var ids []string
		for {
			found, err := s.store.Range(ctx, organisation, r, fresh)
			if authz.KindOf(err) == authz.NotFound && err != nil { // the organisation is gone
				err = admin.Moved()
			}
			if err != nil {
				return nil, authz.Revision{}, err
			}
			r.At = &found.Revision
			if ids = append(ids, found.IDs...); len(ids) > MaxIDs {
				return nil, authz.Revision{}, authz.Errorf(authz.TooLarge, p.careTeam(),
					`has more than %d patients for this member, too many for a list; map care_team to a table of yours in place of "ids", or use a search`, MaxIDs)
			}
			if !found.More {
				break
			}
			if len(found.IDs) == 0 {
				return nil, authz.Revision{}, authz.Errorf(authz.Internal, "", "the patients of a care team could not be read")
			}
			r.After = found.IDs[len(found.IDs)-1]
		}
		lists[member] = ids
	}
	return lists, *r.At, nil
}

// members returns the team members whose patients have to stand in the filter.
func (p *plan) members() []string {
	members := map[string]bool{}
	for _, b := range p.branches {
		for _, all := range b.residual.Any {
			for _, c := range all {
				t := p.table
				if c.Leaf.Reference != "" {
					t = p.tables[c.Leaf.Reference]
				}
				if c.Op != authz.Has || t == nil || len(c.Values) != 1 {
					continue
				}
				if l := t.links[c.Leaf.Fact]; l != nil && l.name == nil {
					members[c.Values[0]] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(members))
}

// careTeam names the place of the mapping that says "ids".
func (p *plan) careTeam() string {
	for _, name := range slices.Sorted(maps.Keys(p.tables)) {
		if l := p.tables[name].links[authz.FactCareTeam]; l != nil && l.name == nil {
			return p.tables[name].path + "." + authz.FactCareTeam
		}
	}
	return ""
}
