package admin

import (
	"fmt"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// Who may change what (A1). Every question is one that anybody could ask, asked of
// the policy with the actor as the subject; a resource "user" has the id of the role,
// group or member, "settings" that of what is set up: patient_group, access,
// booking, care_team or bookings.
//
//	role, group           create, update or delete on user
//	team member           the same, for name, role, groups and provider; update on
//	                      settings for Access and Booking
//	patient group         update on settings; with a cascade delete on each of its patients as well
//	patient               create, update (a move) and delete on patient; update on
//	                      settings for manual places on the care team
//	booking               book on provider, for the patient, to make and to cancel
//	                      one; update on settings to delete one
//
// A Put is judged by what it changes. One that changes nothing takes update.
//
// A cascade other than that of a patient group takes nothing more than the
// deletion: who may delete a team member ends their places on care teams and their
// bookings with it, and who may delete a patient their bookings.
//
// A booking can be cancelled by whoever could make it, and also when all that
// stands against making it is that the provider is not bookable for the patient any
// more, or no provider any more: otherwise a booking could never be cancelled after
// its provider's assignment ended, or its patient's move.

// question is one thing that the policy is asked about the actor.
type question struct {
	action, typ, id   string
	patient, provider string // properties, when not ""
}

func (q question) request(actor Actor) *authz.Request {
	r := &authz.Request{
		Subject:  authz.Entity{Type: actor.Type, ID: actor.ID},
		Action:   authz.Action{Name: q.action},
		Resource: authz.Entity{Type: q.typ, ID: q.id},
	}
	if q.patient != "" || q.provider != "" {
		r.Resource.Properties = map[string]any{}
	}
	if q.patient != "" {
		r.Resource.Properties["patient"] = q.patient
	}
	if q.provider != "" {
		r.Resource.Properties["provider"] = q.provider
	}
	return r
}

func userQuestion(action, id string) question { return question{action: action, typ: "user", id: id} }
func settings(action, id string) question     { return question{action: action, typ: "settings", id: id} }
func patientQuestion(action, id string) question {
	return question{action: action, typ: patient, id: id}
}

// need is one thing that has to hold for an edit to be made. One of its fields
// after the first is given.
type need struct {
	field string // of the edit

	ask     *question
	cancels *Record // the booking that is cancelled
	growth  *growth // the actor holds what somebody gains (A4)
	group   string  // a patient group that the actor sees (A4)
	patient string  // a patient whom the actor sees (A4)
}

// permit collects what has to hold for edits to be made, and what becomes of the
// entities that they name.
type permit struct {
	actor Actor
	draft *draft
	needs []need
}

// permit goes through edits. An error is about an edit that cannot be judged.
func (d *draft) permit(actor Actor, edits []Edit) (*permit, error) {
	p := &permit{actor: actor, draft: d}
	for i := range edits {
		if err := p.edit(fmt.Sprintf("edits[%d]", i), &edits[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *permit) ask(field string, q question) {
	p.needs = append(p.needs, need{field: field, ask: &q})
}

func (p *permit) edit(field string, e *Edit) error {
	if p.actor.Type == patient && e.Op != Book && e.Op != Cancel {
		return refused(field, []string{"not_for_patients"}, "a patient books and cancels, for themself, and changes nothing else")
	}
	switch e.Op {
	case Put:
		return p.put(field, e.Record)
	case Set:
		return p.set(field, e)
	case Link, Unlink:
		return p.link(field, e)
	case Delete:
		return p.remove(field, e)
	case Book:
		return p.book(field, e.Record)
	case Cancel:
		return p.cancel(field, e.Key)
	default:
		return bad(field+".op", "is no operation; write put, set, link, unlink, delete, book or cancel")
	}
}

func (p *permit) put(field string, r *Record) error {
	if r == nil {
		return bad(field+".record", "is missing")
	}
	e, err := p.draft.target(field, r.Key())
	if err != nil {
		return err
	}
	was, update := e.now, "update"
	if was == nil {
		was, update = &Record{Kind: r.Kind, ID: r.ID}, "create"
	}
	switch r.Kind {
	case authz.KindRole, authz.KindGroup:
		p.ask(field, userQuestion(update, r.ID))
		p.grow(field+".record.permissions", &growth{
			before: []source{{key: r.Key(), known: true, permissions: was.Permissions}},
			after:  []source{{key: r.Key(), known: true, permissions: r.Permissions}},
		})
	case authz.KindPatientGroup:
		p.ask(field, settings("update", "patient_group"))
	case authz.KindTeamMember:
		p.putMember(field, update, was, r)
	case authz.KindPatient:
		p.putPatient(field, e, was, r)
	case authz.KindBooking:
		return bad(field+".record.kind", "cannot be booking; a booking is made with book and ended with cancel")
	default:
		return UnknownKind(field+".record.kind", r.Kind)
	}
	e.now, e.changed = r, true
	return nil
}

func (p *permit) putMember(field, update string, was, r *Record) {
	access, booking := !sameSet(was.Access, r.Access), !sameSet(was.Booking, r.Booking)
	own := was.Name != r.Name || was.Role != r.Role || was.IsProvider != r.IsProvider || !sameSet(was.Groups, r.Groups)
	if own || update == "create" || !access && !booking {
		p.ask(field, userQuestion(update, r.ID))
	}
	if access {
		p.ask(field, settings("update", "access"))
	}
	if booking {
		p.ask(field, settings("update", "booking"))
	}
	p.grow(field+".record", &growth{before: p.draft.sources(was), after: p.draft.sources(r)})
	for _, group := range added(was.Access, r.Access) {
		p.seeGroup(fmt.Sprintf("%s.record.access[%d]", field, slices.Index(r.Access, group)), group)
	}
}

func (p *permit) putPatient(field string, e *entity, was, r *Record) {
	team := !sameSet(was.CareTeam, r.CareTeam)
	switch { // one who was not there before this change is still being registered
	case e.stored == nil:
		p.ask(field, patientQuestion("create", r.ID))
	case was.PatientGroup != r.PatientGroup || !team:
		p.ask(field, patientQuestion("update", r.ID))
	}
	if !team {
		return
	}
	p.ask(field, settings("update", "care_team"))
	if len(added(was.CareTeam, r.CareTeam)) > 0 {
		p.seePatient(field+".record.care_team", e, r)
	}
}

func (p *permit) set(field string, edit *Edit) error {
	e, err := p.draft.target(field, edit.Key)
	if err != nil {
		return err
	}
	was := e.now
	if was == nil { // there is nothing to be set, as the store will say
		was = &Record{Kind: edit.Key.Kind, ID: edit.Key.ID}
	}
	r := edit.Fields.over(was)
	switch edit.Key.Kind {
	case authz.KindRole, authz.KindGroup:
		p.ask(field, userQuestion("update", r.ID))
		p.grow(field+".fields.permissions", &growth{
			before: []source{{key: r.Key(), known: true, permissions: was.Permissions}},
			after:  []source{{key: r.Key(), known: true, permissions: r.Permissions}},
		})
	case authz.KindTeamMember:
		p.ask(field, userQuestion("update", r.ID))
		p.grow(field+".fields.role", &growth{before: p.draft.sources(was), after: p.draft.sources(r)})
	case authz.KindPatientGroup:
		p.ask(field, settings("update", "patient_group"))
	case authz.KindPatient:
		if e.isNew() {
			p.ask(field, patientQuestion("create", r.ID))
		} else {
			p.ask(field, patientQuestion("update", r.ID))
		}
	case authz.KindBooking:
		return bad(field+".key.kind", "cannot be booking; a booking is changed by cancel alone")
	default:
		return UnknownKind(field+".key.kind", edit.Key.Kind)
	}
	if e.now != nil {
		e.now, e.changed = r, true
	}
	return nil
}

func (p *permit) link(field string, edit *Edit) error {
	kind, _ := edit.Relation.Ends()
	if kind == "" {
		return bad(field+".relation", "is no relation; write group, access, booking or care_team")
	}
	e, err := p.draft.target(field, authz.Key{Kind: kind, ID: edit.From})
	if err != nil {
		return err
	}
	r := Record{Kind: kind, ID: edit.From} // as it will be
	if e.now != nil {
		r = *e.now
	}
	var list *[]string
	var ask question
	switch edit.Relation {
	case InGroup:
		list, ask = &r.Groups, userQuestion("update", edit.From)
	case Access:
		list, ask = &r.Access, settings("update", "access")
	case Booking:
		list, ask = &r.Booking, settings("update", "booking")
	case CareTeam:
		list, ask = &r.CareTeam, settings("update", "care_team")
	default:
		return bad(field+".relation", "is not changed by link and unlink; change it with the record of the one it is about")
	}
	p.ask(field, ask)
	isNew := edit.Op == Link && !slices.Contains(*list, edit.To)
	if edit.Op == Link {
		*list = with(*list, edit.To)
	} else {
		*list = without(*list, edit.To)
	}
	switch {
	case isNew && edit.Relation == CareTeam: // also for a patient who is not there, so that none can be found out
		p.seePatient(field+".from", e, &r)
	case isNew && edit.Relation == Access:
		p.seeGroup(field+".to", edit.To)
	case isNew && edit.Relation == InGroup && e.now != nil:
		p.grow(field+".to", &growth{before: p.draft.sources(e.now), after: p.draft.sources(&r)})
	}
	if e.now != nil {
		e.now, e.changed = &r, true
	}
	return nil
}

func (p *permit) remove(field string, edit *Edit) error {
	e, err := p.draft.target(field, edit.Key)
	if err != nil {
		return err
	}
	if e.stored == nil && e.now != nil {
		return bad(field+".key", "is made by an earlier edit of this change; leave both out")
	}
	switch edit.Key.Kind {
	case authz.KindRole, authz.KindGroup, authz.KindTeamMember:
		p.ask(field, userQuestion("delete", edit.Key.ID))
	case authz.KindPatientGroup:
		p.ask(field, settings("update", "patient_group"))
		if edit.Cascade {
			for _, id := range p.draft.patientsIn(edit.Key.ID) {
				p.ask(field, patientQuestion("delete", id))
				p.draft.delete(authz.Key{Kind: authz.KindPatient, ID: id})
			}
		}
	case authz.KindPatient:
		p.ask(field, patientQuestion("delete", edit.Key.ID))
	case authz.KindBooking:
		p.ask(field, settings("update", "bookings"))
	default:
		return UnknownKind(field+".key.kind", edit.Key.Kind)
	}
	p.draft.delete(edit.Key)
	return nil
}

func (p *permit) book(field string, r *Record) error {
	if r == nil || r.Kind != authz.KindBooking {
		return bad(field+".record", "is no booking; write one")
	}
	if p.actor.Type == patient && r.Patient != p.actor.ID { // B3, whatever the policy says
		return refused(field+".record.patient", []string{"patient_mismatch"}, "a patient books for themself alone")
	}
	e, err := p.draft.target(field, r.Key())
	if err != nil {
		return err
	}
	if p.draft.altered(authz.Key{Kind: authz.KindPatient, ID: r.Patient}) ||
		p.draft.altered(authz.Key{Kind: authz.KindTeamMember, ID: r.Provider}) {
		return bad(field+".record", "is about a patient or a provider whom an earlier edit of this change makes, changes or deletes; book in a change of its own")
	}
	p.ask(field, bookQuestion(r))
	if e.now == nil {
		booked := *r
		booked.State = Booked
		e.now = &booked
	}
	return nil
}

func (p *permit) cancel(field string, key authz.Key) error {
	if key.Kind != authz.KindBooking {
		return bad(field+".key.kind", "is not booking; only a booking is cancelled")
	}
	e, err := p.draft.target(field, key)
	if err != nil {
		return err
	}
	if e.now == nil {
		return renamed(notFound(key.Kind), func(string) string { return field + ".key" })
	}
	if p.actor.Type == patient && e.now.Patient != p.actor.ID {
		return refused(field, []string{"patient_mismatch"}, "a patient cancels their own bookings alone")
	}
	p.needs = append(p.needs, need{field: field, cancels: e.now})
	return nil
}

func bookQuestion(r *Record) question {
	return question{action: "book", typ: "provider", id: r.Provider, patient: r.Patient}
}
