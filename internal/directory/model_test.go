package directory

import (
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// reference is what an organisation holds, written from the rules in plain Go. Its
// lists are never changed in place.
type reference struct {
	records map[authz.Key]admin.Record                // care teams are in sources
	sources map[string]map[string]map[string]struct{} // patient → member → sources
	since   map[authz.Key]authz.Revision
}

func newReference() *reference {
	return &reference{
		records: map[authz.Key]admin.Record{}, sources: map[string]map[string]map[string]struct{}{},
		since: map[authz.Key]authz.Revision{},
	}
}

func (m *reference) clone() *reference {
	out := &reference{records: maps.Clone(m.records), sources: map[string]map[string]map[string]struct{}{}, since: maps.Clone(m.since)}
	for p, team := range m.sources {
		out.sources[p] = map[string]map[string]struct{}{}
		for member, sources := range team {
			out.sources[p][member] = maps.Clone(sources)
		}
	}
	return out
}

// fits is the kind of no error.
const fits = authz.ErrorKind(-1)

// commit returns the model after a change, or the kind of the error.
func (m *reference) commit(change admin.Change) (*reference, authz.ErrorKind) {
	if err := change.Check(); err != nil {
		return m, authz.KindOf(err)
	}
	next := m.clone()
	for _, e := range change.Edits {
		if kind := next.apply(e); kind != fits {
			return m, kind
		}
	}
	for _, grants := range [][]string{{"*:*"}, {"user:*", "*:*"}} { // A4
		if m.isHeld(grants) && !next.isHeld(grants) {
			return m, authz.Conflict
		}
	}
	return next, fits
}

func (m *reference) has(kind authz.Kind, ids ...string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { _, ok := m.records[authz.Key{Kind: kind, ID: id}]; return !ok })
}

func (m *reference) holds(r admin.Record, grants []string) bool {
	if r.IsSuspended { // P7
		return false
	}
	for _, key := range append([]authz.Key{role(r.Role)}, keysOf(authz.KindGroup, r.Groups)...) {
		p := m.records[key].Permissions
		if slices.ContainsFunc(grants, func(permission string) bool { return slices.Contains(p, permission) }) {
			return true
		}
	}
	return false
}

func keysOf(kind authz.Kind, ids []string) (keys []authz.Key) {
	for _, id := range ids {
		keys = append(keys, authz.Key{Kind: kind, ID: id})
	}
	return keys
}

func (m *reference) isHeld(grants []string) bool {
	for _, r := range m.records {
		if m.holds(r, grants) {
			return true
		}
	}
	return false
}

func (m *reference) apply(e admin.Edit) authz.ErrorKind {
	switch e.Op {
	case admin.Put:
		return m.put(*e.Record)
	case admin.Set:
		return m.set(e.Key, e.Fields)
	case admin.Link, admin.Unlink:
		return m.link(e)
	case admin.Delete:
		return m.remove(e.Key, e.Cascade)
	case admin.Book:
		return m.book(*e.Record)
	default:
		return m.cancel(e.Key, e.Release)
	}
}

func (m *reference) put(r admin.Record) authz.ErrorKind {
	switch r.Kind {
	case authz.KindTeamMember:
		if r.Role != "" && !m.has(authz.KindRole, r.Role) || !m.has(authz.KindGroup, r.Groups...) ||
			!m.has(authz.KindPatientGroup, r.Access...) || !m.has(authz.KindPatientGroup, r.Booking...) {
			return authz.Malformed
		}
	case authz.KindPatient:
		if !m.has(authz.KindPatientGroup, r.PatientGroup) || !m.has(authz.KindTeamMember, r.CareTeam...) {
			return authz.Malformed
		}
		for member := range m.sources[r.ID] {
			m.source(r.ID, member, "manual", false)
		}
		for _, member := range r.CareTeam {
			m.source(r.ID, member, "manual", true)
		}
		r.CareTeam = nil
	case authz.KindBooking:
		if !m.has(authz.KindPatient, r.Patient) || !m.has(authz.KindTeamMember, r.Provider) {
			return authz.Malformed
		}
		if old, ok := m.records[r.Key()]; ok && (old.Patient != r.Patient || old.Provider != r.Provider) {
			return authz.Conflict
		}
		m.source(r.Patient, r.Provider, "booking:"+r.ID, r.State != admin.Released) // B5, B6
	}
	m.records[r.Key()] = r
	return fits
}

// source makes or ends a source of a place on a care team.
func (m *reference) source(patient, member, source string, held bool) {
	if m.sources[patient] == nil {
		m.sources[patient] = map[string]map[string]struct{}{}
	}
	if m.sources[patient][member] == nil {
		m.sources[patient][member] = map[string]struct{}{}
	}
	if held {
		m.sources[patient][member][source] = struct{}{}
	} else {
		delete(m.sources[patient][member], source)
	}
	if len(m.sources[patient][member]) == 0 {
		delete(m.sources[patient], member)
	}
}

