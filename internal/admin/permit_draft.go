package admin

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// draft is what edits make of the entities that they name, step by step, so that a
// later edit is judged on what the earlier ones left.
type draft struct {
	entities map[authz.Key]*entity
	// patients of the patient groups that are deleted with a cascade, as committed.
	patients map[string][]string
}

// entity is one of the entities that edits name.
type entity struct {
	stored  *Stored // as committed, nil for one that does not exist
	now     *Record // as the edits so far leave it, nil for one that does not exist
	changed bool    // by the edits so far, bookings aside
	deleted bool    // by the edits so far
}

// isNew reports whether the entity was made by the edits so far.
func (e *entity) isNew() bool { return e.stored == nil && e.now != nil }

// draft reads the entities that edits name, and remembers how they were.
func (s *Service) draft(ctx context.Context, organisation string, edits []Edit, l *looked) (*draft, error) {
	d := &draft{entities: map[authz.Key]*entity{}, patients: map[string][]string{}}
	keys := make([]authz.Key, 0, len(edits))
	for i := range edits {
		key := edits[i].target()
		if d.entities[key] == nil {
			d.entities[key] = new(entity)
			keys = append(keys, key)
		}
		if edits[i].Op == Delete && edits[i].Cascade && key.Kind == authz.KindPatientGroup {
			if err := s.readPatients(ctx, organisation, key.ID, d, l); err != nil {
				return nil, err
			}
		}
	}
	records, _, err := s.records(ctx, organisation, keys)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		l.at(key, sinceOf(records[i]))
		if records[i] != nil {
			e := d.entities[key]
			e.stored, e.now = records[i], &records[i].Record
		}
	}
	return d, nil
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
func (s *Service) readPatients(ctx context.Context, organisation, group string, d *draft, l *looked) error {
	ids, revision, err := s.related(ctx, organisation, InGroupOf, group, MaxEdits)
	if err != nil {
		return err
	}
	d.patients[group] = ids
	l.whole(revision)
	return nil
}

// target returns an entity that an edit is made to.
func (d *draft) target(field string, key authz.Key) (*entity, error) {
	e := d.entities[key]
	if e == nil {
		return nil, bad(field, "names nothing that an edit of this kind can be made to")
	}
	if e.deleted {
		return nil, bad(field, "is about something that an earlier edit of this change deletes; make two changes of it")
	}
	return e, nil
}

// altered reports whether edits so far made, changed or deleted an entity.
func (d *draft) altered(key authz.Key) bool {
	e := d.entities[key]
	return e != nil && (e.changed || e.deleted)
}

func (d *draft) delete(key authz.Key) {
	e := d.entities[key]
	if e == nil {
		e = new(entity)
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
		if e == nil || !e.deleted && e.now != nil && e.now.PatientGroup == group {
			in = append(in, id)
		}
	}
	for key, e := range d.entities {
		if key.Kind == authz.KindPatient && e.stored != nil && e.now != nil && e.now.PatientGroup == group &&
			e.stored.PatientGroup != group {
			in = append(in, key.ID)
		}
	}
	slices.Sort(in)
	return in
}

// sources returns where the permissions of a team member come from, as the edits so
// far leave them.
func (d *draft) sources(member *Record) []source {
	var out []source
	if member.Role != "" {
		out = append(out, d.source(authz.Key{Kind: authz.KindRole, ID: member.Role}))
	}
	for _, id := range member.Groups {
		out = append(out, d.source(authz.Key{Kind: authz.KindGroup, ID: id}))
	}
	return out
}

func (d *draft) source(key authz.Key) source {
	e := d.entities[key]
	if e == nil {
		return source{key: key}
	}
	if e.now == nil {
		return source{key: key, known: true}
	}
	return source{key: key, known: true, permissions: e.now.Permissions}
}

func sinceOf(r *Stored) authz.Revision {
	if r == nil {
		return authz.Revision{}
	}
	return r.Since
}
