package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

// signed takes tokens such as good.mark.x and nothing else.
type signed struct{ organisation string }

func (s signed) Verify(_ context.Context, token string) (httpapi.Bearer, error) {
	parts := strings.Split(token, ".")
	switch parts[0] {
	case "good":
		return httpapi.Bearer{Actor: admin.Actor{Type: "team_member", ID: parts[1]}, Organisation: s.organisation}, nil
	case "slow":
		return httpapi.Bearer{}, authz.Errorf(authz.Unavailable, "", "the issuer's keys could not be read")
	}
	return httpapi.Bearer{}, authz.Errorf(authz.Unauthenticated, "Authorization", "the token is expired; get a new one")
}

// actors serves an administration that remembers who acted.
func actors(t *testing.T, cfg httpapi.Config) (*client, *admin.Actor) {
	t.Helper()
	var last admin.Actor
	cfg.Administration = &scripted{
		apply: func(_ context.Context, actor admin.Actor, _ []admin.Edit, _ admin.Options) (admin.Committed, error) {
			last = actor
			return admin.Committed{Changed: true}, nil
		},
		list: func(string, int) (admin.Page, error) { return admin.Page{}, nil },
	}
	return serve(t, newAPI(t, cfg).Admin()), &last
}

func TestWhoActs(t *testing.T) {
	tokens, _ := writeTokens(t, "console one-1")
	const path = base + "/groups/ward/members/rita"
	none := admin.Actor{}
	member := func(id string) admin.Actor { return admin.Actor{Type: "team_member", ID: id} }
	patient := admin.Actor{Type: "patient", ID: "p-1"}
	for _, test := range []struct {
		what          string
		cfg           httpapi.Config
		authorization string
		header        string
		status        int
		actor         admin.Actor
	}{
		{"loopback, nobody", httpapi.Config{}, "", "", 400, none},
		{"loopback, the operator", httpapi.Config{}, "", "operator", 403, none},
		{"loopback, a member who is called so", httpapi.Config{}, "", "team_member:operator", 204, member("operator")},
		{"loopback, a member", httpapi.Config{}, "", "mark", 204, member("mark")},
		{"loopback, a typed member", httpapi.Config{}, "", "team_member:mark", 204, member("mark")},
		{"loopback, a patient", httpapi.Config{}, "", "patient:p-1", 204, patient},
		{"loopback, an id with a colon", httpapi.Config{}, "", "x:y", 204, member("x:y")},
		{"loopback, a patient of no name", httpapi.Config{}, "", "patient:", 400, none},
		{"loopback, too long", httpapi.Config{}, "", strings.Repeat("x", 257), 400, none},
		{"loopback, tokens are not looked at", httpapi.Config{}, "Bearer good.mark.x", "jordan", 204, member("jordan")},

		{"a service", httpapi.Config{AdminTokens: tokens}, "Bearer one-1", "mark", 204, member("mark")},
		{"a service for nobody", httpapi.Config{AdminTokens: tokens}, "Bearer one-1", "", 400, none},
		{"a service as the operator", httpapi.Config{AdminTokens: tokens}, "Bearer one-1", "operator", 403, none},
		{"the operator without a token", httpapi.Config{AdminTokens: tokens}, "", "operator", 401, none},
		{"no token", httpapi.Config{AdminTokens: tokens}, "", "mark", 401, none},
		{"a wrong token", httpapi.Config{AdminTokens: tokens}, "Bearer two-2", "mark", 401, none},
		{"no verifier, a signed token", httpapi.Config{AdminTokens: tokens}, "Bearer good.mark.x", "mark", 401, none},

		{"a signed token", httpapi.Config{Verifier: signed{}}, "Bearer good.mark.x", "", 204, member("mark")},
		{"and the same header", httpapi.Config{Verifier: signed{}}, "bearer  good.mark.x", "mark", 204, member("mark")},
		{"and another member", httpapi.Config{Verifier: signed{}}, "Bearer good.mark.x", "jordan", 403, none},
		{"and the operator", httpapi.Config{Verifier: signed{}}, "Bearer good.mark.x", "operator", 403, none},
		{"and a patient", httpapi.Config{Verifier: signed{}}, "Bearer good.mark.x", "patient:mark", 403, none},
		{"and no header that can be read", httpapi.Config{Verifier: signed{}}, "Bearer good.mark.x", "patient:", 400, none},
		{"a bad one", httpapi.Config{Verifier: signed{}}, "Bearer bad.mark.x", "", 401, none},
		{"no keys", httpapi.Config{Verifier: signed{}}, "Bearer slow.mark.x", "", 503, none},
		{"a verifier and no token", httpapi.Config{Verifier: signed{}}, "", "mark", 401, none},
		{"a verifier and an unsigned one", httpapi.Config{Verifier: signed{}}, "Bearer one-1", "mark", 401, none},
		{"two parts", httpapi.Config{Verifier: signed{}}, "Bearer good.mark", "", 401, none},
		{"both, a service", httpapi.Config{Verifier: signed{}, AdminTokens: tokens}, "Bearer one-1", "jordan", 204, member("jordan")},
		{"both, signed", httpapi.Config{Verifier: signed{}, AdminTokens: tokens}, "Bearer good.mark.x", "", 204, member("mark")},
		{"both, badly signed", httpapi.Config{Verifier: signed{}, AdminTokens: tokens}, "Bearer bad.mark.x", "jordan", 401, none},

		{"its organisation", httpapi.Config{Verifier: signed{"riverside"}}, "Bearer good.mark.x", "", 204, member("mark")},
		{"another organisation", httpapi.Config{Verifier: signed{"north"}}, "Bearer good.mark.x", "", 403, none},
	} {
		c, last := actors(t, test.cfg)
		got := c.do(http.MethodPut, path, "", "Authorization", test.authorization, "Caregate-Actor", test.header)
		if got.status != test.status || *last != test.actor {
			t.Errorf("%s: %d %v %s", test.what, got.status, *last, got.body)
		}
		if strings.Contains(got.body, "good.") || strings.Contains(got.body, "bad.") {
			t.Errorf("%s: the token is in the answer: %s", test.what, got.body)
		}
		if challenge := got.header.Get("WWW-Authenticate"); (got.status == 401) != (challenge != "") {
			t.Errorf("%s: WWW-Authenticate %q", test.what, challenge)
		}
	}
}

