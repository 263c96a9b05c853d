package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

func TestPermissions(t *testing.T) {
	c := decisions(t, httpapi.Config{})
	const want = `{"team_member":"mark","permissions":{"patient:delete":{"groups":["leads"]},` +
		`"patient:view":{"role":"practitioner","groups":["aides","clinicians"]}}}`
	got := c.get("/v1/permissions/mark")
	got.want(t, 200, want)
	etag := got.header.Get("ETag")
	if len(etag) != 34 || got.header.Get("Cache-Control") != "private, no-cache" || got.header.Get("Caregate-Revision") != "12.ab34cd" {
		t.Errorf("headers %v", got.header)
	}
	posted := c.post("/v1/permissions", `{"team_member":"mark"}`)
	posted.want(t, 200, want)
	if posted.header.Get("ETag") != etag {
		t.Errorf("ETag %q by POST, %q by GET", posted.header.Get("ETag"), etag)
	}
	head := c.do(http.MethodHead, "/v1/permissions/mark", "")
	head.want(t, 200, "")
	if head.header.Get("Content-Length") != fmt.Sprint(len(want)) || head.header.Get("ETag") != etag {
		t.Errorf("HEAD headers %v", head.header)
	}

	for _, h := range []string{etag, "W/" + etag, `"x", ` + etag, `"a,b" ,W/"c",` + etag + `, "d"`, "*", `, ` + etag} {
		got := c.get("/v1/permissions/mark", "If-None-Match", h)
		got.want(t, 304, "")
		if got.header.Get("ETag") != etag || got.header.Get("Caregate-Revision") != "12.ab34cd" || got.header.Get("Caregate-Policy") != "c0ffee" {
			t.Errorf("304 headers %v", got.header)
		}
	}
	for _, h := range []string{`"x"`, strings.Trim(etag, `"`), `W/`, `"`, `w/` + etag, `"` + etag} {
		c.get("/v1/permissions/mark", "If-None-Match", h).want(t, 200, want)
	}
	c.get("/v1/permissions/nobody", "If-None-Match", "*").refused(t, 404, "not-found", "team_member")
}

func TestPermissionsTagFollowsBodyAndPolicy(t *testing.T) {
	s := newService()
	c := decisions(t, httpapi.Config{Service: s})
	tags := map[string]string{}
	tag := func(what, member string) {
		tags[c.get("/v1/permissions/"+member).header.Get("ETag")] += what
	}
	tag("a", "mark")
	s.stated.Revision.Count++ // what is held is the same
	tag("b", "mark")
	tag("c", "jordan")
	s.stated.Policy = "another"
	tag("d", "mark")
	if len(tags) != 3 || func() bool { _, ok := tags[""]; return ok }() {
		t.Errorf("tags %v", tags)
	}
}

