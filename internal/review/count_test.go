package review_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/soak"
)

// TestOpenedIsExact counts by random residuals, of patients and of what refers to them,
// against the predicate of each patient.
func TestOpenedIsExact(t *testing.T) {
	d, rules := orgstore.Redis(t), orgtest.Policy(t)
	for seed := range soak.Seeds(t, 15) {
		w := newWard(t, d, rules, fmt.Sprintf("opened-%d", seed)).seeded(seed)
		w.fill()
		all := w.enumerate()
		for range 40 {
			reference := []string{"", "patient"}[w.rand.IntN(2)]
			before, after := w.residual(""), w.residual("")
			want := 0
			for _, id := range all.patients {
				c := &authz.Candidate{Fact: all.facts.Get(authz.Key{Kind: authz.KindPatient, ID: id})}
				if after.Predicate().Holds(c) && !before.Predicate().Holds(c) {
					want++
				}
			}
			n, err := w.Opened(t.Context(), w.org, about(before, reference), about(after, reference), all.facts.Revision)
			if err != nil || n != want {
				t.Fatalf("seed %d: %d are counted, %v; it is %d\nbefore %+v\nafter  %+v", seed, n, err, want, before, after)
			}
		}
	}
}

// residual makes conditions on a patient, or on what refers to one.
func (w *ward) residual(reference string) *authz.Residual {
	r := &authz.Residual{}
	for range w.rand.IntN(4) {
		all := []authz.Condition{}
		for range w.rand.IntN(3) {
			c := authz.Condition{Op: authz.In, Not: w.rand.IntN(3) == 0, Leaf: authz.Leaf{Reference: reference}}
			switch w.rand.IntN(3) {
			case 0:
				c.Leaf.Fact, c.Values = authz.FactPatientGroup, w.some(authz.KindPatientGroup, someGroups, 2)
			case 1:
				c.Leaf.Fact, c.Values = authz.FactID, append(w.some(authz.KindPatient, somePatients, 4), "\x00", "nobody")
			default:
				c.Op, c.Leaf.Fact, c.Values = authz.Has, authz.FactCareTeam, []string{w.id(authz.KindTeamMember)}
			}
			all = append(all, c)
		}
		r.Any = append(r.Any, all)
	}
	return r
}

// about is a residual about a reference.
func about(r *authz.Residual, reference string) *authz.Residual {
	out := &authz.Residual{}
	for _, all := range r.Any {
		of := []authz.Condition{}
		for _, c := range all {
			c.Leaf.Reference = reference
			of = append(of, c)
		}
		out.Any = append(out.Any, of)
	}
	return out
}

// TestNotCountable: what is about anything else is not counted at all.
func TestNotCountable(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(`{"kind":"patient_group","id":"diabetes"}`, `{"kind":"patient","id":"p-1","patient_group":"diabetes"}`)
	group := authz.Leaf{Fact: authz.FactPatientGroup}
	yes := &authz.Residual{Any: [][]authz.Condition{{}}}
	at := w.enumerate().facts.Revision
	for name, c := range map[string][]authz.Condition{
		"role":      {{Op: authz.In, Leaf: authz.Leaf{Fact: authz.FactRole}, Values: []string{"a"}}},
		"same":      {{Op: authz.Same, Leaf: group, Other: authz.Leaf{Fact: authz.FactID}}},
		"within":    {{Op: authz.Within, Leaf: authz.Leaf{Fact: authz.FactID}, Other: authz.Leaf{Fact: authz.FactCareTeam}}},
		"provider":  {{Op: authz.IsTrue, Leaf: authz.Leaf{Fact: authz.FactProvider}}},
		"reference": {{Op: authz.In, Leaf: authz.Leaf{Reference: "provider", Fact: authz.FactID}, Values: []string{"a"}}},
		"mixed": {
			{Op: authz.In, Leaf: group, Values: []string{"diabetes"}},
			{Op: authz.In, Leaf: authz.Leaf{Reference: "patient", Fact: authz.FactPatientGroup}, Values: []string{"diabetes"}},
		},
	} {
		odd := &authz.Residual{Any: [][]authz.Condition{c}}
		for _, both := range [][2]*authz.Residual{{odd, yes}, {{}, odd}} {
			if n, err := w.Opened(t.Context(), w.org, both[0], both[1], at); n != -1 || err != nil {
				t.Errorf("%s: %d are counted, %v", name, n, err)
			}
		}
	}
	if n, err := w.Opened(t.Context(), w.org, &authz.Residual{}, yes, at); n != 1 || err != nil {
		t.Errorf("%d are counted, %v; it is 1", n, err)
	}
	at.Count++
	if _, err := w.Opened(t.Context(), w.org, &authz.Residual{}, yes, at); !errors.Is(err, admin.ErrMoved) {
		t.Errorf("at another revision: %v", err)
	}
}

