package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

func TestRecordsAreReadAsTheyAreWritten(t *testing.T) {
	c := administration(t)
	for path, body := range map[string]string{
		"/roles/doctor":            `{"kind":"role","id":"doctor","permissions":["appointment:create","appointment:view","patient:update","patient:view"]}`,
		"/groups/ward":             `{"kind":"group","id":"ward","name":"Ward","permissions":["stock:view"]}`,
		"/patient-groups/diabetes": `{"kind":"patient_group","id":"diabetes","name":"Diabetes"}`,
		"/team-members/mark": `{"kind":"team_member","id":"mark","name":"Mark Smith","role":"doctor","groups":[],` +
			`"provider":true,"access":["diabetes"],"booking":["diabetes"]}`,
		"/patients/p-1": `{"kind":"patient","id":"p-1","patient_group":"diabetes","care_team":["rita"],` +
			`"care_team_sources":{"mark":["booking:b-1"],"rita":["manual"]}}`,
		"/bookings/b-1": `{"kind":"booking","id":"b-1","patient":"p-1","provider":"mark","state":"booked"}`,
	} {
		got := c.read(path).wantBody(t, 200, body)
		tag := got.header.Get("ETag")
		if tag != `"`+got.header.Get("Caregate-Revision")+`"` {
			t.Errorf("ETag %s", tag)
		}
		c.read(path, "If-None-Match", tag).wantBody(t, 304, "")
		c.read(path, "If-None-Match", `"1.x"`).wantBody(t, 200, body)
		c.as("operator", http.MethodHead, path, "").wantBody(t, 200, "")
		collection, id, _ := strings.Cut(path[1:], "/")
		kind := strings.TrimSuffix(strings.ReplaceAll(collection, "-", "_"), "s")
		posted := c.as("operator", http.MethodPost, "/records", fmt.Sprintf(`{"kind":%q,"id":%q}`, kind, id))
		posted.wantBody(t, 200, body)
		if posted.header.Get("ETag") != tag {
			t.Errorf("ETag %s by POST", posted.header.Get("ETag"))
		}
		c.get("/organisations/hill%2Fside"+base+path, "Caregate-Actor", "operator").wantBody(t, 200, body)
	}
	c.read("/patients/nobody").refused(t, 404, "not-found", "")
	c.get("/organisations/nowhere"+base+"/patients/p-1", "Caregate-Actor", "operator").refused(t, 404, "not-found", "organisation")
	c.read("/patients/p-1?x=1").refused(t, 400, "malformed", "query")
	c.read("/patients/%0a").refused(t, 400, "malformed", "id")
	c.read("/patients/p-1", "Caregate-At-Least", "99.x").refused(t, 412, "behind", "Caregate-At-Least")
	c.as("operator", http.MethodPost, "/records", `{"kind":"person","id":"x"}`).refused(t, 400, "malformed", "kind")
	c.as("operator", http.MethodPost, "/records", `{"kind":"patient"}`).refused(t, 400, "malformed", "id")
}

func TestLists(t *testing.T) {
	c := administration(t)
	var ids []string
	for path := "/patients?limit=2"; ; {
		var page struct {
			Items []struct{ Kind, ID string }
			Next  *string
		}
		got := c.read(path).wantStatus(t, 200)
		if err := json.Unmarshal([]byte(got.body), &page); err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		if page.Next == nil {
			break
		}
		c.as("operator", http.MethodPost, "/lists", fmt.Sprintf(`{"kind":"patient","limit":2,"after":%q}`, *page.Next)).
			wantBody(t, 200, c.read("/patients?limit=2&after="+*page.Next).body)
		path = "/patients?limit=2&after=" + *page.Next
	}
	if strings.Join(ids, " ") != "p-1 p-2 p-3" {
		t.Errorf("got %v", ids)
	}
	c.as("mark", http.MethodGet, "/patients?limit=1", "").wantStatus(t, 200) // those he sees (V8)
	if got := c.as("mark", http.MethodGet, "/patients", ""); strings.Contains(got.body, "p-2") || !strings.Contains(got.body, "p-3") {
		t.Errorf("mark sees %s", got.body)
	}
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "limit=1.0", "limit=1&limit=2"} {
		c.read("/roles?"+q).refused(t, 400, "malformed", "limit")
	}
	for _, q := range []string{"after=*", "after=s.AAAA", "after=AA"} {
		c.read("/roles?"+q).refused(t, 400, "malformed", "after")
	}
	c.as("operator", http.MethodPost, "/lists", `{"kind":"role","limit":"2"}`).refused(t, 400, "malformed", "limit")
	c.as("operator", http.MethodPost, "/lists", `{}`).refused(t, 400, "malformed", "kind")
}

