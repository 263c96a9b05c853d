package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// TestPages reads every collection in pages of every size: all of them together
// are everything, once.
func TestPages(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.actor = ""
		byKind := map[string][]record{}
		for _, r := range d.records {
			byKind[r.kind] = append(byKind[r.kind], r)
		}
		for kind, want := range byKind {
			for _, limit := range []int{1, 2, 5, len(want), len(want) + 1, 1000} {
				got := d.pages(t, "/"+collections[kind], limit).Items
				check(t, len(got) == len(want), "%d records of the kind %s in pages of %d, expected %d", len(got), kind, limit, len(want))
				for _, w := range want {
					if n := slices.IndexFunc(got, func(o object) bool { return sameFields(o, w.fields) }); n < 0 {
						t.Errorf("%v is on no page of %d", w.fields, limit)
					}
				}
			}
		}
		sameRecords(t, d.records, lines(d.plain(t)))
		if got := decode[page](t, d.get(t, "/patients")); len(got.Items) != 12 || got.Next != "" {
			t.Errorf("%d patients and the next page %q without a limit", len(got.Items), got.Next)
		}
	})
}

// TestPagesOfManyRecords has more than the longest page.
func TestPagesOfManyRecords(t *testing.T) {
	t.Parallel()
	records := []record{role("viewer", "patient:view"), patientGroup("g"), patientGroup("h"), teamMember("ann").holding("viewer").seeing("h")}
	for i := range 2300 {
		records = append(records, patientIn([]string{"g", "h"}[i/2000], fmt.Sprintf("p-%04d", i)).caredForBy("ann"))
	}
	overBothStores(t, func(t *testing.T, s store) {
		d := directory{newOrganisation(t, s, records...), ""}
		for path, n := range map[string]int{"/patients": 2300, "/team-members/ann/patients": 2300, "/patient-groups/g/patients": 2000} {
			for _, limit := range []int{99, 1000} {
				got := d.pages(t, path, limit)
				ids := got.IDs
				for _, item := range got.Items {
					ids = append(ids, item["id"].(string))
				}
				slices.Sort(ids)
				check(t, len(ids) == n && len(slices.Compact(ids)) == n, "%s: %d ids in pages of %d, expected %d that differ", path, len(ids), limit, n)
			}
		}
		if p := decode[page](t, d.get(t, "/patients")); len(p.Items) != 100 || p.Next == "" {
			t.Errorf("%d items on the first page and the next %q, expected 100 and one", len(p.Items), p.Next)
		}
	})
}

// TestPagesShowWhatACheckAllows is V8: a list holds exactly the patients that a
// check allows, whatever the size of its pages.
func TestPagesShowWhatACheckAllows(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		for _, r := range d.records {
			if r.kind != "team_member" {
				continue
			}
			var may, may2 []string
			for _, p := range d.records {
				switch p.kind {
				case "patient":
					if decode[decision](t, post(t, d.url("/access/v1/evaluation"), ask(r.id, "view", patient(p.id)))).allowed() {
						may = append(may, p.id)
					}
				case "booking":
					q := ask(r.id, "view", appointment(p.id).of(p.fields["patient"].(string)).with(p.fields["provider"].(string)))
					if decode[decision](t, post(t, d.url("/access/v1/evaluation"), q)).allowed() {
						may2 = append(may2, p.id)
					}
				}
			}
			for path, may := range map[string][]string{"/patients": may, "/bookings": may2} {
				if first := d.as(r.id).get(t, path); first.status == http.StatusForbidden && len(may) == 0 {
					refused(t, first, http.StatusForbidden)
					continue
				}
				for _, limit := range []int{1, 3, 1000} {
					var got []string
					for _, item := range d.as(r.id).pages(t, path, limit).Items {
						got = append(got, item["id"].(string))
					}
					check(t, sameSet(got, may), "%s sees %q of %s in pages of %d, and may see %q", r.id, got, path, limit, may)
				}
			}
			for _, p := range d.records {
				if p.kind != "patient" {
					continue
				}
				single, body := d.as(r.id).get(t, "/patients/"+p.id), d.as(r.id).post(t, "/records", object{"kind": "patient", "id": p.id})
				for _, got := range []reply{single, body} {
					if seen := got.status == http.StatusOK; seen != slices.Contains(may, p.id) {
						t.Errorf("%s reads %s with %v, and may see %q", r.id, p.id, got, may)
					} else if !seen && got.status != http.StatusForbidden && got.status != http.StatusNotFound {
						t.Errorf("%s reads %s with %v", r.id, p.id, got)
					}
				}
			}
		}
	})
}

