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
	if general, err := t.anybody(ctx, r); err != nil {
		return 0, err
	} else if general != nil && c.member != nil {
		return t.opensTo(ctx, r, c, t.member, c.member, t.holds)
	}
	return t.gained(ctx, func(after bool) (*authz.Residual, error) {
		if after {
			return t.left(ctx, r, c.overlay(t.question.Facts))
		}
		return t.left(ctx, r, t.question.Facts)
	})
}

// patientsOfAll counts the members who have the role or group that a change is about,
// and the patients whom it opens to each of them.
func (t *trial) patientsOfAll(ctx context.Context, c *candidate) (members, patients int, err error) {
	index := search.Index{Relation: c.holders, To: c.source.ID}
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
	holders, whole, err := t.holders(ctx, c)
	if err != nil || !whole {
		return members, -1, err
	}
	for _, h := range holders {
		authz.GiveWay(ctx)
		n, err := t.opensTo(ctx, r, c, h.fact, h.fact, h.held)
		if err != nil || n < 0 {
			return members, n, err
		}
		patients += n
	}
	return members, patients, nil
}

// opensTo counts the patients whom a candidate opens to a member, as they are and as
// they would be; held is what they hold now.
func (t *trial) opensTo(
	ctx context.Context, r *ranging, c *candidate, before, after *authz.Fact, held map[string]authz.Grant,
) (int, error) {
	general, err := t.anybody(ctx, r)
	if err != nil || general == nil {
		return -1, err
	}
	would, err := t.after(ctx, c, after, held)
	if err != nil {
		return 0, err
	}
	is := &authz.Candidate{Fact: before, Holds: func(_ *authz.Fact, permission string) bool {
		_, holds := held[permission]
		return holds
	}}
	return t.gained(ctx, func(after bool) (*authz.Residual, error) {
		of := is
		if after {
			of = would
		}
		return t.ofResource(r, general.Settle(authz.SubjectLeaf, of), t.question.Facts), nil
	})
}

// generally is what is left of the rule when a question ranges and who asks is not known.
type generally struct {
	left  *authz.Residual // nil where that cannot be said
	known bool
}

// anybody returns what is left of the rule when the question ranges, whoever asks; nil
// where that cannot be said.
func (t *trial) anybody(ctx context.Context, r *ranging) (*authz.Residual, error) {
	if !t.general.known {
		open := r.open
		open.Both = true
		left, err := t.residual(ctx, r, open, t.question.Facts)
		if err != nil {
			return nil, err
		}
		t.general = generally{left, true}
	}
	return t.general.left, nil
}

// gained counts the patients whom what would be left of the rule allows and what is left
// does not, -1 where that cannot be counted.
func (t *trial) gained(ctx context.Context, left func(after bool) (*authz.Residual, error)) (int, error) {
	was, err := left(false)
	if err != nil || was == nil {
		return -1, err
	}
	is, err := left(true)
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
	residual, err := t.residual(ctx, r, r.open, facts)
	if err != nil || residual == nil {
		return nil, err
	}
	return t.ofResource(r, residual, facts), nil
}

// residual asks the policy, nil where it cannot say.
func (t *trial) residual(ctx context.Context, r *ranging, open authz.Open, facts *authz.Facts) (*authz.Residual, error) {
	var residual *authz.Residual
	_, err := t.decisionsFrom(facts).Survey(ctx, t.counter.organisation, r.request, open, authz.Freshness{}, func(q *authz.Survey) error {
		var err error
		residual, err = t.rules.Residual(ctx, q.Question, open)
		return err
	})
	if _, outside := errors.AsType[*authz.Outside](err); outside {
		return nil, nil //nolint:nilnil // there is none to tell
	}
	return residual, err
}

// ofResource returns a residual with what it says of its resource settled, where that is
// known, and about patients themselves.
func (t *trial) ofResource(r *ranging, residual *authz.Residual, facts *authz.Facts) *authz.Residual {
	if r.known {
		resource := &authz.Fact{Key: r.resource, Found: true}
		if r.resource.Kind != "" {
			resource = facts.Get(r.resource)
		}
		residual = settled(residual, resource)
	}
	return aboutGroups(residual, r)
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
