package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/httpapi"
)

// filterer answers with a filter of its own, and remembers what it was asked.
type filterer struct {
	organisation string
	asked        *filter.Question
	made         filter.Filter
	err          error
}

func (f *filterer) Filter(
	_ context.Context, organisation string, q *filter.Question, fresh authz.Freshness,
) (*filter.Filter, authz.Stated, error) {
	stated := authz.Stated{Revision: authz.Revision{Count: 7, Nonce: "ab"}, Policy: "c0ffee"}
	f.organisation, f.asked = organisation, q
	if !stated.Revision.MayInclude(fresh.AtLeast) {
		return nil, stated, authz.NotIncluded()
	}
	return &f.made, stated, f.err
}

const appointments = `"resource":{"type":"appointment"}`

func TestFilter(t *testing.T) {
	f := new(filterer)
	c := decisions(t, httpapi.Config{Filterer: f})
	for _, test := range []struct {
		dialect, want string
		made          filter.Filter
	}{
		{
			"postgresql", `"matches":"some","dialect":"postgresql","where":"(\"patients\".\"group\" IN ($3, $4))","args":["diabetes","it's \"\\ é",7]`,
			filter.Filter{Matches: filter.Some, Where: `("patients"."group" IN ($3, $4))`, Args: []any{"diabetes", `it's "\ é`, int64(7)}},
		},
		{"sqlite", `"matches":"none","dialect":"sqlite","where":"(1 = 0)","args":[]`, filter.Filter{Matches: filter.None, Where: "(1 = 0)", Args: []any{}}},
		{"mysql", `"matches":"all","dialect":"mysql","where":"(1 = 1)","args":[]`, filter.Filter{Matches: filter.All, Where: "(1 = 1)"}},
		{
			"ucast", `"matches":"some","dialect":"ucast","ucast":{"type":"field"},"masks":{"patients.name":{"replace":{"value":"-"}}}`,
			filter.Filter{Matches: filter.Some, UCAST: json.RawMessage(`{"type":"field"}`), Masks: json.RawMessage(`{"patients.name":{"replace":{"value":"-"}}}`)},
		},
	} {
		f.made = test.made
		for base, organisation := range map[string]string{"": "riverside", "/organisations/north": "north"} {
			got := c.post(base+"/v1/filters", `{`+mark+`,`+view+`,`+appointments+`,"dialect":"`+test.dialect+`"}`)
			got.want(t, 200, `{`+test.want+`}`)
			if f.organisation != organisation || f.asked.Dialect != filter.Dialect(test.dialect) || f.asked.First != 0 ||
				got.header.Get("Caregate-Revision") != "7.ab" || got.header.Get("Caregate-Policy") != "c0ffee" {
				t.Errorf("asked %v of %s; %v", f.asked, f.organisation, got.header)
			}
		}
	}
	body := `{"context":{"why":1},"first_parameter":12,"dialect":"sqlserver",` + mark + `,"action":{"name":"view","properties":{"a":1}},` +
		`"resource":{"type":"appointment","properties":{"provider":"mark"}}}`
	f.made = filter.Filter{Matches: filter.All, Where: "(1 = 1)"}
	if got := c.post("/v1/filters", body); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	want := authz.Request{
		Subject: authz.Entity{Type: "team_member", ID: "mark"}, Action: authz.Action{Name: "view", Properties: map[string]any{"a": json.Number("1")}},
		Resource: authz.Entity{Type: "appointment", Properties: map[string]any{"provider": "mark"}}, Context: map[string]any{"why": json.Number("1")},
	}
	if f.asked.First != 12 || fmt.Sprint(*f.asked.Request) != fmt.Sprint(want) {
		t.Errorf("asked %d %v", f.asked.First, *f.asked.Request)
	}
}

