package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policyFolder writes a policy of one file, with a test of it.
func policyFolder(t *testing.T, rego, test string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"authz.rego": rego, "authz_test.rego": test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	goodPolicy = "# METADATA\n# title: A policy\npackage authz\n\n# METADATA\n# title: Yes\nallow if input.subject.id == \"ada\"\n"
	goodTest   = "package authz_test\n\nimport data.authz\n\ntest_ada if authz.allow with input.subject.id as \"ada\"\n"
)

func TestPolicyCommands(t *testing.T) {
	good := policyFolder(t, goodPolicy, goodTest)
	for name, c := range map[string]struct {
		args []string
		code int
		want []string // in what is printed
	}{
		"check the embedded policy":  {[]string{"check", "--require-fragment"}, 0, []string{"ok: 0 errors, 0 warnings in 11 policy files and 12 test files\n"}},
		"test the embedded policy":   {[]string{"test"}, 0, []string{"ok: ", " passed; 100.0% of the lines covered\n"}},
		"the embedded formatting":    {[]string{"fmt"}, 0, []string{"ok: every file is formatted\n"}},
		"check a folder":             {[]string{"check", "--policies", good, "--data", t.TempDir()}, 0, []string{"note: no data.catalogue", "ok: 0 errors"}},
		"test a folder":              {[]string{"test", "--policies", good, "--verbose"}, 0, []string{"authz_test.rego:5: PASS authz_test.test_ada", "ok: 1 test, 1 passed; 100.0%"}},
		"run some tests":             {[]string{"test", "--run", `visibility_test\.test_v1_`}, 0, []string{"ok: 2 tests, 2 passed\n"}},
		"run no test":                {[]string{"test", "--run", "nothing_like_it"}, 2, []string{`failed: no test is called like "nothing_like_it"`}},
		"a bad expression":           {[]string{"test", "--run", "("}, 1, []string{"is no regular expression"}},
		"a percentage that is none":  {[]string{"test", "--coverage-threshold", "101"}, 1, []string{"--coverage-threshold: 101 is no percentage"}},
		"a folder that is not there": {[]string{"check", "--policies", filepath.Join(good, "nope")}, 1, []string{"--policies: "}},
		"write what is embedded":     {[]string{"fmt", "--write"}, 1, []string{"name a folder with --policies"}},
		"no such subcommand":         {[]string{"checks"}, 1, []string{"checks"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := called(t, nil, append([]string{"policy"}, c.args...)...)
			if code != c.code || (stderr == "") != (code != 1) {
				t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("%q and %q lack %q", stdout, stderr, want)
				}
			}
		})
	}
}

func TestPolicyCommandsSayNo(t *testing.T) {
	for name, c := range map[string]struct {
		rego, test string
		args       []string
		want       []string
	}{
		"not Rego":        {"package authz\n\nallow {\n", goodTest, []string{"check"}, []string{"authz.rego:4: rego_parse_error", "failed: the policy cannot be read"}},
		"a wrong type":    {goodPolicy + "\n_x := nope(1)\n", goodTest, []string{"check"}, []string{"authz.rego:9: rego_type_error: undefined function nope", "failed: 1 error"}},
		"no METADATA":     {"package authz\n\nallow if input.x\n", goodTest, []string{"check"}, []string{"authz.rego:1: package authz has no METADATA", "failed: 2 errors"}},
		"no compilation":  {goodPolicy + "\n_x := nope(1)\n", goodTest, []string{"test"}, []string{"authz.rego:9: rego_type_error", "failed: the policy does not compile"}},
		"a failed test":   {goodPolicy, strings.Replace(goodTest, `as "ada"`, `as "eve"`, 1), []string{"test"}, []string{"authz_test.rego:5: FAIL authz_test.test_ada: not true: authz.allow", "failed: 1 test, 1 failed"}},
		"too few covered": {goodPolicy + "\nallow if input.subject.id == \"bob\"\n", goodTest, []string{"test"}, []string{"authz.rego:9: no test evaluates line 9", "less than 100%"}},
		"no tests":        {goodPolicy, "package authz_test\n", []string{"test", "--coverage-threshold", "0"}, []string{"failed: there are no tests"}},
		"not formatted":   {strings.Replace(goodPolicy, "==", "  ==", 1), goodTest, []string{"fmt", "--diff"}, []string{"\n-allow if input.subject.id   ==", "failed: 1 file not formatted"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := policyFolder(t, c.rego, c.test)
			code, stdout, stderr := called(t, nil, append([]string{"policy"}, append(c.args, "--policies", dir)...)...)
			if code != 2 || stderr != "" {
				t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q lacks %q", stdout, want)
				}
			}
		})
	}
}

