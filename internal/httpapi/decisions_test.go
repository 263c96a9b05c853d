package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

const (
	yes = `{"decision":true,"context":{"reasons":["permission_granted"]}}`
	no  = `{"decision":false,"context":{"reasons":["permission_missing"]}}`
)

func TestEvaluation(t *testing.T) {
	s := newService()
	c := decisions(t, httpapi.Config{Service: s})

	got := c.post("/access/v1/evaluation", good)
	got.want(t, 200, yes)
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store",
		"Caregate-Revision": "12.ab34cd", "Caregate-Policy": "c0ffee",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s %q, want %q", name, got.header.Get(name), want)
		}
	}
	if len(got.header.Get("X-Request-ID")) != 32 {
		t.Errorf("X-Request-ID %q", got.header.Get("X-Request-ID"))
	}
	c.post("/access/v1/evaluation", `{`+jordan+`,`+view+`,`+p1+`}`).want(t, 200, no)
	c.post("/organisations/hill%20top%2Feast/access/v1/evaluation", good).want(t, 200, yes)
	if want := []string{"riverside", "riverside", "hill top/east"}; !reflect.DeepEqual(s.organisations, want) {
		t.Errorf("asked about %q, want %q", s.organisations, want)
	}
}

// A revision that changes is stated at once, whatever was stated before.
func TestStatedHeadersFollowTheDecision(t *testing.T) {
	s := newService()
	c := decisions(t, httpapi.Config{Service: s})
	for _, want := range []authz.Stated{
		{Revision: authz.Revision{Count: 1, Nonce: "a"}, Policy: "x"},
		{Revision: authz.Revision{Count: 2, Nonce: "a"}, Policy: "x"},
		{Revision: authz.Revision{Count: 2, Nonce: "a"}, Policy: "y"},
		{},
	} {
		s.stated = want
		h := c.post("/access/v1/evaluation", good).header
		if h.Get("Caregate-Revision") != want.Revision.String() || h.Get("Caregate-Policy") != want.Policy {
			t.Errorf("stated %q %q, want %v", h.Get("Caregate-Revision"), h.Get("Caregate-Policy"), want)
		}
	}
}

// What the service is asked is what was sent: numbers verbatim, null members
// absent, and nothing of what stands beside properties (forged facts).
func TestEvaluationPassesOnWhatWasAsked(t *testing.T) {
	s := newService()
	c := decisions(t, httpapi.Config{Service: s})
	c.post("/access/v1/evaluation", `{
		"future": {"deep": [1, {"a": null}]}, "permissions": ["*:*"],
		"subject": {"type":"team_member", "id":"mark", "found": true, "role":"admin", "permissions": {"*:*": {}},
			"groups": ["leads"], "properties": {"role": "admin", "n": 1.50, "big": 123456789012345678901234567890, "exp": 1E2,
			"list": [true, false, null, "x", {}, []]}},
		"action": {"name":"view", "properties": null, "allow": true},
		"resource": {"type":"patient", "id":"p-1", "patient_group":"mine", "care_team":["mark"], "properties": {}},
		"context": {"\u0074ime": "caf\u00e9 \ud83d\ude00"}}`).want(t, 200, yes)
	want := &authz.Request{
		Subject: authz.Entity{Type: "team_member", ID: "mark", Properties: map[string]any{
			"role": "admin", "n": json.Number("1.50"), "big": json.Number("123456789012345678901234567890"), "exp": json.Number("1E2"),
			"list": []any{true, false, nil, "x", map[string]any{}, []any{}},
		}},
		Action:   authz.Action{Name: "view"},
		Resource: authz.Entity{Type: "patient", ID: "p-1", Properties: map[string]any{}},
		Context:  map[string]any{"time": "café 😀"},
	}
	if !reflect.DeepEqual(s.requests[0], want) {
		t.Errorf("asked\n%#v\nwant\n%#v", s.requests[0], want)
	}
}

