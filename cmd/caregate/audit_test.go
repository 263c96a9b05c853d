package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/data"
)

// rawRedis returns a client for the keys of a Redis.
func rawRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func findingLines(t *testing.T, stdout string) []findingLine {
	t.Helper()
	var found []findingLine
	for line := range strings.Lines(stdout) {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var f findingLine
		if err := d.Decode(&f); err != nil || f.Rule == "" || f.Kind == "" || f.What == "" || f.Remedy == "" {
			t.Fatalf("%q: %v", line, err)
		}
		found = append(found, f)
	}
	return found
}

// The example organisation is sound. V7 has one thing to say, which is meant.
func TestAuditOfTheExample(t *testing.T) {
	url, file := redisForMoves(t), filepath.Join(t.TempDir(), "facts.jsonl")
	if err := os.WriteFile(file, []byte(exampleRecords(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := called(t, nil, "import", file, "--redis", url); code != 0 {
		t.Fatal(stderr)
	}
	for _, where := range [][]string{nil, {"--facts", file}, {"--redis", url}} {
		code, stdout, stderr := called(t, nil, append([]string{"audit"}, where...)...)
		if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 4 || !strings.HasPrefix(stdout, "advice: View All Patients without the permission to open one (V7): 1\n") ||
			!strings.Contains(stdout, "  role auditor grants patient:view_all to 1 member without patient:view, so that they open no record: tomas\n") ||
			!strings.Contains(stdout, "\naudited 49 entities and 50 indexes at revision 1.") || !strings.HasSuffix(stdout, ": no breach, advice on 1\n") {
			t.Errorf("%q: %d, %s%s", where, code, stdout, stderr)
		}
		code, stdout, stderr = called(t, nil, append([]string{"audit", "--json"}, where...)...)
		found := findingLines(t, stdout)
		if code != 0 || len(found) != 1 || found[0].Rule != "V7" || found[0].Kind != "role" || found[0].ID != "auditor" || !found[0].Advice ||
			!strings.HasPrefix(stderr, "audited 49 entities") || strings.Contains(stderr, "tomas") {
			t.Errorf("%q: %d, %s%s", where, code, stdout, stderr)
		}
	}
}

func TestAuditOfDamage(t *testing.T) {
	url := redisForMoves(t)
	if code, _, stderr := moved(t, exampleRecords(t), "import", "--redis", url); code != 0 {
		t.Fatal(stderr)
	}
	raw, prefix := rawRedis(t, url), "cg:{"+data.ExampleOrganisation+"}:"
	raw.ZRem(t.Context(), prefix+"access:diabetes", "mark")
	for i := range 25 {
		raw.Set(t.Context(), fmt.Sprintf("%sstray-%02d\n", prefix, i), "", 0)
	}
	code, stdout, stderr := called(t, nil, "audit", "--redis", url)
	for _, want := range []string{
		"relationships whose two sides disagree (both_sides): 1\n  team_member mark is not in access:diabetes, which its access says it is in\n  to do: build both sides anew",
		"keys that are no part of the layout (key): 25\n  key stray-", `\n is no part of the layout`, "\n  … and 5 more; --all shows them\n",
		"\nadvice: ", ": 26 breaches, advice on 1\n",
	} {
		if code != 2 || stderr != "" || !strings.Contains(stdout, want) {
			t.Errorf("%d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
	if strings.Index(stdout, "advice: ") < strings.Index(stdout, "(key)") {
		t.Error("advice stands before breaches")
	}
	if code, stdout, _ = called(t, nil, "audit", "--redis", url, "--all"); code != 2 || strings.Count(stdout, "is no part of the layout") != 25 || strings.Contains(stdout, "more;") {
		t.Errorf("%d, %s", code, stdout)
	}
	code, stdout, stderr = called(t, nil, "audit", "--redis", url, "--json")
	if found := findingLines(t, stdout); code != 2 || len(found) != 27 || strings.Contains(stderr, "mark") || strings.Contains(stderr, "stray") {
		t.Errorf("%d, %d findings, %s", code, len(found), stderr)
	}
}

func TestAuditErrors(t *testing.T) {
	url := redisForMoves(t)
	none := "unix://" + filepath.Join(t.TempDir(), "none")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no organisation": {[]string{"--redis", url, "--organisation", "none"}, "caregate: --organisation: there is no such organisation"},
		"away":            {[]string{"--redis", none}, "caregate: Redis did not give an answer"},
		"bad URL":         {[]string{"--redis", "http://u:SECRET@h"}, "caregate: --redis: has an unknown scheme"},
		"no such file":    {[]string{"--facts", none}, "no such file"},
		"both":            {[]string{"--facts", none, "--redis", url}, "exclude each other"},
		"an argument":     {[]string{"facts.jsonl"}, "usage: caregate audit"},
	} {
		code, stdout, stderr := called(t, nil, append([]string{"audit"}, test.args...)...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "SECRET") {
			t.Errorf("%s: %d, %q\n%s", name, code, stdout, stderr)
		}
	}
}

// What the policy says of roles and groups.
func TestAuditAsksThePolicy(t *testing.T) {
	facts := filepath.Join(t.TempDir(), "facts.jsonl")
	records := `{"kind":"role","id":"all","permissions":["*:*"]}
{"kind":"role","id":"scope","permissions":["patient:view_all","patient:*"]}
{"kind":"role","id":"blind","permissions":["patient:view_all","invoice:approve","report:*","calendar:view_all"]}
{"kind":"group","id":"blind","permissions":["patient:view_all","patients:*"]}
{"kind":"group","id":"open","permissions":["patient:view"]}
{"kind":"team_member","id":"a","role":"all"}
{"kind":"team_member","id":"b","role":"scope"}
{"kind":"team_member","id":"c","role":"blind","groups":["open"]}
{"kind":"team_member","id":"d","role":"blind","groups":["blind"]}
`
	for i := range 7 {
		records += fmt.Sprintf(`{"kind":"team_member","id":"e%d","groups":["blind"]}`+"\n", i)
	}
	if err := os.WriteFile(facts, []byte(records), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := called(t, nil, "audit", "--facts", facts, "--json")
	said := map[string]string{}
	for _, f := range findingLines(t, stdout) {
		said[string(f.Rule)+" "+f.Kind+" "+f.ID] = f.What
	}
	for what, want := range map[string]string{
		"V7 role blind":  "to 1 member without patient:view, so that they open no record: d",
		"V7 group blind": "to 8 members without patient:view, so that they open no record: d, e0, e1, e2, e3 and 3 more",
		"P4 role blind":  ": calendar:view_all, invoice:approve",
		"P4 group blind": ": patients:*",
	} {
		if !strings.HasSuffix(said[what], want) {
			t.Errorf("%s: %q", what, said[what])
		}
	}
	if code != 0 || len(said) != 4 {
		t.Errorf("%d, %s%s", code, stdout, stderr)
	}
}
