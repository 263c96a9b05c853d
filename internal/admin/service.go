package admin

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// The types of actor that there are.
const (
	typeMember  = "team_member"
	typePatient = "patient"
)

// typeProvider is the reference to whom a booking is with.
const typeProvider = "provider"

// Actor is who makes a change, or reads: a team member, or a patient, who books
// and cancels for themself and does nothing else (B3). The zero Actor is a trusted
// service that acts for nobody: it reads everything and changes nothing.
type Actor struct{ Type, ID string }

// String returns the actor as an Author names them, team_member:mark, and "" for
// nobody.
func (a Actor) String() string {
	if a.nobody() {
		return ""
	}
	return a.Type + ":" + a.ID
}

func (a Actor) nobody() bool { return a == Actor{} }

// Service changes and reads the facts of organisations for actors, as far as the
// policy lets them (A1) and no further than they could go themselves (A4). It is
// safe for concurrent use.
type Service struct {
	decisions *authz.Service
	store     Store
}

// NewService returns a service that asks decisions who may do what, and commits
// to store. Both have to be about the same facts.
func NewService(decisions *authz.Service, store Store) *Service {
	return &Service{decisions: decisions, store: store}
}

// Options are the circumstances of a change. The zero value has none.
type Options struct {
	// IfMatch is what the caller expects of records, whether they mark it so or
	// not. If it does not hold the error is of kind Changed.
	IfMatch []Expectation
	// AtLeast is what the facts have to include that are changed, as a Change has it.
	AtLeast authz.Revision
	Request string // the id of the request, for the record of the change (A3)
}

// Apply makes edits, all of them or none, in order, each on what the ones before it
// left. The actor has to be allowed every single one, judged by what is committed
// before the change and by what the earlier edits make of it; see permit.go for what
// is asked. What was deleted by an edit cannot be named by a later one, and nobody
// books a patient or a provider whom an earlier edit changes: that cannot be judged,
// and is Malformed.
//
// The change is committed only if everything that the decision was made from is
// still as it was. Otherwise it is decided again, and is a Conflict when that
// happened too often.
//
// Errors are those of Store.Commit, and Forbidden for what the actor may not do;
// Field names the edit, as edits[2].record.role, and Message the reasons of the
// policy and the permissions that are lacking, never a person. An organisation that
// does not exist is NotFound.
func (s *Service) Apply(ctx context.Context, organisation string, actor Actor, edits []Edit, o Options) (Committed, error) {
	if len(edits) == 0 {
		return Committed{}, bad("edits", "is empty; a change has at least one edit")
	}
	return s.decideAndCommit(ctx, organisation, actor, o, func(context.Context) (*plan, error) {
		return &plan{edits: edits}, nil
	})
}

// Change gives some fields of an entity new values, judged and committed as a Put
// of the whole record as it then is: an entity that nobody may create is not created.
// Errors are as for Apply, with Field named as in a record: groups[1]. An entity that
// does not exist is NotFound for whoever may change it.
func (s *Service) Change(
	ctx context.Context, organisation string, actor Actor, key authz.Key, fields Fields, o Options,
) (Committed, error) {
	if err := fields.checkChange(key); err != nil {
		return Committed{}, err
	}
	written := maps.Clone(fields)
	if written == nil {
		written = Fields{} // nothing was written, and not all of the record
	}
	return s.decideAndCommit(ctx, organisation, actor, o, func(ctx context.Context) (*plan, error) {
		records, _, err := s.records(ctx, organisation, []authz.Key{key})
		if err != nil {
			return nil, err
		}
		out := &plan{checked: true, rename: withoutPrefix("edits[0].record", "edits[0]")}
		was := &Record{Kind: key.Kind, ID: key.ID}
		if records[0] == nil {
			out.outcome = notFound(key.Kind)
		} else {
			was = &records[0].Record
		}
		out.edits = []Edit{{Op: Put, Record: written.Applied(was), written: written}}
		out.basis.expect(key, sinceOf(records[0]))
		return out, nil
	})
}

// attempts is how often a change is decided before it is given up.
const attempts = 10

// plan is what a call comes down to.
type plan struct {
	edits   []Edit
	checked bool       // what the caller wrote of them
	floor   []question // allowed, whatever the edits are, even if there are none
	// looked is what the edits were made from.
	basis basis
	// outcome, when not nil, is what somebody who may make the edits is told in
	// place of a commit.
	outcome error
	// rename turns the field of an error into the caller's words; nil leaves it.
	rename func(field string) string
}

// decideAndCommit makes a plan, decides on it and commits it, again and again while the
// facts change in between.
func (s *Service) decideAndCommit(
	ctx context.Context, organisation string, actor Actor, o Options, planned func(context.Context) (*plan, error),
) (Committed, error) {
	switch actor.Type {
	case typeMember, typePatient:
	case "":
		return Committed{}, authz.Errorf(authz.Forbidden, "",
			"a change is made by somebody, and nobody is named; say which team member or patient acts")
	default:
		return Committed{}, unsupported()
	}
	var committed Committed
	err := retryMoved(ctx, func() error {
		p, err := planned(ctx)
		if err == nil && len(p.edits) > 0 && !p.checked {
			err = (&Change{Edits: p.edits}).Check()
		}
		if err == nil {
			committed, err = s.attempt(ctx, organisation, actor, p, o)
		}
		if err != nil && p != nil {
			err = renamed(err, p.rename)
		}
		return s.discreet(ctx, organisation, actor, err)
	})
	if err != nil {
		return Committed{}, err
	}
	return committed, nil
}

