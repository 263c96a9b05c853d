package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/review"
)

// reviewer answers as it is told to, ada being the only administrator, and remembers
// who looked at what.
type reviewer struct {
	organisation string
	viewer       review.Viewer
	request      *authz.Request
	about        string
	edits        []admin.Edit
	limit        time.Duration

	explanation review.Explanation
	member      review.MemberReview
	patient     review.PatientReview
	preview     review.Preview
	err         error
}

func (r *reviewer) look(
	ctx context.Context, organisation string, viewer review.Viewer, fresh authz.Freshness, administrators bool,
) (authz.Stated, error) {
	r.organisation, r.viewer = organisation, viewer
	if deadline, ok := ctx.Deadline(); ok {
		r.limit = time.Until(deadline)
	}
	stated := authz.Stated{Revision: authz.Revision{Count: 7, Nonce: "ab"}, Policy: "c0ffee"}
	if !stated.Revision.MayInclude(fresh.AtLeast) {
		return stated, authz.NotIncluded()
	}
	if administrators && viewer.Actor != (admin.Actor{Type: "team_member", ID: "ada"}) {
		return stated, authz.Errorf(authz.Forbidden, "", "is for administrators")
	}
	return stated, r.err
}

func (r *reviewer) Explain(
	ctx context.Context, organisation string, q *authz.Request, viewer review.Viewer, fresh authz.Freshness,
) (*review.Explanation, authz.Stated, error) {
	r.request = q
	stated, err := r.look(ctx, organisation, viewer, fresh, false)
	return &r.explanation, stated, err
}

func (r *reviewer) Member(
	ctx context.Context, organisation, member string, viewer review.Viewer, fresh authz.Freshness,
) (*review.MemberReview, authz.Stated, error) {
	r.about = "team_member " + member
	stated, err := r.look(ctx, organisation, viewer, fresh, true)
	return &r.member, stated, err
}

func (r *reviewer) Patient(
	ctx context.Context, organisation, patient string, viewer review.Viewer, fresh authz.Freshness,
) (*review.PatientReview, authz.Stated, error) {
	r.about = "patient " + patient
	stated, err := r.look(ctx, organisation, viewer, fresh, true)
	return &r.patient, stated, err
}

func (r *reviewer) Preview(
	ctx context.Context, organisation string, edits []admin.Edit, viewer review.Viewer, fresh authz.Freshness,
) (*review.Preview, authz.Stated, error) {
	r.edits = edits
	stated, err := r.look(ctx, organisation, viewer, fresh, true)
	return &r.preview, stated, err
}

