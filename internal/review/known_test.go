package review_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
)

// settled is an organisation whose manager may update settings and sees the patients of
// one group only, and not who works there.
func settled(t *testing.T) *ward {
	t.Helper()
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "settled")
	w.load(
		`{"kind":"role","id":"manager","permissions":["settings:update","settings:view","patient:view"]}`,
		`{"kind":"role","id":"doctor","permissions":["patient:view","patient:update"]}`,
		`{"kind":"role","id":"director","permissions":["*:*","patient:view_all"]}`,
		`{"kind":"patient_group","id":"open"}`, `{"kind":"patient_group","id":"closed"}`,
		`{"kind":"team_member","id":"manager","role":"manager","access":["open"]}`,
		`{"kind":"team_member","id":"director","role":"director"}`,
		`{"kind":"team_member","id":"doctor","role":"doctor","access":["open","closed"]}`,
		`{"kind":"team_member","id":"nurse","role":"doctor"}`,
		`{"kind":"patient","id":"seen","patient_group":"open","care_team":["doctor"]}`,
		`{"kind":"patient","id":"hidden","patient_group":"closed","care_team":["doctor"]}`,
	)
	return w
}

func own(typ, id string) review.Viewer {
	return review.Viewer{Actor: admin.Actor{Type: typ, ID: id}, Own: true}
}

func said(e *review.Explanation) string {
	return fmt.Sprint(e.Decision.Allow, string(e.Decision.Context), string(e.User), string(e.Admin), e.Remedies, e.More)
}

// Who bears a token of their own, and administers nothing, asks about themselves only.
func TestOwnTokensAskAboutThemselves(t *testing.T) {
	w := settled(t)
	ask := func(viewer review.Viewer, typ, id string) (*review.Explanation, error) {
		e, _, err := w.Explain(t.Context(), w.org, &authz.Request{
			Subject: authz.Entity{Type: typ, ID: id}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: "patient", ID: "seen"},
		}, viewer, authz.Freshness{})
		return e, err
	}
	for _, viewer := range []review.Viewer{own("team_member", "nurse"), own("team_member", "gone"), own("patient", "seen"), own("patient", "doctor")} {
		for _, subject := range []string{"doctor", "manager", "gone too"} {
			if e, err := ask(viewer, "team_member", subject); authz.KindOf(err) != authz.Forbidden || e != nil {
				t.Errorf("%v about %s: %+v, %v", viewer, subject, e, err)
			}
		}
		e, err := ask(viewer, viewer.Actor.Type, viewer.Actor.ID)
		if err != nil || e.Admin != nil || e.Remedies != nil || e.Decision.Context != nil {
			t.Errorf("%v about themselves: %+v, %v", viewer, e, err)
		}
	}
	if e, err := ask(own("team_member", "director"), "team_member", "nurse"); err != nil || e.Admin == nil || len(e.Remedies) == 0 {
		t.Errorf("an administrator: %+v, %v", e, err)
	}
	service := actor("nurse")
	if e, err := ask(service, "team_member", "doctor"); err != nil || e.Admin != nil || !e.Decision.Allow {
		t.Errorf("a service for a member: %+v, %v", e, err)
	}
}

// Whom the one who asks by their own token may not view is explained as one who does not
// exist, at every level (A5).
func TestAHiddenPatientIsExplainedAsNobody(t *testing.T) {
	w := settled(t)
	for _, viewer := range []review.Viewer{own("team_member", "manager"), own("team_member", "nurse"), own("team_member", "director")} {
		for _, action := range []string{"view", "update", "create", "delete"} {
			for _, resource := range []func(string) authz.Entity{
				func(id string) authz.Entity { return authz.Entity{Type: "patient", ID: id} },
				func(id string) authz.Entity {
					return authz.Entity{Type: "appointment", ID: "new", Properties: map[string]any{"patient": id}}
				},
			} {
				about := func(id string) string {
					e, _, err := w.Explain(t.Context(), w.org, &authz.Request{
						Subject: authz.Entity{Type: "team_member", ID: viewer.Actor.ID}, Action: authz.Action{Name: action}, Resource: resource(id),
					}, viewer, authz.Freshness{})
					if err != nil {
						t.Fatal(err)
					}
					return strings.ReplaceAll(said(e), id, "X")
				}
				hidden, none := about("hidden"), about("absent")
				if same := hidden == none; same != (viewer.Actor.ID != "director") {
					t.Errorf("%s, %s: %s\nand of nobody %s", viewer.Actor.ID, action, hidden, none)
				}
			}
		}
	}
}

