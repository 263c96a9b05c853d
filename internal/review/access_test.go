package review_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/soak"
)

// TestReviewsAreEnumerations reviews everybody of random organisations.
func TestReviewsAreEnumerations(t *testing.T) {
	for name, rules := range variants(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("embedded", func(t *testing.T) { reviewsAreEnumerations(t, orgstore.Embedded(t), rules, 6) })
			t.Run("redis", func(t *testing.T) { reviewsAreEnumerations(t, orgstore.Redis(t), rules, 25) })
		})
	}
}

func reviewsAreEnumerations(t *testing.T, d *directory.Directory, rules authz.Rules, organisations int) {
	for seed := range soak.Seeds(t, organisations) {
		w := newWard(t, d, rules, fmt.Sprintf("reviewed-%d", seed)).seeded(seed)
		w.fill()
		all := w.enumerate()
		for i := range someMembers {
			id := anID(authz.KindTeamMember, i)
			got, stated, err := w.Member(t.Context(), w.org, id, operator, authz.Freshness{})
			if err != nil || stated.Revision != all.facts.Revision || stated.Policy != rules.Digest() {
				t.Fatalf("seed %d: %v at %+v", seed, err, stated)
			}
			sameMember(t, fmt.Sprintf("seed %d", seed), id, got, all)
		}
		for i := range somePatients {
			id := anID(authz.KindPatient, i)
			got, stated, err := w.Patient(t.Context(), w.org, id, operator, authz.Freshness{})
			if err != nil || stated.Revision != all.facts.Revision {
				t.Fatalf("seed %d: %v at %+v", seed, err, stated)
			}
			samePatient(t, fmt.Sprintf("seed %d", seed), id, got, all)
		}
	}
}

func sameMember(t *testing.T, at, id string, got *review.MemberReview, all *sights) {
	t.Helper()
	fact := all.facts.Get(authz.Key{Kind: authz.KindTeamMember, ID: id})
	patients := 0
	led := map[string]map[string]bool{"care_team": {}, "patient_group_access": {}, "view_all_patients": {}}
	alone := map[string]map[string]bool{"care_team": {}, "patient_group_access": {}, "view_all_patients": {}}
	for _, p := range all.patients {
		l := all.of[pair{id, p}]
		if l.allowed {
			patients++
		}
		for _, r := range l.routes {
			led[r][p] = true
			if len(l.routes) == 1 {
				alone[r][p] = true
			}
		}
	}
	viewAll := grantedInGo(fact, all.facts, "patient:view_all")
	var routes []string
	for _, r := range slices.Sorted(maps.Keys(led)) {
		if len(led[r]) > 0 || r == "view_all_patients" && viewAll || r == "patient_group_access" && len(fact.Access) > 0 && !fact.Suspended {
			routes = append(routes, r)
		}
	}
	var notes []string
	permitted := grantedInGo(fact, all.facts, "patient:view")
	if !permitted {
		if len(routes) > 0 && (len(routes) > 1 || !viewAll) {
			notes = append(notes, "route_without_view")
		}
		if viewAll {
			notes = append(notes, "view_all_without_view")
		}
	}
	names := make([]string, len(got.Routes))
	for i, r := range got.Routes {
		names[i] = r.Name
	}
	if got.Found != fact.Found || got.Permitted != permitted || got.Patients != patients ||
		!slices.Equal(names, routes) || !slices.Equal(got.Notes, notes) {
		t.Fatalf("%s: the review of %q is %+v; the member sees %d by %q with the notes %q", at, id, got, patients, routes, notes)
	}
	for i := range got.Routes {
		r := &got.Routes[i]
		sameRoute(t, at, id, r, all)
		of := alone[r.Name]
		if len(of) == 0 {
			of = led[r.Name]
		}
		if !examplesFit(r.Examples, of) {
			t.Fatalf("%s: examples for %q by %s are %q, of %v", at, id, r.Name, r.Examples, of)
		}
	}
}

func samePatient(t *testing.T, at, id string, got *review.PatientReview, all *sights) {
	t.Helper()
	want := &review.PatientReview{Found: slices.Contains(all.patients, id)}
	counts := map[string]int{}
	for _, m := range all.members {
		l := all.of[pair{m, id}]
		if !l.allowed {
			continue
		}
		want.Total++
		want.Members = append(want.Members, review.PatientViewer{Member: m, Routes: l.routes})
		for _, r := range l.routes {
			counts[r]++
		}
	}
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		want.Routes = append(want.Routes, review.RouteCount{Name: r, Count: counts[r]})
	}
	if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", *want) {
		t.Fatalf("%s: the review of %q is\n%+v\nand should be\n%+v", at, id, got, want)
	}
}

// TestWithoutView is about V7: a route without the permission is pointed out.
func TestWithoutView(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(
		`{"kind":"role","id":"scope","permissions":["patient:view_all"]}`,
		`{"kind":"role","id":"reader","permissions":["patient:view"]}`,
		`{"kind":"patient_group","id":"diabetes"}`,
		`{"kind":"team_member","id":"all","role":"scope"}`,
		`{"kind":"team_member","id":"some","access":["diabetes"]}`,
		`{"kind":"team_member","id":"booked","role":"reader","provider":true,"booking":["diabetes"]}`,
		`{"kind":"patient","id":"p-1","patient_group":"diabetes"}`,
	)
	for id, want := range map[string]struct {
		notes  string
		routes int
	}{"all": {"[view_all_without_view]", 1}, "some": {"[route_without_view]", 1}, "booked": {"[]", 0}} {
		got, _, err := w.Member(t.Context(), w.org, id, operator, authz.Freshness{})
		if err != nil || got.Patients != 0 || fmt.Sprint(got.Notes) != want.notes || len(got.Routes) != want.routes {
			t.Errorf("%s: %+v, %v; it should have %d routes, see nobody and be noted as %s", id, got, err, want.routes, want.notes)
		}
	}
}

