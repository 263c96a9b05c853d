package admin_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

func TestWhoMayReadARecord(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	for _, tc := range []struct {
		actor admin.Actor
		key   authz.Key
		want  authz.ErrorKind // -1: allowed
	}{
		{admin.Actor{}, key(authz.KindPatient, "p-1"), -1},
		{admin.Actor{}, key(authz.KindPatient, "nobody"), authz.NotFound},
		{member("elena"), key(authz.KindTeamMember, "mark"), -1},
		{member("elena"), key(authz.KindRole, "nobody"), authz.NotFound},
		{member("mark"), key(authz.KindTeamMember, "mark"), authz.Forbidden},
		{member("mark"), key(authz.KindTeamMember, "nobody"), authz.Forbidden},
		{member("elena"), key(authz.KindPatientGroup, "diabetes"), -1},
		{member("mark"), key(authz.KindPatientGroup, "diabetes"), authz.Forbidden},
		{member("mark"), key(authz.KindPatient, "p-1"), -1},
		{member("mark"), key(authz.KindPatient, "p-7"), authz.NotFound},
		{member("tomas"), key(authz.KindPatient, "p-1"), authz.NotFound}, // V7: a scope and no permission
		{member("mark"), key(authz.KindBooking, "b-1"), -1},
		{member("mark"), key(authz.KindBooking, "b-5"), authz.NotFound},
		{member("stranger"), key(authz.KindPatient, "p-1"), authz.Forbidden},
		{client("p-1"), key(authz.KindPatient, "p-1"), authz.Forbidden},
		{member("amara"), key("friend", "x"), authz.Malformed},
	} {
		stored, revision, err := c.Get(t.Context(), organisation, tc.actor, tc.key)
		switch {
		case tc.want == -1:
			if err != nil || stored.Key() != tc.key || revision.Count == 0 {
				t.Errorf("%s %v: %v %v", tc.actor, tc.key, stored, err)
			}
		case err == nil || stored != nil || authz.KindOf(err) != tc.want:
			t.Errorf("%s %v: %v", tc.actor, tc.key, err)
		}
	}
	if _, _, err := c.Get(t.Context(), "elsewhere", admin.Actor{}, key(authz.KindRole, "x")); authz.KindOf(err) != authz.NotFound {
		t.Error(err)
	}
}

// ids reads a list to its end.
func (c *clinic) ids(limit int, read func(after string, limit int) (ids []string, more bool, next string, err error)) []string {
	c.Helper()
	var all []string
	for after, pages := "", 0; ; pages++ {
		ids, more, next, err := read(after, limit)
		if err != nil {
			c.Fatal(err)
		}
		if len(ids) > limit || pages > 10_000 {
			c.Fatalf("%d ids on a page of %d, %d pages", len(ids), limit, pages)
		}
		all = append(all, ids...)
		if !more {
			return all
		}
		if after = next; next == "" {
			after = ids[len(ids)-1]
		}
	}
}

func (c *clinic) list(actor admin.Actor, kind authz.Kind, limit int) []string {
	c.Helper()
	return c.ids(limit, func(after string, limit int) ([]string, bool, string, error) {
		page, err := c.List(context.Background(), organisation, actor, kind, after, limit)
		var ids []string
		for _, r := range page.Records {
			ids = append(ids, r.ID)
		}
		return ids, page.More, page.Next, err
	})
}

func (c *clinic) related(actor admin.Actor, relation admin.Relation, to string, limit int) []string {
	c.Helper()
	return c.ids(limit, func(after string, limit int) ([]string, bool, string, error) {
		page, err := c.Related(context.Background(), organisation, actor, relation, to, after, limit)
		return page.IDs, page.More, page.Next, err
	})
}

func TestV8AListHoldsWhatACheckAllows(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	for _, tc := range []struct {
		actor string
		want  []string
	}{
		{"mark", []string{"p-1", "p-11", "p-2", "p-3", "p-4"}},
		{"hana", []string{"p-10", "p-7", "p-8", "p-9"}},
		{"li", []string{"p-10", "p-11", "p-12", "p-3", "p-6"}},
	} {
		for _, limit := range []int{1, 2, 5, 100} {
			if got := c.list(member(tc.actor), authz.KindPatient, limit); !slices.Equal(got, tc.want) {
				t.Errorf("%s, %d on a page: %v; want %v", tc.actor, limit, got, tc.want)
			}
		}
	}
	if got := c.list(member("elena"), authz.KindPatient, 5); len(got) != 12 {
		t.Error(got)
	}
	if got := c.list(member("mark"), authz.KindBooking, 2); !slices.Equal(got, []string{"b-1", "b-4"}) {
		t.Error(got)
	}
	if got := c.list(member("elena"), authz.KindTeamMember, 4); len(got) != 13 {
		t.Error(got)
	}
	if got := c.list(member("noor"), authz.KindPatient, 5); got != nil { // who may view nobody
		t.Error(got)
	}
	for _, tc := range []struct {
		actor string
		kind  authz.Kind
	}{{"mark", authz.KindRole}, {"mark", authz.KindPatientGroup}, {"stranger", authz.KindPatient}, {"nurse", authz.KindBooking}} {
		page, err := c.List(t.Context(), organisation, member(tc.actor), tc.kind, "", 10)
		if authz.KindOf(err) != authz.Forbidden || err == nil || len(page.Records) > 0 {
			t.Error(tc, page, err)
		}
	}
}