// An id is whatever the caller percent-encoded, once.
func TestPermissionsIDs(t *testing.T) {
	s := newService()
	var asked string
	s.permissions = func(_ context.Context, member string) (map[string]authz.Grant, error) {
		asked = member
		return map[string]authz.Grant{}, nil
	}
	c := decisions(t, httpapi.Config{Service: s})
	for path, id := range map[string]string{
		"mark": "mark", "a%2Fb": "a/b", "%2F": "/", "a%20b": "a b", "a+b": "a+b", "%25": "%", "%2541": "%41", "a%2F%2541": "a/%41",
		"j%C3%BCrgen": "jürgen", "%F0%9F%98%80": "😀", "a:b@c": "a:b@c", "..": "..", "%2e%2e": "..", "a%3Fb%23c": "a?b#c", "a;b": "a;b", ":team_member": ":team_member",
	} {
		for _, base := range []string{"", "/organisations/a%2Fb"} {
			got := c.get(base + "/v1/permissions/" + path)
			if got.status != 200 || asked != id {
				t.Errorf("%s%s asked for %q, want %q: %d %s", base, path, asked, id, got.status, got.body)
			}
			if base != "" && s.organisations[len(s.organisations)-1] != "a/b" {
				t.Errorf("asked about %q", s.organisations[len(s.organisations)-1])
			}
			var body struct {
				Member string `json:"team_member"`
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Member != id {
				t.Errorf("body %s", got.body)
			}
		}
	}
	for _, path := range []string{"a/b", "a%2Fb/c", ""} {
		if code, _, _ := c.get("/v1/permissions/" + path).problem(t); code != "not-found" && code != "method-not-allowed" {
			t.Errorf("%s is %s", path, code)
		}
	}
}

func TestOPAData(t *testing.T) {
	s := newService()
	c := decisions(t, httpapi.Config{Service: s})
	input := func(question string) string { return `{"extra":1,"input":{` + question + `,"more":[]},"unknowns":[]}` }
	result := func(path, body string, headers ...string) string {
		t.Helper()
		got := c.post(path, body, headers...)
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(got.body), &m); got.status != 200 || err != nil {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		var id string
		if err := json.Unmarshal(m["decision_id"], &id); err != nil || len(id) != 32 || got.header.Get("Caregate-Policy") != "c0ffee" {
			t.Errorf("got %s %v", got.body, got.header)
		}
		delete(m, "decision_id")
		if len(m) > 1 {
			t.Errorf("got %s", got.body)
		}
		return string(m["result"])
	}
	allow, deny := input(mark+`,`+view+`,`+p1), input(jordan+`,`+view+`,`+p1)
	for _, base := range []string{"/v1/data", "/organisations/north/v1/data"} {
		if got := result(base+"/authz/allow?pretty=true&metrics&explain=full&strict-builtin-errors", allow, "Content-Type", ""); got != "true" {
			t.Errorf("allow is %q", got)
		}
		if got := result(base+"/authz/allow", deny); got != "" {
			t.Errorf("a deny is %q", got)
		}
		if got := result(base+"/authz/decision", allow); got != `{"allow":true,"context":{"reasons":["permission_granted"]}}` {
			t.Errorf("decision is %q", got)
		}
		if got := result(base+"/authz/decision", deny); got != `{"allow":false,"context":{"reasons":["permission_missing"]}}` {
			t.Errorf("decision is %q", got)
		}
		for _, path := range []string{"", "/", "/authz", "/authz/allow/", "/authz/permissions", "/catalogue", "/system/main"} {
			c.post(base+path, allow).refused(t, 404, "not-found", "", "/v1/data/authz/decision")
		}
	}
	s.decide = func(context.Context, *authz.Request) (authz.Decision, error) {
		return authz.Decision{Undefined: true, Context: json.RawMessage(`{"reasons":["undefined"]}`)}, nil
	}
	if got := result("/v1/data/authz/decision", allow) + result("/v1/data/authz/allow", allow); got != "" {
		t.Errorf("undefined is %q", got)
	}
}

func TestOPADataPassesNoFacts(t *testing.T) {
	s := newService()
	decisions(t, httpapi.Config{Service: s}).post("/v1/data/authz/allow", `{"input":{"found":true,
		"subject":{"type":"team_member","id":"jordan","found":true,"role":"admin","permissions":{"*:*":{}},"groups":["leads"],"access":["g"],"provider":true},
		"action":{"name":"view","found":true},
		"resource":{"type":"appointment","id":"a","patient":{"found":true,"care_team":["jordan"]},"properties":{"patient":"p-1"}}}}`)
	want := authz.Request{
		Subject:  authz.Entity{Type: "team_member", ID: "jordan"},
		Action:   authz.Action{Name: "view"},
		Resource: authz.Entity{Type: "appointment", ID: "a", Properties: map[string]any{"patient": "p-1"}},
	}
	if got := fmt.Sprint(*s.requests[0]); got != fmt.Sprint(want) {
		t.Errorf("asked %s", got)
	}
}

func TestMetadata(t *testing.T) {
	tokens, _ := writeTokens(t, "svc secret")
	c := decisions(t, httpapi.Config{PublicURL: "https://pdp.example/care/", Tokens: tokens})
	doc := func(base string) string {
		return `{"policy_decision_point":"` + base + `","access_evaluation_endpoint":"` + base + `/access/v1/evaluation",` +
			`"access_evaluations_endpoint":"` + base + `/access/v1/evaluations"}`
	}
	c.get("/.well-known/authzen-configuration", "Host", "evil.example", "X-Forwarded-Host", "evil.example").want(t, 200, doc("https://pdp.example/care"))
	c.get("/.well-known/authzen-configuration/organisations/hill%20top%2Feast").
		want(t, 200, doc("https://pdp.example/care/organisations/hill%20top%2Feast"))
	searches := decisions(t, httpapi.Config{PublicURL: "https://pdp.example", Searcher: new(searcher)})
	searches.get("/.well-known/authzen-configuration").want(t, 200, strings.TrimSuffix(doc("https://pdp.example"), "}")+
		`,"search_subject_endpoint":"https://pdp.example/access/v1/search/subject"`+
		`,"search_resource_endpoint":"https://pdp.example/access/v1/search/resource"`+
		`,"search_action_endpoint":"https://pdp.example/access/v1/search/action"}`)
	if got := searches.get("/.well-known/authzen-configuration/organisations/north").body; !strings.Contains(got, `"https://pdp.example/organisations/north/access/v1/search/action"`) {
		t.Errorf("of an organisation: %s", got)
	}
	decisions(t, httpapi.Config{}).get("/.well-known/authzen-configuration").refused(t, 404, "not-found", "", "--public-url")
	for _, bad := range []string{"pdp.example", "ftp://pdp.example", "https://", "https://a?b", "https://a#b", "https://a?", "https://u:p@a", "http://a b"} {
		if _, err := httpapi.New(httpapi.Config{Service: newService(), Organisation: "o", PublicURL: bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestDiagnostics(t *testing.T) {
	var broken error
	ready := httpapi.NewReadiness(func(ctx context.Context) error {
		if _, limited := ctx.Deadline(); !limited {
			t.Error("the check has no deadline")
		}
		return broken
	})
	tokens, _ := writeTokens(t, "svc secret")
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	seen := new(observed)
	api := newAPI(t, httpapi.Config{Readiness: ready, Metrics: metrics, Tokens: tokens, AdminTokens: tokens, Observer: seen})
	c := serve(t, api.Diagnostics())
	c.get("/health/live").want(t, 200, `{"status":"live"}`)
	c.get("/health/ready").want(t, 503, `{"status":"not ready","reason":"starting"}`)
	ready.Ready()
	c.get("/health/ready").want(t, 200, `{"status":"ready"}`)
	broken = errors.New("dial 10.0.0.1")
	c.get("/health/ready").want(t, 503, `{"status":"not ready","reason":"the facts cannot be read"}`)
	broken = authz.Errorf(authz.Unavailable, "", "redis is away")
	c.get("/health/ready").want(t, 503, `{"status":"not ready","reason":"redis is away"}`)
	broken = nil
	ready.NotReady("shutting down")
	c.get("/health/ready").want(t, 503, `{"status":"not ready","reason":"shutting down"}`)
	c.get("/health/live").want(t, 200, `{"status":"live"}`)
	c.get("/metrics").want(t, 200, "up 1\n")
	if last := seen.requests[len(seen.requests)-1]; last != "GET /metrics OK" {
		t.Errorf("observed %q", last)
	}
	c.post("/access/v1/evaluation", good).refused(t, 404, "not-found", "")

	bare := serve(t, newAPI(t, httpapi.Config{}).Diagnostics())
	bare.get("/health/ready").want(t, 200, `{"status":"ready"}`)
	bare.get("/metrics").refused(t, 404, "not-found", "")
	if r := httpapi.NewReadiness(nil); true {
		r.Ready()
		serve(t, newAPI(t, httpapi.Config{Readiness: r}).Diagnostics()).get("/health/ready").want(t, 200, `{"status":"ready"}`)
	}
}

type activePolicy httpapi.ActivePolicy

func (p activePolicy) ActivePolicy() httpapi.ActivePolicy { return httpapi.ActivePolicy(p) }

func TestAdmin(t *testing.T) {
	tokens, _ := writeTokens(t, "ops admin-secret")
	callers, _ := writeTokens(t, "svc secret")
	p := activePolicy{Digest: "c0ffee", Activated: time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("", 3600)), Files: []string{"authz/allow.rego", `odd".rego`}}
	api := newAPI(t, httpapi.Config{Policy: p, Tokens: callers, AdminTokens: tokens})
	c := serve(t, api.Admin())
	c.get("/policy/v1/policy", "Authorization", "Bearer admin-secret").
		want(t, 200, `{"digest":"c0ffee","activated":"2026-05-04T02:02:01Z","files":["authz/allow.rego","odd\".rego"]}`)
	for _, token := range []string{"", "Bearer secret"} {
		c.get("/policy/v1/policy", "Authorization", token).refused(t, 401, "unauthenticated", "")
	}
	for _, path := range []string{"/", "/directory/v1/patients", "/policy/v1/nothing", "/access/v1/evaluation"} {
		c.get(path, "Authorization", "Bearer admin-secret").refused(t, 404, "not-found", "")
	}
	serve(t, newAPI(t, httpapi.Config{}).Admin()).get("/policy/v1/policy").refused(t, 404, "not-found", "")
}

func TestBodyLimits(t *testing.T) {
	c := decisions(t, httpapi.Config{MaxBody: int64(len(good))})
	c.post("/access/v1/evaluation", good).want(t, 200, yes)
	// One byte more, announced and not.
	for _, body := range []func() answer{
		func() answer { return c.post("/access/v1/evaluation", good+" ") },
		func() answer {
			return c.stream(http.MethodPost, "/access/v1/evaluation", struct{ *strings.Reader }{strings.NewReader(good + " ")})
		},
	} {
		body().refused(t, 413, "too-large", "", "--max-body")
	}
	// Larger than what a pooled buffer keeps.
	big := `{"more":"` + strings.Repeat("é", 200_000) + `",` + good[1:]
	large := decisions(t, httpapi.Config{})
	for range 3 {
		large.post("/access/v1/evaluation", big).want(t, 200, yes)
		large.post("/access/v1/evaluation", good).want(t, 200, yes)
	}
}
