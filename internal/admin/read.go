package admin

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Who may read what. A trusted service that acts for nobody reads everything, a
// patient nothing. A team member is asked about with the duties to view: of each kind of
// record, of Access and Booking assignments, and of the history, which also takes sight of
// patients whoever they are.
//
// A patient or booking that a member may not view is not found, in the same words as
// one that does not exist, so that nobody finds out ids; in a list it is left out
// (V8, A5). Other records are Forbidden, whether they exist or not; and what refers to one
// that is not for the actor to see is what refers to nothing.
//
// Whatever is read is decided on at the revision that is stated with it: a record is read
// together with everything that the decision looks at; of lists, and of bookings, which name
// what the decision is about, the records are read first, and have to be unchanged since.

// The limits on a page for a member, who may see few of many records.
const (
	maxPage   = 1000 // records on it
	scanChunk = 1000 // records decided on at once
	maxScan   = 5000 // records looked at, give or take a chunk
)

// Administers returns nil for an actor who has the duty authz.Explain, and for a service that
// acts for nobody. All others are Forbidden in the same words, whether they exist or not.
func (s *Service) Administers(ctx context.Context, organisation string, actor Actor) error {
	if actor.nobody() {
		return nil
	}
	ask, declared := s.decisions.Policy().Administration().Question(authz.Explain)
	if !declared {
		return undeclared()
	}
	d, _, err := s.decisions.Decide(ctx, organisation, &authz.Request{
		Subject: authz.Entity{Type: actor.Type, ID: actor.ID}, Action: authz.Action{Name: ask.Action}, Resource: authz.Entity{Type: ask.Resource, ID: "explanations"},
	}, authz.Freshness{Full: true})
	if err == nil && !d.Allow {
		err = refused("", "only those are told who administer by the policy")
	}
	return err
}

// Get returns one record and the revision at which it was so. One that does not
// exist is NotFound.
func (s *Service) Get(
	ctx context.Context, organisation string, actor Actor, key authz.Key,
) (stored *Stored, revision authz.Revision, err error) {
	if err := actor.reads(); err != nil {
		return nil, revision, err
	}
	if !model.Has(key.Kind) {
		return nil, revision, UnknownKind("kind", key.Kind)
	}
	err = retryMoved(ctx, func() error {
		stored, revision, err = s.view(ctx, organisation, actor, key)
		return err
	})
	if err != nil {
		return nil, authz.Revision{}, err
	}
	return stored, revision, nil
}

// view returns one record at a revision at which the actor may view it.
func (s *Service) view(ctx context.Context, organisation string, actor Actor, key authz.Key) (*Stored, authz.Revision, error) {
	keys := []authz.Key{key}
	if !actor.nobody() && key.Kind != authz.KindBooking {
		records, j, err := s.judgeWith(ctx, organisation, actor, keys, nil)
		if err == nil {
			err = j.mayView(ctx, key, records[0])
		}
		if err != nil {
			return nil, authz.Revision{}, err
		}
		return records[0], j.read.Facts.Revision, nil
	}
	records, revision, err := s.records(ctx, organisation, keys)
	if err != nil {
		return nil, authz.Revision{}, err
	}
	stored := records[0]
	if actor.nobody() {
		if stored == nil {
			err = notFound(key.Kind)
		}
		return stored, revision, err
	}
	record := &Record{Kind: key.Kind, ID: key.ID}
	if stored != nil { // and so says of whom the booking is
		record = &stored.Record
	}
	j, err := s.judgeAt(ctx, organisation, actor, revision, []*Record{record}, records)
	if err == nil {
		err = j.mayView(ctx, key, stored)
	}
	return stored, revision, err
}

// mayView reports a record that a member may not view, or that does not exist, as
// an error.
func (j *judge) mayView(ctx context.Context, key authz.Key, stored *Stored) error {
	var patient, provider string
	if stored != nil {
		patient, provider = stored.Patient, stored.Provider
	}
	q, err := viewOf(key, patient, provider)
	if err != nil {
		return err
	}
	sees, err := j.allows(ctx, q)
	switch {
	case err != nil:
		return err
	case !sees && !isHidden(key.Kind):
		return j.denied(ctx, "", q)
	case !sees || stored == nil:
		return notFound(key.Kind)
	default:
		return nil
	}
}

// isHidden reports whether records of a kind that may not be viewed are as if they
// did not exist.
func isHidden(kind authz.Kind) bool { return kind == authz.KindPatient || kind == authz.KindBooking }

// reads reports an actor who reads nothing as an error.
func (a Actor) reads() error {
	switch {
	case a.nobody(), a.Type == typeMember:
		return nil
	case a.Type == typePatient:
		return refused("", "a patient reads no records")
	default:
		return unsupported()
	}
}

