package admin_test

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

// In the example organisation amara holds everything; ines holds settings:* and
// user:* alone; elena (practice manager) settings:update, user:view and view_all; mark
// and jordan are clinicians; noor holds nothing.

type ruleCase struct {
	name   string
	actor  admin.Actor
	edits  []admin.Edit
	field  string // "" when it is allowed
	reason string
}

func edits(e ...admin.Edit) []admin.Edit { return e }

func runRules(t *testing.T, cases []ruleCase) {
	t.Helper()
	p := orgtest.Policy(t)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := example(t, p)
			if tc.field == "" {
				c.allow(tc.actor, tc.edits...)
			} else if field, hidden := strings.CutPrefix(tc.field, "!"); hidden { // as what does not exist (A5)
				_, err := c.Apply(t.Context(), organisation, tc.actor, tc.edits, admin.Options{})
				c.refused(err, max(authz.KindOf(err), authz.Malformed), field, tc.reason)
			} else {
				c.deny(tc.actor, tc.field, tc.reason, tc.edits...)
			}
		})
	}
}

func TestA1WhoMayChangeWhat(t *testing.T) {
	name := "Other"
	provider := true
	runRules(t, []ruleCase{
		{"a role is made with user:create", member("ines"), edits(role("new", "settings:view")), "", ""},
		{"and not without", member("elena"), edits(role("new")), "edits[0]", "user, which takes user:create: permission_missing"},
		{"a role is renamed with user:update", member("ines"), edits(set(authz.KindRole, "nurse", admin.Fields{"name": name})), "", ""},
		{"and not without", member("elena"), edits(set(authz.KindRole, "nurse", admin.Fields{"name": name})), "edits[0]", "user:update"},
		{"a group is deleted with user:delete", member("ines"), edits(cascade(authz.KindGroup, "stockroom")), "", ""},
		{"and not without", member("elena"), edits(cascade(authz.KindGroup, "stockroom")), "edits[0]", "user:delete"},
		{"a member is made with user:create", member("ines"), edits(staff("new")), "", ""},
		{"and not without", member("mark"), edits(staff("new")), "edits[0]", "user:create"},
		{"a member is made a provider with user:update", member("ines"), edits(set(authz.KindTeamMember, "noor", admin.Fields{"provider": provider})), "", ""},
		{"and not without", member("elena"), edits(set(authz.KindTeamMember, "noor", admin.Fields{"provider": provider})), "edits[0]", "user:update"},
		{"a member with places and bookings is deleted with user:delete", member("ines"), edits(cascade(authz.KindTeamMember, "mark")), "", ""},
		{"Booking takes settings:update", member("elena"), edits(link(admin.Booking, "mark", "cardiology")), "", ""},
		{"and nothing else does", member("jordan"), edits(link(admin.Booking, "mark", "cardiology")), "edits[0]", "settings:update"},
		{"Access is taken away with settings:update", member("ines"), edits(unlink(admin.Access, "mark", "diabetes")), "", ""},
		{"and not without", member("jordan"), edits(unlink(admin.Access, "mark", "diabetes")), "edits[0]", "settings:update"},
		{"a patient group is made with settings:update", member("elena"), edits(patientGroup("new")), "", ""},
		{"and not without", member("jordan"), edits(patientGroup("new")), "edits[0]", "settings:update"},
		{"a patient is registered with patient:create", member("jordan"), edits(patient("new", "diabetes")), "", ""},
		{"in a group that one knows", member("jordan"), edits(patient("new", "maternity")), "!edits[0].record.patient_group", "patient group"},
		{"and not without", member("elena"), edits(patient("new", "maternity")), "edits[0]", "patient:create"},
		{"a patient is deleted with patient:delete", member("jordan"), edits(cascade(authz.KindPatient, "p-1")), "", ""},
		{"and not without", member("mark"), edits(cascade(authz.KindPatient, "p-1")), "edits[0]", "patient:delete"},
		{"and only one whom one sees", member("jordan"), edits(cascade(authz.KindPatient, "p-7")), "edits[0]", "patient_not_visible"},
		{"a manual place is ended with settings:update", member("elena"), edits(unlink(admin.CareTeam, "p-1", "mark")), "", ""},
		{"by whoever sees the patient", member("ines"), edits(unlink(admin.CareTeam, "p-1", "mark")), "!edits[0].from", "no such patient"},
		{"and not without", member("mark"), edits(unlink(admin.CareTeam, "p-1", "mark")), "edits[0]", "settings:update"},
		{"a booking is deleted with settings:update", member("amara"), edits(remove(authz.KindBooking, "b-1")), "", ""},
		{"by whoever sees it", member("ines"), edits(remove(authz.KindBooking, "b-1")), "!edits[0].key", "no such booking"},
		{"and not without", member("mark"), edits(remove(authz.KindBooking, "b-1")), "edits[0]", "settings:update"},
		{"one edit that is refused refuses all", member("elena"), edits(patientGroup("new"), staff("new")), "edits[1]", "user:create"},
	})
}

