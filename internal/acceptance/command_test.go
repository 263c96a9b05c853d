package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCheck asks on the command line, offline and online: 0 is yes, 2 is no,
// 1 is neither.
func TestCheck(t *testing.T) {
	t.Parallel()
	facts := writeFacts(t, merge(nil, practice()...))
	s := serve(t, "--facts", facts)
	mustRun(t, "", "import", "--redis", workbench.redis.URL(), "--organisation", "check", facts)
	for where, flags := range map[string][]string{
		"offline":  {"--facts", facts},
		"online":   {"--server", s.decisions()},
		"on Redis": {"--redis", workbench.redis.Unhurried(), "--organisation", "check"},
	} {
		t.Run(where, func(t *testing.T) {
			for _, c := range []struct {
				code int
				says string
				args []string
			}{
				{0, "patient_visible", []string{"--subject", "team_member:sighted", "--action", "view", "--resource", "patient:p-1"}},
				{2, "patient_not_visible", []string{"--subject", "team_member:sighted", "--action", "view", "--resource", "patient:p-2"}},
				{2, "permission_missing", []string{"--subject", "team_member:sighted", "--action", "delete", "--resource", "patient:p-1"}},
				{2, "subject_unknown", []string{"--subject", "team_member:nobody", "--action", "view", "--resource", "patient:p-1"}},
				{0, "provider_bookable", []string{"--subject", "patient:p-1", "--action", "book", "--resource", "provider:bookable"}},
				{0, "provider_bookable", []string{"--subject", "team_member:desk", "--action", "book", "--resource", "provider:bookable", "--property", "patient=p-1"}},
				{2, "reference_missing", []string{"--subject", "team_member:desk", "--action", "book", "--resource", "provider:bookable"}},
				{0, "provider_bookable", []string{"--subject", "team_member:desk", "--action", "create", "--resource", "appointment:a", "--property", "patient=p-1", "--property", "provider=bookable"}},
				{1, "subject", []string{"--action", "view", "--resource", "patient:p-1"}},
				{1, "action", []string{"--subject", "team_member:desk", "--resource", "patient:p-1"}},
				{1, "resource", []string{"--subject", "team_member:desk", "--action", "view"}},
				{1, "subject", []string{"--subject", "desk", "--action", "view", "--resource", "patient:p-1"}},
				{1, "property", []string{"--subject", "team_member:desk", "--action", "view", "--resource", "patient:p-1", "--property", "patient"}},
			} {
				got := run(t, "", append(append([]string{"check"}, c.args...), flags...)...)
				if got.code != c.code || !strings.Contains(got.stdout+got.stderr, c.says) {
					t.Errorf("check %q: exit code %d, expected %d and %q\n%s%s", c.args, got.code, c.code, c.says, got.stdout, got.stderr)
				}
				check(t, c.code != 1 || got.stderr != "", "check %q: an error that is not on stderr", c.args)
			}
		})
	}
	question := []string{"check", "--subject", "team_member:sighted", "--action", "view", "--resource", "patient:p-1"}
	for name, flags := range map[string][]string{
		"no such file":      {"--facts", facts + "-not-there"},
		"no such server":    {"--server", "http://127.0.0.1:1"},
		"no server at all":  {"--server", "::"},
		"no such Redis":     {"--redis", "redis://127.0.0.1:1"},
		"a wrong path":      {"--server", s.diagnostic()},
		"an argument extra": {"--facts", facts, "surplus"},
	} {
		if got := run(t, "", append(slices.Clone(question), flags...)...); got.code != 1 || got.stderr == "" {
			t.Errorf("%s: exit code %d, expected 1 with an error\n%s%s", name, got.code, got.stdout, got.stderr)
		}
	}
}

