package review_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
)

// riverside is the example organisation.
func riverside(t *testing.T, rules authz.Rules) *ward {
	t.Helper()
	w := newWard(t, orgstore.Embedded(t), rules, data.ExampleOrganisation)
	orgstore.Example(t, w.store)
	return w
}

// why explains whether a member may do something to a patient.
func (w *ward) why(viewer review.Viewer, member, action, patient string) *review.Explanation {
	w.Helper()
	e, stated, err := w.Explain(w.Context(), w.org, &authz.Request{
		Subject:  authz.Entity{Type: "team_member", ID: member},
		Action:   authz.Action{Name: action},
		Resource: authz.Entity{Type: "patient", ID: patient},
	}, viewer, authz.Freshness{})
	if err != nil {
		w.Fatal(err)
	}
	if stated.Policy != w.rules.Digest() {
		w.Error("the policy is not stated")
	}
	return e
}

func actor(id string) review.Viewer {
	return review.Viewer{Actor: admin.Actor{Type: "team_member", ID: id}}
}

func texts(remedies []review.Remedy) []string {
	out := make([]string, len(remedies))
	for i := range remedies {
		out[i] = remedies[i].Text
	}
	return out
}

// What opens least comes first: one patient, a group of patients, everybody.
func TestRemediesOpenLeastFirst(t *testing.T) {
	e := riverside(t, orgtest.Policy(t)).why(operator, "mark", "view", "p-10")
	want := []string{
		"put mark on the care team of patient p-10",
		"give mark Access to patient group aftercare",
		"give mark the role administrator",
		"give mark the role auditor",
		"give mark the role practice-manager",
		"add patient:view_all to group stockroom (2 members)",
		"add patient:view_all to role practitioner (4 members)",
		"add patient:view_all to group clinicians (4 members)",
	}
	got := texts(e.Remedies)
	slices.Sort(want[2:])
	slices.Sort(got[min(2, len(got)):])
	if !slices.Equal(got, want) {
		t.Errorf("the remedies are %q and not %q", got, want)
	}
	if e.Remedies[0].Patients != 1 || e.Remedies[1].Patients != 2 || e.More {
		t.Errorf("the first two open %d and %d, and there are more: %v", e.Remedies[0].Patients, e.Remedies[1].Patients, e.More)
	}
}

// Everything is for administrators: operators, and whoever may update settings.
func TestExplainForWhom(t *testing.T) {
	w := riverside(t, orgtest.Policy(t))
	for name, c := range map[string]struct {
		viewer review.Viewer
		admin  bool
	}{
		"nobody":                        {review.Viewer{}, false},
		"an operator":                   {operator, true},
		"an administrator":              {actor("amara"), true},
		"one who may not view them":     {actor("ines"), false},
		"who may update settings":       {actor("elena"), true},
		"who may not":                   {actor("mark"), false},
		"who is not there":              {actor("gone"), false},
		"a patient":                     {review.Viewer{Actor: admin.Actor{Type: "patient", ID: "p-1"}}, false},
		"a member's id on another type": {review.Viewer{Actor: admin.Actor{Type: "patient", ID: "ines"}}, false},
	} {
		e := w.why(c.viewer, "mark", "view", "p-10")
		if all := e.Admin != nil; all != c.admin || (e.Remedies != nil) != c.admin || (e.Decision.Context != nil) != c.admin {
			t.Errorf("%s is told %s, %v, %s", name, e.Admin, e.Remedies, e.Decision.Context)
		}
		if want := `{"reason_user":{"en":"Denied: the patient is not visible."},"reasons":["patient_not_visible"]}`; string(e.User) != want {
			t.Errorf("%s is told %s and not %s", name, e.User, want)
		}
	}
}

// V9: in an organisation that does not exist everything is denied, which is explained
// too.
func TestExplainV9UnknownOrganisation(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "nowhere")
	for _, viewer := range []review.Viewer{operator, {}, actor("ines")} {
		e := w.why(viewer, "mark", "view", "p-1")
		if e.Decision.Allow || !strings.Contains(string(e.User), `["organisation_unknown"]`) || e.Remedies != nil {
			t.Errorf("the explanation is %+v", e)
		}
		if viewer.Operator != strings.Contains(string(e.Admin), `"organisation_known"`) {
			t.Errorf("%+v is told %s", viewer, e.Admin)
		}
	}
}

// A policy without an account gives what its decision says: the reasons to everybody, the
// rest to administrators.
func TestExplainWithoutAnAccount(t *testing.T) {
	w := riverside(t, orgtest.Edited(t, orgtest.Remove("authz/explanation/explanation.rego")))
	e := w.why(operator, "mark", "view", "p-10")
	if string(e.User) != `{"reasons":["patient_not_visible"]}` || !strings.Contains(string(e.Admin), `"granted_by"`) {
		t.Errorf("the explanation is %s, %s", e.User, e.Admin)
	}
	if len(e.Remedies) != 8 {
		t.Errorf("the remedies are %q", texts(e.Remedies))
	}
}

// An account that is not of the right shape is an error, and nobody is told its half.
func TestExplainRefusesAnotherShape(t *testing.T) {
	for _, account := range []string{`{"user": {}}`, `{"user": "x", "admin": {}}`, `{"admin": {}}`} {
		w := riverside(t, orgtest.Edited(t, orgtest.Write("authz/explanation/explanation.rego",
			"# METADATA\n# title: wrong\npackage authz.explanation\n\n# METADATA\n# title: wrong\naccount := "+account+"\n")))
		_, _, err := w.Explain(t.Context(), w.org, &authz.Request{}, operator, authz.Freshness{})
		if authz.KindOf(err) != authz.Internal {
			t.Errorf("%s: %v", account, err)
		}
	}
}

// The last holder of user:* stays one (A4), so another role is no remedy for them.
func TestRemediesThatTheStoreRefuses(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "o")
	w.load(
		`{"kind":"role","id":"boss","name":"b","permissions":["user:*"]}`,
		`{"kind":"role","id":"viewer","name":"v","permissions":["patient:view"]}`,
		`{"kind":"patient_group","id":"g","name":"g"}`,
		`{"kind":"team_member","id":"ada","name":"Ada","role":"boss","access":["g"]}`,
		`{"kind":"patient","id":"p","patient_group":"g"}`,
	)
	if got := texts(w.why(operator, "ada", "view", "p").Remedies); !slices.Equal(got, []string{"add patient:view to role boss (1 member)"}) {
		t.Errorf("the remedies are %q", got)
	}
	w.load(`{"kind":"team_member","id":"eve","name":"Eve","role":"boss"}`)
	if got := texts(w.why(operator, "ada", "view", "p").Remedies); !slices.Contains(got, "give ada the role viewer") {
		t.Errorf("the remedies are %q", got)
	}
}
