package secrecy

import "slices"

// alter changes records that are hidden in w: some that are there go, change or come. What it makes may still
// show the actor a difference; apart says so.
func alter(d dice, w world, s sight) world {
	out := w.clone()
	var hidden []key
	for _, k := range w.keys() {
		if !s.visible[k] && k.id != "root" {
			hidden = append(hidden, k)
		}
	}
	for range 1 + d.IntN(2) {
		if len(hidden) == 0 || d.often(0.12) {
			out.add(d)
			continue
		}
		if k := pick(d, hidden); d.often(0.5) {
			out.remove(k)
		} else if r, there := out[k]; there {
			out.change(d, k.kind, r)
		}
	}
	return out
}

// change gives a record other values.
func (w world) change(d dice, kind string, r *record) {
	or := func(ids []string, otherwise string) string {
		if len(ids) == 0 {
			return otherwise
		}
		return pick(d, ids)
	}
	wards := w.of("patient_group")
	switch kind {
	case "role", "group":
		if d.often(0.4) {
			r.name += "'"
		} else {
			r.permissions = some(d, granted, 4)
		}
	case "patient_group":
		r.name += "'"
	case "patient":
		if d.often(0.5) {
			r.patientGroup = or(wards, r.patientGroup)
		} else {
			r.careTeam = some(d, w.of("team_member"), 2)
		}
	case "booking":
		if d.often(0.5) {
			r.state = pick(d, []string{"booked", "cancelled", "released"})
		} else {
			r.provider = or(w.providers(), r.provider)
		}
	case "team_member":
		switch d.IntN(6) {
		case 0:
			r.name += "'"
		case 1:
			r.role = or(slices.DeleteFunc(w.of("role"), func(id string) bool { return id == "root" }), "")
		case 2:
			r.groups = some(d, w.of("group"), 2)
		case 3:
			r.access = some(d, wards, 2)
		case 4:
			if r.bookable {
				r.booking = some(d, wards, 2)
			} else {
				r.bookable = true
			}
		case 5:
			r.role = ""
		}
	}
}

func (w world) providers() (ids []string) {
	for _, id := range w.of("team_member") {
		if w[key{"team_member", id}].bookable {
			ids = append(ids, id)
		}
	}
	return ids
}

// add makes a record that was not there.
func (w world) add(d dice) {
	wards, providers, patients := w.of("patient_group"), w.providers(), w.of("patient")
	switch pick(d, kinds) {
	case "role":
		w[key{"role", "r5"}] = &record{permissions: some(d, granted, 3)}
	case "group":
		w[key{"group", "g5"}] = &record{permissions: some(d, granted, 3)}
	case "patient_group":
		w[key{"patient_group", "w5"}] = &record{}
	case "team_member":
		w[key{"team_member", "m5"}] = &record{groups: some(d, w.of("group"), 1), access: some(d, wards, 2)}
	case "patient":
		if len(wards) > 0 {
			w[key{"patient", "p6"}] = &record{patientGroup: pick(d, wards), careTeam: some(d, w.of("team_member"), 1)}
		}
	case "booking":
		if len(providers) > 0 && len(patients) > 0 {
			w[key{"booking", "b15"}] = &record{patient: pick(d, patients), provider: pick(d, providers), state: "booked"}
		}
	}
}