// Whoever reads as the operator says so: a gateway that drops a header opens nothing.
func TestTheOperatorIsSaid(t *testing.T) {
	tokens, _ := writeTokens(t, "console one-1")
	c, _ := actors(t, httpapi.Config{AdminTokens: tokens})
	c.read("/roles", "Authorization", "Bearer one-1").wantStatus(t, 200)
	c.read("/roles").wantStatus(t, 401)
	c.get("/organisations/north"+base+"/roles", "Authorization", "Bearer one-1", "Caregate-Actor", "operator").wantStatus(t, 200)
	loopback, _ := actors(t, httpapi.Config{})
	loopback.read("/roles").wantStatus(t, 200)
	for _, unnamed := range []answer{
		c.get(base+"/roles", "Authorization", "Bearer one-1"),
		c.get("/organisations/north"+base+"/roles", "Authorization", "Bearer one-1"),
		c.post(base+"/lists", `{"kind":"role"}`, "Authorization", "Bearer one-1"),
		c.get(base+"/changes", "Authorization", "Bearer one-1"),
		c.get(base+"/changes", "Authorization", "Bearer one-1", "Accept", "text/event-stream"),
		c.do(http.MethodPut, base+"/groups/ward/members/rita", "", "Authorization", "Bearer one-1"),
		loopback.get(base + "/roles"), loopback.get(base+"/roles", "Caregate-Actor", ""),
		loopback.post(base+"/edits", `{"edits":[]}`),
	} {
		unnamed.refused(t, 400, "malformed", "Caregate-Actor")
		if !strings.Contains(unnamed.body, "operator") {
			t.Errorf("the remedy is not named: %s", unnamed.body)
		}
	}
	for _, like := range []string{"Operator", "operator ", " operator", "operators", "team_member:operator", "operator:", "operator:x"} {
		c, last := actors(t, httpapi.Config{})
		got := c.do(http.MethodPut, base+"/groups/ward/members/rita", "", "Caregate-Actor", like)
		if trimmed := strings.TrimSpace(like); trimmed != "operator" && (got.status != 204 || *last == (admin.Actor{})) {
			t.Errorf("%q: %d %v", like, got.status, *last)
		}
	}
}

func TestSignedTokenIsOfOneOrganisation(t *testing.T) {
	c, _ := actors(t, httpapi.Config{Verifier: signed{"north"}})
	c.get("/organisations/north"+base+"/roles", "Authorization", "Bearer good.mark.x").wantStatus(t, 200)
	c.get("/organisations/south"+base+"/roles", "Authorization", "Bearer good.mark.x").refused(t, 403, "forbidden", "")
	c.get("/policy/v1/policy", "Authorization", "Bearer good.mark.x").wantStatus(t, 403)
	c.get("/policy/v1/policy").wantStatus(t, 401)
}

func TestTwoActorHeadersAreNone(t *testing.T) {
	c, last := actors(t, httpapi.Config{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, c.server.URL+base+"/groups/ward/members/rita", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Caregate-Actor"] = []string{"mark", "jordan"}
	w, err := c.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Body.Close()
	if w.StatusCode != 400 || *last != (admin.Actor{}) {
		t.Errorf("%d %v", w.StatusCode, *last)
	}
}
