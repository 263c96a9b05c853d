package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestQuestionsOnTheCommandLine asks a file of facts and Redis.
func TestQuestionsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	facts := writeFacts(t, exampleRecords(t))
	mustRun(t, "", "import", "--redis", workbench.redis.URL(), "--organisation", "questions", facts)
	mapping := writeFile(t, "filters.json", mappedToTables)
	for where, flags := range map[string][]string{"file": {"--facts", facts}, "Redis": {"--redis", workbench.redis.Unhurried(), "--organisation", "questions"}} {
		for i, c := range []struct {
			code   int
			stdout string // the whole of it, or what has to be in it after "…"
			stderr string
			args   string
		}{
			{0, "p-1\np-11\np-2\np-3\np-4\n", "", "list --subject team_member:mark --action update --resource patient"},
			{0, "p-1\np-11\n", "more", "list --subject team_member:mark --action update --resource patient --limit 2"},
			{0, "amara\nelena\njordan\nmark\nruth\n", "", "list --subject team_member --action view --resource patient:p-1"},
			{0, "update\nview\n", "", "list --subject team_member:mark --resource patient:p-1"},
			{0, `{"type":"provider","id":"hana"}` + "\n", "", "list --subject patient:p-10 --action book --resource provider --json"},
			{0, "a-1\n", "", `list --subject team_member:mark --action view --resource appointment --context {"candidates":{"a-1":{"patient":"p-1"},"a-2":{"patient":"p-9"}}}`},
			{2, "", "", "list --subject team_member:noor --action view --resource patient"},
			{1, "", "subject", "list --action view --resource patient"},
			{1, "", "leave one thing open", "list --subject team_member:mark --action view --resource patient:p-1"},
			{1, "", "leave one thing open", "list --subject team_member --action view --resource patient"},
			{0, "…allow", "", "explain --subject team_member:mark --action view --resource patient:p-1"},
			{2, "…adds 1 patient", "", "explain --subject team_member:oscar --action view --resource patient:p-1"},
			{2, `…"remedies":[{`, "", "explain --subject team_member:oscar --action view --resource patient:p-1 --json"},
			{2, "…subject_unknown", "", "explain --subject team_member:nobody --action view --resource patient:p-1"},
			{1, "", "--resource", "explain --subject team_member:oscar --action view --resource patient"},
			{0, "…some", "", "filter --filters " + mapping + " --subject team_member:mark --action view --resource patient --dialect sqlite"},
			{0, `…{"matches":"some","dialect":"ucast","ucast":{`, "", "filter --filters " + mapping + " --subject team_member:mark --action view --resource clinical_note --dialect ucast --json"},
			{0, `…$4`, "", "filter --filters " + mapping + " --subject team_member:mark --action view --resource patient --first-parameter 4"},
			{2, "…none", "", "filter --filters " + mapping + " --subject team_member:noor --action view --resource patient"},
			{1, "", "dialect", "filter --filters " + mapping + " --subject team_member:mark --action view --resource patient --dialect oracle"},
			{1, "", "--filters", "filter --filters " + mapping + "-not-there --subject team_member:mark --action view --resource patient"},
			{1, "", "resource", "filter --filters " + mapping + " --subject team_member:mark --action view --resource calendar"},
		} {
			if where == "Redis" && i%6 != 0 { // a process each: some of every command will do
				continue
			}
			got := run(t, "", append(strings.Fields(c.args), flags...)...)
			part, partly := strings.CutPrefix(c.stdout, "…")
			if got.code != c.code || !partly && got.stdout != c.stdout || !strings.Contains(got.stdout, part) && partly || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("%s, of a %s: exit code %d, expected %d, %q and %q on stderr\n%s%s", c.args, where, got.code, c.code, c.stdout, c.stderr, got.stdout, got.stderr)
			}
		}
	}
	// What explain prints can be made.
	got := run(t, "", "explain", "--subject", "team_member:oscar", "--action", "view", "--resource", "patient:p-1", "--json", "--facts", facts)
	var e explanation
	if err := json.Unmarshal([]byte(got.stdout), &e); err != nil || len(e.Context.Remedies) == 0 || *e.Context.Remedies[0].Patients != 1 {
		t.Errorf("%v in %s", err, got.stdout)
	}
	for _, args := range [][]string{{"list", "--subject", "team_member:mark", "--action", "view", "--resource", "patient"}, {"explain", "--subject", "team_member:mark", "--action", "view", "--resource", "patient:p-1"},
		{"filter", "--subject", "team_member:mark", "--action", "view", "--resource", "patient"}} {
		if got := run(t, "", append(slices.Clone(args), "--redis", "redis://127.0.0.1:1")...); got.code != 1 || got.stdout != "" || got.stderr == "" {
			t.Errorf("%s without Redis: exit code %d, %q, %q", args[0], got.code, got.stdout, got.stderr)
		}
		if got := mustRun(t, "", args...); got.stdout == "" { // the example that comes with it
			t.Errorf("%s of the example says nothing", args[0])
		}
	}
}

