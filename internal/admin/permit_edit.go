package admin

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

func (p *permit) set(ctx context.Context, field string, edit *Edit) error {
	if edit.Key.Kind == authz.KindBooking {
		return bad(field+".key.kind", "cannot be booking; a booking is changed by cancel alone")
	}
	if !model.Has(edit.Key.Kind) {
		return UnknownKind(field+".key.kind", edit.Key.Kind)
	}
	e, err := p.target(ctx, field, edit.Key)
	if err != nil {
		return err
	}
	if edit.Key.Kind == authz.KindPatient && e.isNew() {
		err = p.creates(ctx, field, edit.Key)
	} else {
		_, update, _ := dutiesOf(edit.Key.Kind)
		err = p.permits(ctx, field, question{duty: update, id: edit.Key.ID})
	}
	if err != nil {
		return err
	}
	w := &whole{field: field + ".fields", was: e.now, hidden: e.hidden || e.now == nil, written: edit.Fields}
	if e.now == nil { // hidden, or nothing to be set, as the store will say
		w.was = &Record{Kind: edit.Key.Kind, ID: edit.Key.ID}
	}
	w.now = edit.Fields.Applied(w.was)
	if err := p.there(ctx, field+".key", edit.Key, e); err != nil {
		return err
	}
	if err := p.gives(ctx, w); err != nil {
		return err
	}
	if err := p.refersTo(ctx, w); err != nil {
		return err
	}
	if e.now != nil || e.hidden {
		e.now, e.changed = w.now, true
	}
	return nil
}

func (p *permit) link(ctx context.Context, field string, edit *Edit) error {
	kind, _ := edit.Relation.Ends()
	if kind == "" {
		return bad(field+".relation", "is no relation; write group, access, booking or care_team")
	}
	if !edit.Relation.IsLinked() {
		return bad(field+".relation", "is not changed by link and unlink; change it with the record of the one it is about")
	}
	key := authz.Key{Kind: kind, ID: edit.From}
	e, err := p.target(ctx, field, key)
	if err != nil {
		return err
	}
	_, duty := relationDuties(edit.Relation)
	if err := p.permits(ctx, field, question{duty: duty, id: edit.From}); err != nil {
		return err
	}
	was := &Record{Kind: kind, ID: edit.From}
	if e.now != nil {
		was = e.now
	}
	r := *was // as it will be
	list := edit.Relation.Field().List(&r)
	isNew := edit.Op == Link && !slices.Contains(*list, edit.To)
	if edit.Op == Link {
		*list = withItem(*list, edit.To)
	} else {
		*list = withoutItem(*list, edit.To)
	}
	if edit.Relation == CareTeam && e.now == nil { // a patient whom the actor does not see
		if edit.Op == Unlink {
			return withField(field+".from", notFound(kind))
		}
		return p.showPatient(ctx, field+".from", edit.From)
	}
	if err := p.there(ctx, field+".from", key, e); err != nil {
		return err
	}
	if isNew {
		if err := p.joins(ctx, field, edit, e, was, &r); err != nil {
			return err
		}
	}
	if e.now != nil {
		e.now, e.changed = &r, true
	}
	return nil
}

// joins judges an edge that is not there yet.
func (p *permit) joins(ctx context.Context, field string, edit *Edit, e *draftEntity, was, now *Record) error {
	_, to := edit.Relation.Ends()
	if err := p.refers(ctx, field+".to", to, edit.To); err != nil {
		return err
	}
	switch edit.Relation {
	case CareTeam:
		if e.isNew() {
			return p.showGroup(ctx, field+".from", now.PatientGroup)
		}
		return p.showPatient(ctx, field+".from", edit.From)
	case Access:
		return p.showGroup(ctx, field+".to", edit.To)
	case MemberOfGroup:
		return p.give(ctx, field+".to", &growth{was: was, now: now})
	default: // Booking shows nobody (B2)
		return nil
	}
}