// Where a page ends at a record that the caller may not see, its id stays unseen.
func TestHiddenIDsAreSealed(t *testing.T) {
	var after []string
	a := &scripted{list: func(a string, _ int) (admin.Page, error) {
		after = append(after, a)
		return admin.Page{More: a == "", Next: "secret-patient", Revision: authz.Revision{Count: 1, Nonce: "x"}}, nil
	}}
	c := serve(t, newAPI(t, httpapi.Config{Administration: a}).Admin())
	var page struct{ Next string }
	got := c.read("/patients")
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || page.Next == "" {
		t.Fatal(got.body)
	}
	c.read("/patients?after="+page.Next).wantBody(t, 200, `{"items":[]}`)
	if after[1] != "secret-patient" || strings.Contains(page.Next, "c2VjcmV0") {
		t.Errorf("%q after %s", after, page.Next)
	}
}

func TestPut(t *testing.T) {
	c := administration(t)
	made := c.ada(http.MethodPut, "/groups/new", `{"name":"New","permissions":["stock:view"]}`)
	made.wantBody(t, 201, `{"kind":"group","id":"new","name":"New","permissions":["stock:view"]}`)
	tag := made.header.Get("ETag")
	again := c.ada(http.MethodPut, "/groups/new", `{"kind":"group","id":"new","name":"New","permissions":["stock:view"]}`)
	again.wantStatus(t, 200)
	if again.header.Get("Caregate-Revision") != made.header.Get("Caregate-Revision") {
		t.Error("the same again is another revision")
	}
	c.ada(http.MethodPut, "/groups/new", `{}`, "If-None-Match", "*").refused(t, 412, "changed", "")
	c.ada(http.MethodPut, "/groups/new", `{"name":"Newer"}`, "If-Match", tag).
		wantBody(t, 200, `{"kind":"group","id":"new","name":"Newer","permissions":[]}`)
	c.ada(http.MethodPut, "/groups/new", `{"name":"Newest"}`, "If-Match", tag).refused(t, 412, "changed", "")
	c.ada(http.MethodPut, "/groups/other", `{}`, "If-Match", tag).refused(t, 412, "changed", "")
	c.ada(http.MethodPut, "/groups/other", `{}`, "If-None-Match", "*").wantStatus(t, 201)

	for _, h := range []string{`W/"1.x"`, `1.x`, `*`, `"1.x", "2.y"`, `"x"`, `"0.0"`, `""`} {
		c.ada(http.MethodPut, "/groups/new", `{}`, "If-Match", h).refused(t, 400, "malformed", "If-Match")
	}
	c.ada(http.MethodPut, "/groups/new", `{}`, "If-None-Match", tag).refused(t, 400, "malformed", "If-None-Match")
	c.ada(http.MethodDelete, "/groups/new", ``, "If-None-Match", "*").refused(t, 400, "malformed", "If-None-Match")

	for body, field := range map[string]string{
		`{"id":"other"}`:                     "id",
		`{"kind":"role"}`:                    "kind",
		`{"nick":"x"}`:                       "nick",
		`{"role":"x"}`:                       "role",
		`{"name":null}`:                      "name",
		`{"name":7}`:                         "name",
		`{"permissions":"x"}`:                "permissions",
		`{"permissions":["a:b",null]}`:       "permissions[1]",
		`{"permissions":["a:b",["c"]]}`:      "permissions[1]",
		`{"permissions":["a:b","nonsense"]}`: "permissions[1]",
		`{"name":"a","name":"b"}`:            "name",
		`{"name":"a"} {}`:                    "",
		`[]`:                                 "",
		``:                                   "",
		`{"permissions":["a:b",`:             "permissions",
		`{"name":"` + strings.Repeat("x", 1025) + `"}`: "name",
	} {
		c.ada(http.MethodPut, "/groups/new", body).refused(t, 400, "malformed", field)
	}
	c.ada(http.MethodPut, "/team-members/zed", `{"provider":"yes"}`).refused(t, 400, "malformed", "provider")
	c.ada(http.MethodPut, "/team-members/zed", `{"access":["nowhere"]}`).refused(t, 400, "malformed", "access[0]")
	c.ada(http.MethodPost, "/bookings", `{"id":"b-9","patient":"p-1","provider":true}`).refused(t, 400, "malformed", "provider")
	c.ada(http.MethodPut, "/bookings/b-9", `{"patient":"p-1","provider":"mark"}`).refused(t, 405, "method-not-allowed", "")
	c.ada(http.MethodPut, "/patients/p-9", `{}`).refused(t, 400, "malformed", "patient_group")
	c.ada(http.MethodPut, "/patients/p-9", `{"care_team_sources":{}}`).refused(t, 400, "malformed", "care_team_sources")
	c.ada(http.MethodPut, "/patients/"+strings.Repeat("x", 257), `{}`).refused(t, 400, "malformed", "id")
	c.as("rita", http.MethodPut, "/groups/new", `{}`).refused(t, 403, "forbidden", "")
}

