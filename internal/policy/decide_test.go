package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// A policy that answers anything but a decision is an error and never an allow. The values
// are such that their types are not known before.
func TestWhatIsNoDecisionIsAnError(t *testing.T) {
	const yes = "package authz\n\nallow if true\n\n"
	for name, c := range map[string]struct{ rego, want string }{
		"allow is a string":         {"package authz\n\nallow := object.get({}, \"\", \"yes\") if input.subject\n", "data.authz.allow is a value of type string"},
		"allow is a number":         {"package authz\n\nallow := object.get({}, \"\", 1) if input.subject\n", "data.authz.allow is a value of type number"},
		"allow is an object":        {"package authz\n\nallow := object.get({}, \"\", {\"allow\": true}) if input.subject\n", "data.authz.allow is a value of type object"},
		"decision is true":          {yes + "decision := object.get({}, \"\", true)\n", "data.authz.decision is a value of type boolean; it must be an object"},
		"decision is a set":         {yes + "decision := object.get({}, \"\", {\"allow\"})\n", "data.authz.decision is a value of type set"},
		"decision without allow":    {yes + "decision := {\"context\": {}} if input.subject\n", "no boolean member allow"},
		"allow in it is no boolean": {yes + "decision := {\"allow\": object.get({}, \"\", \"true\")} if input.subject\n", "no boolean member allow"},
		"decision denies alone":     {yes + "decision := {\"allow\": false}\n", "they must agree"},
		"decision allows alone":     {"package authz\n\nallow if input.never\n\ndecision := {\"allow\": true}\n", "they must agree"},
		"decision is undefined":     {yes + "decision := {\"allow\": true} if input.never\n", "they must agree"},
		"context is a string":       {yes + "decision := {\"allow\": true, \"context\": object.get({}, \"\", \"because\")}\n", "the context of data.authz.decision is no object"},
		"context is null":           {yes + "decision := {\"allow\": true, \"context\": object.get({}, \"\", null)}\n", "the context of data.authz.decision is no object"},
		"context has other names":   {yes + "decision := {\"allow\": true, \"context\": object.get({}, \"\", {1: 2})}\n", "cannot be written as JSON"},
		"allow contradicts itself":  {"package authz\n\nallow if input.subject\n\nallow := false if input.action\n", "eval_conflict_error"},
	} {
		t.Run(name, func(t *testing.T) {
			for evaluator, s := range both(t, written(t, one(c.rego), nil)) {
				d, err := ask(t, s, nil, request("secret:mark", "view", "patient:p-1"))
				if d.Allow || err == nil || authz.KindOf(err) != authz.Internal || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v, %v; want %q", evaluator, d, err, c.want)
				}
			}
		})
	}
}

func TestDecisionsOfOtherShapes(t *testing.T) {
	for name, c := range map[string]struct {
		rego string
		want authz.Decision
	}{
		"allow alone":              {"package authz\n\nallow if input.subject.id == \"mark\"\n", authz.Decision{Allow: true}},
		"allow alone, undefined":   {"package authz\n\nallow if input.subject.id == \"eve\"\n", authz.Decision{}},
		"allow false":              {"package authz\n\nallow := false\n", authz.Decision{}},
		"without a context":        {"package authz\n\nallow if true\n\ndecision := {\"allow\": true}\n", authz.Decision{Allow: true}},
		"an empty context":         {"package authz\n\nallow if true\n\ndecision := {\"allow\": true, \"context\": {}}\n", authz.Decision{Allow: true, Context: json.RawMessage(`{}`)}},
		"sets as sorted arrays":    {"package authz\n\nallow if true\n\ndecision := {\"allow\": true, \"context\": {\"b\": {3, 1}, \"a\": [true, null, \"é\\\"\"]}}\n", authz.Decision{Allow: true, Context: json.RawMessage(`{"a":[true,null,"é\""],"b":[1,3]}`)}},
		"nothing said is a deny":   {"package authz\n\nallow if input.never\n\ndecision := {\"allow\": true} if allow\n", authz.Decision{Undefined: true, Context: json.RawMessage(`{"reasons":["undefined"]}`)}},
		"more members than needed": {"package authz\n\nallow if true\n\ndecision := {\"allow\": true, \"note\": \"mine\"}\n", authz.Decision{Allow: true}},
	} {
		for evaluator, s := range both(t, written(t, one(c.rego), nil)) {
			d, err := ask(t, s, nil, request("user:mark", "view", "patient:p-1"))
			if err != nil || d.Allow != c.want.Allow || d.Undefined != c.want.Undefined || string(d.Context) != string(c.want.Context) {
				t.Errorf("%s, %s: %v %s, %v", name, evaluator, d, d.Context, err)
			}
		}
	}
}

