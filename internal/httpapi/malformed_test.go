package httpapi_test

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/httpapi"
)

// Every request here is refused with the status and the field given, without
// asking the service.
func TestMalformed(t *testing.T) {
	const (
		one  = "/access/v1/evaluation"
		many = "/access/v1/evaluations"
		data = "/v1/data/authz/allow"
		perm = "/v1/permissions"
		org  = "/organisations/north"
	)
	with := func(subject, action, resource, more string) string {
		return `{"subject":` + subject + `,"action":` + action + `,"resource":` + resource + more + `}`
	}
	const s, a, r = `{"type":"team_member","id":"mark"}`, `{"name":"view"}`, `{"type":"patient","id":"p-1"}`
	tests := []struct {
		name, path, body string
		status           int
		field            string
		headers          []string
	}{
		{"empty body", one, ``, 400, "", nil},
		{"blank body", one, " \n\t ", 400, "", nil},
		{"byte order mark", one, "\xef\xbb\xbf" + good, 400, "", nil},
		{"null", one, `null`, 400, "", nil},
		{"array", one, `[` + good + `]`, 400, "", nil},
		{"string", one, `"subject"`, 400, "", nil},
		{"number", one, `7`, 400, "", nil},
		{"boolean", one, `true`, 400, "", nil},
		{"closing brace", one, `}`, 400, "", nil},
		{"not JSON", one, `subject=mark`, 400, "", nil},
		{"single quotes", one, `{'subject':1}`, 400, "", nil},
		{"unquoted name", one, `{subject:1}`, 400, "", nil},
		{"number as name", one, `{1:2}`, 400, "", nil},
		{"comment", one, `{/* */}`, 400, "", nil},
		{"trailing comma", one, `{` + mark + `,` + view + `,` + p1 + `,}`, 400, "", nil},
		{"missing colon", one, `{"subject" {}}`, 400, "subject", nil},
		{"missing comma", one, `{` + mark + ` ` + view + `}`, 400, "", nil},
		{"missing value", one, `{"subject":}`, 400, "subject", nil},
		{"cut off after the brace", one, `{`, 400, "", nil},
		{"cut off in a string", one, `{"subject":{"type":"team`, 400, "subject.type", nil},
		{"cut off in an object", one, `{"subject":{"type":"t"`, 400, "subject", nil},
		{"second object", one, good + good, 400, "", nil},
		{"trailing garbage", one, good + ` x`, 400, "", nil},
		{"trailing brace", one, good + `}`, 400, "", nil},
		{"trailing NUL", one, good + "\x00", 400, "", nil},
		{"control character in a string", one, with("{\"type\":\"t\",\"id\":\"a\nb\"}", a, r, ``), 400, "subject.id", nil},
		{"invalid UTF-8", one, with("{\"type\":\"t\",\"id\":\"\xff\"}", a, r, ``), 400, "subject.id", nil},
		{"invalid UTF-8 in context", one, with(s, a, r, `,"context":{"k":["`+"\xc3\x28"+`"]}`), 400, "context.k[0]", nil},
		{"lone surrogate", one, with(`{"type":"t","id":"\ud800"}`, a, r, ``), 400, "subject.id", nil},
		{"bad escape", one, with(`{"type":"t","id":"\x41"}`, a, r, ``), 400, "subject.id", nil},
		{"leading zero", one, with(s, a, r, `,"context":{"n":01}`), 400, "context", nil},
		{"NaN", one, with(s, a, r, `,"context":{"n":NaN}`), 400, "context.n", nil},
		{"duplicate subject", one, `{"subject":` + s + `,` + good[1:], 400, "subject", nil},
		{"duplicate subject by escape", one, `{"sub\u006aect":` + s + `,` + good[1:], 400, "subject", nil},
		{"duplicate id", one, with(`{"type":"t","id":"a","id":"b"}`, a, r, ``), 400, "subject.id", nil},
		{"duplicate property", one, with(`{"type":"t","id":"a","properties":{"x":1,"x":2}}`, a, r, ``), 400, "subject.properties.x", nil},
		{"duplicate in an unknown member", one, with(s, a, r, `,"more":{"a":[{"b":1,"b":1}]}`), 400, "more.a[0].b", nil},
		{"name that reads as a path", one, with(s, a, r, `,"context":{"a.b/c":{"":1,"":2}}`), 400, `context["a.b/c"][""]`, nil},
		{"nested too deep in context", one, with(s, a, r, `,"context":{"a":`+strings.Repeat("[", 63)+strings.Repeat("]", 63)+`}`), 400, "*", nil},
		{"nested too deep in an unknown member", one, with(s, a, r, `,"x":`+strings.Repeat(`[`, 5000)), 400, "*", nil},
		{"no subject", one, `{` + view + `,` + p1 + `}`, 400, "subject", nil},
		{"no action", one, `{` + mark + `,` + p1 + `}`, 400, "action", nil},
		{"no resource", one, `{` + mark + `,` + view + `}`, 400, "resource", nil},
		{"nothing", one, `{}`, 400, "subject", nil},
		{"names are case-sensitive", one, `{"Subject":` + s + `,` + view + `,` + p1 + `}`, 400, "subject", nil},
		{"subject null", one, with(`null`, a, r, ``), 400, "subject", nil},
		{"subject a string", one, with(`"mark"`, a, r, ``), 400, "subject", nil},
		{"subject an array", one, with(`[`+s+`]`, a, r, ``), 400, "subject", nil},
		{"subject empty", one, with(`{}`, a, r, ``), 400, "subject.type", nil},
		{"subject without type", one, with(`{"id":"a"}`, a, r, ``), 400, "subject.type", nil},
		{"subject without id", one, with(`{"type":"t"}`, a, r, ``), 400, "subject.id", nil},
		{"subject type null", one, with(`{"type":null,"id":"a"}`, a, r, ``), 400, "subject.type", nil},
		{"subject type empty", one, with(`{"type":"","id":"a"}`, a, r, ``), 400, "subject.type", nil},
		{"subject type an object", one, with(`{"type":{},"id":"a"}`, a, r, ``), 400, "subject.type", nil},
		{"subject id a number", one, with(`{"type":"t","id":7}`, a, r, ``), 400, "subject.id", nil},
		{"subject id a boolean", one, with(`{"type":"t","id":false}`, a, r, ``), 400, "subject.id", nil},
		{"subject id empty", one, with(`{"type":"t","id":""}`, a, r, ``), 400, "subject.id", nil},
		{"subject id null", one, with(`{"type":"t","id":null}`, a, r, ``), 400, "subject.id", nil},
		{"subject properties a string", one, with(`{"type":"t","id":"a","properties":"x"}`, a, r, ``), 400, "subject.properties", nil},
		{"subject properties an array", one, with(`{"type":"t","id":"a","properties":[]}`, a, r, ``), 400, "subject.properties", nil},
		{"action a string", one, with(s, `"view"`, r, ``), 400, "action", nil},
		{"action empty", one, with(s, `{}`, r, ``), 400, "action.name", nil},
		{"action name empty", one, with(s, `{"name":""}`, r, ``), 400, "action.name", nil},
		{"action name a number", one, with(s, `{"name":123}`, r, ``), 400, "action.name", nil},
		{"action name an array", one, with(s, `{"name":["view"]}`, r, ``), 400, "action.name", nil},
		{"action properties a number", one, with(s, `{"name":"view","properties":1}`, r, ``), 400, "action.properties", nil},
		{"resource a number", one, with(s, a, `4`, ``), 400, "resource", nil},
		{"resource without type", one, with(s, a, `{"id":"p-1"}`, ``), 400, "resource.type", nil},
		{"resource without id", one, with(s, a, `{"type":"patient"}`, ``), 400, "resource.id", nil},
		{"resource id an object", one, with(s, a, `{"type":"patient","id":{"$ne":""}}`, ``), 400, "resource.id", nil},
		{"resource properties a boolean", one, with(s, a, `{"type":"p","id":"i","properties":true}`, ``), 400, "resource.properties", nil},
		{"context a string", one, with(s, a, r, `,"context":"now"`), 400, "context", nil},
		{"context an array", one, with(s, a, r, `,"context":[]`), 400, "context", nil},
		{"form", one, good, 400, "Content-Type", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"text", one, good, 400, "Content-Type", []string{"Content-Type", "text/plain"}},
		{"JSON of another kind", one, good, 400, "Content-Type", []string{"Content-Type", "application/json-patch+json"}},
		{"unreadable type", one, good, 400, "Content-Type", []string{"Content-Type", "application/json; charset"}},
		{"gzip", one, good, 415, "", []string{"Content-Encoding", "gzip"}},
		{"too large", one, `{"x":"` + strings.Repeat("x", 8000) + `"}`, 413, "", nil},

		{"evaluations a string", many, with(s, a, r, `,"evaluations":"all"`), 400, "evaluations", nil},
		{"evaluations an object", many, with(s, a, r, `,"evaluations":{}`), 400, "evaluations", nil},
		{"default subject a string", many, `{"subject":"mark","evaluations":[` + good + `]}`, 400, "subject", nil},
		{"default action name a number", many, `{"action":{"name":1},"evaluations":[` + good + `]}`, 400, "action.name", nil},
		{"default context an array", many, `{"context":[],"evaluations":[` + good + `]}`, 400, "context", nil},
		{"default resource id empty", many, `{"evaluations":[` + good + `],"resource":{"type":"t","id":""}}`, 400, "resource.id", nil},
		{"unknown semantic", many, with(s, a, r, `,"options":{"evaluations_semantic":"deny_all"}`), 400, "options.evaluations_semantic", nil},
		{"semantic of other case", many, with(s, a, r, `,"options":{"evaluations_semantic":"Execute_All"}`), 400, "options.evaluations_semantic", nil},
		{"semantic a number", many, with(s, a, r, `,"options":{"evaluations_semantic":1}`), 400, "options.evaluations_semantic", nil},
		{"options an array", many, with(s, a, r, `,"options":[]`), 400, "options", nil},
		{"no JSON inside an item", many, `{"evaluations":[` + good + `,{"subject":{"id":1,"type":tea}}]}`, 400, "evaluations[1].subject.type", nil},
		{"duplicate inside a bad item", many, `{"evaluations":[{"subject":1,"x":{"a":1,"a":2}}]}`, 400, "evaluations[0].x.a", nil},
		{"depth inside a bad item", many, `{"evaluations":[{"subject":1,"x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}]}`, 400, "*", nil},
		{"unclosed items", many, `{"evaluations":[` + good, 400, "evaluations", nil},
		{"mismatched brackets", many, `{"evaluations":[` + good + `}`, 400, "evaluations", nil},
		{"neither items nor a question", many, `{}`, 400, "subject", nil},
		{"items and trailing data", many, `{"evaluations":[` + good + `]} []`, 400, "", nil},

		{"no input", data, `{}`, 400, "input", nil},
		{"input null", data, `{"input":null}`, 400, "input", nil},
		{"input an array", data, `{"input":[1]}`, 400, "input", nil},
		{"input empty", data, `{"input":{}}`, 400, "input.subject", nil},
		{"input subject without id", data, `{"input":` + with(`{"type":"t"}`, a, r, ``) + `}`, 400, "input.subject.id", nil},
		{"input subject id a number", data, `{"input":` + with(`{"type":"t","id":1}`, a, r, ``) + `}`, 400, "input.subject.id", nil},
		{"input context a number", data, `{"input":` + with(s, a, r, `,"context":1`) + `}`, 400, "input.context", nil},
		{"question without input", data, good, 400, "input", nil},
		{"input twice", data, `{"input":` + good + `,"input":` + good + `}`, 400, "input", nil},
		{"body is the input", data, `[]`, 400, "", nil},

		{"team member absent", perm, `{}`, 400, "team_member", nil},
		{"team member null", perm, `{"team_member":null}`, 400, "team_member", nil},
		{"team member empty", perm, `{"team_member":""}`, 400, "team_member", nil},
		{"team member a number", perm, `{"team_member":1}`, 400, "team_member", nil},
		{"unknown field", perm, `{"team_member":"mark","organisation":"north"}`, 400, "organisation", nil},
		{"unknown field of odd name", perm, `{"a b":1}`, 400, `["a b"]`, nil},
		{"team member twice", perm, `{"team_member":"mark","team_member":"mark"}`, 400, "team_member", nil},
		{"team member and more", perm, `{"team_member":"mark"} 1`, 400, "", nil},
		{"permissions by form", perm, `{"team_member":"mark"}`, 400, "Content-Type", []string{"Content-Type", "text/plain"}},

		{"in an organisation", org + one, `{}`, 400, "subject", nil},
		{"data in an organisation", org + data, `{}`, 400, "input", nil},
		{"permissions in an organisation", org + perm, `{}`, 400, "team_member", nil},
	}
	if len(tests) < 60 {
		t.Fatalf("only %d requests", len(tests))
	}
	svc := newService()
	c := decisions(t, httpapi.Config{Service: svc, MaxBody: 7000})
	codes := map[int]string{400: "malformed", 413: "too-large", 415: "unsupported-media-type"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := c.post(tt.path, tt.body, tt.headers...)
			code, field, _ := got.problem(t)
			if tt.field == "*" && field != "" {
				field = "*"
			}
			if got.status != tt.status || code != codes[tt.status] || field != tt.field {
				t.Errorf("got %d %s, want %d at %q", got.status, got.body, tt.status, tt.field)
			}
			if len(got.body) > 1500 {
				t.Errorf("an answer of %d bytes", len(got.body))
			}
		})
	}
	if n := svc.asked(); n != 0 {
		t.Errorf("the service was asked %d times", n)
	}
}

