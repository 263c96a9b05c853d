package acceptance

import (
	"maps"
	"net/http"
	"slices"
)

// step is one edit: as the API takes it in POST /edits, as a request of its own
// when there is one, and what it does to the model.
type step struct {
	name   string
	edit   object
	direct func(d directory) (method, path string, body any) // nil for none
	status int                                               // of the direct request, 200 when 0
	// apply changes the world, or says that the rules refuse it.
	apply func(w *world) (fits bool)
	// repeated says that what changes nothing may be refused as well: a booking
	// that is there already, of somebody who is not bookable any more.
	repeated bool
}

// clone is a world whose maps may be changed. Nobody changes a list in place.
func (w *world) clone() *world {
	return &world{roles: maps.Clone(w.roles), groups: maps.Clone(w.groups), patientGroups: slices.Clone(w.patientGroups),
		members: maps.Clone(w.members), patients: maps.Clone(w.patients)}
}

func with(list []string, id string) []string {
	if slices.Contains(list, id) {
		return list
	}
	return append(slices.Clone(list), id)
}

func without(list []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == id })
}

func all(list []string, known func(string) bool) bool {
	return !slices.ContainsFunc(list, func(id string) bool { return !known(id) })
}

func (w *world) isRole(id string) bool         { _, there := w.roles[id]; return there }
func (w *world) isGroup(id string) bool        { _, there := w.groups[id]; return there }
func (w *world) isMember(id string) bool       { _, there := w.members[id]; return there }
func (w *world) isPatientGroup(id string) bool { return slices.Contains(w.patientGroups, id) }

// visitBy returns whose booking an id is, and where it stands.
func (w *world) visitBy(id string) (patient string, at int, there bool) {
	for patient, p := range w.patients {
		if at := slices.IndexFunc(p.bookings, func(v visit) bool { return v.id == id }); at >= 0 {
			return patient, at, true
		}
	}
	return "", 0, false
}

// edited changes a member, if there is one.
func (w *world) edited(id string, change func(m *staff)) bool {
	m, there := w.members[id]
	if there {
		change(&m)
		w.members[id] = m
	}
	return there
}

// relate makes or ends one relationship of a member.
func (d *dice) relate(relation string) step {
	member, join := pick(d, append(slices.Clone(d.members), "nobody")), d.often(0.6)
	var to, own, others string
	switch relation {
	case "group":
		to, own, others = pick(d, slices.Sorted(maps.Keys(d.w.groups))), "groups", at("groups")
	case "access", "booking":
		to, own, others = pick(d, d.w.patientGroups), relation, at("patient-groups")
	}
	verb, method := "link", http.MethodPut
	if !join {
		verb, method = "unlink", http.MethodDelete
	}
	left := d.often(0.5)
	return step{name: verb + " " + relation, edit: object{verb: object{"relation": relation, "from": member, "to": to}}, status: http.StatusNoContent,
		direct: func(directory) (string, string, any) {
			if left {
				return method, at("team-members", member, own, to), nil
			}
			if relation == "group" {
				return method, others + at(to, "members", member), nil
			}
			return method, others + at(to, relation, member), nil
		},
		apply: func(w *world) bool {
			change := with
			if !join {
				change = without
			}
			if m, there := w.members[member]; !there || relation == "booking" && join && !m.provider {
				return !join // ending what is not there changes nothing
			}
			return w.edited(member, func(m *staff) {
				switch relation {
				case "group":
					m.groups = change(m.groups, to)
				case "access":
					m.access = change(m.access, to)
				default:
					m.booking = change(m.booking, to)
				}
			})
		}}
}

// suspend begins or ends a member's leave, and leaves the rest as it is.
func (d *dice) suspend() step {
	id, suspended := pick(d, append(without(d.members, "root"), "nobody")), d.often(0.5)
	return step{name: "suspend", edit: object{"set": object{"kind": "team_member", "id": id, "suspended": suspended}},
		direct: func(directory) (string, string, any) {
			return http.MethodPatch, at("team-members", id), object{"suspended": suspended}
		},
		apply: func(w *world) bool { return w.edited(id, func(m *staff) { m.suspended = suspended }) }}
}

