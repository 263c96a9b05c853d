package authz

import (
	"context"
)

// Directory gives facts.
type Directory interface {
	// Read returns the facts for keys, and for every team member among them
	// those of their role and groups, all true at one revision. An entity that
	// does not exist is absent from the answer, never an error; an error, of
	// kind Unavailable or Timeout, means that nothing is known. It returns
	// within ctx.
	Read(ctx context.Context, organisation string, keys []Key) (*Facts, error)
}

// Policy evaluates questions. It is immutable: an edit makes a new one.
type Policy interface {
	// Catalogue says which facts a question needs, nil for none.
	Catalogue() *Catalogue
	// Digest identifies the policy and its data.
	Digest() string
	// Decide answers one question. An error means no decision.
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
func (s *Service) Decide(ctx context.Context, organisation string, r *Request) (Decision, Stated, error) {
	facts, stated, err := s.read(ctx, organisation, s.keys(nil, r))
	if err != nil {
		return Decision{}, stated, err
	}
	d, err := s.decide(ctx, facts, r)
	return d, stated, err
}

// DecideAll answers a batch at one revision, in order, up to where semantic
// ends it. An item that cannot be evaluated denies, and its error stands in
// the same place of the errors returned; err is for what fails the whole batch.
// A nil request is skipped: it denies and does not touch its error.
func (s *Service) DecideAll(
	ctx context.Context, organisation string, requests []*Request, semantic Semantic,
) (decisions []Decision, failed []error, stated Stated, err error) {
	var keys []Key
	for _, r := range requests {
		if r != nil {
			keys = s.keys(keys, r)
		}
	}
	facts, stated, err := s.read(ctx, organisation, keys)
	if err != nil {
		return nil, nil, stated, err
	}
	decisions = make([]Decision, 0, len(requests))
	failed = make([]error, 0, len(requests))
	for _, r := range requests {
		var d Decision
		var itemErr error
		if r != nil {
			d, itemErr = s.decide(ctx, facts, r)
		}
		if ctx.Err() != nil { // the rest would only fail one by one
			return nil, nil, stated, &Error{Kind: Timeout, Message: "the batch was not answered in time", Err: ctx.Err()}
		}
		if itemErr != nil {
			d = Decision{}
		}
		decisions, failed = append(decisions, d), append(failed, itemErr)
		if semantic.ends(d.Allow) {
			break
		}
	}
	return decisions, failed, stated, nil
}

// Permissions returns everything a team member holds (P6), with the role and
// groups that grant it. An unknown member or organisation is NotFound.
func (s *Service) Permissions(ctx context.Context, organisation, member string) (map[string]Grant, Stated, error) {
	key := Key{Kind: KindTeamMember, ID: member}
	facts, stated, err := s.read(ctx, organisation, []Key{key})
	if err != nil {
		return nil, stated, err
	}
	fact := facts.Get(key)
	if !fact.Found {
		return nil, stated, Errorf(NotFound, "team_member", "is not the id of a team member of this organisation; check both")
	}
	grants, err := s.policy.Permissions(ctx, fact, facts)
	return grants, stated, err
}

// Policy returns the policy that answers.
func (s *Service) Policy() Policy { return s.policy }

// read gets the facts for keys. A policy without a catalogue needs none, not
// even that the organisation exists.
func (s *Service) read(ctx context.Context, organisation string, keys []Key) (*Facts, Stated, error) {
	stated := Stated{Policy: s.policy.Digest()}
	if s.policy.Catalogue() == nil {
		return NewFacts(true, Revision{}), stated, nil
	}
	facts, err := s.directory.Read(ctx, organisation, keys)
	if err != nil {
		return nil, stated, err
	}
	stated.Revision = facts.Revision
	return facts, stated, nil
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

// keys appends the keys of everything that r names.
func (s *Service) keys(keys []Key, r *Request) []Key {
	c := s.policy.Catalogue()
	if k, ok := c.lookup(r.Subject.Type, r.Subject.ID); ok {
		keys = append(keys, k)
	}
	if k, ok := c.lookup(r.Resource.Type, r.Resource.ID); ok {
		keys = append(keys, k)
	}
	if c != nil {
		for name := range c.Types[r.Resource.Type].References {
			id, isString := r.Resource.Properties[name].(string)
			if k, ok := c.lookup(name, id); ok && isString {
				keys = append(keys, k)
			}
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
