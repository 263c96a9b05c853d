package acceptance

import (
	"net/http"
	"testing"
)

// TestMoves is V5: a move is one change, seen by the new group's people and no
// more by those who saw only through the old one, in every way to make it.
func TestMoves(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		ways := map[string]func(t *testing.T, by directory, id, group string){
			"the patient's own record": func(t *testing.T, by directory, id, group string) {
				by.wrote(t, by.patch(t, at("patients", id), object{"patient_group": group}), http.StatusOK)
			},
			"a replacement of it": func(t *testing.T, by directory, id, group string) {
				team := by.record(t, at("patients", id))["care_team"]
				by.wrote(t, by.put(t, at("patients", id), object{"patient_group": group, "care_team": team}, "If-Match", by.tag(t, at("patients", id))), http.StatusOK)
			},
			"the group that they join": func(t *testing.T, by directory, id, group string) {
				by.wrote(t, by.put(t, at("patient-groups", group, "patients", id), nil), http.StatusNoContent)
			},
			"the group that some join": func(t *testing.T, by directory, id, group string) {
				by.wrote(t, by.post(t, at("patient-groups", group, "patients"), object{"add": []string{id}}), http.StatusOK)
			},
			"an edit": func(t *testing.T, by directory, id, group string) {
				by.wrote(t, by.post(t, "/edits", object{"edits": array{object{"set": object{"kind": "patient", "id": id, "patient_group": group}}}}), http.StatusOK)
			},
		}
		// Whoever has Access to one of the two groups alone, and may open records.
		for name, move := range ways {
			t.Run(name, func(t *testing.T) {
				d.allow(t, "mark", "view", patient("p-2")).through("patient_group_access")
				d.deny(t, "sam", "view", patient("p-2"), "patient_not_visible")
				d.one(t, "a move", func() { move(t, d.as("jordan"), "p-2", "cardiology") })
				d.deny(t, "mark", "view", patient("p-2"), "patient_not_visible").through()
				d.allow(t, "sam", "view", patient("p-2")).through("patient_group_access")
				d.allow(t, "jordan", "view", patient("p-2"))
				d.allow(t, "elena", "view", patient("p-2")).through("view_all_patients")
				d.allow(t, patient("p-2"), "book", provider("priya")) // B3: of the new group
				d.deny(t, patient("p-2"), "book", provider("mark"), "provider_not_bookable")
				sameIDs(t, d.ids(t, "/patient-groups/diabetes/patients"), []string{"p-1", "p-3"}, "the old group has")
				sameIDs(t, d.ids(t, "/patient-groups/cardiology/patients"), []string{"p-2", "p-4", "p-5", "p-6"}, "the new group has")
				d.unchanged(t, "the same move", func() { move(t, d.as("jordan"), "p-2", "cardiology") })
				d.one(t, "back", func() { move(t, d.as("jordan"), "p-2", "diabetes") })
				d.allow(t, "mark", "view", patient("p-2"))
				d.deny(t, "sam", "view", patient("p-2"), "patient_not_visible")
			})
		}
		t.Run("the care team goes with the patient", func(t *testing.T) {
			d.one(t, "a move", func() { ways["an edit"](t, d.as("jordan"), "p-1", "cardiology") })
			d.allow(t, "mark", "view", patient("p-1")).through("care_team")
			d.one(t, "back", func() { ways["an edit"](t, d.as("jordan"), "p-1", "diabetes") })
		})
		t.Run("many", func(t *testing.T) {
			d.one(t, "three move", func() {
				d.wrote(t, d.post(t, "/patient-groups/aftercare/patients", object{"add": []string{"p-2", "p-5", "p-7", "p-12"}}), http.StatusOK)
			})
			for _, id := range []string{"p-2", "p-5", "p-7", "p-12"} {
				d.allow(t, "li", "view", patient(id)).through("patient_group_access")
			}
			d.deny(t, "mark", "view", patient("p-2"), "patient_not_visible")
			d.allow(t, "hana", "view", patient("p-7")).through("care_team")
		})
		t.Run("nowhere", func(t *testing.T) {
			d.unchanged(t, "refused moves", func() {
				for _, r := range []reply{
					d.patch(t, "/patients/p-3", object{"patient_group": ""}), d.patch(t, "/patients/p-3", object{"patient_group": nil}),
					d.put(t, "/patients/p-3", object{"care_team": array{}}), d.post(t, "/patient-groups/diabetes/patients", object{"remove": []string{"p-3"}}),
				} {
					refused(t, r, http.StatusBadRequest)
				}
				for _, r := range []reply{d.patch(t, "/patients/p-3", object{"patient_group": "nowhere"}), d.put(t, "/patient-groups/nowhere/patients/p-3", nil)} {
					answeredOneOf(t, r, []int{http.StatusNotFound, http.StatusBadRequest}, "a move to a group that is not there")
				}
				refused(t, d.delete(t, "/patient-groups/diabetes/patients/p-3"), http.StatusMethodNotAllowed)
			})
		})
		t.Run("the new enemy", func(t *testing.T) { // Access ends, then somebody arrives whom its holder must not see
			d.wrote(t, d.delete(t, "/team-members/mark/access/diabetes"), http.StatusNoContent)
			d.wrote(t, d.put(t, "/patient-groups/diabetes/patients/p-9", nil), http.StatusNoContent)
			d.deny(t, "mark", "view", patient("p-9"), "patient_not_visible")
		})
		d.agree(t)
	})
}
