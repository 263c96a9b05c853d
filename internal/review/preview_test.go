package review_test

import (
	"fmt"
	"reflect"
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

// variants are policies whose previews have to be exact: the default one, and edits of
// it that single out patients and turn conditions round.
func variants(t testing.TB) map[string]authz.Rules {
	return map[string]authz.Rules{
		"default": orgtest.Policy(t),
		"exceptions": orgtest.Edited(t, orgtest.Write("authz/extra.rego", `package authz

allow if {
	input.subject.type == "team_member"
	input.subject.found
	not input.subject.suspended
	input.action.name == "view"
	input.resource.type == "patient"
	input.resource.found
	not input.resource.patient_group in input.subject.access
	not input.resource.id in {"pt3 ", "pt4%"}
	not input.subject.id in input.resource.care_team
	input.subject.permissions["patient:update"]
}

allow if {
	input.subject.type == "team_member"
	input.subject.found
	not input.subject.suspended
	input.action.name == "view"
	input.resource.type == "patient"
	input.resource.found
	input.resource.id in {"pt1'", "pt2\\"}
	not input.resource.patient_group == "pp1'"
}
`)),
	}
}

// TestPreviewIsTheDifference previews random changes of random organisations and makes
// them: what was foretold has to be the difference of two full enumerations.
func TestPreviewIsTheDifference(t *testing.T) {
	for name, rules := range variants(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("embedded", func(t *testing.T) { previewsAreDifferences(t, orgstore.Embedded(t), rules, 12) })
			t.Run("redis", func(t *testing.T) { previewsAreDifferences(t, orgstore.Redis(t), rules, 40) })
		})
	}
}

func previewsAreDifferences(t *testing.T, d *directory.Directory, rules authz.Rules, organisations int) {
	organisations = soak.Cases(2 * organisations)
	made, gained, lost, still := 0, 0, 0, 0
	for seed := range soak.Seeds(t, organisations) {
		w := newWard(t, d, rules, fmt.Sprintf("ward-%d", seed)).seeded(seed)
		w.fill()
		before := w.enumerate()
		for n := range 16 {
			at := fmt.Sprintf("seed %d change %d", seed, n)
			edits := w.change()
			got, stated, err := w.Preview(t.Context(), w.org, edits, operator, authz.Freshness{})
			done, refused := w.store.Commit(t.Context(), w.org, admin.Change{Edits: edits})
			if (err == nil) != (refused == nil) || authz.KindOf(err) != authz.KindOf(refused) {
				t.Fatalf("%s: the preview says %v, the commit %v", at, err, refused)
			}
			if err != nil {
				continue
			}
			if got.Changes != done.Changed {
				t.Fatalf("%s: the preview says changed %v, the commit %v", at, got.Changes, done.Changed)
			}
			if done.Changed && stated.Revision.Count+1 != done.Revision.Count {
				t.Fatalf("%s: previewed at %v and made at %v", at, stated.Revision, done.Revision)
			}
			after := w.enumerate()
			compare(t, at, got, before, after)
			before = after
			made++
			gained += got.Gained.Patients
			lost += got.Lost.Patients
			still += got.Still.Patients
		}
	}
	if !soak.Repeats() && (made < organisations || gained == 0 || lost == 0 || still == 0) {
		t.Errorf("%d changes were made, with %d gained, %d lost and %d still seen: too few to show anything", made, gained, lost, still)
	}
}

