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
		"check the embedded policy":  {[]string{"check", "--require-fragment"}, 0, []string{"ok: 0 errors, 0 warnings in 9 policy files and 10 test files\n"}},
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