func TestV8RelatedIDsAreFilteredLikewise(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	for _, tc := range []struct {
		actor    string
		relation admin.Relation
		to       string
		want     []string
	}{
		{"jordan", admin.PatientGroupOf, "diabetes", []string{"p-1", "p-2", "p-3"}},
		{"li", admin.PatientGroupOf, "diabetes", []string{"p-3"}},
		{"hana", admin.CareTeam, "noor", []string{"p-9"}},
		{"mark", admin.CareTeam, "noor", nil},
		{"mark", admin.BookingsWith, "priya", []string{"b-4"}},
		{"mark", admin.BookingOf, "p-4", []string{"b-4"}},
		{"elena", admin.Access, "diabetes", []string{"elena", "jordan", "mark", "ruth"}},
		{"elena", admin.MemberOfGroup, "stockroom", []string{"mark", "sam"}},
		{"elena", admin.RoleOf, "nurse", []string{"li"}},
	} {
		for _, limit := range []int{1, 100} {
			if got := c.related(member(tc.actor), tc.relation, tc.to, limit); !slices.Equal(got, tc.want) {
				t.Errorf("%s %s of %s: %v; want %v", tc.actor, tc.relation, tc.to, got, tc.want)
			}
		}
	}
	for _, tc := range []struct {
		actor    string
		relation admin.Relation
		to       string
		want     authz.ErrorKind
	}{
		{"mark", admin.BookingOf, "p-5", authz.NotFound},
		{"mark", admin.BookingOf, "nobody", authz.NotFound},
		{"mark", admin.Access, "diabetes", authz.Forbidden},
		{"mark", admin.Access, "nothing", authz.Forbidden},
		{"elena", admin.Access, "nothing", authz.NotFound},
		{"elena", "friend", "mark", authz.Malformed},
	} {
		_, err := c.Related(t.Context(), organisation, member(tc.actor), tc.relation, tc.to, "", 10)
		if err == nil || authz.KindOf(err) != tc.want {
			t.Error(tc, err)
		}
	}
}

// A list of which the actor sees next to nothing ends its pages early.
func TestAPageIsBoundedWork(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	var batch []admin.Edit
	for i := range 6000 {
		group := "maternity"
		if i == 5500 {
			group = "diabetes"
		}
		batch = append(batch, patient(fmt.Sprintf("q-%05d", i), group))
		if len(batch) == admin.MaxEdits {
			c.commit(batch...)
			batch = nil
		}
	}
	page, err := c.List(t.Context(), organisation, member("mark"), authz.KindPatient, "p-4", 100)
	if err != nil || len(page.Records) != 0 || !page.More || page.Next == "" {
		t.Fatal(len(page.Records), page.More, page.Next, err)
	}
	if got, want := c.list(member("mark"), authz.KindPatient, 100), []string{"p-1", "p-11", "p-2", "p-3", "p-4", "q-05500"}; !slices.Equal(got, want) {
		t.Fatal(got)
	}
	if got := c.related(member("li"), admin.PatientGroupOf, "maternity", 100); got != nil {
		t.Fatal(got)
	}
}

func TestHistoryIsForWhoMayReadEverything(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	done := c.commit(staff("new"))
	for actor, want := range map[string]bool{"amara": true, "elena": true, "ines": false, "mark": false, "tomas": false} {
		history, err := c.History(t.Context(), organisation, member(actor), admin.Place{}, 10)
		if want != (err == nil) || want != (len(history.Events) > 0) {
			t.Errorf("%s: %d events, %v", actor, len(history.Events), err)
		}
	}
	if _, err := c.History(t.Context(), organisation, client("p-1"), admin.Place{}, 10); authz.KindOf(err) != authz.Forbidden {
		t.Error(err)
	}
	if _, err := c.History(t.Context(), organisation, admin.Actor{}, admin.Place{}, 10); err != nil {
		t.Error(err)
	}
	if err := c.Wait(t.Context(), organisation, authz.Revision{Count: done.Revision.Count - 1, Nonce: "x"}); err != nil {
		t.Error(err)
	}
}
