package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// wholeBody is the field of a request that is at fault altogether.
const wholeBody = ""

// malformed is a request that nobody can answer.
type malformed struct {
	name   string
	path   string // of the evaluation when empty
	body   any
	field  string // that the problem names, or the end of what it names
	status int    // 400 when 0
	method string // POST when empty
	header []string
}

// The parts of a question in JSON, to be put together wrongly.
const (
	soundSubject  = `{"type":"team_member","id":"ann"}`
	soundAction   = `{"name":"view"}`
	soundResource = `{"type":"patient","id":"p-1"}`
	soundQuestion = `{"subject":` + soundSubject + `,"action":` + soundAction + `,"resource":` + soundResource + `}`
)

func withSubject(json string) string {
	return `{"subject":` + json + `,"action":` + soundAction + `,"resource":` + soundResource + `}`
}

func withAction(json string) string {
	return `{"subject":` + soundSubject + `,"action":` + json + `,"resource":` + soundResource + `}`
}

func withResource(json string) string {
	return `{"subject":` + soundSubject + `,"action":` + soundAction + `,"resource":` + json + `}`
}

// malformedQuestions are bodies that are wrong wherever a question is asked.
func malformedQuestions() []malformed {
	cases := []malformed{
		{name: "no subject", body: `{"action":` + soundAction + `,"resource":` + soundResource + `}`, field: "subject"},
		{name: "no action", body: `{"subject":` + soundSubject + `,"resource":` + soundResource + `}`, field: "action"},
		{name: "no resource", body: `{"subject":` + soundSubject + `,"action":` + soundAction + `}`, field: "resource"},
		{name: "nothing", body: `{}`, field: "subject"},
		{name: "subject without type", body: withSubject(`{"id":"ann"}`), field: "subject.type"},
		{name: "subject without id", body: withSubject(`{"type":"team_member"}`), field: "subject.id"},
		{name: "empty subject", body: withSubject(`{}`), field: "subject.type"},
		{name: "action without name", body: withAction(`{}`), field: "action.name"},
		{name: "action with properties alone", body: withAction(`{"properties":{}}`), field: "action.name"},
		{name: "resource without type", body: withResource(`{"id":"p-1"}`), field: "resource.type"},
		{name: "resource without id", body: withResource(`{"type":"patient"}`), field: "resource.id"},
		{name: "names in the wrong case", body: `{"Subject":` + soundSubject + `,"Action":` + soundAction + `,"Resource":` + soundResource + `}`, field: "subject"},
		{name: "member names in the wrong case", body: withSubject(`{"Type":"team_member","ID":"ann"}`), field: "subject.type"},
	}
	for what, value := range map[string]string{"null": `null`, "a string": `"ann"`, "a number": `7`, "a boolean": `true`, "a list": `[` + soundSubject + `]`} {
		cases = append(cases,
			malformed{name: "subject is " + what, body: withSubject(value), field: "subject"},
			malformed{name: "action is " + what, body: withAction(value), field: "action"},
			malformed{name: "resource is " + what, body: withResource(value), field: "resource"})
	}
	for what, value := range map[string]string{"null": `null`, "a number": `7`, "a boolean": `false`, "a list": `["x"]`, "an object": `{"x":"y"}`} {
		cases = append(cases,
			malformed{name: "subject.type is " + what, body: withSubject(`{"type":` + value + `,"id":"ann"}`), field: "subject.type"},
			malformed{name: "subject.id is " + what, body: withSubject(`{"type":"team_member","id":` + value + `}`), field: "subject.id"},
			malformed{name: "action.name is " + what, body: withAction(`{"name":` + value + `}`), field: "action.name"},
			malformed{name: "resource.type is " + what, body: withResource(`{"type":` + value + `,"id":"p-1"}`), field: "resource.type"},
			malformed{name: "resource.id is " + what, body: withResource(`{"type":"patient","id":` + value + `}`), field: "resource.id"})
	}
	for what, value := range map[string]string{"a string": `"x"`, "a number": `7`, "a boolean": `false`, "a list": `["x"]`} {
		cases = append(cases,
			malformed{name: "subject.properties is " + what, body: withSubject(`{"type":"team_member","id":"ann","properties":` + value + `}`), field: "subject.properties"},
			malformed{name: "action.properties is " + what, body: withAction(`{"name":"view","properties":` + value + `}`), field: "action.properties"},
			malformed{name: "resource.properties is " + what, body: withResource(`{"type":"patient","id":"p-1","properties":` + value + `}`), field: "resource.properties"},
			malformed{name: "context is " + what, body: strings.TrimSuffix(soundQuestion, "}") + `,"context":` + value + `}`, field: "context"})
	}
	return cases
}

