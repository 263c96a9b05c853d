package review

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// maxAsked is how many questions about a viewer's sight are asked at once.
const maxAsked = 1000

// viewerKnowledge is what a viewer may know of others than themselves: administrators are told how
// many, and by name only of whom they may view, which is the policy's to say (A5).
type viewerKnowledge struct {
	*Service
	organisation string
	viewer       Viewer
}

func (s *Service) knowledge(organisation string, viewer Viewer) *viewerKnowledge {
	return &viewerKnowledge{s, organisation, viewer}
}

// question returns the question whether the viewer may view an entity, nil for a kind or
// a policy that has none.
func (k *viewerKnowledge) question(key authz.Key) *authz.Request {
	return k.ask(authz.DutyOf(key.Kind, "view"), key.ID)
}

func (k *viewerKnowledge) ask(duty authz.Duty, id string) *authz.Request {
	names := k.rules.Administration()
	if names == nil || names.Questions[duty] == (authz.Ask{}) {
		return nil
	}
	ask := names.Questions[duty]
	return &authz.Request{
		Subject:  authz.Entity{Type: k.viewer.Actor.Type, ID: k.viewer.Actor.ID},
		Action:   authz.Action{Name: ask.Action},
		Resource: authz.Entity{Type: ask.Resource, ID: id},
	}
}

// viewable returns those of ids of a kind whom the viewer may view now. The operator views all.
func (k *viewerKnowledge) viewable(ctx context.Context, kind authz.Kind, ids []string) (map[string]bool, error) {
	out := make(map[string]bool, len(ids))
	if k.viewer.Operator {
		for _, id := range ids {
			out[id] = true
		}
		return out, nil
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for some := range slices.Chunk(ids, maxAsked) {
		requests := make([]*authz.Request, len(some))
		for i, id := range some {
			requests[i] = k.question(authz.Key{Kind: kind, ID: id}) // none denies
		}
		decisions, failed, _, err := k.decisions.DecideAll(ctx, k.organisation, requests, authz.ExecuteAll, authz.Freshness{Full: true})
		if err != nil {
			return nil, err
		}
		for i, d := range decisions {
			if failed[i] != nil {
				return nil, failed[i]
			}
			if d.Allow {
				out[some[i]] = true
			}
		}
	}
	return out, nil
}

// views is of for one entity, by facts that are at hand.
func (k *viewerKnowledge) views(ctx context.Context, facts *authz.Facts, key authz.Key) (bool, error) {
	if k.viewer.Operator || key == k.self() {
		return true, nil
	}
	r := k.question(key)
	if r == nil {
		return false, nil
	}
	d, _, err := authz.NewService(reading{facts}, k.rules).Decide(ctx, k.organisation, r, authz.Freshness{})
	return d.Allow && err == nil, err
}

// self is the key of the viewer's own facts.
func (k *viewerKnowledge) self() authz.Key {
	key, _ := k.decisions.Lookup(k.viewer.Actor.Type, k.viewer.Actor.ID)
	return key
}

// hidden returns the patients in a question whom the viewer may not view, and who asks
// in it likewise.
func (k *viewerKnowledge) hidden(ctx context.Context, q authz.Question) (out []authz.Key, err error) {
	if k.viewer.Actor == (admin.Actor{}) {
		return nil, nil
	}
	about := []*authz.Fact{q.Subject}
	for _, f := range append(referred(q), q.Resource) {
		if f != nil && f.Kind == authz.KindPatient {
			about = append(about, f)
		}
	}
	for _, f := range about {
		if f == nil || !f.Found {
			continue
		}
		views, err := k.views(ctx, q.Facts, f.Key)
		if err != nil {
			return nil, err
		}
		if !views {
			out = append(out, f.Key)
		}
	}
	return out, nil
}

// referring returns the members and patient groups that a question is about or refers to and that
// the viewer may not view, but for groups that their own record names.
func (k *viewerKnowledge) referring(ctx context.Context, q authz.Question) (out []authz.Key, err error) {
	for _, f := range append(referred(q), q.Resource) {
		if f == nil || !f.Found || f.Kind != authz.KindTeamMember && f.Kind != authz.KindPatientGroup {
			continue
		}
		if q.Subject != nil && f.Kind == authz.KindPatientGroup && slices.Contains(q.Subject.Access, f.ID) {
			continue
		}
		views, err := k.views(ctx, q.Facts, f.Key)
		if err != nil {
			return nil, err
		}
		if !views {
			out = append(out, f.Key)
		}
	}
	return out, nil
}

func referred(q authz.Question) (out []*authz.Fact) {
	for _, reference := range q.References {
		out = append(out, reference.Fact)
	}
	return out
}

// withoutFacts returns a reading in which some do not exist.
func withoutFacts(facts *authz.Facts, hidden []authz.Key) *authz.Facts {
	kept := slices.DeleteFunc(slices.Clone(facts.All()), func(f *authz.Fact) bool { return slices.Contains(hidden, f.Key) })
	return authz.NewFacts(facts.Organisation, facts.Revision, kept...)
}

// named keeps the remedies that name nobody whom the viewer may not view, by facts that
// are at hand.
func (k *viewerKnowledge) named(ctx context.Context, facts *authz.Facts, remedies []Remedy) ([]Remedy, error) {
	out := make([]Remedy, 0, len(remedies))
	views := map[authz.Key]bool{}
next:
	for _, r := range remedies {
		for _, key := range namedBy(&r.Edit) {
			may, asked := views[key]
			if !asked {
				var err error
				if may, err = k.views(ctx, facts, key); err != nil {
					return nil, err
				}
				views[key] = may
			}
			if !may {
				continue next
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// namedBy returns the entities that an edit names, but for bookings.
func namedBy(e *admin.Edit) []authz.Key {
	from, to := e.Relation.Ends()
	keys := []authz.Key{e.Key, {Kind: from, ID: e.From}, {Kind: to, ID: e.To}}
	records := []*admin.Record{e.Fields.Applied(&admin.Record{Kind: e.Key.Kind})}
	if e.Record != nil {
		keys, records = append(keys, e.Record.Key()), append(records, e.Record)
	}
	for _, r := range records {
		for _, key := range r.References() {
			keys = append(keys, key)
		}
	}
	return slices.DeleteFunc(keys, func(key authz.Key) bool { return key.Kind == authz.KindBooking || key.ID == "" })
}