// A small body can hold a great many values, and a batch can repeat them.
func TestTooManyValues(t *testing.T) {
	c := decisions(t, httpapi.Config{Service: newService()})
	list := func(n int) string { return `[` + strings.Repeat(`{},`, n) + `0]` }
	one := func(context string) string {
		return `{` + mark + `,` + view + `,` + p1 + `,"context":{"a":` + context + `}}`
	}
	many := func(context string, items int) string {
		return `{` + mark + `,` + view + `,` + p1 + `,"context":{"a":` + context + `},"evaluations":[` + strings.Repeat(`{},`, items-1) + `{}]}`
	}
	for _, test := range []struct {
		path, body string
		status     int
		field      string
	}{
		{"/access/v1/evaluation", one(list(10_000)), 200, ""},
		{"/access/v1/evaluation", one(list(30_000)), 413, "context.a[19998]"},
		{"/v1/data/authz/allow", `{"input":` + one(list(30_000)) + `}`, 413, "input.context.a[19998]"},
		{"/access/v1/evaluations", many(list(10), 1000), 200, ""},
		{"/access/v1/evaluations", many(list(2_000), 1000), 413, "evaluations"},
		{"/access/v1/evaluations", `{` + mark + `,` + view + `,` + p1 + `,"evaluations":[{},{"context":{"a":` + list(30_000) + `}}]}`, 413,
			"evaluations[1].context.a[19998]"},
	} {
		a := c.post(test.path, test.body)
		if a.status != test.status {
			t.Errorf("%s: %d %.200s, want %d", test.path, a.status, a.body, test.status)
			continue
		}
		if test.status != 200 {
			a.refused(t, 413, "too-large", test.field)
		}
	}
}