func TestA1APutIsJudgedByWhatItChanges(t *testing.T) {
	p := orgtest.Policy(t)
	c := example(t, p)
	noor := admin.Record{Kind: authz.KindTeamMember, ID: "noor", Name: "Noor Haddad"}

	noor.Access = []string{"cardiology"}
	c.deny(member("ines"), "edits[0].record.access[0]", "does not see", put(noor))
	c.allow(member("elena"), put(noor)) // Access alone: settings:update
	noor.Access = nil
	c.allow(member("ines"), put(noor))
	noor.Name = "Noor"
	c.deny(member("elena"), "edits[0]", "user:update", put(noor))

	// Nothing changes: the update permission of the kind.
	noor.Name = "Noor Haddad"
	c.deny(member("elena"), "edits[0]", "user:update", put(noor))
	done, err := c.Apply(t.Context(), organisation, member("ines"), edits(put(noor)), admin.Options{})
	if err != nil || done.Changed {
		t.Fatal(done, err)
	}
	c.deny(member("elena"), "edits[0]", "patient:update", patient("p-7", "maternity"))
}

func TestV5AMoveTakesUpdateAndSight(t *testing.T) {
	runRules(t, []ruleCase{
		{"by Access", member("jordan"), edits(move("p-2", "cardiology")), "", ""},
		{"by the care team", member("mark"), edits(move("p-4", "diabetes")), "", ""},
		{"as a Put", member("jordan"), edits(patient("p-2", "cardiology")), "", ""},
		{"into a group that one knows", member("mark"), edits(move("p-2", "maternity")), "!edits[0].fields.patient_group", "patient group"},
		{"which does not tell it from none", member("mark"), edits(move("p-2", "nothing")), "!edits[0].fields.patient_group", "patient group"},
		{"not of one whom one does not see", member("mark"), edits(move("p-7", "diabetes")), "edits[0]", "patient_not_visible"},
		{"nor as a Put", member("li"), edits(patient("p-7", "diabetes")), "edits[0]", "denies create on patient"},
		{"not without the permission", member("elena"), edits(move("p-7", "diabetes")), "edits[0]", "patient:update"},
		{"of one registered by the same change", member("jordan"), edits(patient("new", "cardiology"), move("new", "diabetes")), "", ""},
	})
}

func TestV9AnUnknownPatientLooksLikeOneWhoIsNotSeen(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	group, team := "diabetes", []string{"mark"}
	ask := func(id string) []error {
		var out []error
		for _, e := range []admin.Edit{move(id, "diabetes"), cascade(authz.KindPatient, id), book("b-9", id, "mark"), book("b-9", id, "nobody")} {
			_, err := c.Apply(t.Context(), organisation, member("mark"), edits(e), admin.Options{})
			out = append(out, err)
		}
		for _, p := range []admin.Fields{{"patient_group": group}, {"care_team": team}} {
			_, err := c.Change(t.Context(), organisation, member("mark"), key(authz.KindPatient, id), p, admin.Options{})
			out = append(out, err)
		}
		_, err := c.Apply(t.Context(), organisation, member("ines"), edits(link(admin.CareTeam, id, "mark")), admin.Options{})
		out = append(out, err)
		_, _, err = c.Get(t.Context(), organisation, member("mark"), key(authz.KindPatient, id))
		return append(out, err)
	}
	unknown, unseen := ask("nobody"), ask("p-7")
	for i := range unknown {
		if unknown[i] == nil || unseen[i] == nil || unknown[i].Error() != unseen[i].Error() {
			t.Errorf("%d:\n%v\n%v", i, unknown[i], unseen[i])
		}
	}
	// Who sees everybody is told.
	_, err := c.Apply(t.Context(), organisation, member("amara"), edits(move("nobody", "diabetes")), admin.Options{})
	c.refused(err, authz.NotFound, "edits[0]", "no such patient")
}

