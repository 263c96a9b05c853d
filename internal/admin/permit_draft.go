package admin

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// draft is what edits make of the entities that they name, step by step, so that a
// later edit is judged on what the earlier ones left.
type draft struct {
	entities map[authz.Key]*draftEntity
	// patients of the patient groups that are deleted with a cascade, as committed, and
	// the errors for those which have too many.
	patients  map[string][]string
	uncounted map[string]error
	// onTeams says of members whose suspension an edit could end whether they are on a care team.
	onTeams map[string]bool
}

// draftEntity is one of the entities that edits name.
type draftEntity struct {
	stored  *Stored // as committed, nil for one that does not exist
	judged  bool    // it was looked whether the actor sees it
	hidden  bool    // it exists, and the actor does not see it
	now     *Record // as the edits so far leave it for the actor to see, nil for nothing
	taken   bool    // it exists, and is to be made as if it did not
	changed bool    // by the edits so far, bookings aside
	deleted bool    // by the edits so far
}

// isNew reports whether the entity was made by the edits so far.
func (e *draftEntity) isNew() bool { return e.stored == nil && e.now != nil }

// group returns in which group a patient is, as the edits so far leave it.
func (e *draftEntity) group() string {
	switch {
	case e.deleted:
		return ""
	case e.now != nil && e.now.PatientGroup != "":
		return e.now.PatientGroup
	case e.stored != nil:
		return e.stored.PatientGroup
	default:
		return ""
	}
}

// draft reads the entities that edits name and everything that the edits are judged by, in one
// reading where no record names what else that is, and remembers all of it.
func (s *Service) draft(ctx context.Context, organisation string, actor Actor, edits []Edit, l *basis) (*draft, *judge, error) {
	d := &draft{entities: map[authz.Key]*draftEntity{}, patients: map[string][]string{}, uncounted: map[string]error{}, onTeams: map[string]bool{}}
	keys := make([]authz.Key, 0, len(edits))
	for i := range edits {
		key := edits[i].target()
		if d.entities[key] == nil {
			d.entities[key] = new(draftEntity)
			keys = append(keys, key)
		}
		if edits[i].Op == Delete && edits[i].Cascade && key.Kind == authz.KindPatientGroup {
			if err := s.readPatients(ctx, organisation, key.ID, d, l); err != nil {
				return nil, nil, err
			}
		}
	}
	records, j, err := s.judgeWith(ctx, organisation, actor, keys, append(d.keys(edits), l.keys()...))
	if err != nil {
		return nil, nil, err
	}
	for i, key := range keys {
		l.expect(key, sinceOf(records[i]))
		d.entities[key].stored = records[i]
		if r := records[i]; r != nil && r.IsSuspended && slices.ContainsFunc(edits, func(e Edit) bool { return e.resumes(key) }) {
			// A place that is added meanwhile is judged by itself.
			page, err := s.store.Related(ctx, organisation, CareTeam, key.ID, "", 1)
			if err != nil {
				return nil, nil, err
			}
			d.onTeams[key.ID] = len(page.IDs) > 0
		}
	}
	l.expectConsultation(j.read)
	if all := d.keys(edits); !j.hasRead(all) { // the patient and the provider of a booking that is there
		if j, err = s.judge(ctx, organisation, actor, append(all, l.keys()...)); err != nil {
			return nil, nil, err
		}
		l.expectConsultation(j.read)
	}
	return d, j, nil
}

// keys returns everything that edits may be judged by.
func (d *draft) keys(edits []Edit) []authz.Key {
	var out []authz.Key
	// Those by which a record grants permissions, and whom a booking is about.
	refers := func(r *Record) {
		for _, key := range r.References() {
			if key.Kind == authz.KindRole || key.Kind == authz.KindGroup || r.Kind == authz.KindBooking {
				out = append(out, key)
			}
		}
	}
	for key, e := range d.entities {
		if key.Kind != authz.KindBooking {
			out = append(out, key)
		}
		if e.stored != nil {
			refers(&e.stored.Record)
		}
	}
	for i := range edits {
		e := &edits[i]
		if e.Record != nil {
			refers(e.Record)
		}
		refers(e.Fields.Applied(&Record{Kind: e.Key.Kind}))
		if e.Relation == MemberOfGroup {
			out = append(out, authz.Key{Kind: authz.KindGroup, ID: e.To})
		}
	}
	for _, ids := range d.patients {
		for _, id := range ids {
			out = append(out, authz.Key{Kind: authz.KindPatient, ID: id})
		}
	}
	slices.SortFunc(out, compareKeys)
	return slices.Compact(out)
}

// target returns the key of the entity that an edit is made to. The edit may be one
// that is refused later.
func (e *Edit) target() authz.Key {
	switch {
	case (e.Op == Put || e.Op == Book) && e.Record != nil:
		return e.Record.Key()
	case e.Op == Link || e.Op == Unlink:
		kind, _ := e.Relation.Ends()
		return authz.Key{Kind: kind, ID: e.From}
	default:
		return e.Key
	}
}

// readPatients reads which patients a group has. The change then holds only as
// long as nothing at all changes: nobody may slip into a group that is deleted.
func (s *Service) readPatients(ctx context.Context, organisation, group string, d *draft, l *basis) error {
	ids, revision, err := s.related(ctx, organisation, PatientGroupOf, group, MaxEdits)
	if authz.KindOf(err) == authz.TooLarge {
		d.uncounted[group] = err
		return nil
	}
	if err != nil {
		return err
	}
	d.patients[group] = ids
	l.expectWhole(revision)
	return nil
}

// target returns an entity that an edit is made to.
func (d *draft) target(field string, key authz.Key) (*draftEntity, error) {
	e := d.entities[key]
	if e == nil {
		return nil, bad(field, "names nothing that an edit of this kind can be made to")
	}
	if e.deleted {
		return nil, bad(field, "is about something that an earlier edit of this change deletes; make two changes of it")
	}
	return e, nil
}

// resumes reports whether an edit could end the suspension of a member.
func (e *Edit) resumes(member authz.Key) bool {
	switch e.Op {
	case Put:
		return e.Record.Key() == member && !e.Record.IsSuspended
	case Set:
		return e.Key == member && e.Fields[authz.FactSuspended] == false
	}
	return false
}

// altered reports whether edits so far made, changed or deleted an entity.
func (d *draft) altered(key authz.Key) bool {
	e := d.entities[key]
	return e != nil && (e.changed || e.deleted)
}

func (d *draft) delete(key authz.Key) {
	e := d.entities[key]
	if e == nil {
		e = new(draftEntity)
		d.entities[key] = e
	}
	e.now, e.deleted = nil, true
}

// patientsIn returns the patients of a group whose deletion is a question: those
// who were there before the change and are still, or came with it.
func (d *draft) patientsIn(group string) []string {
	var in []string
	for _, id := range d.patients[group] {
		e := d.entities[authz.Key{Kind: authz.KindPatient, ID: id}]
		if e == nil || e.group() == group {
			in = append(in, id)
		}
	}
	for key, e := range d.entities {
		if key.Kind == authz.KindPatient && e.stored != nil && e.group() == group && e.stored.PatientGroup != group {
			in = append(in, key.ID)
		}
	}
	slices.Sort(in)
	return in
}

func sinceOf(r *Stored) authz.Revision {
	if r == nil {
		return authz.Revision{}
	}
	return r.Since
}
