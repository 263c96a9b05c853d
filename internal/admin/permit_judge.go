package admin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// question is one thing that the policy is asked about the actor: a duty, which the
// policy has its own names for, and what it is about.
type question struct {
	duty              authz.Duty
	id                string // of the entity, "" for a duty that is about none
	patient, provider string // properties, when not ""
}

func (q question) request(actor Actor, ask authz.Ask) *authz.Request {
	r := &authz.Request{
		Subject:  authz.Entity{Type: actor.Type, ID: actor.ID},
		Action:   authz.Action{Name: ask.Action},
		Resource: authz.Entity{Type: ask.Resource, ID: q.id},
	}
	for name, id := range map[string]string{typePatient: q.patient, typeProvider: q.provider} {
		if id == "" {
			continue
		}
		if r.Resource.Properties == nil {
			r.Resource.Properties = map[string]any{}
		}
		r.Resource.Properties[name] = id
	}
	return r
}

// judge says what an actor may do and see, by the policy and one reading of the facts.
// Nothing that it tells of a refusal depends on what the actor may not see (A5).
type judge struct {
	decisions *authz.Service
	names     *authz.Administration
	actor     Actor
	read      *authz.Consultation
	member    *authz.Fact            // the actor, not found for a patient
	held      map[string]authz.Grant // what the actor holds, after wildcards
	listed    map[string]bool        // and as it is listed
	answers   map[question]authz.Decision
	sights    map[string]authz.Decision // by patient group: whether any patient in it is seen
}

// judge reads keys, of which the questions about the actor are to be, and the actor with
// them. An organisation that does not exist is NotFound, and an actor who does not exist is
// refused (V9).
func (s *Service) judge(ctx context.Context, organisation string, actor Actor, keys []authz.Key) (*judge, error) {
	if s.decisions.Policy().Administration() == nil {
		return nil, undeclared()
	}
	c, err := s.decisions.Consult(ctx, organisation, nil, append(slices.Clip(keys), actor.key()))
	if err != nil {
		return nil, err
	}
	if !c.Facts.Organisation {
		return nil, unknownOrganisation()
	}
	return s.judgeOver(ctx, actor, c)
}

// judgeWith is judge for questions about keys and about also, and returns the records for keys
// as they were in the same reading, nil for one that does not exist.
func (s *Service) judgeWith(
	ctx context.Context, organisation string, actor Actor, keys, also []authz.Key,
) ([]*Stored, *judge, error) {
	also = append(slices.Clip(also), actor.key())
	records, facts, err := s.store.RecordsAndFacts(ctx, organisation, keys, also)
	if err != nil {
		return nil, nil, err
	}
	j, err := s.judgeOver(ctx, actor, &authz.Consultation{Keys: append(slices.Clip(keys), also...), Facts: facts})
	return records, j, err
}

// judgeOver returns the judge of an actor by what was read.
func (s *Service) judgeOver(ctx context.Context, actor Actor, c *authz.Consultation) (*judge, error) {
	policy := s.decisions.Policy()
	j := &judge{
		decisions: s.decisions, names: policy.Administration(), actor: actor, read: c, member: new(authz.Fact),
		answers: map[question]authz.Decision{}, sights: map[string]authz.Decision{},
	}
	if j.names == nil {
		return nil, undeclared()
	}
	if actor.Type == typeMember {
		if j.member = c.Facts.Get(actor.key()); !j.member.Found {
			return nil, refused("", "the organisation has no such team member")
		}
	}
	var err error
	if j.held, err = policy.Permissions(ctx, j.member, c.Facts); err != nil {
		return nil, err
	}
	j.listed = map[string]bool{}
	for key := range j.member.Sources() {
		for _, permission := range c.Facts.Get(key).Permissions {
			j.listed[permission] = true
		}
	}
	return j, nil
}

// hasRead reports whether all keys were read, be it that they do not exist.
func (j *judge) hasRead(keys []authz.Key) bool {
	asked := make(map[authz.Key]bool, len(j.read.Keys))
	for _, key := range j.read.Keys {
		asked[key] = true
	}
	return !slices.ContainsFunc(keys, func(key authz.Key) bool { return !asked[key] && !j.fact(key).Found })
}

// fact returns what was read of an entity.
func (j *judge) fact(key authz.Key) *authz.Fact { return j.read.Facts.Get(key) }

