package acceptance

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// dice makes random organisations and random questions about them.
type dice struct {
	*rand.Rand
	w                            *world
	members, patients, providers []string
}

func (d *dice) often(chance float64) bool { return d.Float64() < chance }

func pick[T any](d *dice, from []T) T { return from[d.IntN(len(from))] }

// some returns up to most different items, in any order.
func some[T any](d *dice, from []T, most int) []T {
	out := slices.Clone(from)
	d.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:d.IntN(min(most, len(out))+1)]
}

// ids makes names, some of them unruly, no two alike.
func (d *dice) ids(prefix string, n int) []string {
	odd := some(d, unruly, max(n/4, 1))
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%d", prefix, i)
		if i < len(odd) {
			out[i] = odd[i]
		}
	}
	return out
}

// permissions are all that a role can say, and things that mean nothing.
func allPermissions() []string {
	out := []string{"*:*", "patient:view_all", "invoice:approve", "invoice:*", "patient:book", "provider:book"}
	for name, k := range theCatalogue {
		out = append(out, name+":*")
		for _, verb := range crud {
			if k.actions[verb] != "" {
				out = append(out, name+":"+verb)
			}
		}
	}
	return slices.Sorted(slices.Values(out)) // not in the order of a map
}

// newDice makes a random organisation.
func newDice(seed1, seed2 uint64) *dice {
	d := &dice{Rand: rand.New(rand.NewPCG(seed1, seed2))}
	all := allPermissions()
	w := &world{roles: map[string][]string{}, groups: map[string][]string{}, members: map[string]staff{}, patients: map[string]person{}}
	d.w = w
	bundle := func() []string {
		switch {
		case d.often(0.1):
			return nil
		case d.often(0.7):
			return some(d, all[1:], 24) // without *:*, which sorts first
		default:
			return some(d, all, 4)
		}
	}
	roles, groups := d.ids("role", 1+d.IntN(6)), d.ids("group", 1+d.IntN(7))
	for _, id := range roles {
		w.roles[id] = bundle()
	}
	for _, id := range groups {
		w.groups[id] = bundle()
	}
	w.patientGroups = d.ids("population", 1+d.IntN(6))
	d.members, d.patients = d.ids("member", 3+d.IntN(16)), d.ids("patient", 3+d.IntN(28))
	for _, id := range d.members {
		m := staff{groups: some(d, groups, 4), access: some(d, w.patientGroups, 3), provider: d.often(0.6), suspended: d.often(0.12)}
		if d.often(0.8) {
			m.role = pick(d, roles)
		}
		if m.provider {
			m.booking = some(d, w.patientGroups, 4)
			d.providers = append(d.providers, id)
		}
		w.members[id] = m
	}
	visits := 0
	for _, id := range d.patients {
		p := person{group: pick(d, w.patientGroups), manual: some(d, d.members, 3)}
		for range d.IntN(3) {
			if len(d.providers) > 0 {
				visits++
				p.bookings = append(p.bookings, visit{fmt.Sprintf("b-%d", visits), pick(d, d.providers),
					pick(d, []string{"booked", "booked", "cancelled", "released"})})
			}
		}
		w.patients[id] = p
	}
	return d
}

// records writes the organisation down.
func (d *dice) records() []record {
	var out []record
	for id, permissions := range d.w.roles {
		out = append(out, role(id, permissions...))
	}
	for id, permissions := range d.w.groups {
		out = append(out, group(id, permissions...))
	}
	for _, id := range d.w.patientGroups {
		out = append(out, patientGroup(id))
	}
	for id, m := range d.w.members {
		r := teamMember(id).inGroups(m.groups...).seeing(m.access...)
		if m.role != "" {
			r = r.holding(m.role)
		}
		if m.provider {
			r = r.bookableBy(m.booking...)
		}
		if m.suspended {
			r = r.onLeave()
		}
		out = append(out, r)
	}
	for id, p := range d.w.patients {
		out = append(out, patientIn(p.group, id).caredForBy(p.manual...))
		for _, v := range p.bookings {
			out = append(out, booking(v.id, id, v.provider, v.state))
		}
	}
	return merge(nil, out...)
}

