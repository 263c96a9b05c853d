package admin_test

import (
	"context"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
)

// interfering is a store in which somebody else is quicker: before runs after the
// policy has been asked, and ahead of the commit.
type interfering struct {
	admin.Store
	before  func(commit int)
	commits int
}

func (s *interfering) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	s.commits++
	s.before(s.commits)
	return s.Store.Commit(ctx, organisation, change)
}

// What the decision was made from is taken away between the decision and the commit:
// nothing is written.
func TestADecisionHoldsAtTheCommit(t *testing.T) {
	p := orgtest.Policy(t)
	for name, tc := range map[string]struct {
		actor  admin.Actor
		edits  []admin.Edit
		revoke []admin.Edit
	}{
		"the actor leaves the group": {member("ines"), edits(staff("new")), edits(unlink(admin.MemberOfGroup, "ines", "administrators"))},
		"the group loses the permission": {
			member("ines"), edits(staff("new")), edits(set(authz.KindGroup, "administrators", permissions("settings:*"))),
		},
		"the role loses the permission": {member("elena"), edits(patientGroup("new")), edits(role("practice-manager", "patient:view_all"))},
		"the actor is deleted":          {member("elena"), edits(patientGroup("new")), edits(cascade(authz.KindTeamMember, "elena"))},
		"the patient is moved":          {member("mark"), edits(move("p-2", "maternity")), edits(move("p-2", "cardiology"))},
		"Access is lost":                {member("mark"), edits(move("p-2", "maternity")), edits(unlink(admin.Access, "mark", "diabetes"))},
		"the assignment ends":           {client("p-2"), edits(book("b", "p-2", "mark")), edits(unlink(admin.Booking, "mark", "diabetes"))},
		"the booking patient is moved":  {client("p-2"), edits(book("b", "p-2", "mark")), edits(move("p-2", "cardiology"))},
		"the role that is given gains": {
			member("ines"), edits(role("new", "user:view"), withRole("noor", "empty")), edits(role("empty", "patient:view_all")),
		},
		"the group that is joined gains": {
			member("ines"), edits(link(admin.MemberOfGroup, "noor", "hollow")), edits(group("hollow", "patient:view_all")),
		},
		"somebody registers the patient": {
			member("jordan"), edits(patient("new", "maternity")), edits(patient("new", "cardiology"), unlink(admin.Access, "jordan", "cardiology")),
		},
		"view_all is lost by who gives Access": {
			member("elena"), edits(link(admin.Access, "noor", "cardiology")),
			edits(role("practice-manager", "settings:update")),
		},
		"somebody comes into a group that is deleted": {
			member("ruth"), edits(cascade(authz.KindPatientGroup, "vacant")),
			edits(move("p-1", "vacant"), unlink(admin.MemberOfGroup, "ruth", "records-officers")),
		},
		"the booking is deleted": {member("mark"), edits(cancel("b-1")), edits(remove(authz.KindBooking, "b-1"))},
	} {
		t.Run(name, func(t *testing.T) {
			c := example(t, p)
			c.commit(role("empty"), group("hollow"), patientGroup("vacant"), link(admin.Access, "ruth", "vacant"), group("guides", "settings:view"),
				link(admin.MemberOfGroup, "mark", "guides"), link(admin.MemberOfGroup, "jordan", "guides"),
				link(admin.MemberOfGroup, "ruth", "records-officers"), link(admin.MemberOfGroup, "ruth", "administrators"))
			store := &interfering{Store: c.store, before: func(commit int) {
				if commit == 1 {
					c.commit(tc.revoke...)
				}
			}}
			_, err := c.over(store).Apply(t.Context(), organisation, tc.actor, tc.edits, admin.Options{})
			if kind := authz.KindOf(err); err == nil || kind != authz.Forbidden && kind != authz.NotFound && kind != authz.Conflict {
				t.Fatal(err)
			}
			if store.commits != 1 {
				t.Fatalf("%d commits", store.commits)
			}
		})
	}
}

