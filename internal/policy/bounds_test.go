package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// A call that would cost far more than it is given, in time or in memory, is an error on
// every evaluator, before anything is done: a built-in function does not look at the deadline.
func TestCallsThatWouldCostTooMuchAreErrors(t *testing.T) {
	for call, c := range map[string]any{
		`bits.lsh(1, 8000000000)`:                          nil,
		`bits.lsh(1, input.context.x)`:                     8_000_000_000,
		`numbers.range(0, 1000000000)`:                     nil,
		`numbers.range(input.context.x, -input.context.x)`: 1_000_000_000,
		`numbers.range_step(0, 1000000000, 7)`:             nil,
		`sprintf("%1000000d%1000000d", [1, 1])`:            nil,
		`sprintf("%*d", [1000000000, 1])`:                  nil,
		`sprintf(input.context.x, [1])`:                    "%[1]999999d%[1]999999d%[1]999999d",
		`sprintf("%.999999f%.999999f", [1.5, 1.5])`:        nil,
		`concat(input.context.x, [s | some _ in numbers.range(1, 2000); s := input.context.x])`: strings.Repeat("x", 9000),
		`concat(input.context.x, split(input.context.x, "x"))`:                                  strings.Repeat("x", 9000),
		`replace(input.context.x, "", input.context.x)`:                                         strings.Repeat("x", 9000),
		`strings.replace_n({"x": input.context.x}, input.context.x)`:                            strings.Repeat("x", 9000),
		`regex.replace(input.context.x, "x", input.context.x)`:                                  strings.Repeat("x", 9000),
		`regex.replace(input.context.x, "(.*)", "$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1")`: strings.Repeat("x", 9000),
		`regex.match("((a{0,100}){0,9}b)*c", input.context.x)`:                                strings.Repeat("a", 50_000),
		`regex.match(input.context.x, input.context.x)`:                                       strings.Repeat("(a{0,30}){0,30}", 200),
		`regex.find_all_string_submatch_n(input.context.x, input.context.x, -1)`:              strings.Repeat("()", 5000),
		`regex.split(input.context.x, "aaaa")`:                                                strings.Repeat("a?", 300_000),
		`glob.match(input.context.x, [], input.context.x)`:                                    strings.Repeat("*a", 5000),
		`product([x | some _ in numbers.range(1, 9000); x := input.context.x]) > 0`:           "number",
		`product(array.concat(input.context.x, input.context.x)) > 0`:                         []any{json.Number("1e9000"), json.Number("2e9000"), json.Number("3e9000")},
		`count(json.marshal(_doubled)) > 0`:                                                   "x",
		`count(sprintf("%v", [_doubled])) > 0`:                                                "x",
		`count(yaml.marshal(_doubled)) > 0`:                                                   "x",
		`_power > 0`:                                                                          10,
		`net.cidr_contains_matches(split(input.context.x, ","), split(input.context.x, ","))`: strings.Repeat("10.0.0.0/8,", 5000),
		`io.jwt.verify_rs256("a.b.c", input.context.x)`:                                       strings.Repeat("x", 70_000),
		`crypto.x509.parse_certificates(input.context.x)`:                                     strings.Repeat("x", 70_000),
		`crypto.x509.parse_and_verify_certificates(input.context.x)`:                          strings.Repeat("x", 70_000),
	} {
		rego := "package authz\n\nallow if {\n\t" + call + "\n}\n"
		if strings.Contains(call, "_doubled") {
			rego += "\n_doubled := _d29\n\n_d0 := [input.context.x, input.context.x]\n"
			for i := range 29 {
				rego += fmt.Sprintf("\n_d%d := [_d%d, _d%d]\n", i+1, i, i)
			}
		}
		if strings.Contains(call, "_power") {
			rego += "\n_power := _p29\n\n_p0 := input.context.x * 1000000000000\n"
			for i := range 29 {
				rego += fmt.Sprintf("\n_p%d := _p%d * _p%d\n", i+1, i, i)
			}
		}
		rego = strings.Replace(rego, `product([x |`, `product([y |`, 1)
		rego = strings.Replace(rego, `x := input.context.x]) > 0`, `y := 123456789012345678901234567890123]) > 0`, 1)
		for evaluator, s := range bothAlone(t, written(t, one(rego), nil)) {
			r := request("user:ada", "read", "document:")
			r.Context = map[string]any{"x": c}
			d, err := ask(t, s, nil, r)
			if d.Allow || err == nil {
				t.Errorf("%s: %.60s: %+v, %v", evaluator, call, d, err)
			}
		}
	}
}

