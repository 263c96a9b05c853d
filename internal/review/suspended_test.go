package review_test

import (
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
)

// A suspended member is in no review of a patient, and a preview says what the start and the end
// of a suspension change (P7).
func TestP7ReviewsAndPreviewsOfASuspension(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "clinic")
	w.load(
		`{"kind":"role","id":"doctor","permissions":["patient:view"]}`, `{"kind":"patient_group","id":"asthma"}`,
		`{"kind":"team_member","id":"carla","role":"doctor","access":["asthma"],"provider":true,"booking":["asthma"]}`,
		`{"kind":"team_member","id":"dora","role":"doctor","access":["asthma"]}`,
		`{"kind":"patient","id":"p-1","patient_group":"asthma"}`, `{"kind":"patient","id":"p-2","patient_group":"asthma"}`,
	)
	for _, is := range []bool{true, false} {
		edit := admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindTeamMember, ID: "carla"}, Fields: admin.Fields{"suspended": is}}
		before := w.enumerate()
		preview, _, err := w.Preview(t.Context(), w.org, []admin.Edit{edit}, operator, authz.Freshness{})
		if err != nil || preview.Total != 1 || preview.Members[0].Member != "carla" {
			t.Fatalf("%+v, %v", preview, err)
		}
		if gone := map[bool]review.Tally{true: preview.Lost, false: preview.Gained}[is]; gone.Patients != 2 {
			t.Errorf("suspended: %v: %+v", is, preview)
		}
		w.put(edit)
		compare(t, "a suspension", preview, before, w.enumerate())
		got, _, err := w.Patient(t.Context(), w.org, "p-1", operator, authz.Freshness{})
		if err != nil || slices.ContainsFunc(got.Members, func(m review.PatientViewer) bool { return m.Member == "carla" }) == is {
			t.Errorf("suspended: %v: the patient's review is %+v, %v", is, got, err)
		}
		for action, subject := range map[string]authz.Entity{"view": {Type: "team_member", ID: "carla"}, "book": {Type: "patient", ID: "p-1"}} {
			resource := authz.Entity{Type: "patient", ID: "p-1"}
			if action == "book" {
				resource = authz.Entity{Type: "provider", ID: "carla"}
			}
			e, _, err := w.Explain(t.Context(), w.org, &authz.Request{Subject: subject, Action: authz.Action{Name: action}, Resource: resource}, operator, authz.Freshness{})
			if err != nil || is != (len(e.Remedies) == 1 && e.Remedies[0].Text == "end the suspension of carla" && e.Remedies[0].Edit.Fields["suspended"] == false) {
				t.Errorf("suspended: %v: %s: %+v, %v", is, action, e.Remedies, err)
			}
		}
	}
}
