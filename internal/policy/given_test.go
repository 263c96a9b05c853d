package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// A call that fails on what the caller gave is the caller's error, with the field; one that
// fails on what the policy says itself is the policy's. Neither allows.
func TestACallThatFailsIsBlamedOnWhoeverGaveTheValue(t *testing.T) {
	rubbish := map[string]any{"now": "rubbish", "from": "2030-01-01T00:00:00Z", "n": "x", "flag": true, "list": []any{"x"}, "nested": map[string]any{"at": "rubbish"}}
	for body, field := range map[string]string{
		"time.parse_rfc3339_ns(input.context.now) > 0":                  "context.now",
		"now := input.context.now\n\ttime.parse_rfc3339_ns(now) > 0":    "context.now",
		"not time.parse_rfc3339_ns(input.context.now) < 0":              "context.now",
		"time.parse_rfc3339_ns(trim(input.context.now, \" \")) > 0":     "context.now",
		"time.parse_rfc3339_ns(input.context.nested.at) > 0":            "context.nested.at",
		"to_number(input.resource.properties.n) > 0":                    "resource.properties.n",
		"count(numbers.range(0, to_number(input.context.n))) > 0":       "context.n",
		"_f(input.context.now)":                                         "context.now",
		"_now > 0":                                                      "context.now",
		"_through > 0":                                                  "context.now",
		"every n in input.context.list { to_number(n) > 0 }":            "context.list",
		"some n in input.context.list\n\tto_number(n) > 0":              "context.list",
		"to_number(object.get(input.context, \"n\", \"\")) > 0":         "context",
		"to_number([input.context, input.context.n][1]) > 0":            "context.n",
		"_read(input.context.from) > 0\n\t_read(input.context.now) > 0": "context",
		"_f(input.subject.id)":                                          "",
		"input.context.flag\n\tto_number(\"x\") > 0":                    "",
		"to_number(concat(\"\", [\"x\"])) > 0":                          "",
		"time.parse_rfc3339_ns(input.subject.id) > 0":                   "",
	} {
		source := written(t, one("package authz\n\nallow if {\n\t"+body+"\n}\n\n_f(x) if to_number(x) > 0\n\n_now := time.parse_rfc3339_ns(input.context.now)\n\n_given := input.context.now\n\n_through := _read(_given)\n\n_read(x) := time.parse_rfc3339_ns(x)\n"), nil)
		for evaluator, s := range both(t, source) {
			r := request("user:ada", "read", "document:d")
			r.Context = rubbish
			r.Resource.Properties = map[string]any{"n": "x"}
			_, residual := s.Residual(t.Context(), asking(r), authz.Open{})
			d, err := ask(t, s, nil, r)
			for shape, err := range map[string]error{"check": err, "filter": residual} {
				e, _ := err.(*authz.Error) //nolint:errorlint // it is what the policy returns
				if d.Allow || e == nil {
					t.Errorf("%s, %s, %s: %+v, %v", evaluator, shape, body, d, err)
					continue
				}
				if kind := map[bool]authz.ErrorKind{true: authz.Internal, false: authz.Malformed}[field == ""]; e.Kind != kind || e.Field != field || strings.Contains(e.Error(), "rubbish") {
					t.Errorf("%s, %s, %s: %v of %q, want it of %q", evaluator, shape, body, err, e.Field, field)
				}
			}
		}
	}
}

// Where either of two values may be to blame, the message names both.
func TestBothValuesAreNamedWhereEitherMayBeToBlame(t *testing.T) {
	s := compiled(t, written(t, one(`package authz

allow if {
	_read(input.context.from) > 0
	_read(input.context.until) > 0
}

_read(at) := time.parse_rfc3339_ns(at)
`), nil), policy.Config{})
	r := request("user:ada", "read", "document:d")
	r.Context = map[string]any{"from": "2030-01-01T00:00:00Z", "until": "rubbish"}
	_, err := ask(t, s, nil, r)
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || e.Kind != authz.Malformed || !strings.Contains(e.Message, "context.from or context.until is not") {
		t.Errorf("%v", err)
	}
}

// A list of candidates that is none is the caller's error too.
func TestAListOfCandidatesThatIsNoneIsTheCallersError(t *testing.T) {
	s := compiled(t, embedded(t), policy.Config{})
	for _, listed := range []any{true, "a-1", []any{map[string]any{}}, map[string]any{"a-1": "p-1"}} {
		r := request("team_member:mark", "view", "appointment:")
		r.Context = map[string]any{"candidates": listed}
		_, _, err := s.Candidates(t.Context(), asking(r), "appointment")
		if e, _ := err.(*authz.Error); e == nil || e.Kind != authz.Malformed || e.Field != "context.candidates" { //nolint:errorlint // likewise
			t.Errorf("%v: %v", listed, err)
		}
	}
}