// TestPolicyVerify looks at the policy that comes with the binary, at one that
// leaves the fragment, and at one that breaks the agreement by itself.
func TestPolicyVerify(t *testing.T) {
	t.Parallel()
	facts := writeFacts(t, exampleRecords(t))
	got := mustRun(t, "", "policy", "verify", "--facts", facts, "--organisations", "2", "--seed", "7")
	for _, shape := range []string{"check", "batch", "search", "SQLite", "UCAST"} {
		check(t, strings.Contains(got.stdout, shape), "it says nothing of %s:\n%s", shape, got.stdout)
	}
	if got := mustRun(t, "", "policy", "verify", "--policies", outside(t), "--data", data(t), "--organisations", "6"); !strings.Contains(got.stdout+got.stderr, "visibility.rego") {
		t.Errorf("it does not name where the fragment is left:\n%s%s", got.stdout, got.stderr)
	}
	var report object
	if got := mustRun(t, "", "policy", "verify", "--organisations", "2", "--json"); json.Unmarshal([]byte(got.stdout), &report) != nil {
		t.Errorf("no JSON: %s", got.stdout)
	}
	// The time is another for each answer: no two have to agree.
	chance := rewritten(t, "allow.rego", "\tinput.subject.found\n", "\tinput.subject.found\n\ttime.now_ns() % 2 == 0\n")
	if got := run(t, "", "policy", "verify", "--policies", chance, "--data", data(t), "--organisations", "2"); got.code != 2 || !strings.Contains(got.stdout, "WRONG") {
		t.Errorf("a policy by chance: exit code %d, expected 2\n%s%s", got.code, got.stdout, got.stderr)
	} else if !strings.Contains(got.stdout, `{"kind":`) {
		t.Errorf("no organisation is printed:\n%s", got.stdout)
	}
	broken := rewritten(t, "allow.rego", "permission.held", "permission.held :=")
	if got := run(t, "", "policy", "verify", "--policies", broken, "--data", data(t)); got.code != 2 || !strings.Contains(got.stderr+got.stdout, "allow.rego") {
		t.Errorf("a policy that does not compile: exit code %d, expected 2\n%s%s", got.code, got.stdout, got.stderr)
	}
	for _, args := range [][]string{{"--policies", broken + "-not-there"}, {"--facts", facts + "-not-there"}, {"--organisations", "-1"}, {"surplus"}} {
		ends(t, run(t, "", append([]string{"policy", "verify"}, args...)...), 1, "policy verify %q", args)
	}
}

// data is the catalogue in the repository.
func data(t *testing.T) string { t.Helper(); return absolute(t, "../../data") }

// rewritten is a copy of the policy with one text of a file below authz replaced.
func rewritten(t *testing.T, file, old, with string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "policies")
	noError(t, os.CopyFS(dir, os.DirFS("../../policies")))
	path := filepath.Join(dir, "authz", file)
	text := string(try(os.ReadFile(path)).must(t))
	require(t, strings.Contains(text, old), "%s does not say %q any more", file, old)
	noError(t, os.WriteFile(path, []byte(strings.Replace(text, old, with, 1)), 0o600))
	return dir
}