func (p *permit) remove(ctx context.Context, field string, edit *Edit) error {
	if !model.Has(edit.Key.Kind) {
		return UnknownKind(field+".key.kind", edit.Key.Kind)
	}
	e, err := p.target(ctx, field, edit.Key)
	if err != nil {
		return err
	}
	if e.isNew() {
		return bad(field+".key", "is made by an earlier edit of this change; leave both out")
	}
	_, _, duty := dutiesOf(edit.Key.Kind)
	if err := p.permits(ctx, field, question{duty: duty, id: edit.Key.ID}); err != nil {
		return err
	}
	if err := p.there(ctx, field+".key", edit.Key, e); err != nil {
		return err
	}
	if edit.Cascade && edit.Key.Kind == authz.KindPatientGroup {
		if err := p.removePatients(ctx, field, edit.Key.ID); err != nil {
			return err
		}
	}
	if !edit.Cascade {
		if err := p.unused(ctx, field, edit.Key); err != nil {
			return err
		}
	}
	p.draft.delete(edit.Key)
	return nil
}

// unused refuses to delete something without a cascade for an actor who does not see all
// that may be in the way, whether there is something or not.
func (p *permit) unused(ctx context.Context, field string, key authz.Key) error {
	sees, err := p.seesReferring(ctx, key)
	if err != nil || sees {
		return err
	}
	return authz.Errorf(authz.Conflict, field+".key",
		"may be in use by what the actor does not see; ask for the deletion to cascade, or somebody who sees it")
}

// removePatients asks for the deletion of every patient of a group: of any there may be,
// and of those there are.
func (p *permit) removePatients(ctx context.Context, field, group string) error {
	ofAny, err := p.ofGroup(ctx, authz.DeletePatient, group)
	if err != nil {
		return err
	}
	if !ofAny.Allow {
		return p.because(field, question{duty: authz.DeletePatient}, ofAny)
	}
	if err := p.draft.uncounted[group]; err != nil {
		return err
	}
	for _, id := range p.draft.patientsIn(group) {
		if err := p.permits(ctx, field, question{duty: authz.DeletePatient, id: id}); err != nil {
			return err
		}
		p.draft.delete(authz.Key{Kind: authz.KindPatient, ID: id})
	}
	return nil
}

func (p *permit) book(ctx context.Context, field string, r *Record) error {
	if r == nil || r.Kind != authz.KindBooking {
		return bad(field+".record", "is no booking; write one")
	}
	if p.actor.Type == typePatient && r.Patient != p.actor.ID { // B3, whatever the policy says
		return refused(field+".record.patient", "a patient books for themself alone")
	}
	e, err := p.target(ctx, field, r.Key())
	if err != nil {
		return err
	}
	if p.draft.altered(authz.Key{Kind: authz.KindPatient, ID: r.Patient}) ||
		p.draft.altered(authz.Key{Kind: authz.KindTeamMember, ID: r.Provider}) {
		return bad(field+".record", "is about a patient or a provider whom an earlier edit of this change makes, changes or deletes; book in a change of its own")
	}
	if err := p.permits(ctx, field, question{duty: authz.MakeBooking, id: r.Provider, patient: r.Patient}); err != nil {
		return err
	}
	if e.hidden {
		p.takes(field+".record.id", e)
	}
	if e.now == nil {
		booked := *r
		booked.State = Booked
		e.now = &booked
	}
	return nil
}

func (p *permit) cancel(ctx context.Context, field string, key authz.Key) error {
	if key.Kind != authz.KindBooking {
		return bad(field+".key.kind", "is not booking; only a booking is cancelled")
	}
	e, err := p.target(ctx, field, key)
	if err != nil {
		return err
	}
	if e.now == nil { // not there, or hidden
		return withField(field+".key", notFound(key.Kind))
	}
	may, err := p.mayCancel(ctx, e.now)
	if err == nil && !may {
		err = p.denied(ctx, field, cancelling(e.now))
	}
	return err
}
