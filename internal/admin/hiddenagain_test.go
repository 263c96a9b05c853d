package admin_test

import (
	"fmt"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

// A5: whoever gives an id to something new that something hidden has, and then goes on with it in
// the same change, is answered as where nothing has it: by the error of the store about the first
// edit, or because one is denied.
func TestA5WhatFollowsAnIDThatIsTakenAnswersAsIfItWereFree(t *testing.T) {
	p := orgtest.Policy(t)
	records := []admin.Edit{
		put(admin.Record{Kind: authz.KindRole, ID: "clerk", Permissions: []string{"patient:*", "settings:*", "user:*", "appointment:create"}}),
		put(admin.Record{Kind: authz.KindPatientGroup, ID: "seen"}), put(admin.Record{Kind: authz.KindPatientGroup, ID: "other"}),
		put(admin.Record{Kind: authz.KindTeamMember, ID: "clerk", Role: "clerk", Access: []string{"seen"}}),
		put(admin.Record{Kind: authz.KindTeamMember, ID: "doctor", IsProvider: true, Booking: []string{"seen", "other"}}),
		put(admin.Record{Kind: authz.KindPatient, ID: "mine", PatientGroup: "seen"}),
		put(admin.Record{Kind: authz.KindPatient, ID: "theirs", PatientGroup: "other"}),
	}
	free, taken := empty(t, p), empty(t, p)
	free.commit(records...)
	taken.commit(append(records,
		put(admin.Record{Kind: authz.KindPatient, ID: "p", PatientGroup: "other"}),
		put(admin.Record{Kind: authz.KindBooking, ID: "b", Patient: "theirs", Provider: "doctor", State: admin.Booked}),
	)...)
	name, gone := "n", "gone"
	first := map[string]admin.Edit{
		"p":              put(admin.Record{Kind: authz.KindPatient, ID: "p", PatientGroup: gone}),
		"p of the seen":  put(admin.Record{Kind: authz.KindPatient, ID: "p", PatientGroup: "seen", CareTeam: []string{gone}}),
		"p of the other": put(admin.Record{Kind: authz.KindPatient, ID: "p", PatientGroup: "other", CareTeam: []string{gone}}),
		"b":              book("b", "mine", gone),
	}
	then := map[string]admin.Edit{
		"nothing set": set(authz.KindPatient, "p", admin.Fields{}),
		"a name":      set(authz.KindPatient, "p", admin.Fields{"name": name}),
		"a move":      move("p", "other"),
		"put again":   put(admin.Record{Kind: authz.KindPatient, ID: "p", PatientGroup: "seen"}),
		"a place":     link(admin.CareTeam, "p", "doctor"),
		"no place":    unlink(admin.CareTeam, "p", "doctor"),
		"deleted":     remove(authz.KindPatient, "p"),
		"booked":      book("c", "p", "doctor"),
		"cancelled":   cancel("b"),
		"no booking":  remove(authz.KindBooking, "b"),
		"booked anew": book("b", "mine", "doctor"),
		"a group":     cascade(authz.KindPatientGroup, "other"),
	}
	stale := []admin.Expectation{{Key: key(authz.KindPatient, "mine"), Since: authz.Revision{Count: 1, Nonce: "x"}, Field: "edits[1].if_match"}}
	for begun, one := range first {
		for goes, other := range then {
			answer := func(c *clinic) string {
				_, err := c.Apply(c.Context(), organisation, member("clerk"), edits(one, other), admin.Options{})
				_, late := c.Apply(c.Context(), organisation, member("clerk"), edits(one, other), admin.Options{IfMatch: stale})
				_, behind := c.Apply(c.Context(), organisation, member("clerk"), edits(one, other), admin.Options{AtLeast: authz.Revision{Count: 99, Nonce: "x"}})
				return fmt.Sprint(authz.KindOf(err), " ", err, "\n", authz.KindOf(late), " ", late, "\n", authz.KindOf(behind), " ", behind)
			}
			if a, b := answer(free), answer(taken); a != b {
				t.Errorf("%s, then %s: free it is\n%s\nand taken\n%s", begun, goes, a, b)
			}
		}
	}
}
