package admin_test

import (
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

func permissions(p ...string) admin.Fields {
	return admin.Fields{"permissions": append([]string{}, p...)}
}

func withRole(id, role string) admin.Edit {
	return set(authz.KindTeamMember, id, admin.Fields{"role": role})
}

// ines holds settings:* and user:* and nothing else.
func TestA4PermissionsAreHeldByWhoGrantsThem(t *testing.T) {
	runRules(t, []ruleCase{
		{"a new role with what one holds", member("ines"), edits(role("new", "settings:view", "user:*")), "", ""},
		{"and with what one does not", member("ines"), edits(role("new", "user:view", "patient:view", "stock:view")),
			"edits[0].record.permissions", "patient:view, stock:view, which the actor does not hold"},
		{"a wildcard counts as what it grants", member("ines"), edits(role("new", "stock:*")),
			"edits[0].record.permissions", "stock:create, stock:delete, stock:update, stock:view"},
		{"everything takes everything", member("ines"), edits(group("new", "*:*")), "edits[0].record.permissions", "*:*"},
		{"and who holds it may give it", member("amara"), edits(group("new", "*:*", "tomorrow:view")), "", ""},
		{"what means nothing today takes the same", member("ines"), edits(group("new", "tomorrow:view")),
			"edits[0].record.permissions", "tomorrow:view"},
		{"a permission set", member("ines"), edits(set(authz.KindGroup, "stockroom", permissions("stock:*", "patient:view_all"))),
			"edits[0].fields.permissions", "would grant patient:view_all, which"},
		{"what was there already is not granted", member("ines"),
			edits(set(authz.KindGroup, "front-desk", permissions("patient:view", "patient:create", "appointment:*", "settings:view"))), "", ""},
		{"to narrow a wildcard grants nothing", member("ines"), edits(set(authz.KindGroup, "front-desk", permissions("calendar:view"))), "", ""},
		{"a role that is assigned", member("ines"), edits(withRole("noor", "receptionist")), "edits[0].fields.role", "calendar:view, schedule:view"},
		{"a group that is joined", member("ines"), edits(link(admin.MemberOfGroup, "noor", "stockroom")), "edits[0].to", "stock:create"},
		{"a group of one's own", member("ines"), edits(link(admin.MemberOfGroup, "noor", "administrators")), "", ""},
		{"what the member holds already is not given", member("ines"), edits(link(admin.MemberOfGroup, "ruth", "front-desk"), link(admin.MemberOfGroup, "amara", "stockroom")), "", ""},
		{"oneself is a member like others", member("ines"), edits(link(admin.MemberOfGroup, "ines", "records-officers")), "edits[0].to", "patient:delete"},
		{"a new member with a role", member("ines"), edits(put(admin.Record{Kind: authz.KindTeamMember, ID: "new", Role: "nurse"})),
			"edits[0].record", "patient:view"},
		{"taking away takes nothing", member("ines"), edits(unlink(admin.MemberOfGroup, "mark", "clinicians"), withRole("mark", "")), "", ""},
		{"a role of the same change", member("ines"), edits(role("new", "user:view"), withRole("noor", "new")), "", ""},
		{"that is given more afterwards", member("ines"), edits(role("new", "user:view"), withRole("noor", "new"), role("new", "stock:view")),
			"edits[2].record.permissions", "stock:view"},
		{"a group that is emptied, joined and filled again", member("ines"),
			edits(group("stockroom"), link(admin.MemberOfGroup, "noor", "stockroom"), group("stockroom", "stock:*")), "edits[2].record.permissions", "stock:"},
	})
}

func TestA4AccessIsGivenByWhoHasIt(t *testing.T) {
	runRules(t, []ruleCase{
		{"view_all sees all groups", member("elena"), edits(link(admin.Access, "noor", "cardiology")), "", ""},
		{"others see those they have Access to", member("ines"), edits(link(admin.Access, "noor", "cardiology")),
			"edits[0].to", "does not see (A4): patient_not_visible"},
		{"not by giving it to oneself first", member("ines"), edits(link(admin.Access, "ines", "cardiology"), link(admin.Access, "noor", "cardiology")),
			"edits[0].to", "does not see (A4): patient_not_visible"},
		{"a new member with Access", member("ines"), edits(put(admin.Record{Kind: authz.KindTeamMember, ID: "new", Access: []string{"cardiology"}})),
			"edits[0].record.access[0]", "does not see (A4): patient_not_visible"},
		{"a new group is like any other", member("ines"), edits(patientGroup("new"), link(admin.Access, "noor", "new")),
			"edits[1].to", "does not see"},
		{"and shown by whoever sees everybody", member("elena"), edits(patientGroup("new"), link(admin.Access, "noor", "new")), "", ""},
		{"one that is not there is like any other", member("ines"), edits(link(admin.Access, "noor", "nothing")), "edits[0].to", "does not see"},
		{"what there is already is not given", member("ines"), edits(link(admin.Access, "mark", "diabetes"), link(admin.Access, "noor", "diabetes")),
			"edits[1].to", "does not see (A4): patient_not_visible"},
		{"Booking shows nobody (B2)", member("ines"), edits(link(admin.Booking, "mark", "cardiology")), "", ""},
	})
}

func TestA4PlacesOnCareTeamsAreGivenByWhoSeesThePatient(t *testing.T) {
	p := orgtest.Policy(t)
	runRules(t, []ruleCase{
		{"view_all sees all patients", member("elena"), edits(link(admin.CareTeam, "p-10", "noor")), "", ""},
		{"others do not", member("ines"), edits(link(admin.CareTeam, "p-10", "noor")), "edits[0].from", "patient_not_visible"},
		{"nor by a move", member("ines"), edits(patient("p-10", "aftercare", "noor")), "edits[0]", "denies create on patient"},
		{"a place that there is", member("ines"), edits(link(admin.CareTeam, "p-1", "mark")), "edits[0].from", "patient_not_visible"},
	})
	c := example(t, p)
	c.commit(link(admin.MemberOfGroup, "jordan", "administrators"), link(admin.CareTeam, "p-12", "jordan"))
	jordan := member("jordan") // now settings:*, user:*; Access to diabetes and cardiology
	c.allow(jordan, link(admin.CareTeam, "p-2", "noor"))
	c.allow(jordan, link(admin.CareTeam, "p-12", "noor"))
	c.deny(jordan, "edits[0].from", "patient_not_visible", link(admin.CareTeam, "p-10", "noor"))
	// A new patient: by the group.
	c.allow(jordan, patient("n-1", "diabetes", "noor"))
	c.deny(jordan, "edits[0].record.care_team", "does not see (A4): patient_not_visible", patient("n-2", "maternity", "noor"))
	c.allow(jordan, patient("n-2", "maternity"))
	c.deny(jordan, "edits[1].from", "does not see (A4): patient_not_visible", patient("n-3", "maternity"), link(admin.CareTeam, "n-3", "noor"))
	c.deny(jordan, "edits[1].record.care_team", "does not see", patientGroup("new"), patient("n-3", "new", "noor"))
	c.deny(member("mark"), "edits[0]", "settings:update", patient("n-4", "diabetes", "mark"))
}

func TestA4TheLastHolderStays(t *testing.T) {
	p := orgtest.Policy(t)
	c := empty(t, p)
	c.commit(group("administrators", "user:*"), put(admin.Record{Kind: authz.KindTeamMember, ID: "ines", Groups: []string{"administrators"}}))
	_, err := c.Apply(t.Context(), organisation, member("ines"), edits(unlink(admin.MemberOfGroup, "ines", "administrators")), admin.Options{})
	c.refused(err, authz.Conflict, "", "user:*")

	// Whoever may update roles and members could leave nobody who can grant what they lack
	// themself: who holds everything stays.
	c = example(t, p)
	c.commit(role("updater", "user:view", "user:update"), withRole("noor", "updater"), role("spare", "*:*"))
	for name, e := range map[string]admin.Edit{
		"the role is emptied":     set(authz.KindRole, "administrator", permissions()),
		"narrowed":                set(authz.KindRole, "administrator", permissions("user:*", "settings:*")),
		"put anew":                role("administrator", "user:view"),
		"taken from the member":   withRole("amara", ""),
		"exchanged for a lesser":  withRole("amara", "updater"),
		"not with somebody newer": put(admin.Record{Kind: authz.KindTeamMember, ID: "amara", Name: "A"}),
	} {
		t.Run(name, func(t *testing.T) {
			c.TB = t
			_, err := c.Apply(t.Context(), organisation, member("noor"), edits(e), admin.Options{})
			c.refused(err, authz.Conflict, "", "*:*")
		})
	}
	c.TB = t
	c.allow(member("noor"), role("spare", "user:view")) // whom nobody has
	c.commit(role("deputy", "*:*"), withRole("ruth", "deputy"))
	c.allow(member("noor"), set(authz.KindRole, "administrator", permissions("user:view")))
}

func TestA4NarrowingEverythingGrantsNothing(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	c.commit(role("second", "*:*"))
	c.allow(member("ines"), withRole("ines", ""), set(authz.KindRole, "second", permissions("tomorrow:view", "user:*")))
}

func TestWhatCannotBeJudgedIsMalformed(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	amara := member("amara")
	for name, tc := range map[string]struct {
		field string
		edits []admin.Edit
	}{
		"deleted before":           {"edits[1]", edits(cascade(authz.KindRole, "nurse"), role("nurse"))},
		"deleted by a cascade":     {"edits[1]", edits(cascade(authz.KindPatientGroup, "aftercare"), patient("p-10", "diabetes"))},
		"made before":              {"edits[1].key", edits(role("new"), remove(authz.KindRole, "new"))},
		"booked for somebody new":  {"edits[1].record", edits(patient("new", "diabetes"), book("b", "new", "mark"))},
		"booked with somebody new": {"edits[1].record", edits(unlink(admin.Booking, "mark", "diabetes"), book("b", "p-1", "mark"))},
		"a booking put": {"edits[0].record.kind", edits(put(admin.Record{
			Kind: authz.KindBooking, ID: "b", Patient: "p-1", Provider: "mark", State: admin.Booked,
		}))},
		"a booking set":    {"edits[0].key.kind", edits(set(authz.KindBooking, "b-1", admin.Fields{}))},
		"a role linked":    {"edits[0].relation", edits(link(admin.RoleOf, "noor", "nurse"))},
		"no edit":          {"edits", nil},
		"an empty edit":    {"edits[0].op", edits(admin.Edit{})},
		"an id too long":   {"edits[0].record.id", edits(role("a\x00b"))},
		"no such relation": {"edits[0].relation", edits(link("friend", "noor", "mark"))},
	} {
		t.Run(name, func(t *testing.T) {
			c.TB = t
			_, err := c.Apply(t.Context(), organisation, amara, tc.edits, admin.Options{})
			c.refused(err, authz.Malformed, tc.field, "")
		})
	}
	many := make([]admin.Edit, admin.MaxEdits+1)
	if _, err := c.Apply(t.Context(), organisation, amara, many, admin.Options{}); authz.KindOf(err) != authz.TooLarge {
		t.Fatal(err)
	}
}
