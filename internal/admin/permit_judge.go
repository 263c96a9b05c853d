package admin

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// judge holds what was read and answered at one revision about what an actor may
// do, and says of each need whether it is met.
type judge struct {
	policy    authz.Policy
	actor     Actor
	consulted *authz.Consultation
	answers   map[question]authz.Decision
	member    *authz.Fact            // the actor, not found for a patient
	held      map[string]authz.Grant // what the actor holds, after wildcards
	listed    map[string]bool        // and as it is listed
}

// consult asks the policy questions about an actor, each once, and reads keys with
// them. An organisation that does not exist is NotFound.
func (s *Service) consult(
	ctx context.Context, organisation string, actor Actor, questions []question, keys []authz.Key,
) (*judge, error) {
	j := &judge{policy: s.decisions.Policy(), actor: actor, answers: map[question]authz.Decision{}, member: new(authz.Fact)}
	asked := make([]question, 0, len(questions))
	requests := make([]*authz.Request, 0, len(questions))
	for _, q := range questions {
		if _, before := j.answers[q]; !before {
			j.answers[q] = authz.Decision{}
			asked, requests = append(asked, q), append(requests, q.request(actor))
		}
	}
	self := authz.Key{Kind: authz.KindTeamMember, ID: actor.ID}
	if actor.Type == teamMember {
		keys = append(slices.Clip(keys), self)
	}
	c, err := s.decisions.Consult(ctx, organisation, requests, keys)
	if err != nil {
		return nil, err
	}
	if !c.Facts.Organisation {
		return nil, unknownOrganisation()
	}
	j.consulted = c
	for i, q := range asked {
		j.answers[q] = c.Decisions[i]
	}
	if actor.Type == teamMember {
		if j.member = c.Facts.Get(self); !j.member.Found { // V9
			return nil, refused("", []string{"subject_unknown"}, "the organisation has no such team member")
		}
	}
	if j.held, err = j.policy.Permissions(ctx, j.member, c.Facts); err != nil {
		return nil, err
	}
	own := j.resolve((&draft{}).sources(&Record{Role: j.member.Role, Groups: j.member.Groups}))
	j.listed = listed(own)
	return j, nil
}

// questions returns what has to be asked for the needs.
func (p *permit) questions() []question {
	var out []question
	for _, n := range p.needs {
		if n.ask != nil {
			out = append(out, *n.ask)
		}
		if n.cancels != nil {
			out = append(out, bookQuestion(n.cancels), cancelQuestion(n.cancels))
		}
	}
	return out
}

// keys returns what has to be read for them besides what the questions and the
// edits name.
func (p *permit) keys() []authz.Key {
	var out []authz.Key
	for _, n := range p.needs {
		if n.growth == nil {
			continue
		}
		for _, s := range slices.Concat(n.growth.before, n.growth.after) {
			if !s.known {
				out = append(out, s.key)
			}
		}
	}
	slices.SortFunc(out, compareKeys)
	return slices.Compact(out)
}

// all returns the first need that is not met as an error.
func (j *judge) all(ctx context.Context, needs []need) error {
	for i := range needs {
		if err := j.meets(ctx, &needs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (j *judge) meets(ctx context.Context, n *need) error {
	switch {
	case n.ask != nil:
		return j.permits(n.field, *n.ask)
	case n.cancels != nil:
		return j.mayCancel(n.field, n.cancels)
	case n.growth != nil:
		lacking, err := j.lacking(ctx, n.growth)
		if err == nil && len(lacking) > 0 {
			err = refused(n.field, []string{"permission_missing"},
				"it would grant "+someOf(lacking)+", which the actor does not hold (A4)")
		}
		return err
	case n.group != "" && !j.seesGroup(n.group):
		return refused(n.field, []string{"patient_group_not_accessible"},
			"it would show the patients of a group that the actor has no Access to, without "+viewAll+" (A4)")
	case n.patient != "" && !j.seesPatient(n.patient):
		return refused(n.field, []string{"patient_not_visible"}, "it would show a patient whom the actor does not see (A4)")
	default:
		return nil
	}
}

// permits reports a question that the policy denies as an error.
func (j *judge) permits(field string, q question) error {
	d := j.answers[q]
	if d.Allow {
		return nil
	}
	reasons, permission := accountOf(d)
	if j.seesAll() && slices.Equal(reasons, []string{"resource_unknown"}) && q.typ == patient {
		return renamed(notFound(authz.KindPatient), func(string) string { return field })
	}
	what := "the policy denies " + q.action + " on " + q.typ
	if permission != "" {
		what += ", which takes " + permission
	}
	return refused(field, j.discreet(q, reasons), what)
}

// discreet returns reasons without what tells whether there is a patient whom the
// actor does not see.
func (j *judge) discreet(q question, reasons []string) []string {
	hidden := []string{"patient_not_visible", "reference_unknown"}
	if q.typ == patient {
		hidden = append(hidden, "resource_unknown")
	}
	isHidden := func(reason string) bool { return slices.Contains(hidden, reason) }
	if j.actor.Type != teamMember || j.seesAll() || !slices.ContainsFunc(reasons, isHidden) {
		return reasons
	}
	// Whether the provider is bookable depends on the group of the patient. And the
	// policy looks for routes only if the resource is there.
	out := slices.DeleteFunc(slices.Clone(reasons), func(r string) bool { return isHidden(r) || r == "provider_not_bookable" })
	if !slices.Contains(out, "resource_unknown") {
		out = append(out, "patient_not_visible")
	}
	slices.Sort(out)
	return out
}

// mayCancel reports a booking that the actor may not cancel as an error.
func (j *judge) mayCancel(field string, booking *Record) error {
	q := bookQuestion(booking)
	reasons, _ := accountOf(j.answers[q])
	switch {
	case slices.Equal(reasons, []string{"provider_not_bookable"}):
		return nil
	case slices.Equal(reasons, []string{"resource_unknown"}): // the provider is none any more
		if j.actor.Type == patient { // and it is their own booking
			return nil
		}
		return j.permits(field, cancelQuestion(booking))
	default:
		return j.permits(field, q)
	}
}

// cancelQuestion is the question about a booking whose provider is none any more:
// the same (B4), with nobody to be bookable.
func cancelQuestion(r *Record) question {
	return question{action: "create", typ: "appointment", id: r.ID, patient: r.Patient}
}

// accountOf returns the reasons of a decision and the permission it takes, as far
// as the policy says and they look like it: what else it may say is for its own
// callers.
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
func refused(field string, reasons []string, what string) error {
	if len(reasons) > 0 {
		what += ": " + strings.Join(reasons, ", ")
	}
	return authz.Errorf(authz.Forbidden, field, "the actor may not do this: %s; ask somebody who may, or for what is lacking", what)
}

func unsupported() error {
	return refused("", []string{"subject_unsupported"}, "only team members and patients act")
}

// notFound is the error for an entity that does not exist, and for one that the
// actor must not know of.
func notFound(kind authz.Kind) error {
	return authz.Errorf(authz.NotFound, "", "there is no such %s, or it is not for this actor to see; check the id",
		strings.ReplaceAll(string(kind), "_", " "))
}

func unknownOrganisation() error {
	return authz.Errorf(authz.NotFound, "organisation", "is not an organisation that has facts; check its name, or import its facts")
}