// take gives a record new values.
func take(r *admin.Record, f admin.Fields) {
	for name, value := range f {
		switch value := value.(type) {
		case string:
			*map[string]*string{"name": &r.Name, "role": &r.Role, "patient_group": &r.PatientGroup}[name] = value
		case bool:
			*map[string]*bool{"provider": &r.IsProvider, "suspended": &r.IsSuspended}[name] = value
		case []string:
			*map[string]*[]string{
				"permissions": &r.Permissions, "groups": &r.Groups, "access": &r.Access, "booking": &r.Booking, "care_team": &r.CareTeam,
			}[name] = value
		}
	}
}

func (m *reference) set(key authz.Key, f admin.Fields) authz.ErrorKind {
	r, ok := m.records[key]
	role, moved := f["role"], f["patient_group"]
	switch {
	case !ok:
		return authz.NotFound
	case role != nil && role != "" && !m.has(authz.KindRole, role.(string)), moved != nil && !m.has(authz.KindPatientGroup, moved.(string)):
		return authz.Malformed
	case f["provider"] == false && len(r.Booking) > 0: // B1
		return authz.Malformed
	}
	take(&r, f)
	m.records[key] = r
	return fits
}

func (m *reference) link(e admin.Edit) authz.ErrorKind {
	fromKind, toKind := e.Relation.Ends()
	key, isLink := authz.Key{Kind: fromKind, ID: e.From}, e.Op == admin.Link
	r, ok := m.records[key]
	switch {
	case isLink && (!ok || !m.has(toKind, e.To)):
		return authz.NotFound
	case isLink && e.Relation == admin.Booking && !r.IsProvider: // B1
		return authz.Malformed
	case !ok:
		return fits
	}
	switch e.Relation {
	case admin.MemberOfGroup:
		r.Groups = linked(r.Groups, e.To, isLink)
	case admin.Access:
		r.Access = linked(r.Access, e.To, isLink)
	case admin.Booking:
		r.Booking = linked(r.Booking, e.To, isLink)
	default:
		m.source(e.From, e.To, "manual", isLink)
	}
	m.records[key] = r
	return fits
}

// linked returns the list with an id or without it.
func linked(list []string, id string, isLink bool) []string {
	out := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == id })
	if isLink {
		out = append(out, id)
	}
	return out
}

// remove deletes an entity and, if cascade, what refers to it.
func (m *reference) remove(key authz.Key, cascade bool) authz.ErrorKind {
	r, ok := m.records[key]
	if !ok {
		return fits
	}
	ended := map[authz.Key]func(){} // how each reference to it is ended
	for other, o := range m.records {
		deleted := func() { _ = m.remove(other, true) }
		switch other.Kind {
		case authz.KindTeamMember:
			next := o
			if key.Kind == authz.KindRole && o.Role == key.ID {
				next.Role = ""
			}
			if key.Kind == authz.KindGroup {
				next.Groups = linked(o.Groups, key.ID, false)
			}
			if key.Kind == authz.KindPatientGroup {
				next.Access, next.Booking = linked(o.Access, key.ID, false), linked(o.Booking, key.ID, false)
			}
			if next.Role != o.Role || len(next.Groups) < len(o.Groups) || len(next.Access) < len(o.Access) || len(next.Booking) < len(o.Booking) {
				ended[other] = func() { m.records[other] = next }
			}
		case authz.KindPatient:
			if key == (authz.Key{Kind: authz.KindPatientGroup, ID: o.PatientGroup}) {
				ended[other] = deleted
			}
			if _, cared := m.sources[other.ID][key.ID]; cared && key.Kind == authz.KindTeamMember {
				ended[other] = func() { delete(m.sources[other.ID], key.ID) }
			}
		case authz.KindBooking:
			if key == patient(o.Patient) || key == member(o.Provider) {
				ended[other] = deleted
			}
		}
	}
	if len(ended) > 0 && !cascade {
		return authz.Conflict
	}
	if key.Kind == authz.KindBooking {
		m.source(r.Patient, r.Provider, "booking:"+r.ID, false)
	}
	for _, end := range ended {
		end()
	}
	delete(m.records, key)
	if key.Kind == authz.KindPatient {
		delete(m.sources, key.ID)
	}
	return fits
}

func (m *reference) book(r admin.Record) authz.ErrorKind {
	if old, ok := m.records[r.Key()]; ok {
		if old.Patient != r.Patient || old.Provider != r.Provider || old.State != admin.Booked {
			return authz.Conflict
		}
		return fits
	}
	if !m.records[member(r.Provider)].IsProvider {
		return authz.Malformed
	}
	r.State = admin.Booked
	return m.put(r)
}

func (m *reference) cancel(key authz.Key, release bool) authz.ErrorKind {
	r, ok := m.records[key]
	if !ok {
		return authz.NotFound
	}
	if r.State == admin.Released {
		return fits
	}
	if r.State = admin.Cancelled; release {
		r.State = admin.Released
	}
	return m.put(r)
}
