package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Who may change what (A1). Every question is one that anybody could ask: a duty of
// authz.Administration, for which the policy has an action and a type of resource, with
// the actor as the subject and the id of the entity whose record the edit changes.
//
//	role, group           create, update or delete
//	team member           the same, for name, role, groups and provider; the updates of
//	                      Access and of Booking assignments for those
//	patient group         its update; with a cascade the deletion of its patients as well
//	patient               create, update (a move) and delete; the update of care teams for
//	                      manual places
//	booking               make, cancel and delete
//
// A Put or a patch is judged by what it changes, as far as the actor sees the record. One
// that changes nothing takes update.
//
// A cascade other than that of a patient group takes nothing more than the
// deletion: who may delete a team member ends their places on care teams and their
// bookings with it, and who may delete a patient their bookings.
//
// What an actor does not see answers as what does not exist (A5), because it is not there
// for these questions: not as what an edit is made to, nor as what it refers to. Nothing is
// changed that the actor does not see, for the revision counts changes. What an edit takes
// is asked first, and as it is written: it is the same for what is hidden, what does not
// exist and what has it already. See "What does not answer alike" in docs/concepts.md
// for what can be told apart all the same.

// permit judges edits one after the other, each on what the ones before it left, and
// returns the first reason against them.
func (j *judge) permit(ctx context.Context, d *draft, edits []Edit) (*permit, error) {
	p := &permit{judge: j, draft: d}
	for i := range edits {
		if err := p.edit(ctx, fmt.Sprintf("edits[%d]", i), &edits[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// permit is edits while they are judged.
type permit struct {
	*judge
	draft *draft
	// taken is an error about an id that the actor wants for something new, and that
	// something has which the actor does not see; nil for none.
	taken error
}

// versions refuses what is expected of the version of a record that the actor does not see:
// they cannot know it.
func (p *permit) versions(expect []Expectation) error {
	for _, x := range expect {
		e := p.draft.entities[x.Key]
		if x.Since != (authz.Revision{}) && e != nil && (e.stored == nil || e.hidden) {
			return authz.Errorf(authz.Changed, x.Field,
				"the record is not the version that the request is about, or is not for this actor to see; read it again and decide anew")
		}
	}
	return nil
}

func (p *permit) edit(ctx context.Context, field string, e *Edit) error {
	if p.actor.Type == typePatient && e.Op != Book && e.Op != Cancel { // B3, whatever the policy says
		return refused(field, "a patient books and cancels, for themself, and changes nothing else")
	}
	switch e.Op {
	case Put:
		return p.put(ctx, field, e)
	case Set:
		return p.set(ctx, field, e)
	case Link, Unlink:
		return p.link(ctx, field, e)
	case Delete:
		return p.remove(ctx, field, e)
	case Book:
		return p.book(ctx, field, e.Record)
	case Cancel:
		return p.cancel(ctx, field, e.Key)
	default:
		return bad(field+".op", "is no operation; write put, set, link, unlink, delete, book or cancel")
	}
}

// target returns an entity that an edit is made to, and what the actor sees of it: what the
// edits so far leave of it, nil if there is nothing. Whether it is hidden from the actor,
// who then sees only what they wrote, is said in it.
func (p *permit) target(ctx context.Context, field string, key authz.Key) (*draftEntity, error) {
	e, err := p.draft.target(field, key)
	if err != nil || e.judged {
		return e, err
	}
	e.judged = true
	if e.stored == nil {
		return e, nil
	}
	var seen bool
	if key.Kind == authz.KindBooking {
		seen, err = p.seesBooking(ctx, &e.stored.Record)
	} else {
		seen, err = p.sees(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	if e.hidden = !seen; seen {
		e.now = &e.stored.Record
	}
	return e, nil
}

// creates reports that the actor may not make an entity, which is not there as far as they
// see.
func (p *permit) creates(ctx context.Context, field string, key authz.Key) error {
	create, _, _ := dutiesOf(key.Kind)
	q := question{duty: create, id: key.ID}
	d, err := p.decideOver(ctx, p.reading(), q)
	if err == nil && !d.Allow {
		err = p.because(field, q, d)
	}
	return err
}

// there reports an entity that the actor does not see as one that does not exist; that one
// which they would see does not is for the store to say. The policy has allowed what is to be
// done: if that was asked of the facts about a patient, who is then there, they may know.
func (p *permit) there(ctx context.Context, field string, key authz.Key, e *draftEntity) error {
	if e.now != nil {
		return nil
	}
	switch {
	case key.Kind == authz.KindPatient && e.stored != nil:
		return nil
	case key.Kind != authz.KindPatient && key.Kind != authz.KindBooking:
		if sees, err := p.sees(ctx, key); err != nil || sees {
			return err
		}
	}
	return withField(field, notFound(key.Kind))
}

// refers reports something that a record is to refer to, and that the actor does not see, as
// what does not exist. What their own record names they know.
func (p *permit) refers(ctx context.Context, field string, kind authz.Kind, ids ...string) error {
	for _, id := range ids {
		if id == "" {
			continue
		}
		key := authz.Key{Kind: kind, ID: id}
		if e := p.draft.entities[key]; e != nil && e.now != nil || kind == authz.KindPatientGroup && slices.Contains(p.member.Access, id) {
			continue
		}
		sees, err := p.sees(ctx, key)
		if err != nil {
			return err
		}
		if !sees {
			return bad(field, "names a %s that the organisation does not have, or that is not for this actor to see; create it first, or correct the id",
				strings.ReplaceAll(string(kind), "_", " "))
		}
	}
	return nil
}

// refersTo is refers for everything that a record says and did not before.
func (p *permit) refersTo(ctx context.Context, w *whole) error {
	for _, f := range model.Fields(w.now.Kind) {
		_, to := f.Relation.Ends()
		switch {
		case to == "":
		case f.Type == model.ID && !f.Same(w.was, w.now):
			if err := p.refers(ctx, w.field+"."+f.Name, to, *f.Text(w.now)); err != nil {
				return err
			}
		case f.Type == model.IDs:
			now := *f.List(w.now)
			for _, id := range added(*f.List(w.was), now) {
				if err := p.refers(ctx, fmt.Sprintf("%s.%s[%d]", w.field, f.Name, slices.Index(now, id)), to, id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// takes notes that an id is that of something which the actor does not see, where they
// wanted it for something new. It cannot be made, and this much they are told. Further
// edits are judged as if it could: what is hidden is not there.
func (p *permit) takes(field string, e *draftEntity) {
	e.stored, e.hidden, e.taken = nil, false, true
	if p.taken == nil {
		p.taken = authz.Errorf(authz.Conflict, field, "is an id that cannot be given to something new; choose another one")
	}
}

// whole is what a put or a patch makes of a record.
type whole struct {
	field    string // where the record stands
	was, now *Record
	// hidden: was has only what the actor wrote themself, for they do not see the rest, or
	// there is nothing.
	hidden bool
	// written has the fields that were written, nil for all of them.
	written Fields
}

// writes reports whether a field was written.
func (w *whole) writes(name string) bool {
	_, written := w.written[name]
	return written || w.written == nil
}

func (p *permit) put(ctx context.Context, field string, edit *Edit) error {
	r := edit.Record
	if r == nil {
		return bad(field+".record", "is missing")
	}
	if r.Kind == authz.KindBooking {
		return bad(field+".record.kind", "cannot be booking; a booking is made with book and ended with cancel")
	}
	if !model.Has(r.Kind) {
		return UnknownKind(field+".record.kind", r.Kind)
	}
	e, err := p.target(ctx, field, r.Key())
	if err != nil {
		return err
	}
	w := &whole{field: field + ".record", was: e.now, now: r, hidden: e.hidden, written: edit.written}
	update := e.now != nil || edit.written != nil
	if e.now == nil {
		w.was, w.hidden = &Record{Kind: r.Kind, ID: r.ID}, true
	}
	if edit.written != nil {
		w.now = edit.written.Applied(w.was)
	}
	if r.Kind == authz.KindPatient && e.isNew() { // who was not there before this change is still being registered
		update = false
	}
	if update {
		if err = p.updates(ctx, field, w); err == nil {
			err = p.there(ctx, field, r.Key(), e)
		}
	} else if err = p.creates(ctx, field, r.Key()); err == nil {
		err = p.fills(ctx, field, w)
	}
	if err != nil {
		return err
	}
	if err := p.refersTo(ctx, w); err != nil {
		return err
	}
	if e.hidden && !update {
		p.takes(field+".record.id", e)
	}
	e.now, e.changed = w.now, true
	return nil
}

// updates judges a record that is changed.
func (p *permit) updates(ctx context.Context, field string, w *whole) error {
	for _, duty := range w.duties() {
		if err := p.permits(ctx, field, question{duty: duty, id: w.now.ID}); err != nil {
			return err
		}
	}
	if w.now.Kind == authz.KindPatient {
		return p.updatesTeam(ctx, w)
	}
	return p.gives(ctx, w)
}

// duties returns what a change of the record takes, that of the record itself first. Where
// nothing changes that is all. Of a hidden one everything may change that is written.
func (w *whole) duties() []authz.Duty {
	_, own, _ := dutiesOf(w.now.Kind)
	var further []authz.Duty
	changes := false
	for _, f := range model.Fields(w.now.Kind) {
		if !w.writes(f.Name) || !w.hidden && f.Same(w.was, w.now) {
			continue
		}
		if _, duty := relationDuties(f.Relation); f.Relation.IsLinked() && duty != own {
			further = append(further, duty)
		} else {
			changes = true
		}
	}
	if !changes && len(further) > 0 {
		return further
	}
	return append([]authz.Duty{own}, further...)
}

// updatesTeam judges the manual places of a patient who is there. All of them are
// replaced, and so they take sight of the patient.
func (p *permit) updatesTeam(ctx context.Context, w *whole) error {
	if !w.writes(CareTeam.Field().Name) || !w.hidden && len(added(w.was.CareTeam, w.now.CareTeam)) == 0 {
		return nil
	}
	return p.showPatient(ctx, w.field+".care_team", w.now.ID)
}

// fills judges what something new has in it.
func (p *permit) fills(ctx context.Context, field string, w *whole) error {
	_, own, _ := dutiesOf(w.now.Kind)
	for _, f := range model.Fields(w.now.Kind) {
		_, duty := relationDuties(f.Relation)
		if !f.Relation.IsLinked() || duty == own || f.Same(w.was, w.now) {
			continue
		}
		if err := p.permits(ctx, field, question{duty: duty, id: w.now.ID}); err != nil {
			return err
		}
	}
	if w.now.Kind == authz.KindPatient && len(added(w.was.CareTeam, w.now.CareTeam)) > 0 {
		return p.showGroup(ctx, w.field+".care_team", w.now.PatientGroup)
	}
	return p.gives(ctx, w)
}