// TestImportOfABadRecord names the line and imports nothing of it.
func TestImportOfABadRecord(t *testing.T) {
	t.Parallel()
	good := []string{
		`{"kind":"role","id":"viewer","name":"V","permissions":["patient:view"]}`,
		`{"kind":"group","id":"g","name":"G","permissions":[]}`,
		`{"kind":"patient_group","id":"diabetes","name":"D"}`,
		`{"kind":"team_member","id":"ann","name":"A","role":"viewer","groups":["g"],"access":["diabetes"]}`,
		`{"kind":"patient","id":"p-1","patient_group":"diabetes","care_team":["ann"]}`,
	}
	server := workbench.server(t)
	for i, bad := range []string{
		`{"kind":"patient","id":"p-2","patient_group":"nowhere"}`,
		`{"kind":"patient","id":"p-2"}`,
		`{"kind":"patient","id":"p-2","patient_group":""}`,
		`{"kind":"patient","id":"p-2","patient_group":["diabetes"]}`,
		`{"kind":"patient","id":"p-2","patient_group":"diabetes","care_team":["nobody"]}`,
		`{"kind":"patient","id":"p-2","patient_group":"diabetes","shoe_size":43}`,
		`{"kind":"patient","id":"","patient_group":"diabetes"}`,
		`{"kind":"patient","patient_group":"diabetes"}`,
		`{"kind":"patient","id":7,"patient_group":"diabetes"}`,
		`{"kind":"patient","id":"a\u0000b","patient_group":"diabetes"}`,
		`{"kind":"patient","id":"a\nb","patient_group":"diabetes"}`,
		`{"kind":"patient","id":"` + strings.Repeat("x", 257) + `","patient_group":"diabetes"}`,
		`{"kind":"team_member","id":"bob","name":"B","role":"nothing"}`,
		`{"kind":"team_member","id":"bob","name":"B","groups":["nothing"]}`,
		`{"kind":"team_member","id":"bob","name":"B","access":["nowhere"]}`,
		`{"kind":"team_member","id":"bob","name":"B","provider":true,"booking":["nowhere"]}`,
		`{"kind":"team_member","id":"bob","name":"B","booking":["diabetes"]}`,
		`{"kind":"team_member","id":"bob","name":"B","provider":"yes"}`,
		`{"kind":"team_member","id":"bob","name":"B","permissions":["*:*"]}`,
		`{"kind":"role","id":"r","name":"R","permissions":"*:*"}`,
		`{"kind":"role","id":"r","name":"R","permissions":[7]}`,
		`{"kind":"booking","id":"b","patient":"nobody","provider":"ann","state":"booked"}`,
		`{"kind":"booking","id":"b","patient":"p-1","provider":"nobody","state":"booked"}`,
		`{"kind":"patients","id":"p-2","patient_group":"diabetes"}`,
		`{"id":"p-2","patient_group":"diabetes"}`,
		`{"kind":"patient","id":"p-2","patient_group":"diabetes"`,
		`{"kind":"patient","id":"p-2","patient_group":"diabetes"} {}`,
		`["patient"]`, `null`, `patient`, "\xff\xfe",
	} {
		name := "bad-record-" + strings.Repeat("i", i+1)
		got := run(t, strings.Join(append(slices.Clone(good), bad), "\n")+"\n", "import", "--redis", workbench.redis.URL(), "--organisation", name)
		check(t, got.code == 1 && strings.Contains(got.stderr, "line 6"), "%s: exit code %d, expected 1 and the line 6: %s", bad, got.code, got.stderr)
		o := &organisation{name: name, server: server}
		r := post(t, o.url("/access/v1/evaluation"), ask("ann", "view", patient("p-1")))
		if got := decode[decision](t, r); got.allowed() || !slices.Contains(got.reasons().Reasons, "organisation_unknown") {
			t.Errorf("%s: something was imported: %v", bad, got)
		}
	}
	// A record may only refer to earlier lines.
	backwards := slices.Clone(good)
	slices.Reverse(backwards)
	if got := run(t, strings.Join(backwards, "\n"), "import", "--redis", workbench.redis.URL(), "--organisation", "backwards"); got.code != 1 || !strings.Contains(got.stderr, "line 1") {
		t.Errorf("backwards: exit code %d, expected 1 and the line 1: %s", got.code, got.stderr)
	}
}

// TestImportOfManyStopsAtABadRecord tells what was imported before it stopped,
// and leaves nothing half done.
func TestImportOfManyStopsAtABadRecord(t *testing.T) {
	t.Parallel()
	records := []record{role("viewer", "patient:view"), patientGroup("g"), teamMember("ann").holding("viewer").seeing("g")}
	for i := range 2500 {
		records = append(records, patientIn("g", fmt.Sprintf("p-%d", i)))
	}
	good := string(lines(records))
	bad := strings.Replace(good, `"p-2200","kind":"patient","patient_group":"g"`, `"p-2200","kind":"patient","patient_group":"h"`, 1) // keys are sorted
	line := 3 + 2201
	if bad == good {
		bad = strings.Replace(good, `"id":"p-2200"`, `"id":7`, 1)
	}
	flags := []string{"import", "--redis", workbench.redis.URL(), "--organisation", "many"}
	got := run(t, bad, flags...)
	if got.code != 1 || !strings.Contains(got.stderr, fmt.Sprintf("line %d", line)) || !strings.Contains(got.stderr, "2000") && !strings.Contains(got.stderr, "2,000") {
		t.Errorf("exit code %d, expected 1, the line %d and the 2000 records that were imported: %s", got.code, line, got.stderr)
	}
	o := &organisation{name: "many", server: workbench.server(t)}
	o.allow(t, "ann", "view", patient("p-1996"))                    // the record 2000
	o.deny(t, "ann", "view", patient("p-1997"), "resource_unknown") // and of the change that failed, nothing
	o.deny(t, "ann", "view", patient("p-2199"), "resource_unknown")
	o.imported(t, mustRun(t, good, flags...))
	o.allow(t, "ann", "view", patient("p-2499"))
}

