package acceptance

import (
	"encoding/json"
	"net/http"
	"testing"
)

// inUse is the problem of a deletion of what is referred to.
type inUse struct {
	InUse []struct{ Kind, ID string } `json:"in_use"`
	Count int                         `json:"in_use_count"`
}

// used checks that a deletion is refused, for exactly these reasons.
func used(t *testing.T, r reply, count int, by ...string) {
	t.Helper()
	refused(t, r, http.StatusConflict)
	var got inUse
	noError(t, json.Unmarshal(r.body, &got))
	var who []string
	for _, e := range got.InUse {
		who = append(who, e.Kind+":"+e.ID)
	}
	check(t, sameSet(who, by) && got.Count == count, "in use by %d, of which %q; expected %d and %q", got.Count, who, count, by)
}

// TestDeletionOfWhatIsInUse lists what refers to it, and takes nothing.
func TestDeletionOfWhatIsInUse(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.unchanged(t, "refused deletions", func() {
			used(t, d.delete(t, "/roles/practitioner"), 4, "team_member:mark", "team_member:jordan", "team_member:hana", "team_member:oscar")
			used(t, d.delete(t, "/groups/stockroom"), 2, "team_member:mark", "team_member:sam")
			used(t, d.delete(t, "/patient-groups/cardiology"), 7, "team_member:jordan", "team_member:ruth", "team_member:sam", "team_member:priya", "patient:p-4", "patient:p-5", "patient:p-6")
			used(t, d.delete(t, "/team-members/mark"), 4, "patient:p-1", "patient:p-4", "patient:p-11", "booking:b-1")
			used(t, d.delete(t, "/patients/p-1"), 1, "booking:b-1")
			used(t, d.post(t, "/edits", object{"edits": array{object{"delete": object{"kind": "role", "id": "nurse"}}}}), 1, "team_member:li")
			used(t, d.delete(t, "/roles/nurse?cascade=false"), 1, "team_member:li")
		})
		// A5: who does not see all that may be in the way is told of nothing, in use or not.
		d.wrote(t, d.put(t, "/patient-groups/vacant", object{"name": "V"}), http.StatusCreated)
		for _, id := range []string{"cardiology", "vacant", "nothing"} {
			used(t, d.as("ines").delete(t, at("patient-groups", id)), 0)
		}
		used(t, d.as("ines").delete(t, "/team-members/mark"), 0)
		used(t, d.as("ines").delete(t, "/groups/stockroom"), 2, "team_member:mark", "team_member:sam")
		used(t, d.as("jordan").delete(t, "/patients/p-6"), 1, "booking:b-3")
		d.one(t, "what nothing refers to", func() { d.wrote(t, d.delete(t, "/patients/p-2"), http.StatusNoContent) })
		d.deny(t, "mark", "view", patient("p-2"), "resource_unknown")
	})
}