// restless is a store in which somebody changes something after a number of reads.
type restless struct {
	*directory.Directory
	w      *ward
	every  int // reads; 0 for never again
	most   int // changes
	reads  int
	change int
	made   *int // by all stores of a test
}

func (r *restless) moves() {
	r.reads++
	if r.reads%r.every == 0 && r.change < r.most {
		r.change++
		*r.made++
		r.w.put(admin.Edit{Op: admin.Put, Record: &admin.Record{
			Kind: authz.KindPatient, ID: fmt.Sprintf("new-%d", *r.made), PatientGroup: "diabetes", CareTeam: []string{"carla"},
		}})
	}
}

func (r *restless) Range(ctx context.Context, organisation string, q search.Range, fresh authz.Freshness) (search.Found, error) {
	r.moves()
	return r.Directory.Range(ctx, organisation, q, fresh)
}

func (r *restless) Sizes(ctx context.Context, organisation string, kind authz.Kind, indexes []search.Index) ([]int, authz.Revision, error) {
	r.moves()
	return r.Directory.Sizes(ctx, organisation, kind, indexes)
}

// TestChangesMeanwhile: an answer is of one revision, or there is none.
func TestChangesMeanwhile(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(
		`{"kind":"role","id":"doctor","permissions":["patient:view"]}`,
		`{"kind":"patient_group","id":"asthma"}`,
		`{"kind":"patient_group","id":"diabetes"}`,
		`{"kind":"team_member","id":"carla","role":"doctor","access":["diabetes"]}`,
		`{"kind":"patient","id":"p-1","patient_group":"asthma"}`,
	)
	doctors := []admin.Edit{{Op: admin.Set, Key: authz.Key{Kind: authz.KindRole, ID: "doctor"}, Fields: admin.Fields{"permissions": []string{}}}}
	made := 0
	for every := 1; every <= 8; every++ {
		busy := &restless{Directory: w.store, w: w, every: every, most: 3, made: &made}
		got, stated, err := w.over(busy).Member(t.Context(), w.org, "carla", operator, authz.Freshness{})
		all := w.enumerate()
		if err != nil || stated.Revision.Count > all.facts.Revision.Count {
			t.Fatalf("a change after each %d reads: %v", every, err)
		}
		if stated.Revision == all.facts.Revision {
			sameMember(t, fmt.Sprintf("a change after each %d reads", every), "carla", got, all)
		}
		busy = &restless{Directory: w.store, w: w, every: every, most: 3, made: &made}
		preview, stated, err := w.over(busy).Preview(t.Context(), w.org, doctors, operator, authz.Freshness{})
		all = w.enumerate()
		if err != nil {
			t.Fatalf("a change after each %d reads: %v", every, err)
		}
		// Each change is one patient more, and none before the revision stated is left out.
		if late := int(all.facts.Revision.Count - stated.Revision.Count); preview.Lost.Patients != len(all.patients)-1-late {
			t.Fatalf("a change after each %d reads: %d are lost of %d, at %d changes before the last", every, preview.Lost.Patients, len(all.patients)-1, late)
		}
	}
	for every := 1; every <= 3; every++ { // the last thing that is read are sizes
		at := w.enumerate().facts.Revision
		busy := &restless{Directory: w.store, w: w, every: every, most: 1, made: &made}
		n, err := w.over(busy).Opened(t.Context(), w.org, &authz.Residual{}, &authz.Residual{Any: [][]authz.Condition{{}}}, at)
		if busy.change == 1 && !errors.Is(err, admin.ErrMoved) || busy.change == 0 && (err != nil || n != made+1) {
			t.Errorf("a change after %d of %d reads: %d are counted, %v", every, busy.reads, n, err)
		}
	}
	busy := &restless{Directory: w.store, w: w, every: 2, most: 1000, made: &made}
	_, _, member := w.over(busy).Member(t.Context(), w.org, "carla", operator, authz.Freshness{})
	_, _, preview := w.over(busy).Preview(t.Context(), w.org, doctors, operator, authz.Freshness{})
	for _, err := range []error{member, preview} {
		if err == nil || authz.KindOf(err) != authz.Unavailable {
			t.Errorf("with no rest at all: %v", err)
		}
	}
}

var _ review.Store = (*restless)(nil)