// ambiguousQuestions are JSON that two readers may read in two ways. One of
// them in a batch spoils the whole.
func ambiguousQuestions() []malformed {
	return []malformed{
		{name: "two subjects", body: `{"subject":{"type":"team_member","id":"nobody"},` + soundQuestion[1:], field: "subject"}, // which one would the next reader take?
		{name: "two ids", body: withSubject(`{"type":"team_member","id":"nobody","id":"ann"}`), field: "subject.id"},
		{name: "half a character", body: withSubject(`{"type":"team_member","id":"\ud800"}`), field: "subject.id"},
	}
}

// brokenBodies are no JSON object at all.
func brokenBodies(sound string) []malformed {
	return []malformed{
		{name: "an empty body", body: ``},
		{name: "white space", body: "  \n"},
		{name: "null", body: `null`},
		{name: "a list", body: `[` + sound + `]`},
		{name: "a string", body: `"x"`},
		{name: "a number", body: `1`},
		{name: "a boolean", body: `true`},
		{name: "half a body", body: sound[:len(sound)/2]},
		{name: "all but the last byte", body: sound[:len(sound)-1]},
		{name: "two bodies", body: sound + sound},
		{name: "something after the body", body: sound + ` x`},
		{name: "a bracket after the body", body: sound + `}`},
		{name: "a comma too many", body: strings.TrimSuffix(sound, "}") + `,}`},
		{name: "single quotes", body: strings.ReplaceAll(sound, `"`, `'`)},
		{name: "no quotes", body: strings.ReplaceAll(sound, `"`, ``)},
		{name: "a comment", body: `/* why */` + sound},
		{name: "not a number", body: strings.TrimSuffix(sound, "}") + `,"context":{"x":NaN}}`},
		{name: "a bare control character", body: strings.TrimSuffix(sound, "}") + ",\"x\":\"a\nb\"}"},
		{name: "bytes that are no text", body: "\xff\xfe\x00\x01"},
		{name: "invalid UTF-8 in a string", body: strings.TrimSuffix(sound, "}") + ",\"context\":{\"x\":\"\xff\"}}"},
		{name: "XML", body: `<subject id="ann"/>`},
		{name: "a form", body: `subject=ann&action=view`},
		{name: "nested without end", body: strings.TrimSuffix(sound, "}") + `,"context":{"x":` + strings.Repeat("[", 12_000)},
		{name: "nested too deep", body: strings.TrimSuffix(sound, "}") + `,"context":{"x":` + strings.Repeat("[", 12_000) + strings.Repeat("]", 12_000) + `}}`},
	}
}

// malformedBatches are wrong as a whole; a wrong item is an answer (see
// TestABadItemIsADeniedItem).
func malformedBatches() []malformed {
	items := func(n int) string {
		return `{"evaluations":[` + strings.TrimSuffix(strings.Repeat(soundQuestion+",", n), ",") + `]}`
	}
	return []malformed{
		{name: "evaluations is an object", body: `{"evaluations":{"0":` + soundQuestion + `}}`, field: "evaluations"},
		{name: "evaluations is a string", body: `{"evaluations":"all"}`, field: "evaluations"},
		{name: "evaluations is a number", body: `{"evaluations":2}`, field: "evaluations"},
		{name: "options is a string", body: `{"evaluations":[` + soundQuestion + `],"options":"all"}`, field: "options"},
		{name: "options is a list", body: `{"evaluations":[` + soundQuestion + `],"options":[]}`, field: "options"},
		{name: "unknown semantic", body: `{"evaluations":[` + soundQuestion + `],"options":{"evaluations_semantic":"deny_all"}}`, field: "options.evaluations_semantic"},
		{name: "semantic in the wrong case", body: `{"evaluations":[` + soundQuestion + `],"options":{"evaluations_semantic":"Execute_All"}}`, field: "options.evaluations_semantic"},
		{name: "semantic is a number", body: `{"evaluations":[` + soundQuestion + `],"options":{"evaluations_semantic":1}}`, field: "options.evaluations_semantic"},
		{name: "default subject is a string", body: `{"subject":"ann","evaluations":[` + soundQuestion + `]}`, field: "subject"},
		{name: "default context is a list", body: `{"context":[],"evaluations":[` + soundQuestion + `]}`, field: "context"},
		{name: "no items and no subject", body: `{"evaluations":[],"action":` + soundAction + `,"resource":` + soundResource + `}`, field: "subject"},
		{name: "neither items nor a question", body: `{"options":{"evaluations_semantic":"execute_all"}}`, field: "subject"},
		{name: "more items than allowed", body: items(11), field: "evaluations", status: http.StatusRequestEntityTooLarge},
	}
}