// attempt decides on a plan and commits it.
func (s *Service) attempt(ctx context.Context, organisation string, actor Actor, p *plan, o Options) (Committed, error) {
	d, j, err := s.draft(ctx, organisation, actor, p.edits, &p.basis)
	if err != nil {
		return Committed{}, err
	}
	if p.basis.moved { // what was read at different moments does not fit together
		return Committed{}, Moved()
	}
	for _, q := range p.floor {
		if err := j.permits(ctx, "", q); err != nil {
			return Committed{}, err
		}
	}
	permit, err := j.permit(ctx, d, p.edits)
	if err != nil {
		return Committed{}, err
	}
	if err := permit.versions(o.IfMatch); err != nil {
		return Committed{}, err
	}
	if p.outcome != nil {
		return Committed{}, p.outcome
	}
	change := Change{
		Edits: p.edits, Expect: p.basis.expectations(), ExpectRevision: p.basis.revision, AtLeast: o.AtLeast,
		Author: Author{Actor: actor.String(), Via: "api", Request: o.Request},
	}
	for _, e := range o.IfMatch {
		e.IfMatch = true
		change.Expect = append(change.Expect, e)
	}
	if permit.taken != nil {
		return Committed{}, s.taken(ctx, organisation, permit, change)
	}
	// Where nothing is to be done the store says whether that is so still.
	done, err := s.store.Commit(ctx, organisation, change)
	if err != nil {
		return Committed{}, err
	}
	if len(p.edits) == 1 {
		done.Before = p.basis.since[p.edits[0].target()]
	}
	return done, nil
}

// taken returns the error for a change that would make something whose id another thing has,
// which the actor does not see. Everything else that is wrong with it comes first, so that
// only a change that could be made is told from one that cannot.
func (s *Service) taken(ctx context.Context, organisation string, p *permit, change Change) error {
	change.Expect = slices.DeleteFunc(change.Expect, func(x Expectation) bool {
		e := p.draft.entities[x.Key]
		return !x.IfMatch || e != nil && e.taken
	})
	if _, err := s.store.Preview(ctx, organisation, change); err != nil && authz.KindOf(err) != authz.Conflict {
		return err
	}
	return p.taken
}

// retryMoved calls f until its error is not about facts that changed meanwhile, but not
// too often, and within ctx.
func retryMoved(ctx context.Context, f func() error) error {
	for n := range attempts {
		err := f()
		if !errors.Is(err, ErrMoved) {
			return err
		}
		pause := time.NewTimer(rand.N(time.Millisecond << min(n, 5)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return &authz.Error{Kind: authz.Timeout, Message: "the time allowed ran out while the facts kept changing; try again", Err: ctx.Err()}
		}
	}
	return authz.Errorf(authz.Conflict, "", "the facts that the decision is made from changed too often meanwhile; try again")
}

func tooLarge(field, format string, args ...any) error {
	return authz.Errorf(authz.TooLarge, field, format, args...)
}

// basis is what was looked at for a decision. The zero value is nothing.
type basis struct {
	since    map[authz.Key]authz.Revision // the zero revision for what does not exist
	revision *authz.Revision              // when all of the organisation counts
	moved    bool                         // two looks at the same saw different things
}

// expect remembers an entity as it was seen. What no entity can be called does not
// exist, and needs not be remembered.
func (l *basis) expect(key authz.Key, since authz.Revision) {
	if !ValidID(key.ID) {
		return
	}
	if l.since == nil {
		l.since = map[authz.Key]authz.Revision{}
	}
	if before, again := l.since[key]; again && before != since {
		l.moved = true
	}
	l.since[key] = since
}

// expectWhole remembers that something was seen which is not the state of single
// entities: which ones there are.
func (l *basis) expectWhole(revision authz.Revision) {
	if l.revision != nil && *l.revision != revision {
		l.moved = true
	}
	l.revision = &revision
}

// expectConsultation remembers everything that the policy looked at.
func (l *basis) expectConsultation(c *authz.Consultation) {
	if l.revision != nil && *l.revision != c.Facts.Revision {
		l.moved = true
	}
	for _, key := range c.Keys {
		if !c.Facts.Get(key).Found {
			l.expect(key, authz.Revision{})
		}
	}
	for _, fact := range c.Facts.All() {
		if fact.Found {
			l.expect(fact.Key, fact.Since)
		}
	}
}

func (l *basis) keys() []authz.Key {
	keys := make([]authz.Key, 0, len(l.since))
	for key := range l.since {
		keys = append(keys, key)
	}
	return keys
}

func (l *basis) expectations() []Expectation {
	out := make([]Expectation, 0, len(l.since))
	for key, since := range l.since {
		out = append(out, Expectation{Key: key, Since: since})
	}
	slices.SortFunc(out, func(a, b Expectation) int { return compareKeys(a.Key, b.Key) })
	return out
}
