package admin_test

import (
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

func suspend(id string, is bool) admin.Edit {
	return set(authz.KindTeamMember, id, admin.Fields{"suspended": is})
}

// The end of a suspension gives what the member kept (A4), which the start of one does not.
func TestA4TheEndOfASuspensionGivesWhatWasKept(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	for _, m := range []admin.Record{
		{ID: "holder", Groups: []string{"stockroom"}},
		{ID: "admin", Groups: []string{"administrators"}},
		{ID: "seer", Access: []string{"cardiology"}},
		{ID: "carer"},
		{ID: "bookable", IsProvider: true, Booking: []string{"cardiology"}},
		{ID: "nobody"},
	} {
		m.Kind, m.IsSuspended = authz.KindTeamMember, true
		c.commit(put(m))
	}
	c.commit(link(admin.CareTeam, "p-10", "carer"), link(admin.MemberOfGroup, "jordan", "administrators"))
	ines, jordan, amara := member("ines"), member("jordan"), member("amara") // jordan sees diabetes and cardiology, amara everybody
	ended := func(id string) admin.Edit { return suspend(id, false) }
	again := func(id string) { c.commit(suspend(id, true)) }

	c.deny(ines, "edits[0].fields.suspended", "stock:create", ended("holder"))
	c.deny(ines, "edits[0].record.suspended", "stock:create", put(admin.Record{Kind: authz.KindTeamMember, ID: "holder", Groups: []string{"stockroom"}}))
	c.deny(ines, "edits[0].fields.access[0]", "does not see (A4): patient_not_visible", ended("seer"))
	c.deny(ines, "edits[0].fields.suspended", "on whose care team the member is", ended("carer"))
	c.deny(jordan, "edits[0].fields.suspended", "on whose care team the member is", ended("carer"))
	c.deny(member("elena"), "edits[0]", "user:update", ended("nobody"))
	for _, id := range []string{"admin", "bookable", "nobody"} { // Booking shows nobody (B2)
		c.allow(ines, ended(id))
		again(id)
	}
	c.allow(jordan, ended("seer"))
	again("seer")
	for _, id := range []string{"holder", "admin", "seer", "carer", "bookable", "nobody"} {
		c.allow(amara, ended(id))
		c.allow(ines, suspend(id, true)) // takes nothing but user:update, and gives nothing
	}
	// What the same change takes away is not given.
	c.allow(ines, unlink(admin.MemberOfGroup, "holder", "stockroom"), ended("holder"))
	again("holder")
	c.deny(ines, "edits[1].to", "stock:create", ended("holder"), link(admin.MemberOfGroup, "holder", "stockroom"))
	// A place on a care team that is given meanwhile is judged by itself.
	c.deny(ines, "edits[1].from", "patient_not_visible", ended("nobody"), link(admin.CareTeam, "p-10", "nobody"))
	c.deny(ines, "edits[0].from", "patient_not_visible", link(admin.CareTeam, "p-10", "nobody"), ended("nobody"))
}

func TestP7ASuspendedActorDoesNothing(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	c.commit(suspend("ines", true), suspend("ruth", true))
	c.deny(member("ines"), "edits[0]", "subject_suspended", role("new"))
	c.deny(member("ines"), "edits[0]", "subject_suspended", suspend("ines", false))
	c.deny(member("ruth"), "edits[0]", "subject_suspended", book("b", "p-1", "mark"))
	_, err := c.Apply(t.Context(), organisation, member("ruth"), edits(cancel("b-1")), admin.Options{})
	c.refused(err, authz.NotFound, "edits[0].key", "no such booking") // A5
	// Nor does what a suspended member holds go with a suspension that the same change ends.
	c.deny(member("ines"), "edits[0]", "subject_suspended", suspend("ines", false), role("new"))
	c.allow(member("amara"), suspend("ines", false))
	c.allow(member("ines"), role("new"))
}

func TestP7ASuspendedProviderIsNotBooked(t *testing.T) {
	why := map[admin.Actor]string{ // only who may see the provider is told (A5)
		member("amara"): "provider_suspended", member("ruth"): "denies book on provider", client("p-1"): "denies book on provider",
	}
	for actor, reason := range why {
		c := example(t, orgtest.Policy(t))
		c.commit(suspend("mark", true))
		c.deny(actor, "edits[0]", reason, book("b", "p-1", "mark"))
		c.allow(actor, cancel("b-1"))
		c.commit(suspend("mark", false))
		c.allow(actor, book("b", "p-1", "mark"))
	}
}

func TestA4TheLastHolderIsNotSuspended(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	_, err := c.Apply(t.Context(), organisation, member("amara"), edits(suspend("amara", true)), admin.Options{})
	c.refused(err, authz.Conflict, "", "*:*")
	c.commit(role("deputy", "*:*"), put(admin.Record{Kind: authz.KindTeamMember, ID: "deputy", Role: "deputy", IsSuspended: true}))
	_, err = c.Apply(t.Context(), organisation, member("amara"), edits(suspend("amara", true)), admin.Options{})
	c.refused(err, authz.Conflict, "", "*:*")
	c.allow(member("amara"), suspend("deputy", false), suspend("amara", true))
}
