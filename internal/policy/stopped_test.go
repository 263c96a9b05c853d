package policy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// endless is a rule that takes for ever, and where it stands.
const (
	endless = `package authz.slow

# what it counts takes a year
endless := count([1 |
	some a in numbers.range(1, 9000)
	some b in numbers.range(1, 9000)
	some c in numbers.range(1, 9000)
	a + b == c + count(input.action.name)
])
`
	endlessPlace = "it was in the rule data.authz.slow.endless at authz/slow/slow.rego:"
)

// Whatever evaluates a rule that takes for ever ends with its time, and names the rule.
func TestEveryEvaluationThatRunsOutOfTimeNamesTheRule(t *testing.T) {
	source := written(t, map[string]string{
		"authz/authz.rego": `package authz

allow if data.authz.slow.endless > 0

candidates := {"document": {"d"}} if data.authz.slow.endless > 0

masks := {"document": ["title"]} if data.authz.slow.endless > 0
`,
		"authz/explanation.rego": "package authz.explanation\n\naccount := {\"user\": {}, \"admin\": {}} if data.authz.slow.endless > 0\n",
		"authz/visibility.rego":  "package authz.visibility\n\nroutes contains \"slow\" if not data.authz.slow.endless == 0\n",
		"authz/slow/slow.rego":   endless,
	}, nil)
	q := asking(request("user:ada", "read", "document:d"))
	for evaluator, s := range both(t, source) {
		for shape, ask := range map[string]func(ctx context.Context) error{
			"check":       func(ctx context.Context) error { _, err := s.Decide(ctx, q); return err },
			"explanation": func(ctx context.Context) error { _, err := s.Explain(ctx, q); return err },
			"candidates":  func(ctx context.Context) error { _, _, err := s.Candidates(ctx, q, "document"); return err },
			"masks":       func(ctx context.Context) error { _, err := s.Masks(ctx, q, authz.Open{}); return err },
			"filter":      func(ctx context.Context) error { _, err := s.Residual(ctx, q, authz.Open{}); return err },
			"routes":      func(ctx context.Context) error { _, err := s.Routes(ctx, q, authz.Open{}); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			began := time.Now()
			err := ask(ctx)
			cancel()
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s, %s: it ended after %v", evaluator, shape, took)
			}
			if authz.KindOf(err) != authz.Timeout || !strings.Contains(err.Error(), endlessPlace) {
				t.Errorf("%s, %s: %v", evaluator, shape, err)
			}
		}
	}
}

// A test that does not end is an error of that test, with the rule that it was in, and the
// others end as they do.
func TestATestThatDoesNotEndNamesTheRule(t *testing.T) {
	source := written(t, map[string]string{
		"authz/authz.rego":      "package authz\n\nallow if data.authz.slow.endless > 0\n",
		"authz/slow/slow.rego":  endless,
		"authz/authz_test.rego": "package authz_test\n\nimport data.authz\n\ntest_a if authz.allow with input as {\"action\": {\"name\": \"read\"}}\n\ntest_b if not false\n",
	}, nil)
	began := time.Now()
	report, err := policy.RunTests(t.Context(), source, policy.TestConfig{Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Results) != 2 || report.Results[0].Outcome != policy.Errored || !strings.Contains(report.Results[0].Text, endlessPlace) ||
		report.Results[1].Outcome != policy.Passed {
		t.Errorf("%+v", report.Results)
	}
	report, err = policy.RunTests(t.Context(), source, policy.TestConfig{Limit: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Outcome != policy.Errored || !strings.Contains(r.Text, "all together 200ms") {
			t.Errorf("%+v", r)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("they ended after %v", took)
	}
}

// One that ends on OPA's evaluator only is an error too: the other one serves.
func TestATestThatDoesNotEndOnTheEvaluatorThatServes(t *testing.T) {
	source := written(t, map[string]string{
		"authz/authz.rego":     "package authz\n\nallow if {\n\tdata.authz.slow.endless > 0\n\tinput.resource.type == \"document\"\n}\n",
		"authz/slow/slow.rego": endless,
		"authz/authz_test.rego": "package authz_test\n\nimport data.authz\n\n" +
			"test_a if not authz.allow with input as {\"action\": {\"name\": \"read\"}, \"resource\": {\"type\": \"folder\"}}\n",
	}, nil)
	report, err := policy.RunTests(t.Context(), source, policy.TestConfig{Timeout: 200 * time.Millisecond})
	if err != nil || len(report.Results) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if r := report.Results[0]; r.Outcome != policy.Errored || !strings.Contains(r.Text, endlessPlace) || !strings.Contains(r.Text, "on the evaluator that serves") {
		t.Errorf("%+v", r)
	}
}