func TestExplanations(t *testing.T) {
	r := new(reviewer)
	c := decisions(t, httpapi.Config{Reviewer: r})
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	edit := admin.Edit{Op: admin.Link, Relation: admin.Access, From: "mark", To: "aftercare"}
	for _, test := range []struct {
		what string
		why  review.Explanation
		want string
	}{
		{
			"an ordinary caller", review.Explanation{User: raw(`{"reasons":["patient_not_visible"],"reason_user":{"en":"no"}}`)},
			`{"decision":false,"context":{"reasons":["patient_not_visible"],"reason_user":{"en":"no"}}}`,
		},
		{"an allow", review.Explanation{Decision: authz.Decision{Allow: true}, User: raw(`{"reasons":[]}`), Admin: raw(`{"routes":{}}`)}, `{"decision":true,"context":{"reasons":[],"routes":{}}}`},
		{ // what a decision says may be more than whoever looks may know
			"a policy that does not explain itself", review.Explanation{Decision: authz.Decision{Context: raw(`{"group":"leads"}`)}},
			`{"decision":false,"context":{}}`,
		},
		{
			"an administrator", review.Explanation{
				User: raw(`{"reasons":["a"],"both":1}`), Admin: raw(`{"both":{"more":[1,2]},"remedies":"not these","reason_admin":{"en":"\u00e9"}}`), More: true,
				Remedies: []review.Remedy{{Edit: edit, Text: `give "mark" Access`, Members: 1, Patients: 18204}, {Edit: edit, Text: "b", Members: 2, Patients: -1}},
			},
			`{"decision":false,"context":{"reasons":["a"],"both":{"more":[1,2]},"reason_admin":{"en":"\u00e9"},"remedies":[` +
				`{"text":"give \"mark\" Access","edit":{"link":{"relation":"access","from":"mark","to":"aftercare"}},"members":1,"patients":18204},` +
				`{"text":"b","edit":{"link":{"relation":"access","from":"mark","to":"aftercare"}},"members":2,"patients":null}],"more_remedies":true}}`,
		},
		{"nothing to be done", review.Explanation{Admin: raw(`{}`)}, `{"decision":false,"context":{"remedies":[]}}`},
	} {
		r.explanation = test.why
		got := c.post("/organisations/north/v1/explanations", good, "Caregate-Actor", "ada")
		if got.status != 200 || got.body != test.want {
			t.Errorf("%s\n got %d %s\nwant %s", test.what, got.status, got.body, test.want)
		}
		if !json.Valid([]byte(got.body)) || got.header.Get("Caregate-Revision") != "7.ab" || got.header.Get("Caregate-Policy") != "c0ffee" || r.organisation != "north" {
			t.Errorf("%s: %v of %s", test.what, got.header, r.organisation)
		}
	}
	for _, why := range map[string]review.Explanation{
		"no object": {User: raw(`["a"]`)}, "no JSON": {Admin: raw(`{"a"`)}, "half": {User: raw(`{"a":1`)},
	} {
		r.explanation = why
		c.post("/v1/explanations", good).wantStatus(t, 500)
	}
	r.request = nil
	for body, field := range map[string]string{
		`{}`: "subject", `{` + mark + `,` + view + `,` + p1 + `,"more":1}`: "more", `{` + mark + `,` + view + `,"resource":{"type":"patient"}}`: "resource.id",
		`{` + mark + `,` + view + `,"resource":{"type":"patient","id":"p-1","found":true}}`: "resource.found", good + `7`: "",
	} {
		got := c.post("/v1/explanations", body)
		if _, at, _ := got.problem(t); got.status != 400 || at != field || r.request != nil {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

func TestReviews(t *testing.T) {
	r := &reviewer{
		member: review.MemberReview{
			Found: true, Permitted: true, Patients: 12, Notes: []string{review.NoteViewAllWithoutView},
			Routes: []review.MemberRoute{
				{Name: "care_team", Patients: 3, Alone: 1, Examples: []string{"p-4"}, Causes: review.Causes{CareTeam: 3}},
				{Name: "other", Causes: review.Causes{}},
				{
					Name: "patient_group_access", Patients: 9, Alone: 8, Examples: []string{"p-2"},
					Causes: review.Causes{Groups: []review.GroupCount{{Group: "cardiology"}, {Group: "diabetes", Patients: 9}}},
				},
				{Name: "view_all_patients", Causes: review.Causes{Grant: &authz.Grant{Role: "auditor", Groups: []string{"b", "a"}}}},
			},
		},
		patient: review.PatientReview{
			Found: true, Total: 3, More: true, Routes: []review.RouteCount{{Name: "care_team", Count: 2}},
			Members: []review.PatientViewer{{Member: "ada", Routes: []string{"care_team", "view_all_patients"}}, {Member: `"é"`}},
		},
	}
	c := decisions(t, httpapi.Config{Reviewer: r})
	ada := []string{"Caregate-Actor", "ada"}
	c.post("/v1/reviews", `{"team_member":"mark"}`, ada...).want(t, 200, `{"team_member":"mark","permitted":true,"patients":12,"routes":[`+
		`{"route":"care_team","patients":3,"alone":1,"examples":["p-4"],"causes":{"care_team":3}},`+
		`{"route":"other","patients":0,"alone":0,"examples":[],"causes":{}},`+
		`{"route":"patient_group_access","patients":9,"alone":8,"examples":["p-2"],"causes":{"patient_groups":[{"id":"cardiology","patients":0},{"id":"diabetes","patients":9}]}},`+
		`{"route":"view_all_patients","patients":0,"alone":0,"examples":[],"causes":{"granted_by":{"role":"auditor","groups":["a","b"]}}}],`+
		`"notes":["view_all_without_view"]}`)
	if r.about != "team_member mark" {
		t.Errorf("about %s", r.about)
	}
	c.post("/organisations/north/v1/reviews", `{"patient":"p-1"}`, ada...).want(t, 200, `{"patient":"p-1","team_members":3,"routes":[{"route":"care_team","team_members":2}],`+
		`"members":[{"team_member":"ada","routes":["care_team","view_all_patients"]},{"team_member":"\"é\"","routes":[]}],"more_members":true}`)
	if r.about != "patient p-1" || r.organisation != "north" {
		t.Errorf("about %s of %s", r.about, r.organisation)
	}
	for body, field := range map[string]string{
		`{}`: "", `{"team_member":"mark","patient":"p-1"}`: "", `{"team_member":""}`: "", `{"patient":7}`: "patient", `{"patient":null}`: "patient",
		`{"provider":"mark"}`: "provider", `[]`: "", ``: "",
	} {
		c.post("/v1/reviews", body, ada...).refused(t, 400, "malformed", field)
	}
	r.member.Found, r.patient.Found = false, false
	for body, field := range map[string]string{`{"team_member":"nobody-1"}`: "team_member", `{"patient":"nobody-1"}`: "patient"} {
		got := c.post("/v1/reviews", body, ada...)
		if code, at, detail := got.problem(t); got.status != 404 || code != "not-found" || at != field || strings.Contains(detail, "nobody-1") {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

func TestPreviews(t *testing.T) {
	tally := func(n int, route string) review.Tally {
		return review.Tally{Patients: n, Routes: []review.RouteCount{{Name: route, Count: n}}, Examples: []string{"p-9"}}
	}
	r := &reviewer{preview: review.Preview{
		Changes: true, Gained: review.Tally{}, Lost: tally(5, "view_all_patients"), Still: tally(2, "care_team"), Total: 1, More: true,
		Members: []review.MemberPreview{{
			Member: "mark", Before: 12, After: 7, Lost: tally(5, "view_all_patients"), Still: tally(2, "care_team"),
			Remaining: []review.MemberRoute{{Name: "care_team", Patients: 2, Causes: review.Causes{CareTeam: 2}}},
		}},
	}}
	c := decisions(t, httpapi.Config{Reviewer: r})
	ada := []string{"Caregate-Actor", "ada"}
	const body = `{"edits":[{"set":{"kind":"role","id":"doctor","permissions":[]}},{"link":{"relation":"group","from":"mark","to":"ward"}}]}`
	c.post("/v1/previews", body, ada...).want(t, 200, `{"changes":true,"gained":{"patients":0,"routes":[]},`+
		`"lost":{"patients":5,"routes":[{"route":"view_all_patients","patients":5}]},"still":{"patients":2,"routes":[{"route":"care_team","patients":2}]},"team_members":1,`+
		`"members":[{"team_member":"mark","before":12,"after":7,"gained":{"patients":0,"routes":[],"examples":[]},`+
		`"lost":{"patients":5,"routes":[{"route":"view_all_patients","patients":5}],"examples":["p-9"]},`+
		`"still":{"patients":2,"routes":[{"route":"care_team","patients":2}],"examples":["p-9"]},`+
		`"remaining":[{"route":"care_team","patients":2,"alone":0,"examples":[],"causes":{"care_team":2}}]}],"more_members":true}`)
	if len(r.edits) != 2 || r.edits[0].Op != admin.Set || r.edits[1].To != "ward" {
		t.Errorf("edits %v", r.edits)
	}
	r.err = authz.Errorf(authz.Malformed, "edits[1].to", "does not exist")
	c.post("/v1/previews", body, ada...).refused(t, 400, "malformed", "edits[1].link.to")
	for body, field := range map[string]string{
		`{}`: "edits", `{"edits":[]}`: "edits", `{"edits":[{"make":{}}]}`: "edits[0].make",
		`{"edits":[{"delete":{"kind":"group","id":"a"}},{"delete":{"kind":"group","id":"ward"},"if_match":"1.x"}]}`: "edits[1].if_match",
		`{"edits":[{"if_match":"1.x","delete":{"kind":"group","id":"ward"}}]}`:                                      "edits[0].if_match",
	} {
		c.post("/v1/previews", body, ada...).refused(t, 400, "malformed", field)
	}
}

// Who looks is said as on the admin listener, and whoever may ask for decisions
// may say so.
func TestWhoLooks(t *testing.T) {
	tokens, _ := writeTokens(t, "scheduling one-1")
	none := admin.Actor{}
	member := func(id string) admin.Actor { return admin.Actor{Type: "team_member", ID: id} }
	both := httpapi.Config{Verifier: signed{}, Tokens: tokens}
	for _, test := range []struct {
		what                  string
		cfg                   httpapi.Config
		authorization, header string
		status, reviews       int
		actor                 admin.Actor
	}{
		{"nobody", httpapi.Config{}, "", "", 200, 403, none},
		{"the administrator", httpapi.Config{}, "", "ada", 200, 200, member("ada")},
		{"a member", httpapi.Config{}, "", "team_member:mark", 200, 403, member("mark")},
		{"a patient", httpapi.Config{}, "", "patient:p-1", 200, 403, admin.Actor{Type: "patient", ID: "p-1"}},
		{"a patient of no name", httpapi.Config{}, "", "patient:", 400, 400, none},
		{"tokens that nobody looks at", httpapi.Config{}, "Bearer good.mark.x", "ada", 200, 200, member("ada")},
		{"no token", httpapi.Config{Tokens: tokens}, "", "ada", 401, 401, none},
		{"a wrong token", httpapi.Config{Tokens: tokens}, "Bearer two-2", "ada", 401, 401, none},
		{"a service", httpapi.Config{Tokens: tokens}, "Bearer one-1", "ada", 200, 200, member("ada")},
		{"a service for nobody", httpapi.Config{Tokens: tokens}, "Bearer one-1", "", 200, 403, none},
		{"admin tokens are others", httpapi.Config{AdminTokens: tokens}, "", "ada", 200, 200, member("ada")},
		{"signed, without a verifier", httpapi.Config{Tokens: tokens}, "Bearer good.ada.x", "", 401, 401, none},
		{"signed", both, "Bearer good.ada.x", "", 200, 200, member("ada")},
		{"signed, and the same name", both, "Bearer good.ada.x", "ada", 200, 200, member("ada")},
		{"signed, and another name", both, "Bearer good.mark.x", "ada", 403, 403, none},
		{"badly signed", both, "Bearer bad.ada.x", "", 401, 401, none},
		{"no keys", both, "Bearer slow.ada.x", "", 503, 503, none},
		{"a service beside signed tokens", both, "Bearer one-1", "ada", 200, 200, member("ada")},
		{"neither", both, "", "ada", 401, 401, none},
		{"of this organisation", httpapi.Config{Verifier: signed{"riverside"}}, "Bearer good.ada.x", "", 200, 200, member("ada")},
		{"of another organisation", httpapi.Config{Verifier: signed{"north"}}, "Bearer good.ada.x", "", 403, 403, none},
		{"signed tokens alone", httpapi.Config{Verifier: signed{}}, "Bearer good.ada.x", "", 200, 200, member("ada")},
		{"a mere name where tokens are signed", httpapi.Config{Verifier: signed{}}, "", "ada", 401, 401, none},
		{"nobody where tokens are signed", httpapi.Config{Verifier: signed{}}, "", "", 200, 403, none},
	} {
		r := &reviewer{member: review.MemberReview{Found: true}}
		test.cfg.Reviewer = r
		c := decisions(t, test.cfg)
		headers := []string{"Authorization", test.authorization, "Caregate-Actor", test.header}
		got := c.post("/v1/explanations", good, headers...)
		if got.status != test.status || r.viewer.Actor != test.actor || r.viewer.Operator {
			t.Errorf("%s: %d %v %s", test.what, got.status, r.viewer, got.body)
		}
		if (got.status == 401) != (got.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate %q", test.what, got.header.Get("WWW-Authenticate"))
		}
		for path, body := range map[string]string{"/v1/reviews": `{"team_member":"mark"}`, "/v1/previews": `{"edits":[{"delete":{"kind":"group","id":"ward"}}]}`} {
			if got := c.post(path, body, headers...); got.status != test.reviews {
				t.Errorf("%s: %s %d %s", test.what, path, got.status, got.body)
			}
		}
		// A decision is asked for as before.
		want := 200
		if test.cfg.Tokens != nil && test.authorization != "Bearer one-1" {
			want = 401
		}
		if got := c.post("/access/v1/evaluation", good, headers...); got.status != want {
			t.Errorf("%s: a decision %d", test.what, got.status)
		}
	}
}

// Accounts have ten times as long as decisions, within what a connection has.
func TestAccountsHaveLonger(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{time.Second: 10 * time.Second, 5 * time.Second: 20 * time.Second, time.Minute: time.Minute} {
		r := &reviewer{member: review.MemberReview{Found: true}}
		c := decisions(t, httpapi.Config{Reviewer: r, RequestTimeout: timeout})
		c.post("/v1/reviews", `{"team_member":"mark"}`, "Caregate-Actor", "ada")
		if r.limit > want || r.limit <= want/2 {
			t.Errorf("with %v a review has %v, want %v", timeout, r.limit, want)
		}
	}
}

// A page in a browser, whose own name leads here, does not look at anything.
func TestAPageInABrowserDoesNotLook(t *testing.T) {
	c := decisions(t, httpapi.Config{Reviewer: &reviewer{member: review.MemberReview{Found: true}}})
	for host, status := range map[string]int{"evil.example": 403, "localhost:8181": 200, "127.0.0.1": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.server.URL+"/v1/reviews", strings.NewReader(`{"team_member":"mark"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Caregate-Actor", "ada")
		w, err := c.server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Body.Close()
		if w.StatusCode != status {
			t.Errorf("%s: %d", host, w.StatusCode)
		}
	}
}