// History returns up to limit changes after a revision, as Store.History does. It
// tells of everything that there was, and so takes the duties to view the changes and sight
// of patients, whoever they are.
func (s *Service) History(
	ctx context.Context, organisation string, actor Actor, after Place, limit int,
) (History, error) {
	if err := actor.reads(); err != nil {
		return History{}, err
	}
	history, historyErr := s.store.History(ctx, organisation, after, limit)
	if actor.nobody() {
		return history, historyErr
	}
	// Decided after it was read, and so with nothing in it that is newer.
	j, err := s.judge(ctx, organisation, actor, nil)
	if err != nil {
		return History{}, err
	}
	for _, duty := range []authz.Duty{authz.ViewChangesUsers, authz.ViewChangesSettings} {
		if err := j.permits(ctx, "", question{duty: duty}); err != nil {
			return History{}, err
		}
	}
	if d, err := j.sight(ctx, nobody); err != nil {
		return History{}, err
	} else if !d.Allow {
		return History{}, j.because("", question{duty: authz.ViewPatient}, d)
	}
	return history, historyErr
}

// Wait returns nil as soon as there may be changes after a revision, as Store.Wait
// does. Nothing of them is told, and so nobody is asked.
func (s *Service) Wait(ctx context.Context, organisation string, after authz.Revision) error {
	return s.store.Wait(ctx, organisation, after)
}

// Includes returns nil if what was read at one revision includes another one, as
// Store.Includes does. Nothing is told that the revisions do not say.
func (s *Service) Includes(ctx context.Context, organisation string, have, want authz.Revision) error {
	return s.store.Includes(ctx, organisation, have, want)
}

// records returns the records for keys, nil for what does not exist, at one
// revision.
func (s *Service) records(ctx context.Context, organisation string, keys []authz.Key) ([]*Stored, authz.Revision, error) {
	records, revision, err := s.store.Records(ctx, organisation, keys)
	if err == nil && revision == (authz.Revision{}) {
		err = unknownOrganisation()
	}
	return records, revision, err
}

// related returns all ids that relate to an entity, most at most, at one revision.
// To be related to what does not exist is nobody.
func (s *Service) related(
	ctx context.Context, organisation string, relation Relation, to string, most int,
) (ids []string, revision authz.Revision, err error) {
	for after, first := "", true; ; first = false {
		page, err := s.store.Related(ctx, organisation, relation, to, after, scanChunk)
		switch {
		case authz.KindOf(err) == authz.NotFound && err != nil && first:
			_, revision, err = s.records(ctx, organisation, nil)
			return nil, revision, err
		case err != nil:
			return nil, authz.Revision{}, err
		case !first && page.Revision != revision:
			return nil, authz.Revision{}, Moved()
		}
		revision = page.Revision
		ids = append(ids, page.IDs...)
		if len(ids) > most {
			return nil, authz.Revision{}, tooLarge("", "more than %d records are concerned at once; change fewer of them", most)
		}
		if !page.More || len(page.IDs) == 0 {
			return ids, revision, nil
		}
		after = page.IDs[len(page.IDs)-1]
	}
}

// judgeAt returns a judge of records that were read at a revision, and makes sure that the
// answers are those of that revision. Each has its record as it is stored, nil for one that
// does not exist.
func (s *Service) judgeAt(
	ctx context.Context, organisation string, actor Actor, revision authz.Revision, records []*Record, stored []*Stored,
) (*judge, error) {
	keys := make([]authz.Key, 0, len(records))
	for _, r := range records {
		if r.Kind != authz.KindBooking {
			keys = append(keys, r.Key())
			continue
		}
		for _, key := range []authz.Key{{Kind: authz.KindPatient, ID: r.Patient}, {Kind: authz.KindTeamMember, ID: r.Provider}} {
			if key.ID != "" {
				keys = append(keys, key)
			}
		}
	}
	for _, r := range stored { // a booking as well, to see that it is unchanged
		if r != nil && r.Kind == authz.KindBooking {
			keys = append(keys, r.Key())
		}
	}
	j, err := s.judge(ctx, organisation, actor, keys)
	if err != nil {
		return nil, err
	}
	facts := j.read.Facts
	// Revisions of the entities are compared by their counts, and so of one history only.
	switch err := s.store.Includes(ctx, organisation, facts.Revision, revision); {
	case err != nil && authz.KindOf(err) == authz.Behind:
		return nil, Moved()
	case err != nil:
		return nil, err
	}
	for _, r := range stored {
		if r != nil && facts.Get(r.Key()).Since != r.Since {
			return nil, Moved()
		}
	}
	for _, fact := range facts.All() {
		if fact.Since.Count > revision.Count {
			return nil, Moved()
		}
	}
	return j, nil
}
