package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/verify"
)

// Administration implements authz.Policy: A1 in plain Go, beside the data that declares it.
func (reference) Administration() *authz.Administration {
	a := &authz.Administration{Questions: map[authz.Duty]authz.Ask{}, Everything: "*:*", Users: "user:*"}
	for _, of := range []string{"role", "group", "team_member"} {
		for _, action := range []string{"view", "create", "update", "delete"} {
			a.Questions[authz.Duty(of+"."+action)] = authz.Ask{Action: action, Resource: "user"}
		}
	}
	for _, of := range []string{"patient_group", "access", "booking_assignment"} {
		for _, action := range []string{"view", "update"} {
			a.Questions[authz.Duty(of+"."+action)] = authz.Ask{Action: action, Resource: "settings"}
		}
	}
	for _, action := range []string{"view", "create", "update", "delete"} {
		a.Questions[authz.Duty("patient."+action)] = authz.Ask{Action: action, Resource: "patient"}
	}
	a.Questions[authz.UpdateCareTeam] = authz.Ask{Action: "update", Resource: "settings"}
	a.Questions[authz.ViewBooking] = authz.Ask{Action: "view", Resource: "appointment"}
	a.Questions[authz.MakeBooking] = authz.Ask{Action: "book", Resource: "provider"}
	a.Questions[authz.CancelBooking] = authz.Ask{Action: "cancel", Resource: "appointment"}
	a.Questions[authz.DeleteBooking] = authz.Ask{Action: "update", Resource: "settings"}
	return a
}

// Administration implements authz.Policy.
func (b both) Administration() *authz.Administration { return b.reference.Administration() }

// administered verifies a policy against an oracle and returns the report.
func administered(t *testing.T, s *policy.Source, organisations int, oracle func(*policy.Snapshot) authz.Policy) *verify.Report {
	t.Helper()
	r, err := verify.Run(t.Context(), verify.Config{
		Rules: orgtest.Compile(t, s, policy.Config{}), Oracle: oracle(orgtest.Compile(t, s, plain())), Constants: s.Constants(), Organisations: organisations, Questions: 1, Seed: 4000,
		Stores: []verify.NamedStore{embedded(t)}, Databases: []verify.Database{sqlite(t)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func itself(s *policy.Snapshot) authz.Policy { return s }

// The two edits that showed routes restated in Go: administration has to follow a route that
// is added, and one that is taken away.
func visibilityEdits() map[string]edit {
	const visibility = "authz/visibility/visibility.rego"
	return map[string]edit{
		"a route is added": {
			visibility, "patient_visible if _view_all\n",
			"patient_visible if _view_all\n\npatient_visible if {\n\tinput.resource.type == \"patient\"\n\tinput.resource.patient_group == \"open\"\n}\n",
		},
		"a route is taken away": {visibility, "\npatient_visible if _care_team\n", "\n"},
	}
}

// TestAdministrationFollowsAnEditedPolicy asks what administration answers under each edit,
// and finds it to be what checks say.
func TestAdministrationFollowsAnEditedPolicy(t *testing.T) {
	for name, e := range visibilityEdits() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := administered(t, source(t, e), 12, itself)
			if r.Disagreement != nil {
				t.Fatalf("\n%s", printed(t, r))
			}
			for _, shape := range []string{"directory, changes", "directory, reads"} {
				n := slices.IndexFunc(r.Shapes, func(s verify.Shape) bool { return s.Name == shape })
				if n < 0 || r.Shapes[n].Allowed == 0 || r.Shapes[n].Allowed == r.Shapes[n].Compared {
					t.Errorf("%s shows nothing:\n%s", shape, printed(t, r))
				}
			}
		})
	}
}

// TestAWrongDutyIsCaught declares for one duty the question of another one: what the policy
// says of its own question agrees, and is not what the rules say (A1).
func TestAWrongDutyIsCaught(t *testing.T) {
	for name, e := range map[string]edit{
		"groups by view":                  {administrationFile, `"group.update": {"action": "update"`, `"group.update": {"action": "view"`},
		"members by settings":             {administrationFile, `"team_member.update": {"action": "update", "resource": "user"}`, `"team_member.update": {"action": "update", "resource": "settings"}`},
		"cancelling by viewing":           {administrationFile, `"booking.cancel": {"action": "cancel"`, `"booking.cancel": {"action": "view"`},
		"patients are read by a deletion": {administrationFile, `"patient.view": {"action": "view"`, `"patient.view": {"action": "delete"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := administered(t, source(t, e), 500, func(s *policy.Snapshot) authz.Policy { return reference{s} })
			d := r.Disagreement
			if d == nil {
				t.Fatalf("not found:\n%s", printed(t, r))
			}
			for _, a := range d.Answers {
				if !a.Agrees && !strings.HasPrefix(a.Shape, "directory, ") {
					t.Errorf("%s is wrong:\n%s", a.Shape, printed(t, r))
				}
			}
			if len(d.Organisation) > 8 || len(d.Numbered) != 1 {
				t.Errorf("the counterexample is not small:\n%s", printed(t, r))
			}
			t.Log("\n" + printed(t, r))
		})
	}
}

const administrationFile = "administration/data.json"