// compare checks a preview against what there was and what there is.
func compare(t *testing.T, at string, got *review.Preview, before, after *sights) {
	t.Helper()
	all := [3]*tally{newTally(), newTally(), newTally()}
	total := 0
	members := slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.members, after.members))))
	patients := slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.patients, after.patients))))
	for _, m := range members {
		own := [3]*tally{newTally(), newTally(), newTally()}
		was, is := 0, 0
		for _, p := range patients {
			b, a := before.of[pair{m, p}], after.of[pair{m, p}]
			if b.allowed {
				was++
			}
			if a.allowed {
				is++
			}
			gone := slices.ContainsFunc(b.routes, func(r string) bool { return !slices.Contains(a.routes, r) })
			for i, to := range [3]bool{a.allowed && !b.allowed, b.allowed && !a.allowed, a.allowed && b.allowed && gone} {
				if to {
					routes := a.routes
					if i == 1 {
						routes = b.routes
					}
					own[i].add(p, routes)
					all[i].add(m+p, routes)
				}
			}
		}
		i := slices.IndexFunc(got.Members, func(p review.MemberPreview) bool { return p.Member == m })
		if own[0].n+own[1].n+own[2].n == 0 {
			if i >= 0 {
				t.Fatalf("%s: %q is said to be affected: %+v", at, m, got.Members[i])
			}
			continue
		}
		total++
		if i < 0 {
			t.Fatalf("%s: %q is left out", at, m)
		}
		p := &got.Members[i]
		if p.Before != was || p.After != is || !own[0].same(&p.Gained, own[0].n > 0) ||
			!own[1].same(&p.Lost, own[1].n > 0) || !own[2].same(&p.Still, own[2].n > 0) {
			t.Fatalf("%s: %q is said to see %+v\nand saw %d, sees %d: gains %+v, loses %+v, keeps %+v", at, m, *p, was, is, own[0], own[1], own[2])
		}
		remaining(t, at, m, p, after)
	}
	if got.Total != total || len(got.Members) != total || got.More ||
		!all[0].same(&got.Gained, false) || !all[1].same(&got.Lost, false) || !all[2].same(&got.Still, false) {
		t.Fatalf("%s: the totals are %+v and should be %d: %+v, %+v, %+v", at, got, total, all[0], all[1], all[2])
	}
	if !slices.IsSortedFunc(got.Members, func(a, b review.MemberPreview) int {
		if n := b.Gained.Patients + b.Lost.Patients - a.Gained.Patients - a.Lost.Patients; n != 0 {
			return n
		}
		if a.Member < b.Member {
			return -1
		}
		return 1
	}) {
		t.Fatalf("%s: the members are out of order: %+v", at, got.Members)
	}
}

// remaining checks why somebody still sees patients.
func remaining(t *testing.T, at, member string, p *review.MemberPreview, after *sights) {
	t.Helper()
	if len(p.Remaining) != len(p.Still.Routes) {
		t.Fatalf("%s: %q keeps %+v by %+v", at, member, p.Still, p.Remaining)
	}
	for i, r := range p.Remaining {
		if r.Name != p.Still.Routes[i].Name {
			t.Fatalf("%s: %q keeps %+v by %+v", at, member, p.Still, p.Remaining)
		}
		sameRoute(t, at, member, &r, after)
	}
}

// sameRoute checks a route of a member with its causes, but for its examples.
func sameRoute(t *testing.T, at, member string, got *review.MemberRoute, all *sights) {
	t.Helper()
	fact := all.facts.Get(authz.Key{Kind: authz.KindTeamMember, ID: member})
	led, alone, care, sizes := 0, 0, 0, map[string]int{}
	for _, id := range all.patients {
		patient := all.facts.Get(authz.Key{Kind: authz.KindPatient, ID: id})
		sizes[patient.PatientGroup]++
		routes := all.of[pair{member, id}].routes
		if slices.Contains(routes, got.Name) {
			led++
			if len(routes) == 1 {
				alone++
			}
		}
		if slices.Contains(patient.CareTeam, member) {
			care++
		}
	}
	want := review.MemberRoute{Name: got.Name, Patients: led, Alone: alone, Examples: got.Examples}
	switch got.Name {
	case "patient_group_access":
		for _, group := range slices.Sorted(slices.Values(fact.Access)) {
			want.Causes.Groups = append(want.Causes.Groups, review.GroupCount{Group: group, Patients: sizes[group]})
		}
	case "care_team":
		want.Causes.CareTeam = care
	case "view_all_patients":
		want.Causes.Grant = grantInGo(fact, all.facts, "patient:view_all")
	}
	if !sameCauses(got, &want) {
		t.Fatalf("%s: %q has the route %+v, which should be %+v", at, member, *got, want)
	}
}

func sameCauses(a, b *review.MemberRoute) bool {
	if (a.Causes.Grant == nil) != (b.Causes.Grant == nil) {
		return false
	}
	if a.Causes.Grant != nil && (a.Causes.Grant.Role != b.Causes.Grant.Role || !slices.Equal(a.Causes.Grant.Groups, b.Causes.Grant.Groups)) {
		return false
	}
	return a.Patients == b.Patients && a.Alone == b.Alone && slices.Equal(a.Causes.Groups, b.Causes.Groups) && a.Causes.CareTeam == b.Causes.CareTeam
}