func malformedElsewhere() []malformed {
	const permissions, data = "/v1/permissions", "/v1/data/authz/decision"
	cases := []malformed{
		{name: "permissions of nobody", path: permissions, body: `{}`, field: "team_member"},
		{name: "permissions of null", path: permissions, body: `{"team_member":null}`, field: "team_member"},
		{name: "permissions of a number", path: permissions, body: `{"team_member":7}`, field: "team_member"},
		{name: "permissions of a list", path: permissions, body: `{"team_member":["ann"]}`, field: "team_member"},
		{name: "permissions with an unknown member", path: permissions, body: `{"team_member":"ann","as":"root"}`, field: "as"},
		{name: "permissions by PUT", path: permissions, method: http.MethodPut, body: `{"team_member":"ann"}`, status: http.StatusMethodNotAllowed},
		{name: "no input", path: data, body: `{}`, field: "input"},
		{name: "input is null", path: data, body: `{"input":null}`, field: "input"},
		{name: "input is a string", path: data, body: `{"input":"ann"}`, field: "input"},
		{name: "input is a list", path: data, body: `{"input":[` + soundQuestion + `]}`, field: "input"},
		{name: "no such entry point", path: "/v1/data/authz/permissions", body: `{"input":` + soundQuestion + `}`, status: http.StatusNotFound},
		{name: "the whole document", path: "/v1/data", body: `{"input":` + soundQuestion + `}`, status: http.StatusNotFound},
		{name: "the package", path: "/v1/data/authz", body: `{"input":` + soundQuestion + `}`, status: http.StatusNotFound},
		{name: "the data", path: "/v1/data/catalogue", body: `{"input":` + soundQuestion + `}`, status: http.StatusNotFound},
		{name: "up and down", path: "/v1/data/authz/../catalogue", body: `{"input":` + soundQuestion + `}`, status: http.StatusNotFound},
		{name: "an unknown path", path: "/access/v1/evaluate", body: soundQuestion, status: http.StatusNotFound},
		{name: "a path too long", path: "/access/v1/evaluation/now", body: soundQuestion, status: http.StatusNotFound},
		{name: "a path in the wrong case", path: "/access/v1/Evaluation", body: soundQuestion, status: http.StatusNotFound},
		{name: "evaluation by GET", method: http.MethodGet, status: http.StatusMethodNotAllowed},
		{name: "evaluation by PUT", method: http.MethodPut, body: soundQuestion, status: http.StatusMethodNotAllowed},
		{name: "evaluation by DELETE", method: http.MethodDelete, status: http.StatusMethodNotAllowed},
		{name: "evaluations by GET", path: "/access/v1/evaluations", method: http.MethodGet, status: http.StatusMethodNotAllowed},
		{name: "metadata by POST", path: "/.well-known/authzen-configuration", body: `{}`, status: http.StatusMethodNotAllowed},
		{name: "plain text", body: soundQuestion, header: []string{"Content-Type", "text/plain"}, field: "Content-Type"},
		{name: "a form by its type", body: soundQuestion, header: []string{"Content-Type", "application/x-www-form-urlencoded"}, field: "Content-Type"},
		{name: "XML by its type", path: "/v1/data/authz/allow", body: `{"input":` + soundQuestion + `}`, header: []string{"Content-Type", "application/xml"}, field: "Content-Type"},
		{name: "a body too large", body: withSubject(`{"type":"team_member","id":"` + strings.Repeat("x", 70_000) + `"}`), status: http.StatusRequestEntityTooLarge},
		{name: "a batch too large", path: "/access/v1/evaluations", body: `{"evaluations":[` + withSubject(`{"type":"team_member","id":"`+strings.Repeat("x", 70_000)+`"}`) + `]}`, status: http.StatusRequestEntityTooLarge},
	}
	for _, c := range brokenBodies(`{"team_member":"ann"}`)[:9] {
		c.path = permissions
		cases = append(cases, c)
	}
	return cases
}

