package review_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
)

// large is a generated organisation with its numbers in Go: patients by group, and
// whom each member looks after.
type large struct {
	*ward
	members, patients, groups int
	sizes                     []int
	care                      map[int][]int // patient numbers, by member
	lines                     []string
}

func id(prefix string, n int) string { return fmt.Sprintf("%s-%05d", prefix, n) }

// groupOf is the group of a patient: the first groups are larger.
func (l *large) groupOf(patient int) int { return (patient * patient / 7) % l.groups }

// isWide reports whether a member is in the group that grants patient:view_all.
func isWide(member int) bool { return member%2 == 0 }

// accessOf are the groups that a member has Access to.
func (l *large) accessOf(member int) []int {
	return slices.Compact(slices.Sorted(slices.Values([]int{member % l.groups, (member * 7) % l.groups, (member*3 + 1) % l.groups})))
}

func largeOrganisation(t testing.TB, members, patients, groups int) *large {
	l := &large{
		ward: newWard(t, orgstore.Redis(t), orgtest.Policy(t), "large"), members: members, patients: patients, groups: groups,
		sizes: make([]int, groups), care: map[int][]int{},
	}
	l.lines = append(l.lines,
		`{"kind":"role","id":"doctor","permissions":["patient:view"]}`,
		`{"kind":"group","id":"wide","permissions":["patient:view_all"]}`)
	for g := range groups {
		l.lines = append(l.lines, fmt.Sprintf(`{"kind":"patient_group","id":%q}`, id("g", g)))
	}
	for m := range members {
		group := ""
		if isWide(m) {
			group = `"wide"`
		}
		var access []string
		for _, g := range l.accessOf(m) {
			access = append(access, fmt.Sprintf("%q", id("g", g)))
		}
		l.lines = append(l.lines, fmt.Sprintf(`{"kind":"team_member","id":%q,"role":"doctor","groups":[%s],"access":[%s]}`,
			id("m", m), group, strings.Join(access, ",")))
	}
	for p := range patients {
		l.sizes[l.groupOf(p)]++
		team := ""
		if p%3 == 0 {
			m := (p / 3) % members
			l.care[m] = append(l.care[m], p)
			team = fmt.Sprintf("%q", id("m", m))
		}
		l.lines = append(l.lines, fmt.Sprintf(`{"kind":"patient","id":%q,"patient_group":%q,"care_team":[%s]}`, id("p", p), id("g", l.groupOf(p)), team))
	}
	l.load(l.lines...)
	return l
}

// narrow returns how many patients a member has by Access, by their care team, and by
// either.
func (l *large) narrow(member int) (access, care, either int) {
	of := l.accessOf(member)
	for _, g := range of {
		access += l.sizes[g]
	}
	either = access
	for _, p := range l.care[member] {
		if !slices.Contains(of, l.groupOf(p)) {
			either++
		}
	}
	return access, len(l.care[member]), either
}

// mostAsked is how often a policy is asked for a review or a preview, however many members
// and patients there are: about anybody's sight, and about what each role and group grants.
const mostAsked = 10