// grantInGo says which role and groups grant a permission, nil for none.
func grantInGo(member *authz.Fact, facts *authz.Facts, permission string) *authz.Grant {
	var out authz.Grant
	if grantedInGo(&authz.Fact{Role: member.Role}, facts, permission) {
		out.Role = member.Role
	}
	for _, id := range slices.Sorted(slices.Values(member.Groups)) {
		if grantedInGo(&authz.Fact{Groups: []string{id}}, facts, permission) {
			out.Groups = append(out.Groups, id)
		}
	}
	if out.Role == "" && out.Groups == nil {
		return nil
	}
	return &out
}

// TestStillSeen is the answer to "I turned off View All Patients and she still sees them".
func TestStillSeen(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(
		`{"kind":"role","id":"doctor","permissions":["patient:view"]}`,
		`{"kind":"group","id":"wide","permissions":["patient:view_all"]}`,
		`{"kind":"patient_group","id":"asthma"}`, `{"kind":"patient_group","id":"diabetes"}`,
		`{"kind":"team_member","id":"carla","role":"doctor","groups":["wide"],"access":["asthma"]}`,
		`{"kind":"patient","id":"p-1","patient_group":"asthma"}`,
		`{"kind":"patient","id":"p-2","patient_group":"asthma","care_team":["carla"]}`,
		`{"kind":"patient","id":"p-3","patient_group":"diabetes","care_team":["carla"]}`,
		`{"kind":"patient","id":"p-4","patient_group":"diabetes"}`,
	)
	got, _, err := w.Preview(t.Context(), w.org, []admin.Edit{
		{Op: admin.Set, Key: authz.Key{Kind: authz.KindGroup, ID: "wide"}, Fields: admin.Fields{"permissions": []string{}}},
	}, operator, authz.Freshness{})
	if err != nil || got.Total != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := review.MemberPreview{
		Member: "carla", Before: 4, After: 3,
		Gained: review.Tally{Routes: []review.RouteCount{}},
		Lost:   review.Tally{Patients: 1, Routes: []review.RouteCount{{Name: "view_all_patients", Count: 1}}, Examples: []string{"p-4"}},
		Still: review.Tally{
			Patients: 3, Routes: []review.RouteCount{{Name: "care_team", Count: 2}, {Name: "patient_group_access", Count: 2}},
			Examples: []string{"p-2", "p-3", "p-1"},
		},
		Remaining: []review.MemberRoute{
			{Name: "care_team", Patients: 2, Alone: 1, Causes: review.Causes{CareTeam: 2}},
			{Name: "patient_group_access", Patients: 2, Alone: 1, Causes: review.Causes{Groups: []review.GroupCount{{Group: "asthma", Patients: 2}}}},
		},
	}
	if !reflect.DeepEqual(got.Members[0], want) {
		t.Errorf("%+v\nshould be\n%+v", got.Members[0], want)
	}
}

// TestMovesApart moves two patients who were seen alike to where they are not, before
// members who do not change themselves.
func TestMovesApart(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(
		`{"kind":"role","id":"doctor","permissions":["patient:view"]}`,
		`{"kind":"patient_group","id":"asthma"}`, `{"kind":"patient_group","id":"cardiology"}`, `{"kind":"patient_group","id":"diabetes"}`,
		`{"kind":"team_member","id":"carla","role":"doctor","access":["asthma"]}`,
		`{"kind":"team_member","id":"dora","role":"doctor","access":["cardiology","diabetes"]}`,
		`{"kind":"patient","id":"p-1","patient_group":"diabetes"}`,
		`{"kind":"patient","id":"p-2","patient_group":"diabetes"}`,
	)
	before := w.enumerate()
	asthma, cardiology := "asthma", "cardiology"
	edits := []admin.Edit{
		{Op: admin.Set, Key: authz.Key{Kind: authz.KindPatient, ID: "p-1"}, Fields: admin.Fields{"patient_group": asthma}},
		{Op: admin.Set, Key: authz.Key{Kind: authz.KindPatient, ID: "p-2"}, Fields: admin.Fields{"patient_group": cardiology}},
	}
	got, _, err := w.Preview(t.Context(), w.org, edits, operator, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	w.put(edits...)
	compare(t, "two moves", got, before, w.enumerate())
}
