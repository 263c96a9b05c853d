package admin_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/soak"
)

var organisations = flag.Int("organisations", max(10, soak.Cases(30)), "random organisations to change at random")

// Whatever random actors try on random organisations, what is accepted gives nobody
// what the actor did not have (A4), and is nothing that they may not do (A1).
func TestA4RandomChangesGrantNothingThatTheActorLacks(t *testing.T) {
	p, known := orgtest.Policy(t), catalogue(t)
	accepted, refusedCount, kinds := 0, 0, map[string]int{}
	for seed := range soak.Seeds(t, *organisations) {
		c := empty(t, p)
		g := &gambler{Rand: rand.New(rand.NewPCG(seed, 1))}
		c.commit(g.organisation()...)
		before := c.look(known)
		for range 60 {
			actor := g.actor()
			what, try := g.attempt(c, actor, before)
			changed, err := try()
			if err != nil {
				if kind := authz.KindOf(err); kind == authz.Internal || kind == authz.Unavailable {
					t.Fatal(err)
				}
				refusedCount++
				continue
			}
			if !changed {
				continue
			}
			accepted++
			for _, w := range what {
				kinds[w]++
			}
			after := c.look(known)
			if broken := wrong(actor, before, after); broken != "" {
				t.Fatalf("organisation %d: %s did %v: %s", seed, actor, what, broken)
			}
			before = after
		}
	}
	t.Logf("%d changes accepted, %d refused: %v", accepted, refusedCount, kinds)
	if *organisations >= 10 && !soak.Repeats() && (accepted < 20 || refusedCount < 60 || len(kinds) < 12) {
		t.Fatal("the random changes are too one-sided to show anything")
	}
}

// gambler makes random organisations, actors and changes.
type gambler struct{ *rand.Rand }

