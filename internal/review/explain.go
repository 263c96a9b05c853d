package review

import (
	"context"
	"encoding/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// Viewer is who looks. The zero Viewer sees what ordinary callers do: codes, and
// nothing of other people's facts.
type Viewer struct {
	Actor admin.Actor
	// Operator sees everything, whoever they are: the command on the operator's machine.
	Operator bool
	// Own says that the actor asks by their own token, or is merely named, and that no service
	// with a token asks, which is trusted with decisions about everybody.
	Own bool
}

// asAdministrator reports whether the viewer asks about r as those do who administer, and
// waits with them. Who asks about themselves, or is a service that names nobody, does not.
func (v *Viewer) asAdministrator(r *authz.Request) bool {
	return v.Operator || v.Actor != (admin.Actor{}) && !v.isSubject(r)
}

// isSubject reports whether the viewer asks about themselves.
func (v *Viewer) isSubject(r *authz.Request) bool {
	return admin.Actor{Type: r.Subject.Type, ID: r.Subject.ID} == v.Actor
}

// Explanation is a decision with its account.
type Explanation struct {
	// Decision has its context for administrators alone: it may name roles and groups.
	Decision authz.Decision
	// User is for whoever asked: codes, and a sentence without other people's facts.
	User json.RawMessage
	// Admin is everything: each route and each source of the permission, matched or not, and
	// what is missing; where the policy does not explain itself, the context of the decision.
	// It is nil unless the viewer is an administrator.
	Admin json.RawMessage
	// Remedies are the single changes that would turn a deny into an allow, those that open
	// least first; for administrators. Each was tried.
	Remedies []Remedy
	// More says that there are roles or groups that were not tried.
	More bool
}

// The account of a deny in an organisation that does not exist: the policy is not asked.
const (
	organisationUnknownUser = `{"reasons":["organisation_unknown"],"reason_user":{"en":"Denied: the organisation is not known."}}`

	organisationUnknownAdmin = `{"reason_admin":{"en":"There is no organisation of this name, so nothing in it is allowed."},` +
		`"requirements":[{"requirement":"organisation_known","met":false}]}`
)

// Explain decides r and says why, all from the facts of one revision. An administrator
// is an operator, or an actor who has the duty authz.Explain (A1). Who asks by their own
// token, or is merely named, asks about themselves, unless they administer, and is answered as if whom they may
// not view did not exist (A5); a trusted service is told of these what a decision says, and
// no more. Errors are those of authz.Service's Decide; Forbidden; Unavailable also when the
// facts changed too often to try what would change a deny.
func (s *Service) Explain(
	ctx context.Context, organisation string, r *authz.Request, viewer Viewer, fresh authz.Freshness,
) (e *Explanation, stated authz.Stated, err error) {
	err = atOneRevision(ctx, func() error {
		e, stated, err = s.explain(ctx, organisation, r, viewer, fresh)
		fresh.Full = true // the facts at hand may be behind those that are read beside them
		return err
	})
	if err != nil {
		return nil, stated, err
	}
	return e, stated, nil
}

// explain is one attempt.
func (s *Service) explain(
	ctx context.Context, organisation string, r *authz.Request, viewer Viewer, fresh authz.Freshness,
) (*Explanation, authz.Stated, error) {
	stated := authz.Stated{Policy: s.rules.Digest()}
	place, begun := authz.PersonalWork, viewer.asAdministrator(r)
	if begun {
		place = authz.LongWork
	}
	if begun && viewer.Own { // before an administrator's place is taken
		if may, err := s.administrator(ctx, organisation, viewer); err != nil {
			return nil, stated, err
		} else if !may {
			return nil, stated, notThemselves()
		}
	}
	request := ctx
	ctx, end, err := place(ctx) // before facts are read, which would be too old after a wait
	if err != nil {
		return nil, stated, err
	}
	defer func() { end() }()
	k, requests := s.knowledge(organisation, viewer), []*authz.Request{r}
	if administers := k.ask(authz.Explain, "explanations"); administers != nil && !viewer.Operator && viewer.Actor != (admin.Actor{}) {
		requests = append(requests, administers)
	}
	e := &Explanation{}
	var asked authz.Question
	var facts *authz.Facts
	administrator := false
	stated, err = s.decisions.Consider(ctx, organisation, requests, fresh, func(all []authz.Considered) error {
		administrator = viewer.Operator || len(all) > 1 && all[1].Decision.Allow
		if viewer.Own && !administrator && !viewer.isSubject(r) {
			return notThemselves()
		}
		facts = all[0].Facts
		hidden, err := k.hidden(ctx, all[0].Question)
		if err != nil {
			return err
		}
		if viewer.Own {
			seen, err := s.asSeen(ctx, k, r, all[0], hidden, administrator)
			if err != nil {
				return err
			}
			*e, asked = Explanation{Decision: seen.Decision}, seen.Question
			return s.account(ctx, e, asked)
		}
		administrator = administrator && len(hidden) == 0
		*e = Explanation{Decision: all[0].Decision}
		asked = all[0].Question
		return s.account(ctx, e, asked)
	})
	if err != nil {
		return nil, stated, err
	}
	if !administrator {
		e.Decision.Context, e.Admin = nil, nil
		return e, stated, nil
	}
	if e.Decision.Allow || !asked.Facts.Organisation || s.rules.Catalogue() == nil {
		return e, stated, nil
	}
	t := &trial{
		Service: s, counter: s.counter(organisation, stated.Revision), question: asked, needs: permissionIn(e.Decision.Context),
		counted: map[string]int{},
	}
	if !begun { // who waits with administrators keeps nobody else from a place
		end()
		if ctx, end, err = authz.LongWork(request); err != nil {
			end = func() {}
			return nil, stated, err
		}
	}
	if e.Remedies, e.More, err = t.remedies(ctx); err == nil {
		e.Remedies, err = k.named(ctx, facts, e.Remedies)
	}
	return e, stated, err
}

func notThemselves() error {
	return authz.Errorf(authz.Forbidden, "subject",
		"is somebody else than the one who asks, by their token or by Caregate-Actor; ask about yourself, or as an administrator, or have a service ask that bears a token")
}

// asSeen is how r is decided if those did not exist whom the viewer may not view: hidden,
// and of a deny, for whoever does not administer, whoever else is referred to. Whether it
// denies is looked at without the hidden ones, who are not to be told from nobody (A5).
func (s *Service) asSeen(
	ctx context.Context, k *viewerKnowledge, r *authz.Request, decided authz.Considered, hidden []authz.Key, administrator bool,
) (seen authz.Considered, err error) {
	facts := decided.Facts
	if seen = decided; len(hidden) > 0 {
		seen, err = s.considerWithout(ctx, k.organisation, r, facts, hidden)
	}
	if err != nil || administrator || seen.Decision.Allow {
		return seen, err
	}
	referred, err := k.referring(ctx, seen.Question)
	if err != nil || len(referred) == 0 {
		return seen, err
	}
	return s.considerWithout(ctx, k.organisation, r, facts, append(hidden, referred...))
}

// considerWithout is how r is decided if some did not exist.
func (s *Service) considerWithout(
	ctx context.Context, organisation string, r *authz.Request, facts *authz.Facts, some []authz.Key,
) (considered authz.Considered, err error) {
	over := authz.NewService(reading{withoutFacts(facts, some)}, s.rules)
	_, err = over.Consider(ctx, organisation, []*authz.Request{r}, authz.Freshness{}, func(all []authz.Considered) error {
		considered = all[0]
		return nil
	})
	return considered, err
}

// account says why q was decided as e has it, at both levels.
func (s *Service) account(ctx context.Context, e *Explanation, q authz.Question) error {
	if !q.Facts.Organisation && s.rules.Catalogue() != nil {
		e.User, e.Admin = json.RawMessage(organisationUnknownUser), json.RawMessage(organisationUnknownAdmin)
		return nil
	}
	account, err := s.rules.Explain(ctx, q)
	if err != nil {
		return err
	}
	if account.User == nil {
		e.User, e.Admin = reasonsOf(e.Decision.Context), e.Decision.Context
		return nil
	}
	e.User, e.Admin = account.User, account.Admin
	return nil
}

// reasonsOf reduces the context of a decision to its reasons.
func reasonsOf(decided json.RawMessage) json.RawMessage {
	var of struct {
		Reasons json.RawMessage `json:"reasons"`
	}
	if json.Unmarshal(decided, &of) != nil || of.Reasons == nil {
		return json.RawMessage(`{}`)
	}
	return json.RawMessage(`{"reasons":` + string(of.Reasons) + `}`)
}

// permissionIn returns the permission that a decision names in its context, "" for
// none.
func permissionIn(decided json.RawMessage) string {
	var of struct {
		Permission string `json:"permission"`
	}
	if json.Unmarshal(decided, &of) != nil {
		return ""
	}
	return of.Permission
}