// A filter without its text, or that does not say what it matches, never leaves.
func TestHalfAFilterIsAnError(t *testing.T) {
	f := new(filterer)
	c := decisions(t, httpapi.Config{Filterer: f})
	for dialect, made := range map[string]filter.Filter{
		"postgresql": {},
		"mysql":      {Matches: filter.All},
		"sqlite":     {Matches: "most", Where: "(1 = 1)"},
		"sqlserver":  {Matches: filter.Some, Where: "(x = ?)", Args: []any{1.5}},
		"ucast":      {Matches: filter.All, Where: "(1 = 1)"},
	} {
		f.made = made
		c.post("/v1/filters", `{`+mark+`,`+view+`,`+appointments+`,"dialect":"`+dialect+`"}`).wantStatus(t, 500)
	}
}

func TestMalformedFilters(t *testing.T) {
	f := new(filterer)
	c := decisions(t, httpapi.Config{Filterer: f})
	with := func(more string) string { return `{` + mark + `,` + view + `,` + appointments + more + `}` }
	const sqlite = `,"dialect":"sqlite"`
	for body, field := range map[string]string{
		``:                                                        "",
		`[]`:                                                      "",
		with(sqlite) + `1`:                                        "",
		with(``):                                                  "dialect",
		with(`,"dialect":""`):                                     "dialect",
		with(`,"dialect":"PostgreSQL"`):                           "dialect",
		with(`,"dialect":null`):                                   "dialect",
		with(`,"dialect":7`):                                      "dialect",
		with(sqlite + `,"first_parameter":0`):                     "first_parameter",
		with(sqlite + `,"first_parameter":-1`):                    "first_parameter",
		with(sqlite + `,"first_parameter":1.5`):                   "first_parameter",
		with(sqlite + `,"first_parameter":"1"`):                   "first_parameter",
		with(sqlite + `,"first_parameter":65536`):                 "first_parameter",
		with(sqlite + `,"first_parameter":null`):                  "first_parameter",
		with(sqlite + `,"table":"patients"`):                      "table",
		with(sqlite + `,"where":"1=1"`):                           "where",
		with(sqlite + `,"page":{}`):                               "page",
		with(sqlite + `,"context":7`):                             "context",
		`{` + view + `,` + appointments + sqlite + `}`:            "subject",
		`{` + mark + `,` + appointments + sqlite + `}`:            "action",
		`{` + mark + `,` + view + sqlite + `}`:                    "resource",
		`{` + mark + `,` + view + `,"resource":{}` + sqlite + `}`: "resource.type",
		`{` + mark + `,` + view + `,` + p1 + sqlite + `}`:         "resource.id",
		`{` + mark + `,` + view + `,"resource":{"type":"patient","table":"x"}` + sqlite + `}`:                   "resource.table",
		`{` + mark + `,"action":{"name":"view","x":1},` + appointments + sqlite + `}`:                           "action.x",
		`{"subject":{"type":"team_member"},` + view + `,` + appointments + sqlite + `}`:                         "subject.id",
		`{"subject":{"type":"team_member","id":"m","groups":["g"]},` + view + `,` + appointments + sqlite + `}`: "subject.groups",
	} {
		c.post("/v1/filters", body).refused(t, 400, "malformed", field)
	}
	if f.asked != nil {
		t.Error("something malformed was asked")
	}
	f.err = authz.Errorf(authz.NotFound, "resource.type", "has no table; configure one with --filters")
	if got := c.post("/v1/filters", with(sqlite)); got.status != 404 || !strings.Contains(got.body, "--filters") {
		t.Errorf("%d %s", got.status, got.body)
	}
	f.err = &authz.Error{Kind: authz.Unsupported, Message: "the policy cannot be turned into a filter; search instead", Err: &authz.Outside{Where: []string{"allow.rego:7"}}}
	if got := c.post("/v1/filters", with(sqlite)); got.status != 501 || strings.Contains(got.body, "allow.rego") {
		t.Errorf("%d %s", got.status, got.body)
	}
	c.post("/v1/filters", with(sqlite), "Caregate-At-Least", "9.x").wantStatus(t, 412)
}