// What is allowed only because a hidden patient exists is denied as if there were none, and
// whoever else is referred to is explained by that, not by the decision.
func TestWhatAHiddenPatientAllowsIsExplainedAsWithoutThem(t *testing.T) {
	w := settled(t)
	w.load(
		`{"kind":"team_member","id":"bookable","role":"doctor","provider":true,"booking":["open"]}`,
	)
	for _, viewer := range []review.Viewer{own("patient", "seen"), own("team_member", "nurse"), own("team_member", "doctor")} {
		for _, action := range []string{"view", "book"} {
			for _, provider := range []string{"bookable", "doctor", "absent too"} {
				about := func(id string) string {
					e, _, err := w.Explain(t.Context(), w.org, &authz.Request{
						Subject: authz.Entity{Type: viewer.Actor.Type, ID: viewer.Actor.ID}, Action: authz.Action{Name: action},
						Resource: authz.Entity{Type: "provider", ID: provider, Properties: map[string]any{"patient": id}},
					}, viewer, authz.Freshness{})
					if err != nil {
						t.Fatal(err)
					}
					return strings.ReplaceAll(said(e), id, "X")
				}
				hidden, none := about("hidden"), about("absent")
				if same := hidden == none; !same && viewer.Actor.ID != "doctor" { // who sees the patient
					t.Errorf("%v, %s of %s: %s\nand of nobody %s", viewer.Actor, action, provider, hidden, none)
				}
			}
		}
	}
}

// An administrator is told by name only of those whom they may view: by a service, what
// a decision says, and no remedy that names a role, a group or a member.
func TestAdministratorsAreToldOfWhomTheyView(t *testing.T) {
	w := settled(t)
	for _, c := range []struct {
		viewer          review.Viewer
		member, patient string
		all             bool
	}{
		{actor("director"), "nurse", "hidden", true}, {actor("director"), "nurse", "seen", true}, {own("team_member", "director"), "nurse", "hidden", true},
		{actor("manager"), "nurse", "hidden", false}, {actor("manager"), "manager", "hidden", false}, {actor("manager"), "manager", "seen", true},
	} {
		e := w.why(c.viewer, c.member, "update", c.patient)
		if all := e.Admin != nil; all != c.all {
			t.Errorf("%s about %s and %s is told %s", c.viewer.Actor.ID, c.member, c.patient, said(e))
		}
		for _, r := range e.Remedies {
			if c.viewer.Actor.ID == "manager" && strings.Contains(r.Text, "role") {
				t.Errorf("a role is named to one who may not view it: %s", r.Text)
			}
		}
	}
}

// Counts are for those who administer, names only of whom they may view.
func TestReviewsNameWhomTheViewerMayView(t *testing.T) {
	w := settled(t)
	for name, of := range map[string]struct {
		viewer review.Viewer
		all    bool
	}{"the director": {actor("director"), true}, "the operator": {operator, true}, "the manager": {actor("manager"), false}} {
		member, _, err := w.Member(t.Context(), w.org, "doctor", of.viewer, authz.Freshness{})
		if err != nil || member.Found != of.all || of.all && member.Patients != 2 {
			t.Errorf("%s is told of the doctor %+v, %v", name, member, err)
		}
		if own, _, err := w.Member(t.Context(), w.org, "manager", of.viewer, authz.Freshness{}); err != nil || !own.Found || own.Patients != 1 || len(own.Routes[0].Examples) != 1 {
			t.Errorf("%s is told of the manager %+v, %v", name, own, err)
		}
		for id, found := range map[string]bool{"seen": true, "hidden": of.all, "absent": false} {
			r, _, err := w.Patient(t.Context(), w.org, id, of.viewer, authz.Freshness{})
			if err != nil || r.Found != found || !found && (r.Total != 0 || r.Members != nil) {
				t.Errorf("%s is told of %s %+v, %v", name, id, r, err)
			}
			if id == "seen" && (r.Total != 3 || (len(r.Members) == 3) != of.all || r.More == of.all) {
				t.Errorf("%s is told who sees a patient: %+v", name, r)
			}
		}
	}
}