// What one request carried is not there in the next: buffers are used again.
func TestEvaluationForgetsTheLastRequest(t *testing.T) {
	s := newService()
	c := decisions(t, httpapi.Config{Service: s})
	c.post("/access/v1/evaluation", `{"subject":{"type":"team_member","id":"jordan","properties":{"a":"b"}},`+view+`,`+p1+`,"context":{"x":1}}`)
	first := s.requests[0].Subject.Properties["a"]
	for range 20 {
		c.post("/access/v1/evaluation", strings.Repeat(" ", 50)+good).want(t, 200, yes)
	}
	if s.requests[0].Subject.ID != "jordan" || first != "b" {
		t.Errorf("the first request became %#v", s.requests[0])
	}
	for _, r := range s.requests[1:] {
		if r.Context != nil || r.Subject.Properties != nil || r.Subject.ID != "mark" {
			t.Errorf("a later request has %#v", r)
		}
	}
}

func TestEvaluationAcceptsTheseHeaders(t *testing.T) {
	c := decisions(t, httpapi.Config{})
	for _, h := range [][]string{
		{"Content-Type", "application/json; charset=utf-8"},
		{"Content-Type", "Application/JSON"},
		{"Content-Type", ""},
		{"Content-Encoding", "identity"},
	} {
		c.post("/access/v1/evaluation", good, h...).want(t, 200, yes)
	}
	// Without a length.
	c.stream(http.MethodPost, "/access/v1/evaluation", struct{ *strings.Reader }{strings.NewReader(good)}).want(t, 200, yes)
}

func TestEvaluationWithoutContext(t *testing.T) {
	s := newService()
	s.decide = func(context.Context, *authz.Request) (authz.Decision, error) { return authz.Decision{Allow: true}, nil }
	decisions(t, httpapi.Config{Service: s}).post("/access/v1/evaluation", good).want(t, 200, `{"decision":true}`)
}