// TestManyPatients: counts are exact, and the policy is asked neither about each member
// nor about each patient.
func TestManyPatients(t *testing.T) {
	const members, patients = 200, 30_000
	l := largeOrganisation(t, members, patients, 60)

	l.rules.asked = 0
	got, _, err := l.Preview(t.Context(), l.org, []admin.Edit{
		{Op: admin.Set, Key: authz.Key{Kind: authz.KindGroup, ID: "wide"}, Fields: admin.Fields{"permissions": []string{}}},
	}, operator, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	if l.rules.asked > mostAsked {
		t.Errorf("the policy was asked %d times about %d members", l.rules.asked, members)
	}
	lost, still := 0, 0
	for m := range members {
		if !isWide(m) {
			continue
		}
		_, _, either := l.narrow(m)
		lost += patients - either
		still += either
		i := slices.IndexFunc(got.Members, func(p review.MemberPreview) bool { return p.Member == id("m", m) })
		if i < 0 || got.Members[i].Before != patients || got.Members[i].After != either ||
			got.Members[i].Lost.Patients != patients-either || got.Members[i].Still.Patients != either {
			t.Fatalf("%s: %+v; %d are still seen", id("m", m), got.Members[i], either)
		}
	}
	if got.Total != members/2 || got.Lost.Patients != lost || got.Still.Patients != still || got.Gained.Patients != 0 {
		t.Errorf("%d members lose %d and keep %d; it is %d and %d", got.Total, got.Lost.Patients, got.Still.Patients, lost, still)
	}

	for m := range 20 {
		l.rules.asked = 0
		got, _, err := l.Member(t.Context(), l.org, id("m", m), operator, authz.Freshness{})
		if err != nil || l.rules.asked > mostAsked {
			t.Fatalf("asked %d times, %v", l.rules.asked, err)
		}
		access, care, either := l.narrow(m)
		counts := map[string]int{}
		for _, r := range got.Routes {
			counts[r.Name] = r.Patients
		}
		want := map[string]int{"patient_group_access": access, "care_team": care}
		if isWide(m) {
			want["view_all_patients"], either = patients, patients
		}
		if got.Patients != either || fmt.Sprint(counts) != fmt.Sprint(want) {
			t.Fatalf("%s sees %d by %v; it is %d by %v", id("m", m), got.Patients, counts, either, want)
		}
	}
}

// TestManyMembers is about the bounds: what is listed ends, what is counted does not.
func TestManyMembers(t *testing.T) {
	const members, patients = review.MaxAffected + 2, 12
	l := largeOrganisation(t, members, patients, 2)
	wide := members / 2

	seen, _, err := l.Patient(t.Context(), l.org, id("p", 1), operator, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	sees := 0
	for m := range members {
		if isWide(m) || slices.Contains(l.accessOf(m), l.groupOf(1)) || slices.Contains(l.care[m], 1) {
			sees++
		}
	}
	if seen.Total != sees || !seen.More || len(seen.Members) != review.MaxMembers {
		t.Errorf("%d members are said to see a patient, and %d listed; it is %d", seen.Total, len(seen.Members), sees)
	}

	l.rules.asked = 0
	preview, _, err := l.Preview(t.Context(), l.org,
		[]admin.Edit{{Op: admin.Delete, Key: authz.Key{Kind: authz.KindPatient, ID: id("p", 1)}}}, operator, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	if preview.Total != sees || preview.Lost.Patients != sees || !preview.More || len(preview.Members) != review.MaxMembers {
		t.Errorf("%d members are said to lose %d, and %d listed; it is %d", preview.Total, preview.Lost.Patients, len(preview.Members), sees)
	}

	role := []admin.Edit{{Op: admin.Set, Key: authz.Key{Kind: authz.KindRole, ID: "doctor"}, Fields: admin.Fields{"permissions": []string{}}}}
	if _, _, err = l.Preview(t.Context(), l.org, role, operator, authz.Freshness{}); authz.KindOf(err) != authz.TooLarge {
		t.Errorf("a role of %d members: %v", members, err)
	}
	group := []admin.Edit{{Op: admin.Set, Key: authz.Key{Kind: authz.KindGroup, ID: "wide"}, Fields: admin.Fields{"permissions": []string{}}}}
	l.rules.asked = 0
	if preview, _, err = l.Preview(t.Context(), l.org, group, operator, authz.Freshness{}); err != nil {
		t.Fatal(err)
	}
	if l.rules.asked > mostAsked {
		t.Errorf("the policy was asked %d times about %d members", l.rules.asked, wide)
	}
	lost, total := 0, 0
	for m := range members {
		if _, _, either := l.narrow(m); isWide(m) {
			lost += patients - either
			total++
		}
	}
	if preview.Total != total || preview.Lost.Patients != lost || len(preview.Members) != review.MaxMembers || !preview.More || total != wide {
		t.Errorf("%d members are said to lose %d; it is %d and %d", preview.Total, preview.Lost.Patients, total, lost)
	}
}