// TestWhoMayReview: administrators, and nobody else.
func TestWhoMayReview(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(
		`{"kind":"role","id":"owner","permissions":["settings:update","user:view","patient:view","patient:view_all"]}`,
		`{"kind":"role","id":"reader","permissions":["patient:view","patient:view_all","user:update"]}`,
		`{"kind":"patient_group","id":"diabetes"}`,
		`{"kind":"team_member","id":"olga","role":"owner"}`,
		`{"kind":"team_member","id":"rita","role":"reader"}`,
		`{"kind":"patient","id":"p-1","patient_group":"diabetes"}`,
	)
	edits := []admin.Edit{{Op: admin.Delete, Key: authz.Key{Kind: authz.KindPatient, ID: "p-1"}}}
	for viewer, kind := range map[review.Viewer]authz.ErrorKind{
		operator: -1,
		{Actor: admin.Actor{Type: "team_member", ID: "olga"}}: -1,
		{Actor: admin.Actor{Type: "team_member", ID: "rita"}}: authz.Forbidden,
		{Actor: admin.Actor{Type: "patient", ID: "p-1"}}:      authz.Forbidden,
		{Actor: admin.Actor{Type: "team_member", ID: "x"}}:    authz.Forbidden,
		{}: authz.Forbidden,
	} {
		_, _, member := w.Member(t.Context(), w.org, "rita", viewer, authz.Freshness{})
		_, _, patient := w.Patient(t.Context(), w.org, "p-1", viewer, authz.Freshness{})
		_, _, preview := w.Preview(t.Context(), w.org, edits, viewer, authz.Freshness{})
		for name, err := range map[string]error{"member": member, "patient": patient, "preview": preview} {
			if kind == -1 && err != nil || kind != -1 && (err == nil || authz.KindOf(err) != kind) {
				t.Errorf("%+v: %s: %v", viewer, name, err)
			}
		}
	}
}

// TestUnknown is about V9 and about what is not there.
func TestUnknown(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(`{"kind":"patient_group","id":"diabetes"}`)
	for _, id := range []string{"nobody", "", "a\nb", string(make([]byte, 300))} {
		member, _, err := w.Member(t.Context(), w.org, id, operator, authz.Freshness{})
		patient, _, err2 := w.Patient(t.Context(), w.org, id, operator, authz.Freshness{})
		if err != nil || err2 != nil || member.Found || patient.Found {
			t.Errorf("%q: %+v, %v; %+v, %v", id, member, err, patient, err2)
		}
	}
	_, _, member := w.Member(t.Context(), "elsewhere", "m", operator, authz.Freshness{})
	_, _, patient := w.Patient(t.Context(), "elsewhere", "p", operator, authz.Freshness{})
	_, _, preview := w.Preview(t.Context(), "elsewhere", []admin.Edit{{Op: admin.Put, Record: &admin.Record{Kind: authz.KindRole, ID: "r"}}},
		operator, authz.Freshness{})
	for _, err := range []error{member, patient, preview} {
		if authz.KindOf(err) != authz.NotFound {
			t.Errorf("in an organisation that does not exist: %v", err)
		}
	}
	lost := authz.Freshness{AtLeast: authz.Revision{Count: 99, Nonce: "zzz"}}
	_, _, member = w.Member(t.Context(), w.org, "m", operator, lost)
	_, _, preview = w.Preview(t.Context(), w.org, []admin.Edit{{Op: admin.Put, Record: &admin.Record{Kind: authz.KindRole, ID: "r"}}}, operator, lost)
	for _, err := range []error{member, preview} {
		if authz.KindOf(err) != authz.Behind {
			t.Errorf("at a revision that is not there: %v", err)
		}
	}
}

// TestRoutesAreKnownByWhatTheyStandOn renames the routes and the permission that is one: what
// a review says of their causes comes from the rules and not from names.
func TestRoutesAreKnownByWhatTheyStandOn(t *testing.T) {
	renamed := orgtest.Edited(t, orgtest.Substitute("authz/visibility/visibility.rego",
		`"view_all_patients"`, `"everywhere"`, `"patient_group_access"`, `"wards"`, `"care_team" if`, `"own" if`, `"patient:view_all"`, `"stock:view"`))
	w := newWard(t, orgstore.Embedded(t), renamed, "renamed")
	w.load(
		`{"kind":"role","id":"reader","permissions":["patient:view","stock:view"]}`,
		`{"kind":"patient_group","id":"g"}`,
		`{"kind":"team_member","id":"m","role":"reader","access":["g"]}`,
		`{"kind":"patient","id":"p","patient_group":"g","care_team":["m"]}`,
	)
	got, _, err := w.Member(t.Context(), w.org, "m", operator, authz.Freshness{})
	if err != nil || len(got.Routes) != 3 || !got.Permitted {
		t.Fatalf("%+v, %v", got, err)
	}
	all, own, wards := got.Routes[0], got.Routes[1], got.Routes[2]
	if all.Name != "everywhere" || all.Causes.Grant == nil || all.Causes.Grant.Role != "reader" ||
		own.Name != "own" || own.Causes.CareTeam != 1 || own.Causes.Grant != nil ||
		wards.Name != "wards" || len(wards.Causes.Groups) != 1 || wards.Causes.CareTeam != 0 {
		t.Errorf("%+v", got.Routes)
	}
}