func TestPatch(t *testing.T) {
	c := administration(t)
	c.ada(http.MethodPatch, "/team-members/mark", `{"role":"","groups":["ward"]}`).wantBody(t, 200,
		`{"kind":"team_member","id":"mark","name":"Mark Smith","groups":["ward"],"provider":true,"access":["diabetes"],"booking":["diabetes"]}`)
	c.ada(http.MethodPatch, "/patients/p-1", `{"patient_group":"cardio"}`).wantBody(t, 200,
		`{"kind":"patient","id":"p-1","patient_group":"cardio","care_team":["rita"],"care_team_sources":{"mark":["booking:b-1"],"rita":["manual"]}}`)
	for body, field := range map[string]string{
		`{"role":null}`: "role", `{"groups":["ward","nowhere"]}`: "groups[1]", `{"permissions":[]}`: "permissions", `{"id":"other"}`: "id",
	} {
		c.ada(http.MethodPatch, "/team-members/mark", body).refused(t, 400, "malformed", field)
	}
	c.ada(http.MethodPatch, "/team-members/mark", `{"name":"M"}`, "If-Match", `"1.x"`).refused(t, 412, "changed", "")
	c.ada(http.MethodPatch, "/team-members/nobody", `{"name":"M"}`).refused(t, 404, "not-found", "")
	c.ada(http.MethodPatch, "/bookings/b-1", `{}`).refused(t, 405, "method-not-allowed", "")
}