// TestCascades deletes what is in use together with what cannot be without it,
// in one revision.
func TestCascades(t *testing.T) {
	t.Parallel()
	missing := func(t *testing.T, d directory, paths ...string) {
		t.Helper()
		for _, path := range paths {
			refused(t, d.get(t, path), http.StatusNotFound)
		}
	}
	for name, show := range map[string]func(t *testing.T, d directory){
		"a role": func(t *testing.T, d directory) {
			d.allow(t, "mark", "update", clinicalNote("n").of("p-1"))
			d.one(t, t.Name(), func() { d.wrote(t, d.delete(t, "/roles/practitioner?cascade=true"), http.StatusNoContent) })
			d.deny(t, "mark", "update", clinicalNote("n").of("p-1"), "permission_missing")
			d.allow(t, "mark", "update", patient("p-1")).grantedBy("", "clinicians")
			if got := d.record(t, "/team-members/mark"); got["role"] != nil && got["role"] != "" {
				t.Errorf("mark has the role %v", got["role"])
			}
		},
		"a group": func(t *testing.T, d directory) {
			d.one(t, t.Name(), func() { d.wrote(t, d.delete(t, "/groups/stockroom?cascade=true"), http.StatusNoContent) })
			d.deny(t, "mark", "view", thing("stock"), "permission_missing")
			d.allow(t, "li", "view", thing("stock"))
			sameIDs(t, d.ids(t, "/team-members/mark/groups"), []string{"clinicians"}, "mark is in")
		},
		"a patient group": func(t *testing.T, d directory) {
			d.one(t, t.Name(), func() { d.wrote(t, d.delete(t, "/patient-groups/cardiology?cascade=true"), http.StatusNoContent) })
			missing(t, d, "/patient-groups/cardiology", "/patients/p-4", "/patients/p-5", "/patients/p-6", "/bookings/b-2", "/bookings/b-3", "/bookings/b-4")
			d.deny(t, "jordan", "view", patient("p-4"), "resource_unknown")
			d.deny(t, patient("p-5"), "book", provider("priya"), "subject_unknown")
			for path, want := range map[string][]string{"/team-members/jordan/access": {"diabetes"}, "/team-members/priya/booking": {}, "/team-members/priya/bookings": {},
				"/team-members/mark/patients": {"p-1", "p-11"}, "/team-members/li/patients": {"p-3"}} {
				sameIDs(t, d.ids(t, path), want, "%s is", path)
			}
		},
		"a team member": func(t *testing.T, d directory) {
			d.one(t, t.Name(), func() { d.wrote(t, d.delete(t, "/team-members/hana?cascade=true"), http.StatusNoContent) })
			missing(t, d, "/team-members/hana", "/bookings/b-5", "/bookings/b-6")
			d.deny(t, "hana", "view", patient("p-7"), "subject_unknown")
			d.deny(t, patient("p-7"), "book", provider("hana"), "resource_unknown")
			for path, want := range map[string][]string{"/patients/p-8/care-team": {"elena"}, "/patients/p-7/care-team": {}, "/patient-groups/aftercare/booking": {},
				"/patient-groups/maternity/access": {"elena", "ruth"}, "/groups/clinicians/members": {"mark", "jordan", "oscar"}, "/patients/p-10/bookings": {}} {
				sameIDs(t, d.ids(t, path), want, "%s is", path)
			}
		},
		"a patient": func(t *testing.T, d directory) {
			d.one(t, t.Name(), func() { d.wrote(t, d.delete(t, "/patients/p-1?cascade=true"), http.StatusNoContent) })
			missing(t, d, "/patients/p-1", "/bookings/b-1")
			d.deny(t, "mark", "view", patient("p-1"), "resource_unknown")
			hasLength(t, d.ids(t, "/team-members/mark/bookings"), 0, "mark has the bookings")
		},
		"a booking": func(t *testing.T, d directory) {
			d.allow(t, "priya", "view", patient("p-5")).through("care_team")
			d.one(t, t.Name(), func() { d.wrote(t, d.delete(t, "/bookings/b-2"), http.StatusNoContent) })
			d.deny(t, "priya", "view", patient("p-5"), "patient_not_visible")
			d.one(t, t.Name(), func() { d.wrote(t, d.delete(t, "/bookings/b-1"), http.StatusNoContent) })
			if got := d.record(t, "/patients/p-1")["care_team_sources"].(object)["mark"]; len(got.([]any)) != 1 {
				t.Errorf("mark is on the care team for %v, expected the manual source alone", got)
			}
		},
		"one that the actor may not make": func(t *testing.T, d directory) {
			d.unchanged(t, t.Name(), func() {
				for who, path := range map[string]string{"ines": "/patient-groups/cardiology?cascade=true", "elena": "/patient-groups/maternity?cascade=true",
					"mark": "/patients/p-1?cascade=true", "jordan": "/patients/p-7?cascade=true"} {
					answeredOneOf(t, d.as(who).delete(t, path), hidden, "%s deletes %s", who, path)
				}
			})
		},
		"in an edit, with others": func(t *testing.T, d directory) {
			d.one(t, t.Name(), func() {
				d.wrote(t, d.post(t, "/edits", object{"edits": array{
					object{"delete": object{"kind": "patient_group", "id": "maternity", "cascade": true}},
					object{"put": object{"kind": "patient_group", "id": "obstetrics", "name": "Again"}},
					object{"put": object{"kind": "patient", "id": "p-70", "patient_group": "obstetrics"}},
					object{"link": object{"relation": "access", "from": "hana", "to": "obstetrics"}},
				}}), http.StatusOK)
			})
			missing(t, d, "/patients/p-7", "/patients/p-8", "/bookings/b-5")
			d.allow(t, "hana", "view", patient("p-70")).through("patient_group_access")
			d.allow(t, "elena", "view", patient("p-70")).through("view_all_patients")
		},
	} {
		t.Run(name, func(t *testing.T) {
			overTheExample(t, func(t *testing.T, d directory) {
				show(t, d)
				d.agree(t)
			})
		})
	}
}

// TestCascadeOfTooMany is refused, and takes nothing.
func TestCascadeOfTooMany(t *testing.T) {
	t.Parallel()
	records := []record{role("admin", "*:*"), teamMember("ada").holding("admin"), patientGroup("g")}
	for i := range 1100 {
		records = append(records, patientIn("g", "p-"+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676))))
	}
	overBothStores(t, func(t *testing.T, s store) {
		d := directory{newOrganisation(t, s, records...), "ada"}
		d.unchanged(t, "a cascade past a thousand records", func() {
			r := d.delete(t, "/patient-groups/g?cascade=true")
			check(t, r.status >= 400 && r.status < 500, "%v", r)
			refused(t, d.delete(t, "/patient-groups/g"), http.StatusConflict)
		})
		if got := len(d.ids(t, "/patient-groups/g/patients")); got == 0 {
			t.Error("the patients are gone")
		}
	})
}