// decide answers a question from the facts as they are.
func (j *judge) decide(ctx context.Context, q question) (authz.Decision, error) {
	if d, before := j.answers[q]; before {
		return d, nil
	}
	d, err := j.decideOver(ctx, j.read.Facts, q)
	if err == nil {
		j.answers[q] = d
	}
	return d, err
}

func (j *judge) decideOver(ctx context.Context, facts *authz.Facts, q question) (authz.Decision, error) {
	ask, declared := j.names.Questions[q.duty]
	if !declared {
		return authz.Decision{}, undeclared()
	}
	return j.decisions.DecideOver(ctx, facts, q.request(j.actor, ask))
}

func (j *judge) allows(ctx context.Context, q question) (bool, error) {
	d, err := j.decide(ctx, q)
	return d.Allow, err
}

// permits reports a question that the policy denies as an error.
func (j *judge) permits(ctx context.Context, field string, q question) error {
	allowed, err := j.allows(ctx, q)
	if err != nil || allowed {
		return err
	}
	return j.denied(ctx, field, q)
}

// denied is the error for a question that the policy denies. It gives the reasons that the
// policy has where whatever the actor does not see is not there: so they are the same for
// what is hidden and for what does not exist. A patient in question is then one who is
// made up; where the policy would allow it all that is missing is that patient.
func (j *judge) denied(ctx context.Context, field string, q question) error {
	facts, madeUp, err := j.asSeen(ctx, q)
	if err != nil {
		return err
	}
	d, err := j.decideOver(ctx, facts, q)
	switch {
	case err != nil:
		return err
	case madeUp && d.Allow:
		return withField(field, notFound(authz.KindPatient))
	default:
		return j.because(field, q, d)
	}
}

// because is the error for a question that the policy denies, with the reasons of a
// decision that may be told, if that one denies as well.
func (j *judge) because(field string, q question, d authz.Decision) error {
	ask := j.names.Questions[q.duty]
	what := "the policy denies " + ask.Action + " on " + ask.Resource
	if _, permission := accountOf(d); !d.Allow && permission != "" {
		what += ", which takes " + permission
	}
	return refused(field, what+reasonsOf(d))
}

// reasonsOf returns the reasons of a decision that denies, for the end of a sentence.
func reasonsOf(d authz.Decision) string {
	if reasons, _ := accountOf(d); !d.Allow && len(reasons) > 0 {
		return ": " + strings.Join(reasons, ", ")
	}
	return ""
}

// accountOf returns the reasons of a decision and the permission it takes, as far
// as the policy says and they look like it: what else it may say is for its own
// callers. They are words that mean nothing here.
func accountOf(d authz.Decision) (reasons []string, permission string) {
	var account struct {
		Reasons    []string `json:"reasons"`
		Permission string   `json:"permission"`
	}
	if d.Context == nil || json.Unmarshal(d.Context, &account) != nil {
		return nil, ""
	}
	for _, reason := range account.Reasons {
		if word(reason) != "" {
			reasons = append(reasons, reason)
		}
	}
	if CheckPermission("", account.Permission) == nil {
		permission = account.Permission
	}
	return reasons, permission
}

// refused is the error for what an actor may not do.
func refused(field, what string) error {
	return authz.Errorf(authz.Forbidden, field, "the actor may not do this: %s; ask somebody who may, or for what is lacking", what)
}

func unsupported() error {
	return refused("", "only team members and patients act")
}

// undeclared is the error for a policy that does not say what to ask it.
func undeclared() error {
	return authz.Errorf(authz.Unsupported, "",
		"the policy declares no administration, so that nobody may change or read facts; add data.administration to it, which names the questions")
}

// notFound is the error for an entity that does not exist, and for one that the
// actor must not know of.
func notFound(kind authz.Kind) error {
	return authz.Errorf(authz.NotFound, "", "there is no such %s, or it is not for this actor to see; check the id",
		strings.ReplaceAll(string(kind), "_", " "))
}

// withField returns err about a field.
func withField(field string, err error) error {
	return renamed(err, func(string) string { return field })
}

func unknownOrganisation() error {
	return authz.Errorf(authz.NotFound, "organisation", "is not an organisation that has facts; check its name, or import its facts")
}
