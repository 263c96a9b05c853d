package admin_test

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

func TestB3PatientsBookForThemselves(t *testing.T) {
	runRules(t, []ruleCase{
		{"a provider of their group", client("p-2"), edits(book("b", "p-2", "mark")), "", ""},
		{"and no other", client("p-2"), edits(book("b", "p-2", "priya")), "edits[0]", "denies book on provider"},
		{"nobody else", client("p-2"), edits(book("b", "p-3", "mark")), "edits[0].record.patient", "for themself alone"},
		{"nobody who is unknown", client("nobody"), edits(book("b", "nobody", "mark")), "edits[0]", "subject_unknown"},
		{"their own is cancelled", client("p-1"), edits(cancel("b-1")), "", ""},
		{"an id of both a patient and a member", client("mark"), edits(book("b", "mark", "mark")), "edits[0]", "subject_unknown"},
	})
}

func TestB4MembersBookForPatientsTheySee(t *testing.T) {
	runRules(t, []ruleCase{
		{"seen and bookable", member("mark"), edits(book("b", "p-2", "mark")), "", ""},
		{"by the care team", member("mark"), edits(book("b", "p-4", "priya")), "", ""},
		{"not seen", member("mark"), edits(book("b", "p-5", "priya")), "edits[0]", "denies book on provider"},
		{"not bookable", member("mark"), edits(book("b", "p-2", "priya")), "edits[0]", "denies book on provider"},
		{"not bookable, for whoever sees the provider", member("amara"), edits(book("b", "p-2", "priya")), "edits[0]", "provider_not_bookable"},
		{"no provider", member("mark"), edits(book("b", "p-2", "jordan")), "edits[0]", "resource_unknown"},
		{"without the permission", member("elena"), edits(book("b", "p-1", "mark")), "edits[0]", "appointment:create"},
		{"many at once", member("ruth"), edits(book("x", "p-1", "mark"), book("y", "p-2", "mark"), cancel("x")), "", ""},
		{"cancelled by whoever may book", member("ruth"), edits(cancel("b-2")), "", ""},
	})
}

func TestB5ABookingGivesSightOfThatPatientAlone(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	c.allow(client("p-5"), book("b", "p-5", "priya"))
	p := c.get(key(authz.KindPatient, "p-5"))
	if !slices.Contains(p.Sources["priya"], "booking:b") || slices.Contains(p.CareTeam, "priya") {
		t.Fatal(p)
	}
	done, err := c.Apply(t.Context(), organisation, client("p-5"), edits(book("b", "p-5", "priya")), admin.Options{})
	if err != nil || done.Changed { // B6
		t.Fatal(done, err)
	}
	// A record that is put again keeps what bookings gave.
	c.commit(link(admin.MemberOfGroup, "jordan", "administrators"))
	c.allow(member("jordan"), patient("p-5", "diabetes"))
	if p = c.get(key(authz.KindPatient, "p-5")); !slices.Contains(p.Sources["priya"], "booking:b") {
		t.Fatal(p)
	}
}

func TestB6ABookingIsCancelledAfterItsAssignmentEnded(t *testing.T) {
	p := orgtest.Policy(t)
	noProvider := false
	for name, change := range map[string][]admin.Edit{
		"the assignment ended":  edits(unlink(admin.Booking, "mark", "diabetes")),
		"no provider any more":  edits(unlink(admin.Booking, "mark", "diabetes"), set(authz.KindTeamMember, "mark", admin.Fields{"provider": noProvider})),
		"the patient was moved": edits(move("p-1", "cardiology")),
	} {
		for _, actor := range []admin.Actor{member("ruth"), client("p-1")} {
			t.Run(name+" "+actor.Type, func(t *testing.T) {
				c := example(t, p)
				c.commit(change...)
				c.commit(unlink(admin.Access, "jordan", "diabetes"), unlink(admin.Access, "jordan", "cardiology"))
				for _, other := range []admin.Actor{member("noor"), member("jordan"), client("p-2")} {
					_, err := c.Apply(t.Context(), organisation, other, edits(cancel("b-1")), admin.Options{})
					c.refused(err, authz.NotFound, "edits[0].key", "no such booking")
				}
				release := cancel("b-1")
				release.Release = true
				c.allow(actor, release)
				if b := c.get(key(authz.KindBooking, "b-1")); b.State != admin.Released {
					t.Fatal(b)
				}
			})
		}
	}
	c := example(t, p)
	for _, id := range []string{"nothing", "b-1"} { // A5: ruth sees b-1, and others do not
		for _, actor := range []string{"ruth", "noor", "hana"} {
			if id == "b-1" && actor == "ruth" {
				continue
			}
			_, err := c.Apply(t.Context(), organisation, member(actor), edits(cancel(id)), admin.Options{})
			c.refused(err, authz.NotFound, "edits[0].key", "no such booking")
		}
	}
}