// The limits are far from what policies do.
func TestOrdinaryCallsAreWithinTheLimits(t *testing.T) {
	for _, body := range []string{
		`count(numbers.range(1, 9999)) == 9999`,
		`count(numbers.range(9999, 1)) == 9999`,
		`count(numbers.range_step(0, 99990, 10)) == 10000`,
		`sprintf("%s may not %q %05d of %v (%.2f %%)", ["ada", "read", 7, ["x"], 1.5]) == "ada may not \"read\" 00007 of [\"x\"] (1.50 %)"`,
		`bits.lsh(1, 64) == 18446744073709551616`,
		`product([1, 2, 3]) == 6`,
		`product(numbers.range(1, 20)) == 2432902008176640000`,
		`12345678901234567890 * 12345678901234567890 == 152415787532388367501905199875019052100`,
		`7 / 2 == 3.5`,
		`concat(", ", ["a", "b"]) == "a, b"`,
		`concat(", ", {"a", "b"}) == "a, b"`,
		`replace("a-b-c", "-", "+") == "a+b+c"`,
		`strings.replace_n({"a": "1", "b": "2"}, "abc") == "12c"`,
		`regex.match("^[a-z]{1,64}@example\\.com$", "ada@example.com")`,
		`regex.replace("a1b22", "[0-9]+", "#") == "a#b#"`,
		`regex.replace("a1b22", "([0-9]+)", "<$1>") == "a<1>b<22>"`,
		`regex.split(",", "a,b") == ["a", "b"]`,
		`regex.find_all_string_submatch_n("(a)(b)", "abab", -1) == [["ab", "a", "b"], ["ab", "a", "b"]]`,
		`glob.match("*.example.com", ["."], "api.example.com")`,
		`array.concat([1], [2]) == [1, 2]`,
		`json.marshal({"a": [1]}) == "{\"a\":[1]}"`,
		`base64.encode("ada") == "YWRh"`,
		`net.cidr_contains_matches("10.0.0.0/8", ["10.1.2.3"]) == {["10.0.0.0/8", 0]}`,
		`count([1 | walk(input, [_, _])]) > 3`,
		`some path; walk({"a": {"b": 1}}, [path, 1]); path == ["a", "b"]`,
		"$\"{input.subject.id} reads\" == \"ada reads\"",
	} {
		for evaluator, s := range both(t, written(t, one("package authz\n\nallow if {\n\t"+body+"\n}\n"), nil)) {
			if d, err := ask(t, s, nil, request("user:ada", "read", "document:")); err != nil || !d.Allow {
				t.Errorf("%s: %s: %+v, %v", evaluator, body, d, err)
			}
		}
	}
}

// A mock in the place of a function that has limits is called in its place, and the other way
// round.
func TestFunctionsWithLimitsCanBeMocked(t *testing.T) {
	report, err := policy.RunTests(t.Context(), written(t, map[string]string{
		"authz/authz.rego": "package authz\n\nallow if concat(\"-\", [\"a\", input.x]) == \"a-b\"\n\ntwo(_, _) := \"a-b\"\n\njoined(x) := concat(\"-\", x)\n",
		"authz/authz_test.rego": "package authz_test\n\nimport data.authz\n\n" +
			"test_value if authz.allow with input as {\"x\": \"c\"} with concat as \"a-b\"\n\n" +
			"test_function if authz.allow with input as {\"x\": \"c\"} with concat as authz.two\n\n" +
			"test_other if authz.joined([\"a\", \"b\"]) == \"x\" with concat as \"x\"\n\n" +
			"test_itself if authz.allow with input as {\"x\": \"b\"}\n\n" +
			"test_limit if not numbers.range(1, 2) == [1]\n\n" +
			"test_of_a_limit if numbers.range(1, 100000)\n",
	}, nil), policy.TestConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if want := map[bool]policy.Outcome{true: policy.Errored, false: policy.Passed}[r.Name == "test_of_a_limit"]; r.Outcome != want {
			t.Errorf("%s %s: %s", r.Name, r.Outcome, r.Text)
		}
	}
}

// What is not for policies is named with its place and the reason, in rules and in tests.
func TestFunctionsThatAreNotForPoliciesAreNamed(t *testing.T) {
	report := check(t, written(t, map[string]string{
		"a.rego":      "package authz\n\nallow if count(net.cidr_expand(input.context.net)) > 3\n",
		"a_test.rego": "package authz_test\n\ntest_x if yaml.unmarshal(\"a\") == 1\n",
	}, nil), policy.CheckConfig{})
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.String())
	}
	for _, want := range []string{
		"a.rego:3: rego_type_error: net.cidr_expand is not for policies: what it costs is not bounded",
		"a_test.rego:3: rego_type_error: yaml.unmarshal is not for policies: it parses",
	} {
		if !strings.Contains(strings.Join(found, "\n"), want) {
			t.Errorf("%q; want %s…", found, want)
		}
	}
	_, err := policy.Compile(t.Context(), written(t, one("package authz\n\nallow if opa.runtime().env.HOME\n"), nil), policy.Config{})
	if err == nil || !strings.Contains(err.Error(), "opa.runtime is not for policies") {
		t.Errorf("%v", err)
	}
	if _, classed := errors.AsType[*authz.Error](err); classed {
		t.Errorf("%v is no finding", err)
	}
}

// What an operator has to know of a policy that takes too long is the rule that does.
func TestARuleThatTakesTooLongIsNamed(t *testing.T) {
	s := compiled(t, written(t, one(`package authz

allow if _slow

_slow if count([1 |
	some a in numbers.range(1, 9000)
	some b in numbers.range(1, 9000)
	some c in numbers.range(1, 9000)
	a + b == c
]) > 0
`), nil), policy.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	d, err := s.Decide(ctx, asking(request("user:ada", "read", "document:d")))
	if d.Allow || authz.KindOf(err) != authz.Timeout || !strings.Contains(err.Error(), "in the rule data.authz._slow") {
		t.Errorf("%+v, %v", d, err)
	}
}