// A preview names and confirms nobody whom the viewer may not view.
func TestPreviewsNameWhomTheViewerMayView(t *testing.T) {
	w := settled(t)
	group := "open"
	preview := func(viewer review.Viewer, edits ...admin.Edit) (*review.Preview, error) {
		p, _, err := w.Preview(t.Context(), w.org, edits, viewer, authz.Freshness{})
		return p, err
	}
	key := func(kind authz.Kind, id string) authz.Key { return authz.Key{Kind: kind, ID: id} }
	for _, edit := range []func(id string) admin.Edit{
		func(id string) admin.Edit {
			return admin.Edit{Op: admin.Set, Key: key(authz.KindPatient, id), Fields: admin.Fields{"patient_group": group}}
		},
		func(id string) admin.Edit {
			return admin.Edit{Op: admin.Delete, Key: key(authz.KindPatient, id), Cascade: true}
		},
		func(id string) admin.Edit {
			return admin.Edit{Op: admin.Link, Relation: admin.CareTeam, From: id, To: "nurse"}
		},
		func(id string) admin.Edit {
			return admin.Edit{Op: admin.Unlink, Relation: admin.CareTeam, From: id, To: "doctor"}
		},
		func(id string) admin.Edit {
			return admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindPatient, ID: id, PatientGroup: group}}
		},
		func(id string) admin.Edit {
			return admin.Edit{Op: admin.Book, Record: &admin.Record{Kind: authz.KindBooking, ID: "b", Patient: id, Provider: "doctor"}}
		},
	} {
		_, hidden := preview(actor("manager"), edit("hidden"))
		_, none := preview(actor("manager"), edit("absent"))
		if hidden == nil || none == nil || hidden.Error() != none.Error() || authz.KindOf(hidden) != authz.KindOf(none) {
			t.Errorf("%+v: %v, and of nobody %v", edit("ID"), hidden, none)
		}
		if _, err := preview(actor("director"), edit("hidden")); err != nil && authz.KindOf(err) == authz.NotFound {
			t.Errorf("%+v by the director: %v", edit("ID"), err)
		}
	}
	access := admin.Edit{Op: admin.Link, Relation: admin.Access, From: "nurse", To: "closed"}
	if p, err := preview(actor("manager"), access); err != nil || p.Gained.Patients != 1 || p.Total != 1 || len(p.Members) != 0 || !p.More {
		t.Errorf("the manager is told %+v, %v", p, err)
	}
	if p, err := preview(actor("director"), access); err != nil || len(p.Members) != 1 || len(p.Members[0].Gained.Examples) != 1 {
		t.Errorf("the director is told %+v, %v", p, err)
	}
	inUse := admin.Edit{Op: admin.Delete, Key: key(authz.KindPatientGroup, "closed")}
	if _, err := preview(actor("manager"), inUse); err == nil || len(named(err)) != 0 {
		t.Errorf("the manager is told by whom a group is used: %v %v", err, named(err))
	}
	if _, err := preview(actor("director"), inUse); len(named(err)) == 0 {
		t.Errorf("the director is not told by whom a group is used: %v", err)
	}
}

func named(err error) []authz.Key {
	if e, ok := errors.AsType[*authz.Error](err); ok {
		return e.InUse
	}
	return nil
}
