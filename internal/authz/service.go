package authz

import (
	"context"
	"errors"
	"slices"
)

// Directory gives facts.
type Directory interface {
	// Read returns the facts for keys, and for every team member among them
	// those of their role and groups, all true at one revision. An entity that
	// does not exist is absent from the answer, never an error; an error, of
	// kind Unavailable or Timeout, means that nothing is known. Facts that do not
	// include fresh.AtLeast are never returned: that is an error of kind Behind. It
	// returns within ctx.
	Read(ctx context.Context, organisation string, keys []Key, fresh Freshness) (*Facts, error)
}

// Policy evaluates questions. It is immutable: an edit makes a new one.
type Policy interface {
	// Catalogue says which facts a question needs, nil for none.
	Catalogue() *Catalogue
	// Administration says in the policy's names what is asked for changing and reading
	// facts, nil for a policy that declares none: then nobody administers.
	Administration() *Administration
	// Digest identifies the policy and its data.
	Digest() string
	// Decide answers one question. An error means no decision. A decision may be
	// given to others too: it is not to be changed.
	Decide(ctx context.Context, q Question) (Decision, error)
	// Permissions returns what member holds, after wildcards (P2, P3, P6).
	Permissions(ctx context.Context, member *Fact, facts *Facts) (map[string]Grant, error)
}

// Question is a Request with the facts it names.
type Question struct {
	*Request
	Facts      *Facts
	Subject    *Fact // nil when the directory holds no facts of its type
	Resource   *Fact // likewise
	References []Reference
}

// Reference is one thing that a resource refers to through a property.
type Reference struct {
	Name string
	Fact *Fact // not found when the property is not the id of a known entity
}

// Service answers questions from a directory and a policy.
type Service struct {
	directory Directory
	policy    Policy
}

// NewService returns a service that answers by policy over directory.
func NewService(directory Directory, policy Policy) *Service {
	return &Service{directory: directory, policy: policy}
}

// Decide answers one request about an organisation.
func (s *Service) Decide(
	ctx context.Context, organisation string, r *Request, fresh Freshness,
) (d Decision, stated Stated, err error) {
	stated, err = s.answer(ctx, organisation, s.keys(make([]Key, 0, 4), r), fresh, func(facts *Facts) error {
		d, err = s.decide(ctx, facts, r)
		return err
	})
	if err != nil {
		return Decision{}, stated, err
	}
	return d, stated, nil
}

// DecideAll answers a batch at one revision, in order, up to where semantic
// ends it. An item that cannot be evaluated denies, and its error stands in
// the same place of the errors returned; err is for what fails the whole batch.
// A nil request is skipped: it denies and does not touch its error.
func (s *Service) DecideAll(
	ctx context.Context, organisation string, requests []*Request, semantic Semantic, fresh Freshness,
) (decisions []Decision, failed []error, stated Stated, err error) {
	var keys []Key
	for _, r := range requests {
		if r != nil {
			keys = s.keys(keys, r)
		}
	}
	stated, err = s.answer(ctx, organisation, keys, fresh, func(facts *Facts) error {
		decisions, failed, err = s.decideAll(ctx, facts, requests, semantic)
		return err
	})
	if err != nil {
		return nil, nil, stated, err
	}
	return decisions, failed, stated, nil
}

// decideAll answers a batch over facts that were read for it.
func (s *Service) decideAll(
	ctx context.Context, facts *Facts, requests []*Request, semantic Semantic,
) ([]Decision, []error, error) {
	decisions := make([]Decision, 0, len(requests))
	failed := make([]error, 0, len(requests))
	for _, r := range requests {
		var d Decision
		var itemErr error
		if r != nil {
			d, itemErr = s.decide(ctx, facts, r)
		}
		if ctx.Err() != nil { // the rest would only fail one by one
			late := &Error{Kind: Timeout, Message: "the batch was not answered in time", Err: ctx.Err()}
			if e, ok := errors.AsType[*Error](itemErr); ok && e.Kind == Timeout {
				late.Message += ": " + e.Message
			}
			return nil, nil, late
		}
		if itemErr != nil {
			d = Decision{}
		}
		decisions, failed = append(decisions, d), append(failed, itemErr)
		if semantic.ends(d.Allow) {
			break
		}
	}
	return decisions, failed, nil
}

// Permissions returns everything a team member holds (P6), with the role and
// groups that grant it: nothing while they are suspended (P7). An unknown member or
// organisation is NotFound.
func (s *Service) Permissions(
	ctx context.Context, organisation, member string, fresh Freshness,
) (grants map[string]Grant, stated Stated, err error) {
	key := Key{Kind: KindTeamMember, ID: member}
	stated, err = s.answer(ctx, organisation, []Key{key}, fresh, func(facts *Facts) error {
		fact := facts.Get(key)
		if !fact.Found {
			return Errorf(NotFound, "team_member", "is not the id of a team member of this organisation; check both")
		}
		if fact.Suspended {
			grants = map[string]Grant{}
			return nil
		}
		grants, err = s.policy.Permissions(ctx, fact, facts)
		return err
	})
	if err != nil {
		return nil, stated, err
	}
	return grants, stated, nil
}

