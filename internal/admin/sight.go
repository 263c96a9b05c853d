package admin

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// What an actor sees is the policy's answer to `view`, asked like any other question, and
// never a rule of this package (A4). A patient who does not exist is asked about as one who
// is made up: the policy is given a patient of a group with nobody on the care team, of
// whom nothing else is known. What it says of that one it says of any.

// nobody is the id of a patient, a provider and a patient group that are made up. No
// entity has it.
const nobody = "\x00"

// key returns the key of the facts about the actor.
func (a Actor) key() authz.Key {
	if a.Type == typePatient {
		return authz.Key{Kind: authz.KindPatient, ID: a.ID}
	}
	return authz.Key{Kind: authz.KindTeamMember, ID: a.ID}
}

// viewOf returns what is asked for an entity to be read. What a booking is about has to be
// known.
func viewOf(key authz.Key, patient, provider string) (question, error) {
	if !model.Has(key.Kind) {
		return question{}, UnknownKind("kind", key.Kind)
	}
	q := question{duty: authz.DutyOf(key.Kind, "view"), id: key.ID}
	if key.Kind == authz.KindBooking {
		q.patient, q.provider = patient, provider
	}
	return q, nil
}

// sees reports whether the actor sees an entity, which is no booking. That of a kind whose
// every entity is seen, or none, may be absent.
func (j *judge) sees(ctx context.Context, key authz.Key) (bool, error) {
	q, err := viewOf(key, "", "")
	if err != nil {
		return false, err
	}
	return j.allows(ctx, q)
}

// seesBooking reports whether the actor may know of a booking: by viewing it, or because
// they may cancel it.
func (j *judge) seesBooking(ctx context.Context, r *Record) (bool, error) {
	view, err := viewOf(r.Key(), r.Patient, r.Provider)
	if err != nil {
		return false, err
	}
	seen, err := j.allows(ctx, view)
	if err != nil || seen {
		return seen, err
	}
	return j.mayCancel(ctx, r)
}

func (j *judge) mayCancel(ctx context.Context, r *Record) (bool, error) {
	if j.actor.Type == typePatient && r.Patient != j.actor.ID { // B3, whatever the policy says
		return false, nil
	}
	return j.allows(ctx, cancelling(r))
}

func cancelling(r *Record) question {
	return question{duty: authz.CancelBooking, id: r.ID, patient: r.Patient}
}

// reading returns facts that are as they were read of the actor, with others.
func (j *judge) reading(others ...*authz.Fact) *authz.Facts {
	facts := []*authz.Fact{j.fact(j.actor.key())}
	for key := range j.member.Sources() {
		facts = append(facts, j.fact(key))
	}
	for _, fact := range others {
		if fact.Key != j.actor.key() {
			facts = append(facts, fact)
		}
	}
	return authz.NewFacts(true, j.read.Facts.Revision, facts...)
}

// lookedUp returns the key of the facts about what a question names, if there are such.
func (j *judge) lookedUp(typ, id string) (authz.Key, bool) {
	catalogue := j.decisions.Policy().Catalogue()
	if catalogue == nil || id == "" {
		return authz.Key{}, false
	}
	key := authz.Key{Kind: catalogue.Types[typ].Facts, ID: id}
	return key, key.Kind != ""
}

// asSeen returns the facts that a question names without those that the actor does not
// see. Where that is the patient in question one who is made up stands in.
func (j *judge) asSeen(ctx context.Context, q question) (facts *authz.Facts, standsIn bool, err error) {
	var seen []*authz.Fact
	about := j.names.Questions[q.duty].Resource
	for _, named := range []struct{ typ, id string }{{about, q.id}, {typePatient, q.patient}, {typeProvider, q.provider}} {
		key, ok := j.lookedUp(named.typ, named.id)
		if !ok {
			continue
		}
		fact, sees := j.fact(key), false
		if fact.Found {
			if sees, err = j.sees(ctx, key); err != nil {
				return nil, false, err
			}
		}
		switch {
		case sees:
			seen = append(seen, fact)
		case key.Kind == authz.KindPatient && named.typ == about && key != j.actor.key():
			standIn := madeUp(nobody)
			standIn.ID = key.ID
			seen, standsIn = append(seen, standIn), true
		}
	}
	return j.reading(seen...), standsIn, nil
}

// seesGroup reports whether the actor sees the patients of a group, whoever they are;
// those of the group nobody are those of any.
func (j *judge) seesGroup(ctx context.Context, group string) (bool, error) {
	d, err := j.sight(ctx, group)
	return d.Allow, err
}

// sight is seesGroup with the reasons.
func (j *judge) sight(ctx context.Context, group string) (authz.Decision, error) {
	if d, before := j.sights[group]; before {
		return d, nil
	}
	d, err := j.ofGroup(ctx, authz.ViewPatient, group)
	if err == nil {
		j.sights[group] = d
	}
	return d, err
}

// ofGroup answers the question about a duty for a patient of a group who is made up.
func (j *judge) ofGroup(ctx context.Context, duty authz.Duty, group string) (authz.Decision, error) {
	return j.decideOver(ctx, j.reading(madeUp(group)), question{duty: duty, id: nobody})
}

func madeUp(group string) *authz.Fact {
	return &authz.Fact{Key: authz.Key{Kind: authz.KindPatient, ID: nobody}, Found: true, PatientGroup: group}
}

// seesBookings reports whether the actor sees every booking of a patient; nobody is any
// patient.
func (j *judge) seesBookings(ctx context.Context, patient string) (bool, error) {
	of := madeUp(nobody)
	if patient != nobody {
		of = j.fact(authz.Key{Kind: authz.KindPatient, ID: patient})
	}
	with := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: nobody}, Found: true, Provider: true}
	d, err := j.decideOver(ctx, j.reading(of, with), question{duty: authz.ViewBooking, id: nobody, patient: patient, provider: nobody})
	return d.Allow, err
}

// seesReferring reports whether the actor sees all that may refer to an entity.
func (j *judge) seesReferring(ctx context.Context, key authz.Key) (bool, error) {
	for _, relation := range model.Relations() {
		from, to := relation.Ends()
		if to != key.Kind {
			continue
		}
		of, sees, err := nobody, true, error(nil)
		switch from {
		case authz.KindTeamMember:
			sees, err = j.allows(ctx, question{duty: authz.ViewTeamMember})
		case authz.KindPatient:
			if to == authz.KindPatientGroup {
				of = key.ID
			}
			sees, err = j.seesGroup(ctx, of)
		case authz.KindBooking:
			if to == authz.KindPatient {
				of = key.ID
			}
			sees, err = j.seesBookings(ctx, of)
		}
		if err != nil || !sees {
			return false, err
		}
	}
	return true, nil
}
