package acceptance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

type review struct {
	TeamMember string `json:"team_member"`
	Permitted  *bool
	Patients   int
	Routes     []routeCount
	Notes      []json.RawMessage
}

type patientReview struct {
	Patient     string
	TeamMembers int `json:"team_members"`
	Routes      []struct {
		Route       string
		TeamMembers int `json:"team_members"`
	}
	Members []struct {
		TeamMember string `json:"team_member"`
		Routes     []string
	}
	MoreMembers bool `json:"more_members"`
}

// TestReviewsEqualChecks holds reviews of everybody against the rules, and
// whom they may view against a check of each.
func TestReviewsEqualChecks(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	counted := 0
	for i := range 3 {
		d := newDice(n, uint64(81_000+i))
		d.w.roles["root role"], d.w.members["root"] = []string{"*:*"}, staff{role: "root role"}
		d.learn()
		a := asker{newOrganisation(t, redisStore{}, d.records()...), "root"}
		visible := map[string]map[string][]string{} // by patient, by member
		for _, id := range d.members {
			got := decode[review](t, a.ask(t, "/v1/reviews", object{"team_member": id}))
			m := d.w.members[id]
			may, leads := !m.suspended && d.w.may(m, "patient:view"), d.w.leads(id)
			if m.suspended { // P7: no route holds
				leads = nil
			}
			routes, alone := map[string]int{}, map[string]int{}
			groups := map[string]int{}
			var questions []question
			for _, p := range d.patients {
				questions = append(questions, ask(id, "view", patient(p)))
				for _, route := range leads[p] {
					routes[route]++
					if len(leads[p]) == 1 {
						alone[route]++
					}
				}
				if may && leads[p] != nil {
					if visible[p] == nil {
						visible[p] = map[string][]string{}
					}
					visible[p][id] = leads[p]
				}
				if g := d.w.patients[p].group; slices.Contains(m.access, g) {
					groups[g]++
				}
			}
			allowed := 0
			for _, one := range a.batch(t, questions) {
				if one.allowed() {
					allowed++
				}
			}
			if got.Permitted == nil || *got.Permitted != may || got.Patients != allowed || got.TeamMember != id || !reflect.DeepEqual(counts(got.Routes), routes) {
				t.Errorf("%q: %+v, expected %d by %v", id, got, allowed, routes)
			}
			counted += got.Patients
			for _, r := range got.Routes {
				if r.Alone != alone[r.Route] {
					t.Errorf("%q: by %s alone %d, expected %d", id, r.Route, r.Alone, alone[r.Route])
				}
				for _, example := range r.Examples {
					check(t, slices.Contains(leads[example], r.Route), "%q: the example %q of %s", id, example, r.Route)
				}
				switch r.Route {
				case "view_all_patients":
					want := d.w.grantors(m, "patient:view_all")
					if g := r.Causes.GrantedBy; g == nil || g.Role != want.Role || !sameSet(g.Groups, want.Groups) {
						t.Errorf("%q: View All by %+v, expected %+v", id, g, want)
					}
				case "patient_group_access":
					for _, g := range r.Causes.PatientGroups {
						if groups[g.ID] != g.Patients {
							t.Errorf("%q: %d patients of %q, expected %d", id, g.Patients, g.ID, groups[g.ID])
						}
						delete(groups, g.ID)
					}
					for g, n := range groups {
						check(t, n <= 0, "%q: the group %q of %d patients is no cause", id, g, n)
					}
				case "care_team":
					if r.Causes.CareTeam != routes["care_team"] {
						t.Errorf("%q: on %d care teams, expected %d", id, r.Causes.CareTeam, routes["care_team"])
					}
				}
			}
			warned := strings.Contains(fmt.Sprintf("%s", got.Notes), "view_all_without_view")
			check(t, warned == (d.w.may(m, "patient:view_all") && !may && !m.suspended), "%q: the notes %s", id, got.Notes)
		}
		for _, id := range d.patients {
			got := decode[patientReview](t, a.ask(t, "/v1/reviews", object{"patient": id}))
			told, routes := map[string][]string{}, map[string]int{}
			var order []string
			for _, m := range got.Members {
				told[m.TeamMember] = m.Routes
				order = append(order, m.TeamMember)
			}
			for _, all := range visible[id] {
				for _, route := range all {
					routes[route]++
				}
			}
			same := len(told) == len(visible[id]) && got.TeamMembers == len(told) && slices.IsSorted(order)
			for who, all := range visible[id] {
				same = same && sameSet(told[who], all)
			}
			for _, r := range got.Routes {
				same = same && routes[r.Route] == r.TeamMembers
				delete(routes, r.Route)
			}
			if !same || len(routes) > 0 {
				t.Errorf("%q: %+v, expected %v", id, got, visible[id])
			}
		}
	}
	check(t, counted >= 50, "%d patients are seen: too few to show anything", counted)
}