// TestExportAndImport carries an organisation from one place to another.
func TestExportAndImport(t *testing.T) {
	t.Parallel()
	redis := workbench.redis.URL()
	var everything []record
	everything = append(everything, merge(clinic(), practice()...)...)
	for i, id := range unruly {
		everything = append(everything, role(id, "patient:view", "*:*"), group(id), patientGroup(id), teamMember(id).holding(id).inGroups(id).seeing(id).bookableBy(id),
			patientIn(id, id).caredForBy(id), booking(id, id, id, []string{"booked", "cancelled", "released"}[i%3]))
	}
	o := newOrganisation(t, redisStore{}, everything...)
	file := filepath.Join(t.TempDir(), "exported.jsonl")
	mustRun(t, "", "export", "--redis", redis, "--organisation", o.name, file)
	first := try(os.ReadFile(file)).must(t)
	if got := mustRun(t, "", "export", "--redis", redis, "--organisation", o.name); got.stdout != string(first) {
		t.Error("an export to stdout is another than one to a file")
	}
	equal(t, bytes.Count(first, []byte("\n")), len(o.records))
	sameRecords(t, o.records, first)

	copied := &organisation{name: o.name + "-copy", server: o.server}
	copied.imported(t, mustRun(t, string(first), "import", "--redis", redis, "--organisation", copied.name, "-"))
	if again := mustRun(t, "", "export", "--redis", redis, "--organisation", copied.name); again.stdout != string(first) {
		t.Error("the export of the import is another than what was imported")
	}
	copied.allow(t, "ann", "view", patient("p-1"))
	before := o.revision
	o.imported(t, mustRun(t, "", "import", "--redis", redis, "--organisation", o.name, file)) // once more changes nothing
	check(t, o.revision == before, "importing what is there is the revision %s, expected %s as before", o.revision, before)
	if again := mustRun(t, "", "export", "--redis", redis, "--organisation", o.name); again.stdout != string(first) {
		t.Error("importing what is there changes it")
	}
	embedded := serve(t, "--facts", file, "--organisation", "moved")
	moved := &organisation{name: "moved", server: embedded}
	moved.allow(t, "ann", "view", patient("p-1"))
	ends(t, run(t, "", "export", "--redis", redis, "--organisation", "nobody-s"), 1, "the export of an organisation that is not there")
}

// sameRecords compares what was imported with what was exported, as sets, and
// without members that are empty.
func sameRecords(t *testing.T, records []record, exported []byte) {
	t.Helper()
	normal := func(line []byte) string {
		var fields map[string]any
		unmarshal(t, line, &fields)
		for name, value := range fields {
			switch value := value.(type) {
			case []any:
				slices.SortFunc(value, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
				if len(value) == 0 {
					delete(fields, name)
				}
			case bool:
				if !value {
					delete(fields, name)
				}
			case string:
				if value == "" {
					delete(fields, name)
				}
			}
		}
		out, _ := json.Marshal(fields)
		return string(out)
	}
	count := map[string]int{}
	for line := range bytes.Lines(lines(records)) {
		count[normal(line)]++
	}
	for line := range bytes.Lines(exported) {
		count[normal(line)]--
	}
	for line, n := range count {
		check(t, n == 0, "%+d times imported and not exported: %s", n, line)
	}
}

// TestEmbeddedExample answers about the organisation that comes with the
// binary, with no flags at all.
func TestEmbeddedExample(t *testing.T) {
	t.Parallel()
	s := serve(t)
	may := func(who, does string, to entity) bool {
		t.Helper()
		return decode[decision](t, post(t, s.decisions()+"/access/v1/evaluation", ask(who, does, to))).allowed()
	}
	permissions := func(who string) map[string]any {
		t.Helper()
		r := get(t, s.decisions()+"/v1/permissions/"+who)
		require(t, r.status == http.StatusOK, "permissions of %s: %v", who, r)
		return decode[struct{ Permissions map[string]any }](t, r).Permissions
	}
	// Mark does all but delete to patients, and everything to stock.
	for _, verb := range []string{"view", "create", "update"} {
		check(t, permissions("mark")["patient:"+verb] != nil, "mark may not %s patients", verb)
	}
	check(t, permissions("mark")["patient:delete"] == nil && permissions("jordan")["patient:delete"] != nil, "mark deletes patients, or jordan does not")
	for _, verb := range crud {
		check(t, may("mark", verb, thing("stock")), "mark may not %s stock", verb)
	}
}

// TestWhatItSaysToTry runs the commands that a newcomer is shown.
func TestWhatItSaysToTry(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var commands []string
	eventually(t, "it says what to try", func() bool {
		commands = regexp.MustCompile(`(?m)^\s*curl .*$`).FindAllString(s.Out.String(), -1)
		return len(commands) >= 2
	})
	for _, command := range commands {
		example{at: "its output", command: strings.TrimSpace(command)}.try(t, s)
	}
}
