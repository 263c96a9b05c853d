package admin_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

func TestChangeLeavesWhatIsNotNamed(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	ctx, mark := t.Context(), key(authz.KindTeamMember, "mark")
	change := func(actor string, k authz.Key, p admin.Fields, o admin.Options) (admin.Committed, error) {
		return c.Change(ctx, organisation, member(actor), k, p, o)
	}
	name, none, some := "Mark", []string{}, []string{"clinicians", "reporting"}
	if _, err := change("ines", mark, admin.Fields{"name": name, "access": none}, admin.Options{}); err != nil {
		t.Fatal(err)
	}
	m := c.get(mark)
	if m.Name != name || len(m.Access) != 0 || m.Role != "practitioner" || len(m.Groups) != 2 || len(m.Booking) != 1 {
		t.Fatal(m)
	}
	_, err := change("ines", mark, admin.Fields{"groups": some}, admin.Options{})
	c.refused(err, authz.Forbidden, "", "report:create, report:view")
	unknown := []string{"clinicians", "nothing"}
	_, err = change("ines", mark, admin.Fields{"groups": unknown}, admin.Options{})
	c.refused(err, authz.Malformed, "groups[1]", "")
	_, err = change("ines", mark, admin.Fields{"care_team": none}, admin.Options{})
	c.refused(err, authz.Malformed, "care_team", "")
	_, err = change("ines", key(authz.KindTeamMember, "nobody"), admin.Fields{"access": none}, admin.Options{})
	c.refused(err, authz.NotFound, "", "no such team member")
	_, err = change("elena", key(authz.KindTeamMember, "nobody"), admin.Fields{"access": none}, admin.Options{})
	c.refused(err, authz.NotFound, "", "no such team member") // elena sees members, and may change their Access
	_, err = change("mark", key(authz.KindTeamMember, "nobody"), admin.Fields{"access": none}, admin.Options{})
	c.refused(err, authz.Forbidden, "", "settings:update")
	_, err = change("ines", key(authz.KindBooking, "b-1"), admin.Fields{}, admin.Options{})
	c.refused(err, authz.Malformed, "", "")
	_, err = change("ines", key("friend", "x"), admin.Fields{}, admin.Options{})
	c.refused(err, authz.Malformed, "kind", "")

	// A version that is not the current one is the caller's to resolve (If-Match).
	stale := admin.Options{IfMatch: []admin.Expectation{{Key: mark, Since: authz.Revision{Count: 1, Nonce: "x"}}}}
	_, err = change("ines", mark, admin.Fields{"name": "other"}, stale)
	c.refused(err, authz.Changed, "", "")
	fresh := admin.Options{IfMatch: []admin.Expectation{{Key: mark, Since: m.Since}}}
	if done, err := change("ines", mark, admin.Fields{"name": "other"}, fresh); err != nil || !done.Changed {
		t.Fatal(done, err)
	}

	// V5, and the manual places of a patient.
	p, team := key(authz.KindPatient, "p-3"), []string{"jordan", "elena"}
	if _, err := change("elena", p, admin.Fields{"care_team": team}, admin.Options{}); err != nil {
		t.Fatal(err)
	}
	c.commit(group("guides", "settings:view"), link(admin.MemberOfGroup, "mark", "guides"))
	if _, err := change("mark", key(authz.KindPatient, "p-4"), admin.Fields{"patient_group": "diabetes"}, admin.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := c.get(p); !slices.Equal(got.CareTeam, []string{"elena", "jordan"}) || got.PatientGroup != "diabetes" {
		t.Fatal(got)
	}
}

func TestA2ASetIsReplacedFromTheOtherSide(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	replace := func(actor string, r admin.Relation, to string, ifMatch string, ids ...string) (admin.Committed, error) {
		return c.Replace(t.Context(), organisation, member(actor), r, to, ids, ifMatch, admin.Options{})
	}
	everything := admin.Actor{}
	before := c.related(everything, admin.Access, "diabetes", 100)
	if _, err := replace("elena", admin.Access, "diabetes", admin.SetTag(before), "noor", "mark"); err != nil {
		t.Fatal(err)
	}
	if got := c.related(everything, admin.Access, "diabetes", 100); !slices.Equal(got, []string{"mark", "noor"}) {
		t.Fatal(got)
	}
	if m := c.get(key(authz.KindTeamMember, "ruth")); slices.Contains(m.Access, "diabetes") || len(m.Access) != 3 {
		t.Fatal(m)
	}
	_, err := replace("elena", admin.Access, "diabetes", admin.SetTag(before), "noor")
	c.refused(err, authz.Changed, "", "")
	done, err := replace("elena", admin.Access, "diabetes", "", "noor", "mark")
	if err != nil || done.Changed {
		t.Fatal(done, err)
	}
	_, err = replace("mark", admin.Access, "diabetes", "", "noor", "mark") // nothing to change, and still not for mark
	c.refused(err, authz.Forbidden, "", "settings:update")
	_, err = replace("ines", admin.Access, "cardiology", "", "noor", "ruth", "li")
	c.refused(err, authz.Forbidden, "ids[0]", "does not see")
	if _, err = replace("ines", admin.Access, "cardiology", "", "ruth"); err != nil {
		t.Fatal(err) // nobody new
	}
	_, err = replace("elena", admin.Access, "cardiology", "", "ruth", "nobody")
	c.refused(err, authz.NotFound, "ids[1]", "")
	_, err = replace("elena", admin.Access, "cardiology", "", "ruth", "ruth")
	c.refused(err, authz.Malformed, "ids[1]", "twice")
	_, err = replace("elena", admin.Access, "nothing", "", "ruth")
	c.refused(err, authz.NotFound, "", "no such patient group")
	_, err = replace("amara", admin.PatientGroupOf, "diabetes", "", "p-1")
	c.refused(err, authz.Malformed, "relation", "")

	if _, err = replace("ines", admin.MemberOfGroup, "administrators", "", "noor", "ines", "mark"); err != nil {
		t.Fatal(err)
	}
	_, err = replace("ines", admin.MemberOfGroup, "stockroom", "", "mark", "noor")
	c.refused(err, authz.Forbidden, "ids[1]", "stock:")
	if _, err = replace("amara", admin.RoleOf, "nurse", "", "noor", "mark"); err != nil {
		t.Fatal(err)
	}
	if c.get(key(authz.KindTeamMember, "li")).Role != "" || c.get(key(authz.KindTeamMember, "mark")).Role != "nurse" {
		t.Fatal("the role is not that of the set")
	}
}

func TestReplacingPlacesOnCareTeamsLeavesWhatTheActorDoesNotSee(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	c.commit(link(admin.MemberOfGroup, "jordan", "administrators"), book("b", "p-2", "mark"))
	jordan := member("jordan") // Access to diabetes and cardiology
	seen := c.related(jordan, admin.CareTeam, "mark", 100)
	if !slices.Equal(seen, []string{"p-1", "p-2", "p-4"}) { // and not p-11
		t.Fatal(seen)
	}
	if _, err := c.Replace(t.Context(), organisation, jordan, admin.CareTeam, "mark", []string{"p-3"}, admin.SetTag(seen), admin.Options{}); err != nil {
		t.Fatal(err)
	}
	// p-1 and p-2 are booked with mark, p-11 is not seen.
	if got := c.related(admin.Actor{}, admin.CareTeam, "mark", 100); !slices.Equal(got, []string{"p-1", "p-11", "p-2", "p-3"}) {
		t.Fatal(got)
	}
	_, err := c.Replace(t.Context(), organisation, jordan, admin.CareTeam, "mark", []string{"p-3", "p-7"}, "", admin.Options{})
	c.refused(err, authz.Forbidden, "ids[1]", "patient_not_visible")
	_, err = c.Replace(t.Context(), organisation, jordan, admin.CareTeam, "mark", []string{"p-3", "nobody"}, "", admin.Options{})
	c.refused(err, authz.Forbidden, "ids[1]", "patient_not_visible")
}

func TestSetTag(t *testing.T) {
	a, b := admin.SetTag([]string{"a", "b"}), admin.SetTag([]string{"b", "a"})
	if a != b || a == admin.SetTag([]string{"ab"}) || a == admin.SetTag([]string{"a"}) || admin.SetTag(nil) == admin.SetTag([]string{"a"}) {
		t.Fatal("tags do not tell sets apart")
	}
}

// A thousand people are put into a new group by one request, at one revision.
func TestManyAtOnce(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	var people, joining []admin.Edit
	var ids []string
	for i := range admin.MaxEdits {
		ids = append(ids, fmt.Sprintf("s-%04d", i))
		people = append(people, staff(ids[i]))
		joining = append(joining, link(admin.MemberOfGroup, ids[i], "crowd"))
	}
	c.commit(people...)
	c.allow(member("ines"), append(edits(group("crowd", "settings:view")), joining[1:]...)...)
	if got := c.related(admin.Actor{}, admin.MemberOfGroup, "crowd", 1000); len(got) != len(ids)-1 {
		t.Fatal(len(got))
	}
	if _, err := c.Replace(t.Context(), organisation, member("ines"), admin.MemberOfGroup, "crowd", ids[:1], "", admin.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := c.related(admin.Actor{}, admin.MemberOfGroup, "crowd", 1000); !slices.Equal(got, ids[:1]) {
		t.Fatal(len(got))
	}
	c.deny(member("ines"), "edits[0].record.permissions", "stock:view", append(edits(group("crowd", "stock:view")), joining[1:]...)...)
}