// rewrite puts a whole member, or a patient.
func (d *dice) rewriteMember() step {
	id := pick(d, append(without(d.members, "root"), "newcomer-1", "newcomer-2")) // root makes the changes
	m := staff{groups: some(d, slices.Sorted(maps.Keys(d.w.groups)), 3), access: some(d, d.w.patientGroups, 3), provider: d.often(0.7), suspended: d.often(0.25)}
	if d.often(0.8) {
		m.role = pick(d, append(slices.Sorted(maps.Keys(d.w.roles)), "no such role"))
	}
	if m.provider || d.often(0.2) {
		m.booking = some(d, d.w.patientGroups, 3)
	}
	r := teamMember(id).inGroups(m.groups...).seeing(m.access...).having("provider", m.provider).having("booking", list(m.booking))
	if m.suspended || d.often(0.5) { // false when absent
		r = r.having("suspended", m.suspended)
	}
	if m.role != "" {
		r = r.holding(m.role)
	}
	return step{name: "put member", edit: object{"put": r.fields}, direct: func(directory) (string, string, any) { return http.MethodPut, at("team-members", id), r.fields },
		apply: func(w *world) bool {
			fits := (m.role == "" || w.isRole(m.role)) && all(m.groups, w.isGroup) && all(m.access, w.isPatientGroup) && all(m.booking, w.isPatientGroup) &&
				(m.provider || len(m.booking) == 0)
			if fits {
				w.members[id] = m
			}
			return fits
		}}
}

func (d *dice) rewritePatient() step {
	id, group := pick(d, append(slices.Clone(d.patients), "arrival-1", "arrival-2", "arrival-3")), pick(d, append(slices.Clone(d.w.patientGroups), "no such group"))
	team := some(d, d.members, 3)
	if d.often(0.1) {
		team = append(team, "nobody")
	}
	r := patientIn(group, id).caredForBy(team...)
	return step{name: "put patient", edit: object{"put": r.fields}, direct: func(directory) (string, string, any) { return http.MethodPut, at("patients", id), r.fields },
		apply: func(w *world) bool {
			fits := w.isPatientGroup(group) && all(team, w.isMember)
			if fits {
				w.patients[id] = person{group: group, manual: team, bookings: w.patients[id].bookings}
			}
			return fits
		}}
}

// bundle puts what a role or a group grants.
func (d *dice) bundle(kind, collection string) step {
	in := func(w *world) map[string][]string {
		if kind == "role" {
			return w.roles
		}
		return w.groups
	}
	ids := slices.DeleteFunc(append(slices.Sorted(maps.Keys(in(d.w))), "new-1"), func(id string) bool { return id == "root role" })
	id, permissions := pick(d, ids), some(d, allPermissions(), 20)
	r := role(id, permissions...)
	if kind == "group" {
		r = group(id, permissions...)
	}
	return step{name: "put " + kind, edit: object{"put": r.fields}, direct: func(directory) (string, string, any) { return http.MethodPut, at(collection, id), r.fields },
		apply: func(w *world) bool { in(w)[id] = permissions; return true }}
}

func (d *dice) move() step {
	id, to := pick(d, append(slices.Clone(d.patients), "nobody")), pick(d, append(slices.Clone(d.w.patientGroups), "no such group"))
	direct := pick(d, []func(directory) (string, string, any){
		func(directory) (string, string, any) {
			return http.MethodPatch, at("patients", id), object{"patient_group": to}
		},
		func(directory) (string, string, any) {
			return http.MethodPost, at("patient-groups", to, "patients"), object{"add": []string{id}}
		},
	})
	return step{name: "move", edit: object{"set": object{"kind": "patient", "id": id, "patient_group": to}}, direct: direct, apply: func(w *world) bool {
		p, there := w.patients[id]
		if !there || !w.isPatientGroup(to) {
			return false
		}
		p.group = to
		w.patients[id] = p
		return true
	}}
}

func (d *dice) care() step {
	id, member, join := pick(d, d.patients), pick(d, append(slices.Clone(d.members), "nobody")), d.often(0.5)
	verb, method := "link", http.MethodPut
	if !join {
		verb, method = "unlink", http.MethodDelete
	}
	return step{name: verb + " care_team", edit: object{verb: object{"relation": "care_team", "from": id, "to": member}}, status: http.StatusNoContent,
		direct: func(directory) (string, string, any) { return method, at("patients", id, "care-team", member), nil },
		apply: func(w *world) bool {
			p, there := w.patients[id]
			if !there || !w.isMember(member) {
				return there && !join
			}
			if p.manual = with(p.manual, member); !join {
				p.manual = without(p.manual, member)
			}
			w.patients[id] = p
			return true
		}}
}