// question makes a random question, most of them close to the edge.
func (d *dice) question() question {
	var q question
	switch {
	case d.often(0.82):
		q.Subject = member(pick(d, d.members))
	case d.often(0.75):
		q.Subject = patient(pick(d, d.patients))
	case d.often(0.4):
		q.Subject = member(d.stranger())
	case d.often(0.4):
		q.Subject = patient(d.stranger())
	default:
		q.Subject = entity{Type: pick(d, []string{"service", "provider", "Patient", "team_member ", "user", "*"}), ID: pick(d, d.members)}
	}
	q.Resource.Type = pick(d, []string{"patient", "patient", "patient", "patient", "provider", "provider", "provider", "provider",
		"appointment", "appointment", "appointment", "appointment", "clinical_note", "clinical_note", "report", "report",
		"calendar", "schedule", "stock", "settings", "user"})
	if q.Subject.Type == "patient" && d.often(0.8) {
		q.Resource.Type = "provider"
	}
	if d.often(0.03) {
		q.Resource.Type = pick(d, []string{"team_member", "patient_group", "invoice", "Patient", "patient:view", "*", "role", "booking"})
	}
	d.act(&q)
	d.name(&q.Resource)
	d.refer(&q)
	if q.Subject.Type == "patient" && d.often(0.05) { // A1
		q.Resource, q.Action.Name = entity{Type: "appointment", ID: "1", Properties: object{"patient": q.Subject.ID}}, "cancel"
	}
	if d.often(0.1) {
		d.decorate(&q)
	}
	return q
}

func (d *dice) act(q *question) {
	var actions []string
	for name := range theCatalogue[q.Resource.Type].actions {
		actions = append(actions, name)
	}
	slices.Sort(actions)
	if len(actions) == 0 || d.often(0.04) {
		actions = []string{"view", "create", "update", "delete", "book", "view_all", "*", "approve", "VIEW", "view "}
	}
	q.Action.Name = pick(d, actions)
}

// stranger is an id that may well be somebody's, but of another kind.
func (d *dice) stranger() string {
	return pick(d, []string{"nobody", "patient-0", "member-0", "population-0", "MEMBER-1", "member-1 ", pick(d, unruly), pick(d, d.patients), pick(d, d.members)})
}

func (d *dice) name(e *entity) {
	switch e.Type {
	case "patient":
		e.ID = pick(d, d.patients)
	case "provider":
		e.ID = pick(d, d.members)
		if len(d.providers) > 0 && d.often(0.85) {
			e.ID = pick(d, d.providers)
		}
	default:
		e.ID = pick(d, []string{"1", "new", pick(d, unruly)})
	}
	if d.often(0.08) {
		e.ID = d.stranger()
	}
}

// refer adds references, sound and unsound ones.
func (d *dice) refer(q *question) {
	k := theCatalogue[q.Resource.Type]
	for _, name := range slices.Concat(k.required, k.optional) {
		needed := slices.Contains(k.required, name) || q.Action.Name == "book" && q.Subject.Type == "team_member"
		if absent := 0.5; d.often(absent) && !needed || d.often(0.03) {
			continue
		}
		q.Resource = q.Resource.naming(name, d.reference(name, q.Subject))
	}
	if d.often(0.02) { // a reference of another type's, which means nothing here
		q.Resource = q.Resource.naming(pick(d, []string{"patient", "provider", "patient_group", "team_member"}), d.stranger())
	}
}

func (d *dice) reference(name string, who entity) any {
	switch {
	case d.often(0.03):
		return d.stranger()
	case d.often(0.03):
		return pick(d, notStrings)
	}
	switch name {
	case "patient":
		if who.Type == "patient" && d.often(0.6) {
			return who.ID
		}
		return pick(d, d.patients)
	case "provider":
		if len(d.providers) > 0 && d.often(0.9) {
			return pick(d, d.providers)
		}
		return pick(d, d.members)
	}
	return pick(d, d.w.patientGroups)
}

// decorate adds what must not matter: forged facts and a context.
func (d *dice) decorate(q *question) {
	f := pick(d, forgeries)
	switch d.IntN(4) {
	case 0:
		q.Subject = q.Subject.naming(f.name, f.value)
	case 1:
		q.Context = map[string]any{f.name: f.value}
	case 2:
		q.Action.Properties = map[string]any{f.name: f.value}
	default:
		if f.name != "patient" && f.name != "provider" && f.name != "patient_group" {
			q.Resource = q.Resource.naming(f.name, f.value)
		}
	}
}