func TestEvaluations(t *testing.T) {
	item := func(member string) string { return `{"subject":{"type":"team_member","id":"` + member + `"}}` }
	rest := view + `,` + p1
	const bad = `{"decision":false,"context":{"error":{"status":400,"message":`
	tests := []struct{ name, body, want string }{
		{"every item is answered", `{` + rest + `,"evaluations":[` + item("mark") + `,` + item("jordan") + `,` + item("mark") + `]}`, yes + `,` + no + `,` + yes},
		{
			"execute_all by name", `{` + rest + `,"options":{"evaluations_semantic":"execute_all","other":[1]},"evaluations":[` + item("jordan") + `,` + item("mark") + `]}`,
			no + `,` + yes,
		},
		{
			"deny_on_first_deny ends at the deny", `{` + rest + `,"options":{"evaluations_semantic":"deny_on_first_deny"},"evaluations":[` +
				item("mark") + `,` + item("jordan") + `,` + item("mark") + `]}`, yes + `,` + no,
		},
		{
			"permit_on_first_permit ends at the permit", `{` + rest + `,"options":{"evaluations_semantic":"permit_on_first_permit"},"evaluations":[` +
				item("jordan") + `,` + item("mark") + `,` + item("mark") + `]}`, no + `,` + yes,
		},
		{
			"options may follow, and be null", `{"evaluations":[` + item("mark") + `],"options":null,` + rest + `}`, yes,
		},
		{"a semantic of null is the default", `{"evaluations":[` + item("jordan") + `,` + item("mark") + `],"options":{"evaluations_semantic":null},` + rest + `}`, no + `,` + yes},
		{
			"a bad item denies in its place", `{` + rest + `,"evaluations":[` + item("mark") + `,{},` + item("mark") + `]}`,
			yes + `,` + bad + `"evaluations[1].subject: is required: give an object"}}},` + yes,
		},
		{
			"a bad item ends deny_on_first_deny", `{` + rest + `,"options":{"evaluations_semantic":"deny_on_first_deny"},"evaluations":[` + item("mark") + `,{},` + item("mark") + `]}`,
			yes + `,` + bad + `"evaluations[1].subject: is required: give an object"}}}`,
		},
		{
			"a bad item does not end permit_on_first_permit", `{` + rest + `,"options":{"evaluations_semantic":"permit_on_first_permit"},"evaluations":[{},` + item("mark") + `]}`,
			bad + `"evaluations[0].subject: is required: give an object"}}},` + yes,
		},
		{
			"a wrong type inside an item", `{` + rest + `,"evaluations":[{"subject":{"id":7,"type":"x","properties":{"deep":[[{}]]}},"more":[{}]},` + item("mark") + `]}`,
			bad + `"evaluations[0].subject.id: must be a string, not a number"}}},` + yes,
		},
		{
			"items that are no objects", `{` + rest + `,"evaluations":[3,null,"x",[1,[2]],true,` + item("mark") + `]}`,
			bad + `"evaluations[0]: must be an object, not a number"}}},` + bad + `"evaluations[1]: must be an object, not null"}}},` +
				bad + `"evaluations[2]: must be an object, not a string"}}},` + bad + `"evaluations[3]: must be an object, not an array"}}},` +
				bad + `"evaluations[4]: must be an object, not a boolean"}}},` + yes,
		},
		{
			"an item's own part is never merged with the default", `{` + rest + `,` + mark + `,"evaluations":[{"subject":{"type":"team_member"}},{"subject":null},{}]}`,
			bad + `"evaluations[0].subject.id: is required: give a string"}}},` + bad + `"evaluations[1].subject: must be an object, not null"}}},` + yes,
		},
		{
			"a default may lack what no item needs", `{` + view + `,` + mark + `,"resource":{"type":"patient"},"evaluations":[{` + p1 + `},{}]}`,
			yes + `,` + bad + `"evaluations[1].resource.id: is required: give a string"}}}`,
		},
		{"only bad items", `{"evaluations":[{}]}`, bad + `"evaluations[0].subject: is required: give an object"}}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decisions(t, httpapi.Config{}).post("/access/v1/evaluations", tt.body)
			got.want(t, 200, `{"evaluations":[`+tt.want+`]}`)
			if got.header.Get("Caregate-Revision") != "12.ab34cd" {
				t.Errorf("headers %v", got.header)
			}
		})
	}
}

func TestEvaluationsWithoutItemsIsAnEvaluation(t *testing.T) {
	c := decisions(t, httpapi.Config{})
	for _, evaluations := range []string{``, `,"evaluations":[]`, `,"evaluations":null`} {
		c.post("/access/v1/evaluations", `{`+mark+`,`+view+`,`+p1+evaluations+`}`).want(t, 200, yes)
	}
	c.post("/access/v1/evaluations", `{`+mark+`,`+view+`,"evaluations":[]}`).refused(t, 400, "malformed", "resource")
}

// AuthZEN 1.0, section 7.1.1: defaults are whole objects, and may follow the items.
func TestEvaluationsDefaults(t *testing.T) {
	s := newService()
	c := decisions(t, httpapi.Config{Service: s})
	c.post("/access/v1/evaluations", `{"evaluations":[{},{"context":{"b":2}},{"subject":{"type":"t","id":"own"}},{"context":null,"resource":{"type":"r","id":"own"}}],
		"context":{"a":1},"subject":{"type":"team_member","id":"mark","properties":{"x":1}},`+view+`,`+p1+`}`)
	a, b := map[string]any{"a": json.Number("1")}, map[string]any{"b": json.Number("2")}
	subject := authz.Entity{Type: "team_member", ID: "mark", Properties: map[string]any{"x": json.Number("1")}}
	action, resource := authz.Action{Name: "view"}, authz.Entity{Type: "patient", ID: "p-1"}
	want := []*authz.Request{
		{Subject: subject, Action: action, Resource: resource, Context: a},
		{Subject: subject, Action: action, Resource: resource, Context: b},
		{Subject: authz.Entity{Type: "t", ID: "own"}, Action: action, Resource: resource, Context: a},
		{Subject: subject, Action: action, Resource: authz.Entity{Type: "r", ID: "own"}, Context: a},
	}
	if !reflect.DeepEqual(s.requests, want) {
		got, _ := json.Marshal(s.requests)
		t.Errorf("asked %s", got)
	}
}

// An item that the service fails on denies without a word of the cause, which
// the log has once.
func TestEvaluationsItemFails(t *testing.T) {
	s := newService()
	s.decide = func(_ context.Context, r *authz.Request) (authz.Decision, error) {
		switch r.Subject.ID {
		case "mark":
			return authz.Decision{Allow: true}, errors.New("rego of secrets")
		case "late":
			return authz.Decision{}, authz.Errorf(authz.Timeout, "", "took too long")
		}
		return authz.Decision{Allow: true}, nil
	}
	logged, logger := newLog(0)
	seen := new(observed)
	got := decisions(t, httpapi.Config{Service: s, Logger: logger, Observer: seen}).post("/access/v1/evaluations",
		`{`+view+`,`+p1+`,"evaluations":[{`+mark+`},{`+jordan+`},{"subject":{"type":"t","id":"late"}},{"subject":1}]}`)
	got.want(t, 200, `{"evaluations":[{"decision":false,"context":{"error":{"status":500,"message":`+
		`"no decision was made; the service's log has the cause under this request id"}}},{"decision":true},`+
		`{"decision":false,"context":{"error":{"status":503,"message":"took too long"}}},`+
		`{"decision":false,"context":{"error":{"status":400,"message":"evaluations[3].subject: must be an object, not a number"}}}]}`)
	if n := len(logged.lines("rego of secrets")); n != 1 {
		t.Errorf("the cause is logged %d times: %s", n, logged)
	}
	if want := "error allow error error"; strings.Join(seen.outcomes, " ") != want {
		t.Errorf("observed %q, want %q", seen.outcomes, want)
	}
}

func TestEvaluationsLimit(t *testing.T) {
	c := decisions(t, httpapi.Config{MaxBatch: 3})
	body := func(n int) string {
		return `{` + mark + `,` + view + `,` + p1 + `,"evaluations":[` + strings.TrimSuffix(strings.Repeat(`{},`, n), ",") + `]}`
	}
	c.post("/access/v1/evaluations", body(3)).want(t, 200, `{"evaluations":[`+yes+`,`+yes+`,`+yes+`]}`)
	c.post("/access/v1/evaluations", body(4)).refused(t, 413, "too-large", "evaluations", "3 items")
}

// A caller who saw a revision is never answered from before it.
func TestAtLeast(t *testing.T) {
	s := newService()
	s.stated.Revision = authz.Revision{Count: 7, Nonce: "abc"}
	c := decisions(t, httpapi.Config{Service: s})
	for _, test := range []struct {
		header, value string
		status        int
	}{
		{"Caregate-At-Least", "7.abc", 200},
		{"Caregate-At-Least", "6.other", 200},
		{"Caregate-At-Least", "0.0", 200},
		{"Caregate-At-Least", "8.abc", 412},
		{"Caregate-At-Least", "7.lost", 412},
		{"Caregate-At-Least", "seven", 400},
		{"Caregate-At-Least", "7", 400},
		{"Caregate-At-Least", "-7.abc", 400},
		{"Caregate-Consistency", "full", 200},
		{"Caregate-Consistency", "Full", 400},
	} {
		for path, body := range map[string]string{
			"/access/v1/evaluation":  good,
			"/access/v1/evaluations": `{` + mark + `,` + view + `,"evaluations":[{` + p1 + `}]}`,
			"/v1/permissions":        `{"team_member":"mark"}`,
			"/v1/data/authz/allow":   `{"input":` + good + `}`,
		} {
			a := c.post(path, body, test.header, test.value)
			if a.status != test.status {
				t.Errorf("%s with %s: %q: %d %s, want %d", path, test.header, test.value, a.status, a.body, test.status)
			}
		}
	}
}