// TestPagesOfTheInvisible has a patient who is not there, and one who is not to
// be seen, look the same.
func TestPagesOfTheInvisible(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		mark := d.as("mark")
		for _, suffix := range []string{"", "/care-team", "/bookings"} {
			there, absent := refused(t, mark.get(t, "/patients/p-7"+suffix), http.StatusNotFound), refused(t, mark.get(t, "/patients/p-404"+suffix), http.StatusNotFound)
			there.RequestID, absent.RequestID = "", ""
			check(t, there == absent, "%s: %+v of a patient who is not to be seen, %+v of one who is not there", suffix, there, absent)
		}
		for _, relation := range []object{{"relation": "care_team", "from": "p-7"}, {"relation": "patient", "to": "p-7"}, {"relation": "patient_group", "from": "p-7"}} {
			answeredOneOf(t, mark.post(t, "/relations", relation), hidden, "%v is told to somebody who may not see", relation)
		}
		for _, path := range []string{"/patient-groups/maternity/patients", "/team-members/hana/patients", "/team-members/hana/bookings"} {
			if r := mark.get(t, path); r.status == http.StatusOK && len(decode[page](t, r).IDs) > 0 {
				t.Errorf("%s tells mark of %v", path, r)
			}
		}
	})
}

// TestListsWithoutIdentifiers reads by POST what has a path with an id.
func TestListsWithoutIdentifiers(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.actor = ""
		for kind, collection := range collections {
			var got []object
			for after, n := "", 0; n < 50; n++ {
				body := object{"kind": kind, "limit": 3}
				if after != "" {
					body["after"] = after
				}
				p := decode[page](t, d.post(t, "/lists", body))
				got = append(got, p.Items...)
				if after = p.Next; after == "" {
					break
				}
			}
			want := d.pages(t, "/"+collection, 1000).Items
			check(t, len(got) == len(want) && slices.EqualFunc(got, want, sameFields), "%s: %v by POST, %v by GET", kind, got, want)
		}
		for _, c := range []struct {
			path string
			body object
		}{
			{"/roles/nurse/members", object{"relation": "role", "to": "nurse"}},
			{"/groups/clinicians/members", object{"relation": "group", "to": "clinicians"}},
			{"/team-members/mark/groups", object{"relation": "group", "from": "mark"}},
			{"/team-members/ruth/access", object{"relation": "access", "from": "ruth"}},
			{"/patient-groups/diabetes/access", object{"relation": "access", "to": "diabetes"}},
			{"/team-members/hana/booking", object{"relation": "booking", "from": "hana"}},
			{"/patient-groups/maternity/booking", object{"relation": "booking", "to": "maternity"}},
			{"/patient-groups/aftercare/patients", object{"relation": "patient_group", "to": "aftercare"}},
			{"/patients/p-6/care-team", object{"relation": "care_team", "from": "p-6"}},
			{"/team-members/mark/patients", object{"relation": "care_team", "to": "mark"}},
			{"/patients/p-6/bookings", object{"relation": "patient", "to": "p-6"}},
			{"/team-members/priya/bookings", object{"relation": "provider", "to": "priya"}},
		} {
			by, set := d.post(t, "/relations", c.body), d.get(t, c.path)
			if got, want := decode[page](t, by).IDs, decode[page](t, set).IDs; !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("%s is %q, and %v is %q", c.path, want, c.body, got)
			}
			c.body["limit"] = 1
			if got := decode[page](t, d.post(t, "/relations", c.body)); len(got.IDs) > 1 {
				t.Errorf("%v: %q on a page of one", c.body, got.IDs)
			}
		}
		for path, want := range map[string][]string{
			"/patients/p-6/care-team": {"li", "priya"}, "/team-members/mark/patients": {"p-1", "p-4", "p-11"},
			"/team-members/priya/bookings": {"b-2", "b-3", "b-4"}, "/patients/p-6/bookings": {"b-3"},
		} {
			for _, limit := range []int{1, 2, 1000} {
				sameIDs(t, d.pages(t, path, limit).IDs, want, "%s", path)
			}
		}
	})
}
