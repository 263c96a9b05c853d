package admin_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/soak"
)

var pairs = flag.Int("pairs", max(12, soak.Cases(40)), "random pairs of organisations that an actor is not to tell apart")

// A5: of two organisations that differ only in what an actor may not see, the actor is
// answered the same, whatever they ask and try.
func TestA5WhatIsHiddenAnswersAsWhatIsNotThere(t *testing.T) {
	p := orgtest.Policy(t)
	compared, kinds := 0, map[string]int{}
	for seed := range soak.Seeds(t, *pairs) {
		g := &gambler{Rand: rand.New(rand.NewPCG(seed, 5))}
		records := append(g.organisation(), g.bookings()...)
		actor := g.actor()
		for try := 0; try < 6; try++ {
			one, other := empty(t, p), empty(t, p)
			one.commit(records...)
			other.commit(records...)
			difference, ok := g.hide(other, actor)
			if !ok {
				continue
			}
			w := one.look(nil)
			for range 10 {
				at := g.Uint64()
				ask := func(c *clinic) (string, string) {
					again := &gambler{Rand: rand.New(rand.NewPCG(at, 6))}
					return again.ask(c, actor, w)
				}
				what, a := ask(one)
				_, b := ask(other)
				compared++
				kinds[strings.Fields(what)[0]]++
				if a != b && !strings.Contains(a+b, "cannot be given to something new") {
					t.Fatalf("pair %d: to %s, who does not see that %s,\n%s\nis answered\n%s\nand\n%s", seed, actor, difference, what, a, b)
				}
				if strings.Contains(a+b, "done") {
					break // they are different organisations now
				}
			}
		}
	}
	t.Logf("%d answers compared: %v", compared, kinds)
	if *pairs >= 12 && !soak.Repeats() && compared < 90 {
		t.Fatal("too few to show anything")
	}
}

func (g *gambler) bookings() []admin.Edit {
	var out []admin.Edit
	for i := range 4 {
		out = append(out, put(admin.Record{
			Kind: authz.KindBooking, ID: fmt.Sprintf("b%d", i), Patient: g.id("p", 6), Provider: g.id("m", 5),
			State: []admin.State{admin.Booked, admin.Cancelled, admin.Released}[g.IntN(3)],
		}))
	}
	return out
}

// hide takes away or alters something that an actor does not see, and says what. What is
// left of it, and what goes with it, is hidden as well.
func (g *gambler) hide(c *clinic, actor admin.Actor) (string, bool) {
	before := c.look(nil)
	id := g.id("p", 6)
	k := key(authz.KindPatient, id)
	var difference []admin.Edit
	name := ""
	switch g.IntN(6) {
	case 0:
		name, difference = "the patient "+id+" was deleted", edits(cascade(authz.KindPatient, id))
	case 1:
		name, difference = "the patient "+id+" was moved", edits(move(id, g.id("pg", 3)))
	case 2:
		name, difference = "the care team of "+id+" is another", edits(put(admin.Record{
			Kind: k.Kind, ID: id, PatientGroup: before.records[k].PatientGroup, CareTeam: g.ids(2, "m", 5),
		}))
	case 3:
		k = key(authz.KindBooking, g.id("b", 4))
		name, difference = "the booking "+k.ID+" was deleted", edits(remove(k.Kind, k.ID))
	case 4:
		k = key(authz.KindTeamMember, g.id("m", 5))
		m := before.records[k].Record
		m.Name, m.Groups, m.Access = "other", g.ids(2, "g", 3), g.ids(2, "pg", 3)
		name, difference = "the member "+k.ID+" is another", edits(put(m))
	default:
		kind := []authz.Kind{authz.KindRole, authz.KindGroup}[g.IntN(2)]
		k = key(kind, g.id(map[authz.Kind]string{authz.KindRole: "r", authz.KindGroup: "g"}[kind], 3))
		name, difference = "the "+string(kind)+" "+k.ID+" grants otherwise", edits(put(admin.Record{Kind: kind, ID: k.ID, Permissions: g.permissions()}))
	}
	if !c.hidden(actor, k, before) {
		return "", false
	}
	if _, err := c.store.Commit(c.Context(), organisation, admin.Change{Edits: difference}); err != nil {
		return "", false // the last holder
	}
	after := c.look(nil)
	if after.records[k] != nil && !c.hidden(actor, k, after) {
		return "", false
	}
	for _, b := range before.all(authz.KindBooking) {
		if b.Patient == id && k.ID == id && !c.hidden(actor, b.Key(), before) {
			return "", false
		}
	}
	return name, true
}

