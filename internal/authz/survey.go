package authz

import (
	"context"
	"maps"
)

// Survey is a question that leaves something open, with what is known of the rest.
// The fact of what is open is not found in it, and means nothing.
type Survey struct {
	Question
	// Keys are of all entities that the question names, aside from what is open. Those
	// that are not among the facts do not exist.
	Keys []Key
}

// Survey reads what r names, aside from what is open, and lets answer answer from
// it; a second time if the facts became too old meanwhile. In an organisation that
// does not exist nothing exists: Facts.Organisation says so.
func (s *Service) Survey(
	ctx context.Context, organisation string, r *Request, open Open, fresh Freshness, answer func(*Survey) error,
) (Stated, error) {
	known := *r
	if len(open.References) > 0 {
		known.Resource.Properties = maps.Clone(r.Resource.Properties)
		for _, name := range open.References {
			delete(known.Resource.Properties, name)
		}
	}
	c := s.policy.Catalogue()
	var keys []Key
	if open.Subject {
		keys = s.keys(nil, &Request{Resource: known.Resource})
	} else {
		if k, ok := c.lookup(r.Subject.Type, r.Subject.ID); ok && !open.Both {
			keys = append(keys, k)
		}
		keys = s.referred(keys, &known)
	}
	return s.answer(ctx, organisation, keys, fresh, func(facts *Facts) error {
		return answer(&Survey{Question: s.question(facts, &known), Keys: keys})
	})
}

// Whole is Survey for a question that leaves nothing open but the action.
func (s *Service) Whole(
	ctx context.Context, organisation string, r *Request, fresh Freshness, answer func(*Survey) error,
) (Stated, error) {
	keys := s.keys(nil, r)
	return s.answer(ctx, organisation, keys, fresh, func(facts *Facts) error {
		return answer(&Survey{Question: s.question(facts, r), Keys: keys})
	})
}

// Considered is a request with its decision and the facts that it was made from.
type Considered struct {
	Question
	Decision Decision
}

// Consider decides requests from one reading and lets answer look at what they were
// decided from; a second time if the facts became too old meanwhile. A request that
// cannot be evaluated fails all. In an organisation that does not exist nothing exists,
// and every decision is a deny (V9).
func (s *Service) Consider(
	ctx context.Context, organisation string, requests []*Request, fresh Freshness, answer func([]Considered) error,
) (Stated, error) {
	var keys []Key
	for _, r := range requests {
		keys = s.keys(keys, r)
	}
	return s.answer(ctx, organisation, keys, fresh, func(facts *Facts) error {
		considered := make([]Considered, len(requests))
		for i, r := range requests {
			d, err := s.decide(ctx, facts, r)
			if err != nil {
				return err
			}
			considered[i] = Considered{Question: s.question(facts, r), Decision: d}
		}
		return answer(considered)
	})
}

// Lookup returns the key under which the directory knows an entity of a type, and
// false for a type of which it holds no facts.
func (s *Service) Lookup(typ, id string) (Key, bool) { return s.policy.Catalogue().lookup(typ, id) }
