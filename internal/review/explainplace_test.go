package review_test

import (
	"context"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
)

// No explanation is worked out without a place, and administrators' work has no place of
// those who ask about themselves, or of services that ask for them, nor they one of its.
func TestEveryExplanationTakesAPlaceOfItsKind(t *testing.T) {
	w := settled(t)
	paced := authz.WithPace(t.Context(), authz.NewPace(1))
	ask := func(viewer review.Viewer, subject string) error {
		ctx, cancel := context.WithTimeout(paced, 2*time.Second)
		defer cancel()
		_, _, err := w.Explain(ctx, w.org, &authz.Request{
			Subject: authz.Entity{Type: "team_member", ID: subject}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: "patient", ID: "seen"},
		}, viewer, authz.Freshness{})
		return err
	}
	for _, c := range []struct {
		name    string
		viewer  review.Viewer
		subject string
		long    bool // waits for administrators' work
	}{
		{"the operator", operator, "nurse", true},
		{"an administrator by a service", actor("director"), "nurse", true},
		{"an administrator by a token of their own", own("team_member", "director"), "nurse", true},
		{"a member about themselves", own("team_member", "nurse"), "nurse", false},
		{"a member about themselves by a service", actor("nurse"), "nurse", false},
		{"a service about anybody", review.Viewer{}, "nurse", false},
	} {
		for _, taken := range []struct {
			long bool
			take func(context.Context) (context.Context, func(), error)
		}{{true, authz.LongWork}, {false, authz.PersonalWork}} {
			_, end, err := taken.take(paced)
			if err != nil {
				t.Fatal(err)
			}
			err = ask(c.viewer, c.subject)
			end()
			if refused := authz.KindOf(err) == authz.TooMany; refused != (taken.long == c.long) || err != nil && !refused {
				t.Errorf("%s, while the places of long work are taken (%v): %v", c.name, taken.long, err)
			}
		}
	}
	_, end, err := authz.LongWork(paced)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := ask(own("team_member", "nurse"), "doctor"); authz.KindOf(err) != authz.Forbidden {
		t.Errorf("who may not ask waits with administrators: %v", err)
	}
}

// An administrator who asks about themselves waits for the place of administrators' work, where
// remedies are tried, without the place of those who ask about themselves.
func TestWhoWaitsForAnAdministratorsPlaceHoldsNoOther(t *testing.T) {
	w := settled(t)
	paced := authz.WithPace(t.Context(), authz.NewPace(1))
	_, end, err := authz.LongWork(paced)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(who, action string) error {
		ctx, cancel := context.WithTimeout(paced, 4*time.Second)
		defer cancel()
		_, _, err := w.Explain(ctx, w.org, &authz.Request{
			Subject: authz.Entity{Type: "team_member", ID: who}, Action: authz.Action{Name: action}, Resource: authz.Entity{Type: "patient", ID: "seen"},
		}, own("team_member", who), authz.Freshness{})
		return err
	}
	waits := make(chan error)
	go func() { waits <- ask("director", "forget") }() // which nobody may
	for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
		if err := ask("nurse", "view"); err != nil {
			t.Fatalf("who asks about themselves beside it: %v", err)
		}
	}
	end()
	if err := <-waits; err != nil {
		t.Errorf("the administrator, when there is a place: %v", err)
	}
}
