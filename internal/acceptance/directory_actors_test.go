package acceptance

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// deed is a kind of change, and who of the example organisation may make it.
type deed struct {
	name    string
	may     []string
	prepare func(t *testing.T, d directory) // by the administrator
	do      func(t *testing.T, by directory) reply
	undo    func(t *testing.T, d directory)
}

var everybody = []string{"mark", "jordan", "priya", "hana", "oscar", "elena", "tomas", "amara", "ines", "ruth", "sam", "li", "noor",
	"nobody", "patient:p-1", "patient:p-2", "patient:p-7", "patient:p-404", "team_member:mark", "team_member:ines", ""}

func put(path string, body any) func(*testing.T, directory) reply {
	return func(t *testing.T, by directory) reply { t.Helper(); return by.put(t, path, body) }
}

func patch(path string, body any) func(*testing.T, directory) reply {
	return func(t *testing.T, by directory) reply { t.Helper(); return by.patch(t, path, body) }
}

func submit(path string, body any) func(*testing.T, directory) reply {
	return func(t *testing.T, by directory) reply { t.Helper(); return by.post(t, path, body) }
}

func remove(path string) func(*testing.T, directory) reply {
	return func(t *testing.T, by directory) reply { t.Helper(); return by.delete(t, path) }
}

func edit(edits ...any) func(*testing.T, directory) reply {
	return submit("/edits", object{"edits": edits})
}

// by has the administrator do what a deed does.
func by(do func(*testing.T, directory) reply) func(*testing.T, directory) {
	return func(t *testing.T, d directory) {
		t.Helper()
		if r := do(t, d); r.status >= 300 {
			t.Fatalf("the administrator: %v", r)
		}
	}
}

// deeds are A1: Access, Booking, patient groups and manual care-team edits
// settings:update; members, roles and groups user:*; a move patient:update and
// the patient visible; a booking B3 or B4, and its cancelling the same. Who
// shows patients to somebody sees them (A4).
func deeds() []deed {
	users, settings := []string{"amara", "ines", "team_member:ines"}, []string{"amara", "ines", "elena", "team_member:ines"}
	sighted := []string{"amara", "elena"}
	movers := []string{"amara", "jordan"} // of a patient of diabetes, into a group that they know (A5)
	nothing := object{"name": "X", "permissions": array{}}
	return []deed{
		{"A1 creates a role", users, nil, put("/roles/x", nothing), by(remove("/roles/x"))},
		{"A1 renames a group", users, nil, patch("/groups/stockroom", object{"name": "S"}), by(patch("/groups/stockroom", object{"name": "Stockroom"}))},
		{"A1 deletes a group", users, by(put("/groups/x", nothing)), remove("/groups/x"), nil},
		{"A1 takes a permission from a role", users, nil, patch("/roles/nurse", object{"permissions": array{"patient:view"}}),
			by(patch("/roles/nurse", object{"permissions": array{"patient:view", "clinical_note:view", "calendar:view", "schedule:view"}}))},
		{"A1 creates a member", users, nil, put("/team-members/x", object{"name": "X"}), by(remove("/team-members/x"))},
		{"A1 renames a member", users, nil, patch("/team-members/noor", object{"name": "N"}), by(patch("/team-members/noor", object{"name": "Noor Haddad"}))},
		{"A1 makes a provider", users, nil, patch("/team-members/noor", object{"provider": true}), by(patch("/team-members/noor", object{"provider": false}))},
		{"A1 deletes a member", users, by(put("/team-members/x", object{"name": "X"})), remove("/team-members/x?cascade=true"), nil},
		{"A5 deletes a member if nothing is in the way", []string{"amara"}, by(put("/team-members/x", object{"name": "X"})), remove("/team-members/x"), nil},
		{"A4 puts a member into the administrators", users, nil, put("/groups/administrators/members/noor", nil), by(remove("/groups/administrators/members/noor"))},
		{"A4 puts a member into the clinicians", []string{"amara"}, nil, put("/groups/clinicians/members/noor", nil), by(remove("/groups/clinicians/members/noor"))},
		{"A4 makes a member an administrator of everything", []string{"amara"}, nil, patch("/team-members/noor", object{"role": "administrator"}), by(patch("/team-members/noor", object{"role": ""}))},
		{"A1 takes a member out of a group", users, nil, remove("/team-members/li/groups/reporting"), by(put("/team-members/li/groups/reporting", nil))},
		{"A1 creates a patient group", settings, nil, put("/patient-groups/x", object{"name": "X"}), by(remove("/patient-groups/x"))},
		{"A1 renames a patient group", settings, nil, patch("/patient-groups/diabetes", object{"name": "D"}), by(patch("/patient-groups/diabetes", object{"name": "Diabetes"}))},
		{"A5 deletes a patient group if nothing is in the way", []string{"amara", "elena"}, by(put("/patient-groups/x", object{"name": "X"})), remove("/patient-groups/x"), nil},
		{"A1 deletes a patient group with its patients", []string{"amara"}, by(put("/patient-groups/x", object{"name": "X"})), remove("/patient-groups/x?cascade=true"), nil},
		{"A4 gives Access to patients whom they see", sighted, nil, put("/team-members/noor/access/maternity", nil), by(remove("/team-members/noor/access/maternity"))},
		{"A1 takes Access, from the other side", settings, nil, remove("/patient-groups/cardiology/access/sam"), by(put("/patient-groups/cardiology/access/sam", nil))},
		{"A1 gives a Booking", settings, nil, put("/patient-groups/diabetes/booking/oscar", nil), by(remove("/patient-groups/diabetes/booking/oscar"))},
		{"A4 shows a patient, by hand, whom they see", sighted, nil, put("/patients/p-2/care-team/noor", nil), by(remove("/patients/p-2/care-team/noor"))},
		{"A1 moves a patient", movers, nil, put("/patient-groups/cardiology/patients/p-2", nil), by(put("/patient-groups/diabetes/patients/p-2", nil))},
		{"A1 moves a patient, by an edit", movers, nil, edit(object{"set": object{"kind": "patient", "id": "p-2", "patient_group": "cardiology"}}), by(put("/patient-groups/diabetes/patients/p-2", nil))},
		{"A1 registers a patient", []string{"amara", "mark", "jordan", "ruth", "team_member:mark"}, nil, put("/patients/x", object{"patient_group": "diabetes"}), by(remove("/patients/x"))},
		{"A1 registers a patient with a care team", []string{"amara"}, nil, put("/patients/x", object{"patient_group": "aftercare", "care_team": array{"noor"}}), by(remove("/patients/x"))},
		{"A1 ends a place on a care team of a patient whom they see", sighted, nil, remove("/patients/p-9/care-team/noor"), by(put("/patients/p-9/care-team/noor", nil))},
		{"A1 deletes a patient", []string{"amara", "jordan"}, by(put("/patients/x", object{"patient_group": "diabetes"})), remove("/patients/x"), nil},
		{"B4 books", []string{"amara", "mark", "jordan", "ruth", "team_member:mark", "patient:p-2"}, nil,
			submit("/bookings", visitOf("b-x", "p-2", "mark")), by(remove("/bookings/b-x"))},
		{"B4 cancels", []string{"amara", "hana", "ruth", "patient:p-7"}, by(edit(object{"book": visitOf("b-x", "p-7", "hana")})),
			submit("/bookings/b-x/cancel", object{}), by(remove("/bookings/b-x"))},
		{"A1 two things at once, of two sorts", []string{"amara", "ines", "team_member:ines"}, nil,
			edit(object{"put": object{"kind": "team_member", "id": "x", "name": "X"}}, object{"set": object{"kind": "patient_group", "id": "diabetes", "name": "D"}}),
			by(edit(object{"delete": object{"kind": "team_member", "id": "x"}}, object{"set": object{"kind": "patient_group", "id": "diabetes", "name": "Diabetes"}}))},
		{"A4 makes a member with Access from the start", []string{"amara"}, nil, put("/team-members/x", object{"name": "X", "access": array{"diabetes"}}), by(remove("/team-members/x?cascade=true"))},
	}
}

