package secrecy

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// dice makes everything that is random. The same seed makes the same.
type dice struct{ *rand.Rand }

func newDice(seed, stream uint64) dice { return dice{rand.New(rand.NewPCG(seed, stream))} }

func (d dice) often(chance float64) bool { return d.Float64() < chance }

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

// some returns up to most different items.
func some[T any](d dice, from []T, most int) []T {
	out := slices.Clone(from)
	d.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:d.IntN(min(most, len(out))+1)]
}

// actor is who asks: the id is in the organisation, or is not.
type actor struct {
	sort string // what they hold, in words
	typ  string
	id   string
}

func (a actor) String() string { return a.typ + ":" + a.id }

// rights are what the actors hold, by their sort. Each of them lacks the sight of something.
var rights = map[string][]string{
	"user:update only":            {"user:update"},
	"user:* without user:view":    {"user:create", "user:update", "user:delete"},
	"user:view only":              {"user:view"},
	"user:*":                      {"user:*"},
	"settings:update only":        {"settings:update"},
	"settings:view only":          {"settings:view"},
	"settings:*":                  {"settings:*"},
	"settings:* and user:view":    {"settings:*", "user:view"},
	"settings:* and user:*":       {"settings:*", "user:*"},
	"view_all without view":       {"patient:view_all", "patient:update"},
	"patient:update, some sight":  {"patient:view", "patient:update"},
	"patient:*, some sight":       {"patient:*"},
	"patient:*, view_all":         {"patient:*", "patient:view_all"},
	"appointment:create only":     {"appointment:create"},
	"appointment:*, some sight":   {"patient:view", "appointment:*"},
	"patient:create only":         {"patient:create"},
	"patient:delete only":         {"patient:delete"},
	"changes without the patient": {"user:view", "settings:view", "patient:view_all"},
	"nothing":                     {},
	"administers, some sight":     {"user:*", "settings:*", "patient:view", "patient:update", "appointment:create", "appointment:view"},
	"administers, sees nobody":    {"user:*", "settings:*", "patient:create", "patient:delete"},
	"everything but the sight":    {"user:*", "settings:*", "patient:*", "appointment:*", "report:view"},
	"all rights":                  {"*:*"},
}

// granted are the permissions that organisations are made of.
var granted = []string{
	"user:view", "user:create", "user:update", "user:delete", "user:*", "settings:view", "settings:update", "settings:*",
	"patient:view", "patient:create", "patient:update", "patient:delete", "patient:view_all", "patient:*",
	"appointment:view", "appointment:create", "appointment:*", "report:view", "stock:view",
}

const (
	strangers   = "not a member"
	patients    = "a patient"
	unknown     = "a patient who is not there"
	anyMix      = "any mixture"
	actorMember = "m0"
)

// sorts are all there are, in order.
func sorts() []string {
	out := []string{strangers, patients, unknown, anyMix}
	for sort := range rights {
		out = append(out, sort)
	}
	slices.Sort(out)
	return out
}

// ids makes names: r1, r2 …
func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return out
}

// newWorld makes a small random organisation and somebody who asks. Root holds everything, so that nothing
// is refused because nobody could give it back.
func newWorld(d dice, sort string) (world, actor) {
	w := world{
		{"role", "root"}:        {permissions: []string{"*:*", "patient:view_all"}},
		{"team_member", "root"}: {role: "root"},
	}
	roles, groups, wards := ids("r", 1+d.IntN(2)), ids("g", 1+d.IntN(2)), ids("w", 2+d.IntN(2))
	for _, id := range roles {
		w[key{"role", id}] = &record{name: pick(d, []string{"", "Nurse"}), permissions: some(d, granted, 3)}
	}
	for _, id := range groups {
		w[key{"group", id}] = &record{name: pick(d, []string{"", "Night"}), permissions: some(d, granted, 3)}
	}
	for _, id := range wards {
		w[key{"patient_group", id}] = &record{name: pick(d, []string{"", "Ward"})}
	}
	var providers []string
	for _, id := range ids("m", 1+d.IntN(3)) {
		m := &record{name: pick(d, []string{"", "Kim"}), groups: some(d, groups, 2), access: some(d, wards, 2), bookable: d.often(0.6)}
		if d.often(0.6) {
			m.role = pick(d, roles)
		}
		if m.bookable {
			m.booking, providers = some(d, wards, 3), append(providers, id)
		}
		w[key{"team_member", id}] = m
	}
	a := actor{sort, "team_member", actorMember}
	switch sort {
	case strangers:
		a.id = "m7"
	case patients:
		a = actor{sort, "patient", "p0"}
		w[key{"patient", "p0"}] = &record{patientGroup: pick(d, wards)}
	case unknown:
		a = actor{sort, "patient", "p7"}
	default:
		w.employ(d, rights[sort], wards)
	}
	members, visits := w.of("team_member"), 0
	for _, id := range ids("p", 2+d.IntN(4)) {
		w[key{"patient", id}] = &record{patientGroup: pick(d, wards), careTeam: some(d, members, 2)}
	}
	for _, id := range w.of("patient") {
		for range d.IntN(3) {
			if len(providers) > 0 {
				visits++
				w[key{"booking", fmt.Sprintf("b%d", visits)}] = &record{patient: id, provider: pick(d, providers),
					state: pick(d, []string{"booked", "booked", "cancelled", "released"})}
			}
		}
	}
	return w, a
}

// employ adds the acting member, whose permissions come by a role, by a group, or by both.
func (w world) employ(d dice, permissions, wards []string) {
	if permissions == nil {
		permissions = some(d, granted, 6)
	}
	me := &record{bookable: d.often(0.3), access: some(d, wards, 1)}
	if d.often(0.5) {
		w[key{"role", "r0"}] = &record{permissions: permissions}
		me.role = "r0"
	} else {
		w[key{"group", "g0"}] = &record{permissions: permissions}
		me.groups = []string{"g0"}
	}
	if me.bookable {
		me.booking = some(d, wards, 2)
	}
	w[key{"team_member", actorMember}] = me
}
