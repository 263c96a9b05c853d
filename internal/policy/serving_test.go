package policy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// What a plan is known to give another meaning than OPA's evaluator is evaluated
// by OPA's.
func TestNotForTheMachine(t *testing.T) {
	for name, rego := range map[string]string{
		"a rule whose name depends on the question": `package tenants
acme := {"members": {"ann": true}}
---
package authz
allow if not _stranger
_stranger if not data.tenants[input.context.tenant].members[input.subject.id]`,
		"a rule's name that is no text": `package authz
allow if not blocked[7]
blocked[7] contains "x" if input.context.bad`,
		"a rule's name that goes on after an open part": `package authz
allow if b.a.q == 1
b[x].q := 1 if some x in input.context.l`,
		"a composite value as a statement": `package authz
allow if { [to_number(x) | some x in input.context.l] }`,
		"with": `package authz
allow if _p with input.context as {"a": 1}
_p if input.context.a`,
		"a function where a value is looked up": `package lib
f(x) := x
v := 1
---
package authz
allow if { some k; data.lib[k] == 1 }`,
		"a mock that mocks itself": `package authz
allow if _f(1) with _g as _f
_f(x) := _g(x)
_g(x) := x`,
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{}
			for i, module := range strings.Split(rego, "---\n") {
				files[string(rune('a'+i))+".rego"] = &fstest.MapFile{Data: []byte(module)}
			}
			source, err := policy.Read(files, nil)
			if err != nil {
				t.Fatal(err)
			}
			s, err := policy.Compile(t.Context(), source, policy.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if s.General() == nil {
				t.Error("the machine evaluates it")
			}
			t.Log(s.General())
		})
	}
}

// Look-ups in data go by path, whose parts are text, on both evaluators.
func TestLookupsInData(t *testing.T) {
	source, err := policy.Read(fstest.MapFS{"a.rego": {Data: []byte(`package authz
allow if not data.blocked[input.context.n]
decision := {"allow": true, "context": {"found": found}} if allow
decision := {"allow": false, "context": {"found": found}} if not allow
found := {name: v |
	some name, places in input.context.look
	v := [x | some place in places; x := data.base[name][place]]
}`)}}, fstest.MapFS{"data.json": {Data: []byte(`{"blocked": {"2": true, "x": true}, "base": {"list": ["a", "b"], "nest": {"2": {"3": [10, 20]}}}}`)}})
	if err != nil {
		t.Fatal(err)
	}
	snapshots := both(t, source)
	for _, n := range []any{"2", json.Number("2"), json.Number("2.0"), true, nil, []any{"2"}, "x", "y"} {
		r := &authz.Request{Context: map[string]any{"n": n, "look": map[string]any{
			"list": []any{json.Number("0"), "1", "01", "+1", "-0", json.Number("9"), json.Number("1.0"), nil, true},
			"nest": []any{json.Number("2"), "2", []any{"2"}, map[string]any{}},
		}}}
		agree(t, snapshots, nil, r)
	}
}