// Consultation is the answer to several requests with everything it was made
// of, for a change that has to hold only as long as that does.
type Consultation struct {
	Decisions []Decision
	Facts     *Facts // of Keys, and of the roles and groups of team members among them
	Keys      []Key  // what the requests name, and what else was asked for
	Stated    Stated
}

// Consult answers requests from facts that are read now, and reads the entities
// also with them. A request that cannot be evaluated fails all.
func (s *Service) Consult(ctx context.Context, organisation string, requests []*Request, also []Key) (*Consultation, error) {
	c := &Consultation{Keys: slices.Clone(also)}
	for _, r := range requests {
		c.Keys = s.keys(c.Keys, r)
	}
	facts, err := s.directory.Read(ctx, organisation, c.Keys, Freshness{Full: true})
	if err != nil {
		return nil, err
	}
	c.Facts, c.Stated = facts, Stated{Revision: facts.Revision, Policy: s.policy.Digest()}
	decisions, failed, err := s.decideAll(ctx, facts, requests, ExecuteAll)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	c.Decisions = decisions
	return c, nil
}

// DecideOver answers one request over facts that were read before, or made up. They have
// to hold everything that the request names.
func (s *Service) DecideOver(ctx context.Context, facts *Facts, r *Request) (Decision, error) {
	return s.decide(ctx, facts, r)
}

// Policy returns the policy that answers.
func (s *Service) Policy() Policy { return s.policy }

// answer reads the facts for keys and lets from answer from them. What became
// too old meanwhile is thrown away and asked once more.
func (s *Service) answer(
	ctx context.Context, organisation string, keys []Key, fresh Freshness, from func(*Facts) error,
) (Stated, error) {
	stated := Stated{Policy: s.policy.Digest()}
	for range 2 {
		facts, err := s.read(ctx, organisation, keys, fresh)
		if err != nil {
			return stated, err
		}
		stated.Revision = facts.Revision
		restore := endBefore(ctx, facts.Until)
		err = from(facts)
		restore()
		if err != nil {
			return stated, err
		}
		if !facts.Expired() {
			return stated, nil
		}
	}
	return stated, Errorf(Unavailable, "", "the facts were too old before the answer was ready; ask again")
}

// read gets the facts for keys. A policy without a catalogue needs none, not
// even that the organisation exists.
func (s *Service) read(ctx context.Context, organisation string, keys []Key, fresh Freshness) (*Facts, error) {
	if s.policy.Catalogue() == nil {
		return NewFacts(true, Revision{}), nil
	}
	facts, err := s.directory.Read(ctx, organisation, keys, fresh)
	if err == nil && !facts.Revision.MayInclude(fresh.AtLeast) {
		return nil, NotIncluded()
	}
	return facts, err
}

// decide evaluates one request over facts that were read for it.
func (s *Service) decide(ctx context.Context, facts *Facts, r *Request) (Decision, error) {
	if !facts.Organisation {
		return denied("organisation_unknown"), nil // V9
	}
	d, err := s.policy.Decide(ctx, s.question(facts, r))
	if err != nil {
		return Decision{}, err
	}
	if d.Undefined {
		d = denied("undefined")
		d.Undefined = true
	}
	return d, nil
}

// keys appends the keys of everything that r names. A batch is mostly about one
// subject, which then stands first, and once.
func (s *Service) keys(keys []Key, r *Request) []Key {
	c := s.policy.Catalogue()
	if k, ok := c.lookup(r.Subject.Type, r.Subject.ID); ok && (len(keys) == 0 || keys[0] != k) {
		keys = append(keys, k)
	}
	if k, ok := c.lookup(r.Resource.Type, r.Resource.ID); ok {
		keys = append(keys, k)
	}
	return s.referred(keys, r)
}

// referred appends the keys of what the resource of r refers to.
func (s *Service) referred(keys []Key, r *Request) []Key {
	c := s.policy.Catalogue()
	if c == nil {
		return keys
	}
	for name := range c.Types[r.Resource.Type].References {
		id, isString := r.Resource.Properties[name].(string)
		if k, ok := c.lookup(name, id); ok && isString {
			keys = append(keys, k)
		}
	}
	return keys
}

// question joins a request with the facts it names.
func (s *Service) question(facts *Facts, r *Request) Question {
	c := s.policy.Catalogue()
	q := Question{
		Request:  r,
		Facts:    facts,
		Subject:  c.entity(facts, r.Subject.Type, r.Subject.ID),
		Resource: c.entity(facts, r.Resource.Type, r.Resource.ID),
	}
	if c == nil {
		return q
	}
	for name := range c.Types[r.Resource.Type].References {
		value, given := r.Resource.Properties[name]
		if !given {
			continue
		}
		id, _ := value.(string) // anything but a string names nobody
		if fact := c.entity(facts, name, id); fact != nil {
			q.References = append(q.References, Reference{Name: name, Fact: fact})
		}
	}
	return q
}

// entity returns the fact for an entity of type typ, nil when the directory
// holds none of that type.
func (c *Catalogue) entity(facts *Facts, typ, id string) *Fact {
	key, ok := c.lookup(typ, id)
	if !ok {
		return nil
	}
	fact := facts.Get(key)
	if c.Types[typ].RequireProvider && !fact.Provider {
		return &Fact{Key: key}
	}
	return fact
}
