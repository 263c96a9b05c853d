package search_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// question is a search of either kind.
type question struct {
	subjects bool // the subject is looked for, else the resource
	request  *authz.Request
}

func (q question) String() string {
	return fmt.Sprintf("%s %q does %s to %s %q, subjects: %v",
		q.request.Subject.Type, q.request.Subject.ID, q.request.Action.Name, q.request.Resource.Type, q.request.Resource.ID, q.subjects)
}

// typ is the type of what is looked for.
func (q question) typ() string {
	if q.subjects {
		return q.request.Subject.Type
	}
	return q.request.Resource.Type
}

// about is the question whether one of them may.
func (q question) about(id string) *authz.Request {
	r := *q.request
	if q.subjects {
		r.Subject.ID = id
	} else {
		r.Resource.ID = id
	}
	return &r
}

// ask searches for a page.
func (q question) ask(ctx context.Context, s *search.Service, organisation string, p search.Page, fresh authz.Freshness) (*search.Result, authz.Stated, error) {
	if q.subjects {
		return s.Subjects(ctx, organisation, q.request, p, fresh)
	}
	return s.Resources(ctx, organisation, q.request, p, fresh)
}

// at is an organisation as it was at one revision.
type at struct {
	*organisation
	n int
}

func (a at) Read(_ context.Context, _ string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	return a.facts(a.n, keys), nil
}

// allowed returns the ids of a kind for which a check at a revision allows, in order.
func (o *organisation) allowed(n int, kind authz.Kind, rules authz.Policy, q question) []string {
	o.Helper()
	checks := authz.NewService(at{o, n}, rules)
	var out []string
	for key := range o.states[n] {
		if key.Kind != kind {
			continue
		}
		d, _, err := checks.Decide(context.Background(), riverside, q.about(key.ID), authz.Freshness{})
		if err != nil {
			o.Fatal(err)
		}
		if d.Allow {
			out = append(out, key.ID)
		}
	}
	slices.Sort(out)
	return out
}

// between returns the ids after one, up to another one; nil for all.
func between(ids []string, after string, to *string) []string {
	out := []string{}
	for _, id := range ids {
		if id > after && (to == nil || id <= *to) {
			out = append(out, id)
		}
	}
	return out
}

// carried sends a cursor through its text.
func carried(t testing.TB, c *search.Cursor) *search.Cursor {
	t.Helper()
	if c == nil {
		return nil
	}
	text, err := c.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	out := &search.Cursor{}
	if err := out.UnmarshalText(text); err != nil || *out != *c {
		t.Fatalf("%+v came back as %+v: %v", c, out, err)
	}
	return out
}

// walked is a page as it came.
type walked struct {
	after string
	*search.Result
	stated authz.Stated
}

// walk reads all pages.
func walk(t testing.TB, ask func(search.Page) (*search.Result, authz.Stated, error), limit func() int) []walked {
	t.Helper()
	var out []walked
	var from *search.Cursor
	after := ""
	for {
		size := limit()
		result, stated, err := ask(search.Page{Limit: size, From: from})
		if err != nil {
			t.Fatal(err)
		}
		if len(result.IDs) > size {
			t.Fatalf("%d ids on a page of %d", len(result.IDs), size)
		}
		out = append(out, walked{after, result, stated})
		from = carried(t, result.Next)
		if from == nil {
			return out
		}
		if from.After <= after {
			t.Fatalf("the cursor goes from %q to %q", after, from.After)
		}
		if shown := slices.Contains(result.IDs, from.After); shown == from.Hidden && (len(result.IDs) > 0 || shown) {
			t.Fatalf("a cursor at %q is hidden: %v, on %q", from.After, from.Hidden, result.IDs)
		}
		if after = from.After; len(out) > 1000 {
			t.Fatal("it does not end")
		}
	}
}

// exact checks that each page is what the checks say at its revision.
func (o *organisation) exact(pages []walked, kind authz.Kind, rules authz.Policy, q question) {
	o.Helper()
	last := ""
	for _, p := range pages {
		n := int(p.stated.Revision.Count)
		if p.stated.Revision != revisionOf(n) || p.stated.Policy != rules.Digest() || p.Type != q.typ() {
			o.Fatalf("stated %+v of type %q", p.stated, p.Type)
		}
		var to *string
		if p.Next != nil {
			to = &p.Next.After
		}
		if want := between(o.allowed(n, kind, rules, q), p.after, to); !slices.Equal(p.IDs, want) {
			o.Fatalf("%s: the page after %q at %d is %q; the checks allow %q", q, p.after, n, p.IDs, want)
		}
		for _, id := range p.IDs {
			if id <= last {
				o.Fatalf("%q comes after %q", id, last)
			}
			last = id
		}
	}
}

// sought are the questions that a random one is made of.
func randomQuestion(r *rand.Rand, o *organisation) (q question, subject, resource, kind authz.Kind) {
	kinds := map[string]authz.Kind{"patient": authz.KindPatient, "team_member": authz.KindTeamMember, "provider": authz.KindTeamMember}
	request := &authz.Request{Action: authz.Action{Name: "do"}}
	request.Subject.Type = []string{"patient", "team_member", "team_member"}[r.IntN(3)]
	request.Resource.Type = []string{"patient", "patient", "provider", "team_member"}[r.IntN(4)]
	subject, resource = kinds[request.Subject.Type], kinds[request.Resource.Type]
	name := map[authz.Kind]func() string{authz.KindPatient: o.patientID, authz.KindTeamMember: o.memberID}
	// What is looked for is named as well, to no effect.
	request.Subject.ID, request.Resource.ID = name[subject](), name[resource]()
	if q = (question{subjects: r.IntN(2) == 0, request: request}); q.subjects {
		return q, subject, resource, subject
	}
	return q, subject, resource, resource
}

// refused checks an error, and that it names nobody.
func refused(t *testing.T, err error, kind authz.ErrorKind, field, says string) {
	t.Helper()
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || e.Kind != kind || e.Field != field || !strings.Contains(e.Message, says) {
		t.Fatalf("the error is %#v; it should be of kind %d about %q and say %q", err, kind, field, says)
	}
}