func TestDelete(t *testing.T) {
	c := administration(t)
	got := c.ada(http.MethodDelete, "/patient-groups/diabetes", "")
	got.refused(t, 409, "conflict", "")
	var p struct {
		InUse []struct{ Kind, ID string } `json:"in_use"`
		Count int                         `json:"in_use_count"`
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil || p.Count != 3 || len(p.InUse) != 3 {
		t.Errorf("%s", got.body)
	}
	c.ada(http.MethodDelete, "/patient-groups/diabetes?cascade=yes", "").refused(t, 400, "malformed", "cascade")
	tag := c.read("/patient-groups/diabetes").header.Get("ETag")
	c.ada(http.MethodDelete, "/patient-groups/diabetes?cascade=true", "", "If-Match", `"1.x"`).refused(t, 412, "changed", "")
	gone := c.ada(http.MethodDelete, "/patient-groups/diabetes?cascade=true", "", "If-Match", tag)
	gone.wantBody(t, 204, "")
	if !strings.HasPrefix(gone.header.Get("Caregate-Revision"), "2.") {
		t.Errorf("revision %s", gone.header.Get("Caregate-Revision"))
	}
	for _, path := range []string{"/patient-groups/diabetes", "/patients/p-1", "/bookings/b-1"} {
		c.read(path).refused(t, 404, "not-found", "")
	}
	c.ada(http.MethodDelete, "/patient-groups/diabetes", "").refused(t, 404, "not-found", "")
	c.ada(http.MethodDelete, "/team-members/ada", "").refused(t, 409, "conflict", "")
}

func TestInUseIsBounded(t *testing.T) {
	conflict := &authz.Error{Kind: authz.Conflict, Message: "in use", InUse: make([]authz.Key, 150), InUseCount: 4000}
	a := &scripted{apply: func(context.Context, admin.Actor, []admin.Edit, admin.Options) (admin.Committed, error) {
		return admin.Committed{}, conflict
	}}
	c := serve(t, newAPI(t, httpapi.Config{Administration: a}).Admin())
	got := c.ada(http.MethodDelete, "/groups/ward", "")
	if got.status != 409 || strings.Count(got.body, `{"kind"`) != 100 || !strings.Contains(got.body, `"in_use_count":4000`) {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestBookings(t *testing.T) {
	c := administration(t)
	const body = `{"id":"b-2","patient":"p-3","provider":"mark"}`
	const record = `{"kind":"booking","id":"b-2","patient":"p-3","provider":"mark","state":"booked"}`
	c.as("mark", http.MethodPost, "/bookings", body).wantBody(t, 201, record)
	c.as("mark", http.MethodPost, "/bookings", body).wantBody(t, 200, record)
	c.as("mark", http.MethodPost, "/bookings", `{"id":"b-2","patient":"p-1","provider":"mark"}`).refused(t, 409, "conflict", "patient")
	c.as("mark", http.MethodPost, "/bookings", `{"id":"b-3","patient":"p-2","provider":"mark"}`).wantStatus(t, 403)
	c.as("mark", http.MethodPost, "/bookings", `{"id":"b-3","patient":"p-1"}`).refused(t, 400, "malformed", "provider")
	c.as("mark", http.MethodPost, "/bookings", `{"id":"b-3","patient":"p-1","provider":"mark","state":"booked"}`).refused(t, 400, "malformed", "state")
	// A patient books, and reads no records.
	own := c.as("patient:p-3", http.MethodPost, "/bookings", `{"id":"b-4","patient":"p-3","provider":"mark"}`)
	own.wantBody(t, 201, `{"revision":"`+own.header.Get("Caregate-Revision")+`","changed":true}`)
	c.as("patient:p-3", http.MethodPost, "/bookings", `{"id":"b-5","patient":"p-1","provider":"mark"}`).wantStatus(t, 403)

	c.read("/team-members/mark/bookings").wantBody(t, 200, `{"ids":["b-1","b-2","b-4"]}`)
	c.read("/patients/p-3/bookings").wantBody(t, 200, `{"ids":["b-2","b-4"]}`)
	c.ada(http.MethodPost, "/bookings/b-2/cancel", `{"release":true}`).wantBody(t, 200, strings.Replace(record, "booked", "released", 1))
	c.ada(http.MethodPost, "/bookings/b-4/cancel", `{}`).wantStatus(t, 200)
	c.read("/patients/p-3/care-team").wantBody(t, 200, `{"ids":["mark"]}`) // b-4 was kept
	c.ada(http.MethodPost, "/bookings/none/cancel", `{}`).refused(t, 404, "not-found", "")
	c.ada(http.MethodPost, "/bookings/b-4/cancel", `{"release":1}`).refused(t, 400, "malformed", "release")
	c.ada(http.MethodPut, "/patients/p-3/bookings", `{"ids":[]}`).refused(t, 405, "method-not-allowed", "")
}

// A write that nobody can say of whether it happened says so.
func TestUncertainWrites(t *testing.T) {
	for code, err := range map[string]error{
		"timeout":     context.DeadlineExceeded,
		"unavailable": authz.Errorf(authz.Unavailable, "", "Redis did not give an answer"),
	} {
		a := &scripted{
			apply: func(context.Context, admin.Actor, []admin.Edit, admin.Options) (admin.Committed, error) {
				return admin.Committed{}, err
			},
			get: func(authz.Key) (*admin.Stored, authz.Revision, error) { return nil, authz.Revision{}, err },
		}
		c := serve(t, newAPI(t, httpapi.Config{Administration: a}).Admin())
		for _, got := range []answer{
			c.ada(http.MethodDelete, "/groups/ward", ""),
			c.ada(http.MethodPut, "/groups/ward", `{}`),
			c.ada(http.MethodPost, "/edits", `{"edits":[{"delete":{"kind":"group","id":"ward"}}]}`),
			c.ada(http.MethodPut, "/groups/ward/members/mark", ``),
		} {
			got.refused(t, 503, code, "")
			if !strings.Contains(got.body, "may be committed and may not be") || got.header.Get("Retry-After") == "" {
				t.Errorf("%s", got.body)
			}
		}
		if got := c.read("/groups/ward"); strings.Contains(got.body, "committed") {
			t.Errorf("%s", got.body)
		}
	}
}

// A write that happened is never answered with an error, whatever comes after it.
func TestCommittedIsCommitted(t *testing.T) {
	done := admin.Committed{Revision: authz.Revision{Count: 7, Nonce: "x"}, Changed: true}
	for what, get := range map[string]func(authz.Key) (*admin.Stored, authz.Revision, error){
		"unreadable": func(authz.Key) (*admin.Stored, authz.Revision, error) {
			return nil, authz.Revision{}, errors.New("down")
		},
		"gone": func(authz.Key) (*admin.Stored, authz.Revision, error) { return nil, done.Revision, nil },
		"older": func(authz.Key) (*admin.Stored, authz.Revision, error) {
			return &admin.Stored{}, authz.Revision{Count: 6, Nonce: "y"}, nil
		},
	} {
		a := &scripted{get: get, apply: func(_ context.Context, actor admin.Actor, edits []admin.Edit, o admin.Options) (admin.Committed, error) {
			if actor != (admin.Actor{Type: "team_member", ID: "ada"}) || edits[0].Op != admin.Put || o.Request != "r-1" {
				t.Errorf("%v %v %v", actor, edits, o)
			}
			return done, nil
		}}
		c := serve(t, newAPI(t, httpapi.Config{Administration: a}).Admin())
		got := c.ada(http.MethodPut, "/groups/ward", `{}`, "X-Request-ID", "r-1")
		if got.status >= 300 || got.body != `{"revision":"7.x","changed":true}` || got.header.Get("Caregate-Revision") != "7.x" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
}

// Neither logs nor metrics see more than the template of a route.
func TestAdministrationIsDiscreet(t *testing.T) {
	service, decisions := parts(t)
	logged, logger := newLog(slog.LevelDebug)
	c := serve(t, newAPI(t, httpapi.Config{Service: decisions, Administration: service, Logger: logger}).Admin())
	c.read("/patients/p-1")
	c.ada(http.MethodPut, "/patient-groups/diabetes/access/rita", "")
	c.ada(http.MethodPut, "/groups/nowhere/members/mark", "")
	c.ada(http.MethodPost, "/edits", `{"edits":[{"delete":{"kind":"patient","id":"p-1"}}]}`)
	for _, id := range []string{"p-1", "rita", "mark", "ada", "diabetes"} {
		// A request id is made of hexadecimal digits, and so is ada.
		if strings.Contains(regexp.MustCompile(`"request_id":"[0-9a-f]+"`).ReplaceAllString(logged.String(), ""), id) {
			t.Errorf("%s is in the log: %s", id, logged)
		}
	}
	if len(logged.lines("/directory/v1/patient-groups/:id/access/:other")) == 0 {
		t.Errorf("no template in the log: %s", logged)
	}
}

func TestNoAdministration(t *testing.T) {
	c := serve(t, newAPI(t, httpapi.Config{}).Admin())
	c.read("/roles").refused(t, 404, "not-found", "")
}