func TestAChangeIsDecidedAgainAndNotForEver(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	name := "x"
	store := &interfering{Store: c.store, before: func(commit int) {
		if commit < 4 {
			name += "x"
			c.commit(set(authz.KindGroup, "administrators", admin.Fields{"name": name}))
		}
	}}
	if _, err := c.over(store).Apply(t.Context(), organisation, member("ines"), edits(staff("new")), admin.Options{}); err != nil || store.commits != 4 {
		t.Fatal(err, store.commits)
	}

	store.commits, store.before = 0, func(int) {
		name += "x"
		c.commit(set(authz.KindGroup, "administrators", admin.Fields{"name": name}))
	}
	_, err := c.over(store).Apply(t.Context(), organisation, member("ines"), edits(staff("newer")), admin.Options{})
	c.refused(err, authz.Conflict, "", "too often")
	if store.commits != 10 {
		t.Fatal(store.commits)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	store.before = func(int) {
		name += "x"
		c.commit(set(authz.KindGroup, "administrators", admin.Fields{"name": name}))
		cancel()
	}
	_, err = c.over(store).Apply(ctx, organisation, member("ines"), edits(staff("newer")), admin.Options{})
	if authz.KindOf(err) != authz.Timeout {
		t.Fatal(err)
	}

	// What the caller expects is theirs to resolve.
	store.commits, store.before = 0, func(int) {}
	o := admin.Options{IfMatch: []admin.Expectation{{Key: key(authz.KindRole, "nurse")}}}
	_, err = c.over(store).Apply(t.Context(), organisation, member("ines"), edits(staff("newer")), o)
	c.refused(err, authz.Changed, "", "")
	if store.commits != 1 {
		t.Fatal(store.commits)
	}
}

// Two who change the same set at once both get what they asked for, one after the
// other: nobody is left over from the set before.
func TestASetIsReplacedAsAWhole(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	store := &interfering{Store: c.store, before: func(commit int) {
		if commit == 1 {
			c.commit(link(admin.Access, "li", "diabetes"))
		}
	}}
	_, err := c.over(store).Replace(t.Context(), organisation, member("elena"), admin.Access, "diabetes", []string{"noor"}, "", admin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.related(admin.Actor{}, admin.Access, "diabetes", 10); len(got) != 1 || got[0] != "noor" {
		t.Fatal(got)
	}
	tag := admin.SetTag([]string{"noor"})
	store.commits = 0
	_, err = c.over(store).Replace(t.Context(), organisation, member("elena"), admin.Access, "diabetes", []string{"mark"}, tag, admin.Options{})
	c.refused(err, authz.Changed, "", "read it again")
}

// turning is a store in which facts change after each reading of records, and so before any
// question about them that is read apart.
type turning struct {
	admin.Store
	after func()
}

func (s *turning) Records(ctx context.Context, organisation string, keys []authz.Key) ([]*admin.Stored, authz.Revision, error) {
	records, revision, err := s.Store.Records(ctx, organisation, keys)
	s.after()
	return records, revision, err
}

func (s *turning) RecordsAndFacts(
	ctx context.Context, organisation string, keys, also []authz.Key,
) ([]*admin.Stored, *authz.Facts, error) {
	records, facts, err := s.Store.RecordsAndFacts(ctx, organisation, keys, also)
	s.after()
	return records, facts, err
}

func (s *turning) List(ctx context.Context, organisation string, kind authz.Kind, after string, limit int) (admin.Page, error) {
	page, err := s.Store.List(ctx, organisation, kind, after, limit)
	s.after()
	return page, err
}

// The new enemy: Access is taken away, then a patient comes into the group. Nobody
// who reads between the two is shown what came after.
func TestWhatIsReadIsDecidedAtItsRevision(t *testing.T) {
	c := example(t, orgtest.Policy(t))
	steps := 0
	store := &turning{Store: c.store, after: func() {
		switch steps++; steps {
		case 1:
			c.commit(move("p-7", "diabetes"))
		case 2:
			c.commit(unlink(admin.Access, "mark", "diabetes"))
		}
	}}
	// Read in maternity and not seen; in diabetes right after that.
	get := func(k authz.Key) error {
		steps = 0
		_, _, err := c.over(store).Get(t.Context(), organisation, member("mark"), k)
		return err
	}
	if err := get(key(authz.KindPatient, "p-7")); authz.KindOf(err) != authz.NotFound || steps != 1 {
		t.Fatal(err, steps)
	}
	// A list of which p-7 is part, and a booking of p-7: read, and changed by the time of the question.
	again := func() { c.commit(move("p-7", "maternity"), link(admin.Access, "mark", "diabetes")) }
	again()
	steps = 0
	page, err := c.over(store).List(t.Context(), organisation, member("mark"), authz.KindPatient, "p-6", 1)
	if err != nil || steps < 3 || len(page.Records) > 0 && page.Records[0].ID == "p-7" {
		t.Fatal(page.Records, err, steps)
	}
	again()
	c.commit(set(authz.KindTeamMember, "noor", admin.Fields{"provider": true}), link(admin.Booking, "noor", "maternity"), book("b-7", "p-7", "noor"))
	if err := get(key(authz.KindBooking, "b-7")); authz.KindOf(err) != authz.NotFound || steps < 3 {
		t.Fatal(err, steps)
	}
}