// `not` over a built-in function that fails must not become an allow.
func TestBuiltinErrorsNeverAllow(t *testing.T) {
	for _, body := range []string{
		"not to_number(input.context.x)",
		"not time.parse_rfc3339_ns(input.context.x) > 0",
		"not json.unmarshal(input.context.x)",
		"not _held",
		"every _ in [1] { not to_number(input.context.x) }",
		"count([1 | not to_number(input.context.x)]) == 1",
	} {
		rego := "package authz\n\nallow if " + body + "\n\n_held if to_number(input.context.x) > 0\n"
		if body != "not _held" {
			rego = "package authz\n\nallow if " + body + "\n"
		}
		for evaluator, s := range both(t, written(t, one(rego), nil)) {
			r := request("user:mark", "view", "patient:p-1")
			r.Context = map[string]any{"x": "no number"}
			d, err := ask(t, s, nil, r)
			if d.Allow || err == nil || authz.KindOf(err) != authz.Malformed {
				t.Errorf("%s, %s: %v, %v", body, evaluator, d, err)
			}
		}
	}
}

func TestACancelledQuestionIsATimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	endless := "package authz\n\nallow if {\n\tsome i in numbers.range(1, 3000)\n\tsome j in numbers.range(1, 3000)\n\ti * j == 0\n}\n"
	for name, source := range map[string]*policy.Source{"the embedded policy": embedded(t), "a long loop": written(t, one(endless), nil)} {
		for evaluator, s := range both(t, source) {
			q := authz.Question{Request: request("team_member:mark", "view", "stock:1"), Facts: authz.NewFacts(true, authz.Revision{})}
			d, err := s.Decide(ctx, q)
			if d.Allow || authz.KindOf(err) != authz.Timeout {
				t.Errorf("%s, %s: %v, %v", name, evaluator, d, err)
			}
			if _, ok := errors.AsType[*authz.Error](err); !ok {
				t.Errorf("%s, %s: %T", name, evaluator, err)
			}
		}
	}
}

// A policy of another domain sees what the caller said, digit for digit, and
// nothing else.
func TestWithoutACatalogueARequestPassesVerbatim(t *testing.T) {
	const rego = "package authz\n\nallow if true\n\ndecision := {\"allow\": true, \"context\": {\"seen\": input}}\n"
	r := &authz.Request{
		Subject:  authz.Entity{Type: "user", ID: "ada", Properties: map[string]any{"found": true, "permissions": map[string]any{"*:*": true}}},
		Action:   authz.Action{Name: "read", Properties: map[string]any{"why": nil}},
		Resource: authz.Entity{Type: "patient", ID: "p-1", Properties: map[string]any{"n": json.Number("12345678901234567890"), "huge": json.Number("1e400"), "f": json.Number("1.50")}},
		Context:  map[string]any{"list": []any{json.Number("0.1"), "x", false}},
	}
	const want = `{"seen":{"action":{"name":"read","properties":{"why":null}},"context":{"list":[0.1,"x",false]},` +
		`"resource":{"id":"p-1","properties":{"f":1.50,"huge":1e400,"n":12345678901234567890},"type":"patient"},` +
		`"subject":{"id":"ada","properties":{"found":true,"permissions":{"*:*":true}},"type":"user"}}}`
	for evaluator, s := range both(t, written(t, one(rego), nil)) {
		d, err := ask(t, s, memory{{Key: authz.Key{Kind: authz.KindPatient, ID: "p-1"}, Found: true, PatientGroup: "g"}}, r)
		if err != nil || string(d.Context) != want {
			t.Errorf("%s: %s, %v, want %s", evaluator, d.Context, err, want)
		}
	}
}

func TestWhatIsNoJSONIsMalformed(t *testing.T) {
	for _, s := range both(t, written(t, one(minimal), nil)) {
		r := request("user:mark", "view", "patient:p-1")
		r.Context = map[string]any{"x": make(chan int)}
		if d, err := ask(t, s, nil, r); d.Allow || authz.KindOf(err) != authz.Malformed {
			t.Errorf("%v, %v", d, err)
		}
	}
}