// TestMalformedRequests sends everything that is wrong and expects to be told
// what.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	o := newOrganisation(t, embeddedStore{}, clinic()...)
	s := serve(t, "--facts", writeFacts(t, o.records), "--organisation", o.name, "--max-body", "65536", "--max-batch", "10")
	var cases []malformed
	add := func(path string, more []malformed) {
		for _, c := range more {
			if c.path == "" {
				c.path = path
			}
			cases = append(cases, c)
		}
	}
	add("/access/v1/evaluation", malformedQuestions())
	add("/access/v1/evaluation", brokenBodies(soundQuestion))
	add("/access/v1/evaluations", malformedQuestions())
	add("/access/v1/evaluations", brokenBodies(`{"evaluations":[`+soundQuestion+`]}`))
	add("/access/v1/evaluations", malformedBatches())
	add("/access/v1/evaluation", malformedElsewhere())
	add("/access/v1/evaluation", ambiguousQuestions())
	add("/access/v1/evaluations", ambiguousQuestions())
	for _, c := range ambiguousQuestions() {
		c.name, c.path, c.body = c.name+" in an item", "/access/v1/evaluations", `{"evaluations":[`+soundQuestion+`,`+c.body.(string)+`]}`
		cases = append(cases, c)
	}
	for _, c := range append(malformedQuestions(), ambiguousQuestions()...) {
		c.path, c.body = "/v1/data/authz/allow", `{"input":`+c.body.(string)+`}`
		cases = append(cases, c)
	}
	for _, c := range brokenBodies(`{"input":` + soundQuestion + `}`) {
		c.path = "/v1/data/authz/decision"
		cases = append(cases, c)
	}
	require(t, len(cases) >= 60, "only %d cases", len(cases))
	t.Logf("%d requests", len(cases))
	for i, c := range cases {
		t.Run(strings.TrimPrefix(c.path, "/")+": "+c.name, func(t *testing.T) { c.refused(t, s.decisions(), fmt.Sprintf("request-%d", i)) })
	}
	t.Run("the server is none the worse for it", func(t *testing.T) { o.allow(t, "ann", "view", patient("p-1")) })
}

func (c malformed) refused(t *testing.T, base, id string) {
	t.Helper()
	method, status := c.method, c.status
	if method == "" {
		method = http.MethodPost
	}
	if status == 0 {
		status = http.StatusBadRequest
	}
	r := sent(t, method, base+c.path, c.body, append([]string{"X-Request-ID", id}, c.header...)...)
	p := refused(t, r, status)
	equal(t, r.header.Get("X-Request-ID"), id, "X-Request-ID is")
	switch {
	case status == http.StatusMethodNotAllowed:
		if r.header.Get("Allow") == "" {
			t.Errorf("no Allow header: %v", r)
		}
	case status == http.StatusNotFound || status == http.StatusUnsupportedMediaType:
	case c.field != wholeBody:
		if p.Field != c.field && !strings.HasSuffix(p.Field, "."+c.field) {
			t.Errorf("it names the field %q, expected %q: %v", p.Field, c.field, r)
		}
	default:
		if text := strings.ToLower(p.Detail); !strings.Contains(text, "body") && !strings.Contains(text, "json") && p.Field == "" {
			t.Errorf("it does not say that the body is at fault: %v", r)
		}
	}
}

// TestABadItemIsADeniedItem puts every malformed question between two sound
// ones: it is denied with an error that names the field, and they are answered.
func TestABadItemIsADeniedItem(t *testing.T) {
	t.Parallel()
	o := newOrganisation(t, embeddedStore{}, clinic()...)
	for _, c := range append(malformedQuestions(), malformed{name: "null", body: "null", field: ""}, malformed{name: "a string", body: `"x"`, field: ""}, malformed{name: "a list", body: "[]", field: ""}) {
		t.Run(c.name, func(t *testing.T) {
			body := `{"evaluations":[` + soundQuestion + `,` + c.body.(string) + `,` + soundQuestion + `]}`
			got := decode[struct{ Evaluations []decision }](t, post(t, o.url("/access/v1/evaluations"), body)).Evaluations
			require(t, len(got) == 3 && got[0].allowed() && got[2].allowed(), "%v, expected the first and the third of three to be allowed", got)
			if got[1].Decision == nil || *got[1].Decision {
				t.Errorf("the bad item: %v, expected a decision of false", got[1])
			}
			var told map[string]any
			if json.Unmarshal(got[1].reasons().Error, &told) != nil || !strings.Contains(string(got[1].reasons().Error), c.field) {
				t.Errorf("the bad item's context.error is %s, expected an object that speaks of %q", got[1].reasons().Error, c.field)
			}
		})
	}
}
