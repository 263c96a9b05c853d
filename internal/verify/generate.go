package verify

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
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
	// How many there are of each kind: at least fewest, and fewer than fewest+further.
	counts := map[authz.Kind]struct {
		prefix          string
		fewest, further int
	}{
		authz.KindRole: {"r", 1, 3}, authz.KindGroup: {"g", 0, 4}, authz.KindPatientGroup: {"w", 1, 5},
		authz.KindTeamMember: {"m", 2, 7}, authz.KindPatient: {"p", 3, 23}, authz.KindBooking: {"b", 0, 6},
	}
	var rs records
	for _, kind := range model.Kinds() {
		n, of := newNames(g.random, g.constants), counts[kind]
		for range of.fewest + g.random.IntN(of.further) {
			r := admin.Record{Kind: kind, ID: n.next(of.prefix)}
			for _, f := range model.Fields(kind) {
				g.draw(&f, &r, rs)
			}
			if kind != authz.KindBooking || r.Provider != "" {
				rs = append(rs, r)
			}
		}
	}
	return rs
}

// draw gives a field of a record a random value, out of what records there are.
func (g *generator) draw(f *model.Field, r *admin.Record, rs records) {
	_, to := f.Relation.Ends()
	ids := rs.ids(to)
	if f.Relation == admin.BookingsWith { // B1
		ids = rs.providers()
	}
	switch f.Type {
	case model.ID:
		if len(ids) > 0 && (f.Always || !g.one(6)) {
			*f.Text(r) = g.pick(ids)
		}
	case model.IDs:
		n := map[admin.Relation]int{admin.Access: 3, admin.CareTeam: 6}[f.Relation]
		if f.Relation != admin.Booking || r.IsProvider { // B1
			*f.List(r) = g.some(ids, cmp.Or(n, 2))
		}
	case model.Flag:
		n := map[string]int{authz.FactProvider: 2}[f.Name]
		*f.Flag(r) = g.one(cmp.Or(n, 6))
	case model.Permissions:
		*f.List(r) = g.granted()
	case model.State:
		*f.Text(r) = string([]admin.State{admin.Booked, admin.Cancelled, admin.Released}[g.random.IntN(3)])
	}
}

// providers returns the ids of the members who can be booked.
func (rs records) providers() []string {
	return slices.DeleteFunc(slices.Clone(rs), func(r admin.Record) bool { return !r.IsProvider }).ids(authz.KindTeamMember)
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

// administered reports whether a member who is not suspended (P7) has a role or a group that
// lists one of permissions.
func (rs records) administered(permissions []string) bool {
	granting := map[authz.Key]bool{}
	for i := range rs {
		r := &rs[i]
		if slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(r.Permissions, p) }) {
			granting[r.Key()] = true
		}
		if r.Kind == authz.KindTeamMember && !r.IsSuspended && (granting[authz.Key{Kind: authz.KindRole, ID: r.Role}] ||
			slices.ContainsFunc(r.Groups, func(id string) bool { return granting[authz.Key{Kind: authz.KindGroup, ID: id}] })) {
			return true
		}
	}
	return false
}

// redrawn draws fields of about half of the records again: what members hold only if
// permissions says so, and nothing that bookings and assignments rest on.
func (g *generator) redrawn(rs records, permissions bool) records {
	out := slices.Clone(rs)
	for i := range out {
		r := &out[i]
		if r.Kind == authz.KindBooking || g.one(2) {
			continue
		}
		for _, f := range model.Fields(r.Kind) {
			holds := f.Type == model.Permissions || f.Type == model.Flag || f.Relation == admin.RoleOf || f.Relation == admin.MemberOfGroup
			if f.Name != authz.FactProvider && (permissions || !holds) {
				g.draw(&f, r, rs)
			}
		}
	}
	return out
}