// hidden reports whether an actor may do nothing with an entity, and is no part of it.
func (c *clinic) hidden(actor admin.Actor, k authz.Key, w world) bool {
	c.Helper()
	r := w.records[k]
	if actor.ID == k.ID {
		return false
	}
	if me := w.records[key(authz.KindTeamMember, actor.ID)]; me != nil && actor.Type == "team_member" {
		for _, source := range append([]authz.Key{key(authz.KindRole, me.Role)}, groupKeys(me.Groups)...) {
			if source == k {
				return false
			}
		}
	}
	may := func(action, typ, id, patient, provider string) bool {
		request := &authz.Request{
			Subject: authz.Entity{Type: actor.Type, ID: actor.ID}, Action: authz.Action{Name: action},
			Resource: authz.Entity{Type: typ, ID: id, Properties: map[string]any{}},
		}
		if patient != "" {
			request.Resource.Properties["patient"] = patient
		}
		if provider != "" {
			request.Resource.Properties["provider"] = provider
		}
		d, _, err := c.answers.Decide(c.Context(), organisation, request, authz.Freshness{})
		if err != nil {
			c.Fatal(err)
		}
		return d.Allow
	}
	switch k.Kind {
	case authz.KindPatient:
		return !may("view", "patient", k.ID, "", "") && !may("update", "patient", k.ID, "", "") && !may("delete", "patient", k.ID, "", "")
	case authz.KindBooking: // a patient's record has the care team with its sources
		return !may("view", "patient", r.Patient, "", "") && !may("view", "appointment", k.ID, r.Patient, r.Provider) && !may("cancel", "appointment", k.ID, r.Patient, "")
	default: // those who see the settings see who has Access
		return !may("view", "user", k.ID, "", "") && !may("view", "settings", "", "", "")
	}
}

// ask reads something, or tries to change something, and returns what it was and the
// answer.
func (g *gambler) ask(c *clinic, actor admin.Actor, w world) (what, answer string) {
	ctx := c.Context()
	told := func(done any, err error) string {
		if e, ok := errors.AsType[*authz.Error](err); ok {
			return fmt.Sprint(e.Kind, e.Field, e.Message, e.InUse, e.InUseCount)
		}
		return fmt.Sprint(done, err)
	}
	kind := model.Kinds()[g.IntN(6)]
	letter := map[authz.Kind]string{
		authz.KindRole: "r", authz.KindGroup: "g", authz.KindPatientGroup: "pg", authz.KindTeamMember: "m", authz.KindPatient: "p", authz.KindBooking: "b",
	}
	id := g.id(letter[kind], 6)
	switch g.IntN(8) {
	case 0:
		r, _, err := c.Get(ctx, organisation, actor, key(kind, id))
		if r != nil {
			return "get", fmt.Sprintf("%v %v", r.Record, r.Sources)
		}
		return fmt.Sprintf("get %s %s", kind, id), told(nil, err)
	case 1:
		page, err := c.List(ctx, organisation, actor, kind, "", 100)
		ids := []string{}
		for _, r := range page.Records {
			ids = append(ids, r.ID)
		}
		return fmt.Sprintf("list %s", kind), told(ids, err)
	case 2:
		relation := []admin.Relation{
			admin.RoleOf, admin.MemberOfGroup, admin.Access, admin.Booking, admin.PatientGroupOf, admin.CareTeam, admin.BookingOf, admin.BookingsWith,
		}[g.IntN(8)]
		_, to := relation.Ends()
		id := g.id(letter[to], 7)
		page, err := c.Related(ctx, organisation, actor, relation, id, "", 100)
		return fmt.Sprintf("related %s of %s", relation, id), told(page.IDs, err)
	}
	names, try := g.attempt(c, actor, w)
	if g.IntN(5) == 0 && kind != authz.KindBooking {
		e := remove(kind, id)
		e.Cascade = g.IntN(2) == 0
		names, try = []string{fmt.Sprintf("remove %s %s %v", kind, id, e.Cascade)}, func() (bool, error) {
			done, err := c.Apply(ctx, organisation, actor, edits(e), admin.Options{})
			return done.Changed, err
		}
	}
	changed, err := try()
	if err == nil {
		return "change " + strings.Join(names, ", "), fmt.Sprint("done ", changed)
	}
	return "change " + strings.Join(names, ", "), told(nil, err)
}
