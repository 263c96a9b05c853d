package verify

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// generator makes random organisations for a catalogue.
type generator struct {
	random      *rand.Rand
	constants   []string
	permissions []string // that can be granted
	wildcards   []string
}

func newGenerator(random *rand.Rand, catalogue *authz.Catalogue, constants []string) *generator {
	g := &generator{random: random, constants: constants}
	for _, typ := range slices.Sorted(maps.Keys(catalogue.Types)) {
		spec := catalogue.Types[typ]
		for _, name := range slices.Concat(spec.Actions, spec.Scopes) {
			g.permissions = append(g.permissions, typ+":"+name)
		}
		g.wildcards = append(g.wildcards, typ+":*")
	}
	unwritable := func(permission string) bool {
		r := admin.Record{Kind: authz.KindRole, ID: "r", Permissions: []string{permission}}
		return admin.CheckRecord(&r) != nil
	}
	g.permissions, g.wildcards = slices.DeleteFunc(g.permissions, unwritable), slices.DeleteFunc(g.wildcards, unwritable)
	return g
}

// one in n draws is true.
func (g *generator) one(n int) bool { return g.random.IntN(n) == 0 }

// some draws from ids, each with a chance of one in n.
func (g *generator) some(ids []string, n int) []string {
	var out []string
	for _, id := range ids {
		if g.one(n) {
			out = append(out, id)
		}
	}
	return out
}

func (g *generator) pick(ids []string) string { return ids[g.random.IntN(len(ids))] }

// granted draws permissions: of some organisations many, of others few.
func (g *generator) granted() []string {
	out := g.some(g.permissions, 2+g.random.IntN(4))
	out = append(out, g.some(g.wildcards, 12)...)
	if g.one(12) {
		out = append(out, "*:*")
	}
	return out
}

// organisation makes one.
func (g *generator) organisation() records {
	var rs records
	of := func(ordinary string, count int) []string {
		n := newNames(g.random, g.constants)
		for range count {
			n.next(ordinary)
		}
		return n.drawn
	}
	roles, groups := of("r", 1+g.random.IntN(3)), of("g", g.random.IntN(4))
	for _, id := range roles {
		rs = append(rs, admin.Record{Kind: authz.KindRole, ID: id, Permissions: g.granted()})
	}
	for _, id := range groups {
		rs = append(rs, admin.Record{Kind: authz.KindGroup, ID: id, Permissions: g.granted()})
	}
	wards := of("w", 1+g.random.IntN(5))
	for _, id := range wards {
		rs = append(rs, admin.Record{Kind: authz.KindPatientGroup, ID: id})
	}
	members := of("m", 2+g.random.IntN(7))
	var providers []string
	for _, id := range members {
		m := admin.Record{Kind: authz.KindTeamMember, ID: id, Groups: g.some(groups, 2), Access: g.some(wards, 3)}
		if !g.one(6) {
			m.Role = g.pick(roles)
		}
		if m.IsProvider = g.one(2); m.IsProvider {
			m.Booking = g.some(wards, 2)
			providers = append(providers, id)
		}
		rs = append(rs, m)
	}
	patients := of("p", 3+g.random.IntN(23))
	for _, id := range patients {
		rs = append(rs, admin.Record{
			Kind: authz.KindPatient, ID: id, PatientGroup: g.pick(wards), CareTeam: g.some(members, 6),
		})
	}
	if len(providers) == 0 {
		return rs
	}
	for _, id := range of("b", g.random.IntN(6)) {
		rs = append(rs, admin.Record{
			Kind: authz.KindBooking, ID: id, Patient: g.pick(patients), Provider: g.pick(providers),
			State: []admin.State{admin.Booked, admin.Cancelled, admin.Released}[g.random.IntN(3)],
		})
	}
	return rs
}

// changed returns the facts of the same entities as they may be later. Where nobody would
// be left to administer the organisation (A4), what members hold stays as it is.
func (g *generator) changed(rs records) records {
	out := g.redrawn(rs, true)
	for _, lists := range [][]string{{"*:*"}, {"*:*", "user:*"}} {
		if rs.administered(lists) && !out.administered(lists) {
			return g.redrawn(rs, false)
		}
	}
	return out
}

// administered reports whether a member has a role or a group that lists one of permissions.
func (rs records) administered(permissions []string) bool {
	granting := map[authz.Key]bool{}
	for i := range rs {
		r := &rs[i]
		if slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(r.Permissions, p) }) {
			granting[r.Key()] = true
		}
		if r.Kind == authz.KindTeamMember && (granting[authz.Key{Kind: authz.KindRole, ID: r.Role}] ||
			slices.ContainsFunc(r.Groups, func(id string) bool { return granting[authz.Key{Kind: authz.KindGroup, ID: id}] })) {
			return true
		}
	}
	return false
}

func (g *generator) redrawn(rs records, permissions bool) records {
	out := slices.Clone(rs)
	roles, groups := rs.ids(authz.KindRole), rs.ids(authz.KindGroup)
	wards, members := rs.ids(authz.KindPatientGroup), rs.ids(authz.KindTeamMember)
	for i := range out {
		r := &out[i]
		if g.one(2) {
			continue
		}
		switch r.Kind {
		case authz.KindRole, authz.KindGroup:
			if permissions {
				r.Permissions = g.granted()
			}
		case authz.KindTeamMember:
			if permissions && len(roles) > 0 {
				r.Role = g.pick(roles)
			}
			if permissions {
				r.Groups = g.some(groups, 2)
			}
			r.Access = g.some(wards, 3)
			if r.IsProvider {
				r.Booking = g.some(wards, 2)
			}
		case authz.KindPatient:
			r.PatientGroup, r.CareTeam = g.pick(wards), g.some(members, 6)
		}
	}
	return out
}
