package review

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// maxHolders is the most members of a role or group for whom patients are counted.
const maxHolders = 1000

// ranging is a question that is asked of all patients, or of all patient groups, in
// place of the one that it named.
type ranging struct {
	request *authz.Request
	open    authz.Open
	// resource is what the question knows of its resource when that is not what ranges.
	resource authz.Key
	known    bool
	groups   bool // it ranges over patient groups
}

// ranging returns the question as one about all, nil when it is about none.
func (t *trial) ranging() *ranging {
	q := t.question.Request
	request := *q
	kindOf := func(typ string) authz.Kind { return t.rules.Catalogue().Types[typ].Facts }
	resource, _ := t.decisions.Lookup(q.Resource.Type, q.Resource.ID)
	if kindOf(q.Subject.Type) == authz.KindPatient {
		request.Resource.Properties = maps.Clone(q.Resource.Properties)
		for name, id := range request.Resource.Properties {
			if id == any(q.Subject.ID) && kindOf(name) == authz.KindPatient {
				delete(request.Resource.Properties, name) // who asks for themselves
			}
		}
		request.Subject.ID = ""
		return &ranging{request: &request, open: authz.Open{Subject: true}}
	}
	for _, kind := range []authz.Kind{authz.KindPatient, authz.KindPatientGroup} {
		out := &ranging{request: &request, groups: kind == authz.KindPatientGroup}
		if resource.Kind == kind {
			request.Resource.ID = ""
			return out
		}
		for _, reference := range t.question.References {
			if reference.Fact.Kind == kind && reference.Fact.Found {
				out.open.References = []string{reference.Name}
				out.resource, out.known = resource, true
				out.resource.ID, request.Resource.ID = q.Resource.ID, ""
				return out
			}
		}
	}
	return nil
}

// patients counts those whom a change opens to the one who asked.
func (t *trial) patients(ctx context.Context, c *candidate) (int, error) {
	r := t.ranging()
	if r == nil {
		return 0, nil
	}
	if slices.ContainsFunc(c.facts, func(f *authz.Fact) bool { return f.Kind == authz.KindPatient }) {
		return 1, nil // it changes what is so of that patient alone
	}
	return t.gained(ctx, r, t.question.Facts, c.overlay(t.question.Facts))
}

// patientsOfAll counts the members who have the role or group that a change is about,
// and the patients whom it opens to each of them.
func (t *trial) patientsOfAll(ctx context.Context, c *candidate) (members, patients int, err error) {
	index := search.Index{Relation: c.holders, To: c.facts[0].ID}
	sizes, at, err := t.store.Sizes(ctx, t.counter.organisation, authz.KindTeamMember, []search.Index{index})
	if err != nil {
		return 0, 0, err
	}
	if at != t.counter.at {
		return 0, 0, admin.Moved()
	}
	members = sizes[0]
	r := t.ranging()
	switch {
	case r == nil:
		return members, 0, nil
	case members > maxHolders:
		return members, -1, nil
	}
	facts, holders := t.question.Facts.All(), []string(nil)
	all := search.Range{Kind: authz.KindTeamMember, Indexes: []search.Index{index}, Facts: true}
	err = t.counter.pagesOf(ctx, all, func(found *search.Found) error {
		facts, holders = slices.Concat(facts, found.Facts.All()), append(holders, found.IDs...)
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	before := authz.NewFacts(true, t.counter.at, distinct(facts)...)
	after := c.overlay(before)
	request := *r.request
	r.request = &request
	for _, id := range holders {
		request.Subject.ID = id
		n, err := t.gained(ctx, r, before, after)
		if err != nil || n < 0 {
			return members, n, err
		}
		patients += n
	}
	return members, patients, nil
}

// distinct returns facts of distinct keys, the last of each.
func distinct(facts []*authz.Fact) []*authz.Fact {
	byKey := make(map[authz.Key]*authz.Fact, len(facts))
	for _, f := range facts {
		byKey[f.Key] = f
	}
	return slices.Collect(maps.Values(byKey))
}

// gained counts the patients whom facts as they would be allow and facts as they are
// do not, -1 where that cannot be counted.
func (t *trial) gained(ctx context.Context, r *ranging, before, after *authz.Facts) (int, error) {
	was, err := t.left(ctx, r, before)
	if err != nil || was == nil {
		return -1, err
	}
	is, err := t.left(ctx, r, after)
	if err != nil || is == nil {
		return -1, err
	}
	text, err := json.Marshal([]*authz.Residual{was, is})
	if err != nil {
		return 0, err
	}
	if n, known := t.counted[string(text)]; known {
		return n, nil
	}
	n, err := t.counter.opened(ctx, was, is)
	if err == nil {
		t.counted[string(text)] = n
	}
	return n, err
}

// left returns what is left of the rule when the question ranges, about patients
// themselves; nil where that cannot be said.
func (t *trial) left(ctx context.Context, r *ranging, facts *authz.Facts) (*authz.Residual, error) {
	var residual *authz.Residual
	_, err := t.over(facts).Survey(ctx, t.counter.organisation, r.request, r.open, authz.Freshness{}, func(q *authz.Survey) error {
		var err error
		residual, err = t.rules.Residual(ctx, q.Question, r.open)
		return err
	})
	if _, outside := errors.AsType[*authz.Outside](err); outside {
		return nil, nil //nolint:nilnil // there is none to tell
	}
	if err != nil {
		return nil, err
	}
	if r.known {
		resource := &authz.Fact{Key: r.resource, Found: true}
		if r.resource.Kind != "" {
			resource = facts.Get(r.resource)
		}
		residual = settled(residual, resource)
	}
	return aboutGroups(residual, r), nil
}

// settled settles the conditions of a residual about its resource, which is known: what
// is left is about what the resource refers to. It is nil where a condition about the
// resource cannot be settled from its fact alone.
func settled(residual *authz.Residual, resource *authz.Fact) *authz.Residual {
	if residual == nil || !resource.Found {
		return &authz.Residual{}
	}
	for _, all := range residual.Any {
		for i := range all {
			if all[i].Leaf.Reference == "" && all[i].Leaf.Fact == authz.FactPermissions {
				return nil
			}
		}
	}
	return residual.Settle("", &authz.Candidate{Fact: resource})
}

// aboutGroups returns a residual with its leaves those of a patient: of the one that
// ranges, or, where patient groups range, of one who is in the group.
func aboutGroups(residual *authz.Residual, r *ranging) *authz.Residual {
	if residual == nil {
		return nil
	}
	out := &authz.Residual{Any: make([][]authz.Condition, len(residual.Any))}
	for i, all := range residual.Any {
		out.Any[i] = slices.Clone(all)
		for j := range out.Any[i] {
			leaf := &out.Any[i][j].Leaf
			if len(r.open.References) > 0 && leaf.Reference == r.open.References[0] {
				leaf.Reference = ""
			}
			if r.groups {
				if leaf.Fact != authz.FactID {
					return nil
				}
				leaf.Fact = authz.FactPatientGroup
			}
		}
	}
	return out
}
