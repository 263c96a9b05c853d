package policy_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
)

func check(t *testing.T, source *policy.Source, config policy.CheckConfig) *policy.CheckReport {
	t.Helper()
	report, err := policy.Check(t.Context(), source, config)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestEmbeddedPolicyHasNothingWrong(t *testing.T) {
	report := check(t, embedded(t), policy.CheckConfig{RequireFragment: true})
	for _, f := range report.Findings {
		t.Error(f)
	}
	if len(report.Notes) > 0 || report.Modules < 9 || report.Tests < 9 {
		t.Errorf("notes %q, %d modules, %d tests", report.Notes, report.Modules, report.Tests)
	}
}

// A rule that takes for ever is named, and the check ends.
func TestCheckEndsWhateverARuleCosts(t *testing.T) {
	source := edited(t, "authz/visibility/visibility.rego", "\tinput.resource.patient_group in input.subject.access\n",
		"\tinput.resource.patient_group in input.subject.access\n\tcount([1 | some _ in numbers.range(1, 3000); some _ in numbers.range(1, 3000); some _ in numbers.range(1, 3000)]) > 0\n")
	began := time.Now()
	_, err := policy.Check(t.Context(), source, policy.CheckConfig{Limit: 6 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "not evaluated in time") || !strings.Contains(err.Error(), "data.authz.visibility") {
		t.Errorf("the check says %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it ended after %v", took)
	}
}

func TestCheckAsksForMetadata(t *testing.T) {
	report := check(t, written(t, map[string]string{
		"authz/a.rego":  "package authz\n\nallow if _yes\n\n_yes if true\n\n# METADATA\n# title: Said\nsaid := 1\n\n# METADATA\n# scope: document\n# description: Said once.\nonce := 1 if input.x\n\nonce := 2 if input.y\n",
		"b/b.rego":      "# METADATA\n# title: Said\npackage b\n\n# METADATA\n# custom:\n#   owner: me\nx := 1\n",
		"b/c.rego":      "package b\n\n# METADATA\n# title: A set\ny contains 1\n\ny contains 2\n",
		"b/b_test.rego": "package b_test\n\nimport data.b\n\ntest_x if b.x == 1\n",
	}, nil), policy.CheckConfig{})
	var got []string
	for _, f := range report.Findings {
		got = append(got, f.String())
	}
	want := []string{
		"authz/a.rego:1: package authz has no METADATA with a title or a description; say what it is for",
		"authz/a.rego:3: rule authz.allow has no METADATA with a title or a description; say what it is for",
		"b/b.rego:8: rule b.x has no METADATA with a title or a description; say what it is for",
	}
	if !slices.Equal(got, want) || report.Errors() != 3 || report.Warnings() != 0 {
		t.Errorf("%q, want %q", got, want)
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "no data.catalogue") {
		t.Errorf("notes %q", report.Notes)
	}
}

func TestCheckReportsWhatIsWrongInTestsAndData(t *testing.T) {
	documented := "# METADATA\n# title: A policy\npackage authz\n\n# METADATA\n# title: Yes\nallow if input.x\n"
	report := check(t, written(t, map[string]string{
		"authz.rego": documented, "authz_test.rego": "package authz_test\n\nimport data.authz\n\ntest_x if nope(1)\n",
	}, nil), policy.CheckConfig{})
	if report.Errors() == 0 || report.Findings[0].File != "authz_test.rego" {
		t.Errorf("%v", report.Findings)
	}
	report = check(t, written(t, map[string]string{"authz.rego": documented}, map[string]string{
		"catalogue/data.json": `{"types":{"x":{"facts":"a"},"y":{"facts":"b"}}}`,
	}), policy.CheckConfig{})
	if report.Errors() != 2 {
		t.Errorf("%v", report.Findings)
	}
}

// OPA takes a name that nothing has for one that is undefined.
func TestCheckReportsNamesThatNothingHas(t *testing.T) {
	for file, c := range map[string]struct{ old, misspelt, want string }{
		"authz/allow.rego":                {"\tresource.action\n\tresource.fits", "\tresource.acton\n\tresource.fits", "authz/allow.rego:41: nothing is called data.authz.resource.acton"},
		"authz/booking/booking_test.rego": {"not booking.needed with input as example", "not booking.neded with input as example", "nothing is called data.authz.booking.neded"},
	} {
		report := check(t, edited(t, file, c.old, c.misspelt), policy.CheckConfig{})
		if report.Errors() != 1 || !strings.Contains(report.Findings[0].String(), c.want) {
			t.Errorf("%v, want %q", report.Findings, c.want)
		}
	}
}

func TestLeavingTheFragmentIsAWarningUnlessRequired(t *testing.T) {
	source := edited(t, "authz/visibility/visibility.rego",
		"\tinput.subject.id in input.resource.care_team\n", "\tcount(input.resource.care_team) > 0\n")
	report := check(t, source, policy.CheckConfig{})
	if report.Errors() != 0 || report.Warnings() == 0 {
		t.Errorf("%v", report.Findings)
	}
	report = check(t, source, policy.CheckConfig{RequireFragment: true})
	if report.Errors() == 0 || report.Warnings() != 0 {
		t.Errorf("%v", report.Findings)
	}
}

func TestFindingsLeaveOutWhatIsNotThePolicys(t *testing.T) {
	_, err := policy.Read(broken{}, nil)
	findings, rest := policy.Findings(errors.Join(err, errors.New("data/a/b.json: bad"), errors.New("no rule: none")))
	if _, ok := errors.AsType[*fs.PathError](rest); !ok {
		t.Errorf("rest %v", rest)
	}
	want := []policy.Finding{{Text: "no rule: none"}, {File: "data/a/b.json", Text: "bad"}}
	if !slices.Equal(findings, want) {
		t.Errorf("%v, want %v", findings, want)
	}
}

// broken is a tree that cannot be read.
type broken struct{}

func (broken) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestEmbeddedPolicyIsTestedAndFormatted(t *testing.T) {
	report, err := policy.RunTests(t.Context(), embedded(t), policy.TestConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Outcome != policy.Passed {
			t.Errorf("%s:%d: %s %s.%s: %s", r.File, r.Row, r.Outcome, r.Package, r.Name, r.Text)
		}
	}
	for _, f := range report.Coverage {
		if len(f.Uncovered) > 0 || f.Percent() != 100 {
			t.Errorf("%s: no test evaluates %v", f.File, f.Uncovered)
		}
	}
	if len(report.Results) < 90 || report.Percent() != 100 {
		t.Errorf("%d tests, %v%%", len(report.Results), report.Percent())
	}
	differ, failed := policy.Format(embedded(t))
	for _, f := range differ {
		t.Errorf("%s", f.Diff(f.File))
	}
	for _, f := range failed {
		t.Error(f)
	}
}

// Every rule file has its tests beside it.
func TestEveryRuleFileHasATestFile(t *testing.T) {
	source, err := policy.Read(policies.Files, data.Files())
	if err != nil {
		t.Fatal(err)
	}
	for name := range source.Modules {
		if test := strings.TrimSuffix(name, ".rego") + "_test.rego"; source.Tests[test] == nil {
			t.Errorf("%s has no %s", name, test)
		}
	}
}

func TestRunTestsSaysHowEachEnded(t *testing.T) {
	source := written(t, map[string]string{
		"authz/authz.rego": "package authz\n\nallow if input.x == 1\n\nallow if {\n\tinput.x == 2\n\tinput.y\n}\n",
		"authz/authz_test.rego": `package authz_test

import data.authz

test_passes if {
	print("seen")
	authz.allow with input as {"x": 1}
}

test_fails if {
	x := 2
	authz.allow with input as {"x": x}
}

test_errs if not to_number("x")

todo_test_later if authz.allow

test_cases[name] if {
	some name, x in {"one": 1, "three": 3}
	authz.allow with input as {"x": x}
}
`,
	}, nil)
	report, err := policy.RunTests(t.Context(), source, policy.TestConfig{})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]policy.TestResult{}
	for _, r := range report.Results {
		byName[r.Name] = r
	}
	for _, want := range []policy.TestResult{
		{Name: "test_passes", Row: 5, Outcome: policy.Passed, Output: "seen\n"},
		{Name: "test_fails", Row: 12, Outcome: policy.Failed, Text: "not true: authz.allow with input as {\"x\": x}"},
		{Name: "test_errs", Row: 15, Outcome: policy.Errored},
		{Name: "todo_test_later", Row: 17, Outcome: policy.Skipped},
		{Name: "test_cases", Row: 19, Outcome: policy.Failed, Text: "not true in the cases three"},
	} {
		got := byName[want.Name]
		if got.Row != want.Row || got.Outcome != want.Outcome || got.Output != want.Output || want.Text != "" && got.Text != want.Text {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if !strings.Contains(byName["test_errs"].Text, "to_number") {
		t.Errorf("%q", byName["test_errs"].Text)
	}
	if report.Percent() >= 100 || !slices.Equal(report.Coverage[0].Uncovered, []int{5, 6, 7}) {
		t.Errorf("%v%%, %+v", report.Percent(), report.Coverage)
	}
	for outcome, want := range map[policy.Outcome]int{policy.Passed: 1, policy.Failed: 2, policy.Errored: 1, policy.Skipped: 1} {
		if got := report.Count(outcome); got != want {
			t.Errorf("%d %s, want %d", got, outcome, want)
		}
	}
}

func TestRunTestsByName(t *testing.T) {
	report, err := policy.RunTests(t.Context(), embedded(t), policy.TestConfig{Run: `visibility_test\.test_v2_`})
	if err != nil || len(report.Results) != 2 {
		t.Errorf("%v, %v", report, err)
	}
	if _, err := policy.RunTests(t.Context(), embedded(t), policy.TestConfig{Run: "("}); err == nil {
		t.Error("a bad expression was taken")
	}
}

// Tests run without what does not exist for the policy.
func TestRunTestsIsRestricted(t *testing.T) {
	source := written(t, map[string]string{
		"authz.rego":      "package authz\n\nallow if input.x\n",
		"authz_test.rego": "package authz_test\n\ntest_x if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1:1\"})\n",
	}, nil)
	if _, err := policy.RunTests(t.Context(), source, policy.TestConfig{}); err == nil || !strings.Contains(err.Error(), "http.send is not for policies: it reaches outside") {
		t.Errorf("%v", err)
	}
}

func TestFormatRefusesToChangeWhatARuleSays(t *testing.T) {
	source := written(t, map[string]string{
		"a.rego": "package a\n\nx if input.x == (input.y in {1, 2})\n",
		"b.rego": "package b\nx   if input.x\n",
		"c.rego": "package c\n\nx if input.x\n",
	}, nil)
	differ, failed := policy.Format(source)
	if len(differ) != 1 || differ[0].File != "b.rego" || string(differ[0].After) != "package b\n\nx if input.x\n" {
		t.Errorf("%v", differ)
	}
	if len(failed) != 1 || failed[0].File != "a.rego" || failed[0].Row != 3 {
		t.Errorf("%v", failed)
	}
	if d := string(differ[0].Diff("policies/b.rego")); !strings.Contains(d, "--- policies/b.rego\n") || !strings.Contains(d, "-x   if input.x\n") {
		t.Errorf("%s", d)
	}
}