func (d *dice) book(ids []string) step {
	id, of, by := pick(d, ids), pick(d, d.patients), pick(d, d.members)
	if p := d.w.patients[of]; d.often(0.6) { // somebody whom they can book
		able := slices.DeleteFunc(slices.Sorted(maps.Keys(d.w.members)), func(m string) bool { return !d.w.members[m].bookable(p.group) })
		if len(able) > 0 {
			by = pick(d, able)
		}
	}
	return step{name: "book", edit: object{"book": visitOf(id, of, by)}, repeated: true, direct: func(directory) (string, string, any) { return http.MethodPost, "/bookings", visitOf(id, of, by) },
		status: http.StatusCreated, apply: func(w *world) bool {
			if patient, n, there := w.visitBy(id); there {
				v := w.patients[patient].bookings[n]
				return patient == of && v.provider == by && v.state == "booked" // B6: once more
			}
			p, isPatient := w.patients[of]
			if m, there := w.members[by]; !isPatient || !there || !m.provider || !m.bookable(p.group) {
				return false // B4, P7
			}
			p.bookings = append(slices.Clone(p.bookings), visit{id, by, "booked"})
			w.patients[of] = p
			return true
		}}
}

func (d *dice) cancel(ids []string) step {
	id, release := pick(d, ids), d.often(0.5)
	return step{name: "cancel", edit: object{"cancel": object{"id": id, "release": release}}, repeated: true,
		direct: func(directory) (string, string, any) {
			return http.MethodPost, at("bookings", id, "cancel"), object{"release": release}
		},
		apply: func(w *world) bool {
			patient, n, there := w.visitBy(id)
			if !there {
				return false
			}
			p := w.patients[patient]
			p.bookings = slices.Clone(p.bookings)
			if v := &p.bookings[n]; release {
				v.state = "released"
			} else if v.state == "booked" {
				v.state = "cancelled"
			}
			w.patients[patient] = p
			return true
		}}
}

// end deletes something and what cannot be without it.
func (d *dice) end(ids []string) step {
	kind := pick(d, []string{"role", "group", "patient_group", "team_member", "team_member", "patient", "patient", "booking", "booking"})
	id := map[string]string{"role": pick(d, slices.Sorted(maps.Keys(d.w.roles))), "group": pick(d, slices.Sorted(maps.Keys(d.w.groups))), "patient_group": pick(d, d.w.patientGroups),
		"team_member": pick(d, d.members), "patient": pick(d, d.patients), "booking": pick(d, ids)}[kind]
	if id == "root role" || id == "root" || kind == "patient_group" && len(d.w.patientGroups) < 3 || len(d.patients) < 4 || len(d.members) < 4 || len(d.w.roles) < 3 || len(d.w.groups) < 2 {
		return d.cancel(ids)
	}
	return step{name: "delete " + kind, edit: object{"delete": object{"kind": kind, "id": id, "cascade": true}}, status: http.StatusNoContent, repeated: true,
		direct: func(directory) (string, string, any) {
			return http.MethodDelete, at(collections[kind], id) + "?cascade=true", nil
		},
		apply: func(w *world) bool { w.end(kind, id); return true }}
}

// end deletes with a cascade. What is not there is gone already.
func (w *world) end(kind, id string) {
	forEach := func(change func(m *staff)) {
		for member := range w.members {
			w.edited(member, change)
		}
	}
	switch kind {
	case "role":
		delete(w.roles, id)
		forEach(func(m *staff) {
			if m.role == id {
				m.role = ""
			}
		})
	case "group":
		delete(w.groups, id)
		forEach(func(m *staff) { m.groups = without(m.groups, id) })
	case "patient_group":
		w.patientGroups = without(w.patientGroups, id)
		forEach(func(m *staff) { m.access, m.booking = without(m.access, id), without(m.booking, id) })
		maps.DeleteFunc(w.patients, func(_ string, p person) bool { return p.group == id })
	case "team_member":
		delete(w.members, id)
		for patient, p := range w.patients {
			p.manual = without(p.manual, id)
			p.bookings = slices.DeleteFunc(slices.Clone(p.bookings), func(v visit) bool { return v.provider == id })
			w.patients[patient] = p
		}
	case "patient":
		delete(w.patients, id)
	case "booking":
		if patient, n, there := w.visitBy(id); there {
			p := w.patients[patient]
			p.bookings = slices.Delete(slices.Clone(p.bookings), n, n+1)
			w.patients[patient] = p
		}
	}
}