func TestActors(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	c.deny(admin.Actor{}, "", "nobody is named", staff("new"))
	c.deny(admin.Actor{Type: "service", ID: "x"}, "", "only team members and patients act", staff("new"))
	c.deny(member("stranger"), "", "no such team member", staff("new"))
	c.deny(member(""), "", "no such team member", staff("new"))
	c.deny(client("p-1"), "edits[0]", "a patient books and cancels", move("p-1", "cardiology"))
	_, err := c.Apply(t.Context(), "elsewhere", member("amara"), edits(staff("new")), admin.Options{})
	if authz.KindOf(err) != authz.NotFound {
		t.Fatal(err)
	}
}

func TestA3AChangeSaysWhoMadeIt(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	before := c.commit(staff("other"))
	c.allow(member("ines"), staff("new"))
	history, err := c.store.History(t.Context(), organisation, admin.After(before.Revision), 10)
	if err != nil || len(history.Events) != 1 {
		t.Fatal(history, err)
	}
	if want := (admin.Author{Actor: "team_member:ines", Via: "api", Request: "r-1"}); history.Events[0].Author != want {
		t.Fatal(history.Events[0].Author)
	}
}

func TestDeleteWithACascade(t *testing.T) {
	p := orgtest.Policy(t)
	c := example(t, p)
	c.commit(link(admin.MemberOfGroup, "elena", "records-officers"), unlink(admin.Access, "elena", "maternity"))
	// elena sees all patients and may delete them; ines may neither.
	c.deny(member("ines"), "edits[0]", "patient:delete", cascade(authz.KindPatientGroup, "aftercare"))
	c.allow(member("elena"), cascade(authz.KindPatientGroup, "aftercare"))
	if c.get(key(authz.KindPatient, "p-12")) != nil {
		t.Fatal("a patient of a deleted group is left")
	}
	// jordan sees cardiology: all of the patients count, moved in by the change too.
	c.commit(link(admin.MemberOfGroup, "jordan", "administrators"))
	c.deny(member("jordan"), "edits[1]", "patient_not_visible", link(admin.CareTeam, "p-1", "mark"), cascade(authz.KindPatientGroup, "maternity"))
	c.commit(unlink(admin.MemberOfGroup, "jordan", "records-officers"))
	c.deny(member("jordan"), "edits[1]", "patient:delete", move("p-1", "maternity"), cascade(authz.KindPatientGroup, "maternity"))
	c.commit(patientGroup("hollow"))
	c.deny(member("jordan"), "edits[1]", "patient:delete", move("p-1", "hollow"), cascade(authz.KindPatientGroup, "hollow"))
	// Nobody in it, and whoever may not delete patients does not find that out.
	c.deny(member("jordan"), "edits[0]", "patient:delete", cascade(authz.KindPatientGroup, "hollow"))
	c.allow(member("elena"), cascade(authz.KindPatientGroup, "hollow"))
}

func TestWhatIsInUseIsNamedAsFarAsTheActorMaySee(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	c.commit(patientGroup("vacant"))
	inUse := func(actor, group string) *authz.Error {
		_, err := c.Apply(t.Context(), organisation, member(actor), edits(remove(authz.KindPatientGroup, group)), admin.Options{})
		e, ok := err.(*authz.Error) //nolint:errorlint // it is not wrapped
		if !ok || e.Kind != authz.Conflict {
			t.Fatal(err)
		}
		return e
	}
	all, some, none := inUse("amara", "maternity"), inUse("ines", "maternity"), inUse("ines", "vacant")
	if len(all.InUse) != all.InUseCount || all.InUseCount == 0 {
		t.Fatal(all.InUse, all.InUseCount)
	}
	// A5: whoever does not see all that may be in the way is told the same of everything.
	if len(some.InUse) > 0 || some.InUseCount > 0 || some.Error() != none.Error() || inUse("ines", "nothing").Error() != none.Error() {
		t.Fatal(some.InUse, some.InUseCount, some, none)
	}
}