func (g *gambler) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g *gambler) some(most int, from ...string) []string {
	var out []string
	for range g.IntN(most + 1) {
		if s := g.pick(from...); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (g *gambler) id(letter string, n int) string { return fmt.Sprintf("%s%d", letter, g.IntN(n)) }

func (g *gambler) ids(most int, letter string, n int) []string {
	var out []string
	for range g.IntN(most + 1) {
		if id := g.id(letter, n); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func (g *gambler) permissions() []string {
	return g.some(9, "user:*", "user:*", "settings:*", "appointment:create", "user:view", "user:update", "user:create", "user:delete", "settings:update", "settings:*",
		"patient:view", "patient:update", "patient:create", "patient:delete", "patient:view_all", "patient:*",
		"appointment:create", "stock:*", "stock:view", "*:*", "tomorrow:view", "tomorrow:*", "report:*")
}

func (g *gambler) organisation() []admin.Edit {
	var out []admin.Edit
	for i := range 3 {
		out = append(out, role(fmt.Sprintf("r%d", i), g.permissions()...), group(fmt.Sprintf("g%d", i), g.permissions()...),
			patientGroup(fmt.Sprintf("pg%d", i)))
	}
	for i := range 5 {
		out = append(out, put(g.member(fmt.Sprintf("m%d", i))))
	}
	for i := range 6 {
		out = append(out, patient(fmt.Sprintf("p%d", i), g.id("pg", 3), g.ids(2, "m", 5)...))
	}
	return out
}

func (g *gambler) member(id string) admin.Record {
	m := admin.Record{
		Kind: authz.KindTeamMember, ID: id, Name: g.pick("", "A", "B"), Groups: g.ids(2, "g", 3),
		IsProvider: g.IntN(2) == 0, IsSuspended: g.IntN(5) == 0, Access: g.ids(2, "pg", 3),
	}
	if g.IntN(3) > 0 {
		m.Role = g.id("r", 3)
	}
	if m.IsProvider {
		m.Booking = g.ids(2, "pg", 3)
	}
	return m
}

func (g *gambler) actor() admin.Actor {
	if g.IntN(6) == 0 {
		return client(g.id("p", 6))
	}
	return member(g.id("m", 5))
}

// attempt returns a random call, and the names of what it does.
func (g *gambler) attempt(c *clinic, actor admin.Actor, w world) (what []string, try func() (bool, error)) {
	ctx := c.Context()
	switch g.IntN(6) {
	case 0:
		k, fields := g.fields()
		return []string{"change " + string(k.Kind)}, func() (bool, error) {
			done, err := c.Change(ctx, organisation, actor, k, fields, admin.Options{})
			return done.Changed, err
		}
	case 1:
		relation := []admin.Relation{admin.RoleOf, admin.MemberOfGroup, admin.Access, admin.Booking, admin.CareTeam}[g.IntN(5)]
		from, to := relation.Ends()
		letters := map[authz.Kind]string{
			authz.KindRole: "r", authz.KindGroup: "g", authz.KindPatientGroup: "pg", authz.KindTeamMember: "m", authz.KindPatient: "p",
		}
		id, ids := g.id(letters[to], 4), g.ids(3, letters[from], 6)
		return []string{"replace " + string(relation)}, func() (bool, error) {
			done, err := c.Replace(ctx, organisation, actor, relation, id, ids, "", admin.Options{})
			return done.Changed, err
		}
	}
	var batch []admin.Edit
	for range 1 + g.IntN(3)*g.IntN(2) {
		e := g.edit(actor, w)
		batch = append(batch, e)
		name := string(e.Op)
		if e.Record != nil {
			name += " " + string(e.Record.Kind)
		}
		what = append(what, name+" "+string(e.Key.Kind)+string(e.Relation))
	}
	return what, func() (bool, error) {
		done, err := c.Apply(ctx, organisation, actor, batch, admin.Options{})
		return done.Changed, err
	}
}

// fields returns new values of fields of a random record.
func (g *gambler) fields() (authz.Key, admin.Fields) {
	fields := admin.Fields{}
	perhaps := func(name string, ids []string) {
		if g.IntN(2) > 0 {
			fields[name] = ids
		}
	}
	switch g.IntN(3) {
	case 0:
		fields["patient_group"] = g.id("pg", 4)
		perhaps("care_team", g.ids(2, "m", 6))
		return key(authz.KindPatient, g.id("p", 8)), fields
	case 1:
		fields["permissions"] = g.permissions()
		return key(authz.KindGroup, g.id("g", 4)), fields
	default:
		perhaps("groups", g.ids(2, "g", 4))
		perhaps("access", g.ids(2, "pg", 4))
		perhaps("booking", g.ids(1, "pg", 4))
		if g.IntN(2) > 0 {
			fields["suspended"] = g.IntN(2) > 0
		}
		return key(authz.KindTeamMember, g.id("m", 6)), fields
	}
}

// edit makes one edit, half of the time such that the actor could have a reason.
func (g *gambler) edit(actor admin.Actor, w world) admin.Edit {
	kind := model.Kinds()[g.IntN(5)]
	letter := map[authz.Kind]string{
		authz.KindRole: "r", authz.KindGroup: "g", authz.KindPatientGroup: "pg", authz.KindTeamMember: "m", authz.KindPatient: "p",
	}[kind]
	who := g.id("p", 8)
	if actor.Type == "patient" && g.IntN(8) > 0 {
		who = actor.ID
		if g.IntN(3) == 0 {
			return admin.Edit{Op: admin.Cancel, Key: key(authz.KindBooking, g.id("b", 5)), Release: g.IntN(2) == 0}
		}
		return book(g.id("b", 5), who, g.id("m", 6))
	}
	switch g.IntN(12) {
	case 0, 1:
		return g.record(kind, g.id(letter, 9))
	case 2:
		e := remove(kind, g.id(letter, 8))
		e.Cascade = g.IntN(2) == 0
		return e
	case 3:
		return move(who, g.id("pg", 4))
	case 4:
		return link(admin.MemberOfGroup, g.id("m", 6), g.id("g", 4))
	case 5:
		return link(admin.Access, g.id("m", 6), g.id("pg", 4))
	case 6:
		return link(admin.Booking, g.id("m", 6), g.id("pg", 4))
	case 7:
		return link(admin.CareTeam, who, g.id("m", 6))
	case 8:
		relation := []admin.Relation{admin.MemberOfGroup, admin.Access, admin.Booking}[g.IntN(3)]
		return unlink(relation, g.id("m", 6), g.pick("g0", "g1", "g2", "pg0", "pg1", "pg2"))
	case 9:
		if g.IntN(4) == 0 {
			return remove(authz.KindBooking, g.id("b", 5))
		}
		return admin.Edit{Op: admin.Cancel, Key: key(authz.KindBooking, g.id("b", 5)), Release: g.IntN(2) == 0}
	case 10:
		return withRole(g.id("m", 6), g.pick("", "r0", "r1", "r2", "r3"))
	default:
		providers := w.all(authz.KindTeamMember)
		return book(g.id("b", 5), who, providers[g.IntN(len(providers))].ID)
	}
}

func (g *gambler) record(kind authz.Kind, id string) admin.Edit {
	switch kind {
	case authz.KindRole:
		return role(id, g.permissions()...)
	case authz.KindGroup:
		return group(id, g.permissions()...)
	case authz.KindPatientGroup:
		return put(admin.Record{Kind: kind, ID: id, Name: g.pick("A", "B")})
	case authz.KindTeamMember:
		return put(g.member(id))
	default:
		return patient(id, g.id("pg", 4), g.ids(2, "m", 6)...)
	}
}