// TestActors tries every kind of change by everybody.
func TestActors(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		for _, deed := range deeds() {
			t.Run(deed.name, func(t *testing.T) {
				for _, who := range everybody {
					if deed.prepare != nil {
						deed.prepare(t, d)
					}
					before, _ := d.now(t)
					r := deed.do(t, d.as(who))
					after, _ := d.now(t)
					switch may := slices.Contains(deed.may, who); {
					case r.status < 300 && !may:
						t.Errorf("%q may not, and did: %v", who, r)
					case r.status >= 300 && may:
						t.Errorf("%q may, and was refused: %v", who, r)
					case may && after == before:
						t.Errorf("%q changed nothing: %v", who, r)
					case !may && after != before:
						t.Errorf("%q was refused and changed something: %v", who, r)
					case !may && r.status != http.StatusForbidden && r.status != http.StatusNotFound && !strings.HasPrefix(deed.name, "A5") && r.status != http.StatusBadRequest:
						t.Errorf("%q is refused with %v, expected 403 or 404", who, r)
					}
					if r.status < 300 && deed.undo != nil {
						deed.undo(t, d)
					} else if r.status >= 300 && deed.prepare != nil {
						switch deed.undo {
						case nil:
							by(deed.do)(t, d)
						default:
							deed.undo(t, d)
						}
					}
				}
			})
		}
		sameRecords(t, d.records, lines(d.plain(t))) // all undone
	})
}

// TestActorsMustBeNamedWell refuses what names nobody.
func TestActorsMustBeNamedWell(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.unchanged(t, "odd actors", func() {
			for _, who := range []string{"service:amara", "team_member:", ":amara", "provider:mark", "Amara", "amara,mark", "team_member:amara:x", "*", "team_member:team_member:amara", "patient:amara"} {
				answeredOneOf(t, d.as(who).put(t, "/roles/x", object{"name": "X", "permissions": array{}}), []int{http.StatusForbidden, http.StatusBadRequest}, "%q", who)
			}
		})
		nobody := d.as("")
		for _, path := range []string{"/roles", "/groups/clinicians/members", "/patients/p-7", "/bookings", "/changes"} {
			answered(t, nobody.get(t, path), http.StatusOK, "a service that acts for nobody reads %s", path)
		}
		for _, path := range []string{"/roles", "/groups/clinicians", "/team-members", "/patients", "/bookings", "/changes"} {
			answered(t, d.as("patient:p-1").get(t, path), http.StatusForbidden, "a patient reads %s", path)
			answeredOneOf(t, d.as("nobody").get(t, path), hidden, "a stranger reads %s", path)
		}
	})
}