func TestPolicyFmtWrites(t *testing.T) {
	dir := policyFolder(t, strings.Replace(goodPolicy, "==", "  ==", 1), goodTest)
	file := filepath.Join(dir, "authz.rego")
	if code, stdout, stderr := called(t, nil, "policy", "fmt", "--policies", dir, "--write"); code != 0 || stdout != file+"\nok: 1 file written\n" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != goodPolicy {
		t.Errorf("%q, %v", text, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if code, stdout, _ := called(t, nil, "policy", "fmt", "--policies", dir); code != 0 || stdout != "ok: every file is formatted\n" {
		t.Errorf("exit code %d, %q", code, stdout)
	}
}

// verifiable is a policy in which visible patients are those of the member's own groups,
// by a condition that is put in its place.
func verifiable(t *testing.T, condition string) (policies, data string) {
	t.Helper()
	rego := "package authz\n\nallow if {\n\tinput.action.name == \"view\"\n\t" + condition + "\n}\n"
	catalogue := `{"types": {
		"team_member": {"facts": "team_member", "actions": {}}, "patient": {"facts": "patient", "actions": {"view": {}}},
		"note": {"actions": {"view": {}}, "references": {"patient": {"required": true}}}}}`
	policies, data = t.TempDir(), t.TempDir()
	for file, text := range map[string]string{
		filepath.Join(policies, "authz.rego"): rego, filepath.Join(data, "catalogue", "data.json"): catalogue,
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return policies, data
}

func TestPolicyVerify(t *testing.T) {
	facts := filepath.Join(t.TempDir(), "facts.jsonl")
	if err := os.WriteFile(facts, []byte(exampleRecords(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	const inFragment = "input.resource.patient_group in input.subject.access"
	for name, c := range map[string]struct {
		condition string // "" for the embedded policy
		args      []string
		code      int
		want      []string
	}{
		"the embedded policy": {"", []string{"--organisations", "4", "--seed", "3"}, 0,
			[]string{"seed 3\n", "filter, SQLite", "ok: all answers agree in 4 organisations\n"}},
		"a given organisation": {"", []string{"--organisations", "0", "--facts", facts}, 0,
			[]string{"note: the given organisation was asked about as a whole\n", "ok: all answers agree in 1 organisation\n"}},
		"JSON":                  {"", []string{"--organisations", "1", "--json"}, 0, []string{`{"seed":1,"organisations":1,"shapes":[{"shape":"action search by 1000",`}},
		"a policy of one's own": {inFragment, []string{"--organisations", "4"}, 0, []string{"ok: all answers agree in 4 organisations\n"}},
		"outside the fragment": {"count({g | some g in input.subject.access; g == input.resource.patient_group}) > 0", []string{"--organisations", "4"}, 0,
			[]string{"note: searches evaluate one candidate after the other: authz.rego:5", "note: a filter was refused: the policy cannot be turned into a filter (authz.rego:5", "ok: all answers agree"}},
		"an answer that changes": {`rand.intn("any", 1000) < 500`, []string{"--organisations", "20"}, 2,
			[]string{"\nThe answers disagree in the random organisation of seed ", "\nWRONG ", "; the policy evaluated plainly allows ", "\nfailed: the answers disagree\n"}},
		"nothing allowed":        {"input.subject.type == \"robot\"", []string{"--organisations", "2"}, 1, []string{"seed 1\n", "caregate: nothing was allowed"}},
		"a wrong type":           {"nope(1)", nil, 2, []string{"authz.rego:5: rego_type_error", "failed: the policy does not compile\n"}},
		"no Rego":                {"}", nil, 2, []string{"authz.rego:", "failed: the policy cannot be read\n"}},
		"no organisation":        {"", []string{"--organisations", "0"}, 1, []string{"--organisations: 0 is too few"}},
		"facts that are not":     {"", []string{"--facts", filepath.Join(t.TempDir(), "none")}, 1, []string{"--facts: "}},
		"facts that do not fit":  {"", []string{"--facts", "policy_test.go"}, 1, []string{"--facts: policy_test.go: line 1"}},
		"a seed that is no seed": {"", []string{"--seed", "x"}, 1, []string{"--seed: "}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"policy", "verify"}, c.args...)
			if c.condition != "" {
				policies, data := verifiable(t, c.condition)
				args = append(args, "--policies", policies, "--data", data)
			}
			code, stdout, stderr := called(t, nil, args...)
			if code != c.code || (stderr == "") != (code != 1) {
				t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("%q and %q lack %q", stdout, stderr, want)
				}
			}
		})
	}
}
