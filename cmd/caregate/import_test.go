package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/data"
)

// redisForMoves starts a redis-server of its own and returns its URL.
func redisForMoves(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("this test needs redis-server 7 or later on the PATH; install it (Debian: apt-get install redis-server)")
	}
	socket := filepath.Join(t.TempDir(), "s")
	server := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", filepath.Dir(socket), "--logfile", "log")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for range 500 {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return "unix://" + socket
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("redis-server does not start")
	return ""
}

// moved runs the command with records on standard input.
func moved(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, nil, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func exampleRecords(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../data/example/organisation.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestImportAndExport(t *testing.T) {
	url, dir := redisForMoves(t), t.TempDir()
	in, out := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "out.jsonl")
	if err := os.WriteFile(in, []byte(exampleRecords(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := moved(t, "", "import", in, "--redis", url)
	if code != 0 || stdout != "" || !strings.HasPrefix(stderr, "imported 49 records, revision 1.") || strings.Count(stderr, "\n") != 1 {
		t.Fatalf("import: %d, %q, %q", code, stdout, stderr)
	}
	revision := strings.TrimSpace(stderr[strings.LastIndex(stderr, " "):])

	code, exported, stderr := moved(t, "", "export", "--redis", url)
	if code != 0 || strings.Count(exported, "\n") != 49 || stderr != "exported 49 records, revision "+revision+"\n" {
		t.Fatalf("export: %d, %q, %q", code, exported, stderr)
	}
	code, stdout, stderr = moved(t, "", "export", out, "--redis", url)
	if code != 0 || stdout != "" {
		t.Fatalf("export to a file: %d, %q, %q", code, stdout, stderr)
	}
	written, err := os.ReadFile(out)
	if err != nil || string(written) != exported {
		t.Errorf("the file differs from standard output: %v", err)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v", info.Mode())
	}
	for _, args := range [][]string{{"import"}, {"import", "-"}} {
		code, _, stderr = moved(t, exported, append(args, "--redis", url)...)
		if code != 0 || stderr != "imported 49 records, revision "+revision+"\n" {
			t.Errorf("%q again: %d, %q", args, code, stderr)
		}
	}
	code, _, stderr = moved(t, exported, "import", "--redis", url, "--organisation", "another")
	if code != 0 {
		t.Errorf("import into another organisation: %d, %q", code, stderr)
	}
	if _, again, _ := moved(t, "", "export", "--redis", url, "--organisation", "another"); again != exported {
		t.Error("the other organisation has other facts")
	}
}

func TestImportErrors(t *testing.T) {
	url, dir := redisForMoves(t), t.TempDir()
	bad := filepath.Join(dir, "bad.jsonl")
	if err := os.WriteFile(bad, []byte("\n{\"kind\":\"patient\",\"id\":\"p\",\"patient_group\":\"x\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no Redis":         {"", []string{"import", bad}, "caregate: --redis: is missing; name the Redis"},
		"bad URL":          {"", []string{"import", bad, "--redis", "http://u:SECRET@h"}, "caregate: --redis: has an unknown scheme"},
		"no such file":     {"", []string{"import", filepath.Join(dir, "none"), "--redis", url}, "no such file"},
		"two files":        {"", []string{"import", bad, bad, "--redis", url}, "accepts at most 1 arg"},
		"bad reference":    {"", []string{"import", bad, "--redis", url}, "caregate: " + bad + ": line 2: patient_group: names a patient group that the organisation does not have"},
		"bad record":       {"{}", []string{"import", "--redis", url}, "caregate: standard input: line 1: kind: is missing"},
		"bad organisation": {"{}", []string{"import", "--redis", url, "--organisation", "\n"}, "caregate: --organisation: is not a name"},
		"no organisation":  {"", []string{"export", "--redis", url, "--organisation", "none"}, "caregate: --organisation: there is no such organisation"},
		"no actor":         {"", []string{"import", bad, "--redis", url, "--actor", ":x"}, "caregate: --actor: names nobody"},
		"line 0":           {"", []string{"import", bad, "--redis", url, "--from-line", "0"}, "caregate: --from-line: is 0; lines are counted from 1"},
		"away":             {"", []string{"import", bad, "--redis", "unix://" + filepath.Join(dir, "none")}, "caregate: Redis did not give an answer"},
		"export to folder": {"", []string{"export", dir, "--redis", url}, "is a folder"},
		"export away":      {"", []string{"export", "--redis", "unix://" + filepath.Join(dir, "none")}, "caregate: Redis did not give an answer"},
	} {
		code, stdout, stderr := moved(t, test.stdin, test.args...)
		if code != 1 || stdout != "" || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "SECRET") {
			t.Errorf("%s: %d, %q\ngot  %s\nwant %s", name, code, stdout, stderr, test.want)
		}
	}
}

// An import that fails says how to go on, and going on there is as good as
// importing all.
func TestImportResumes(t *testing.T) {
	url := redisForMoves(t)
	var lines []string
	for i := range 2500 {
		lines = append(lines, fmt.Sprintf(`{"kind":"patient_group","id":"pg-%d"}`, i))
	}
	lines[1] = "" // blank lines count
	bad := slices.Clone(lines)
	bad[2300] = `{"kind":"patient","id":"p","patient_group":"none"}`
	file := filepath.Join(t.TempDir(), "facts.jsonl")
	write := func(lines []string) {
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bad)
	code, _, stderr := moved(t, "", "import", file, "--redis", url)
	if code != 1 || !strings.Contains(stderr, "line 2301: patient_group:") || !strings.HasSuffix(stderr, "; resume with --from-line 2002\n") {
		t.Fatalf("%d, %s", code, stderr)
	}
	for i := range 2001 { // nothing of these is looked at
		lines[i] = "x"
	}
	write(lines)
	code, _, stderr = moved(t, "", "import", file, "--redis", url, "--from-line", "2002", "--actor", "amara")
	if code != 0 || !strings.HasPrefix(stderr, "imported 499 records, revision 3.") {
		t.Errorf("%d, %s", code, stderr)
	}
	if _, exported, _ := moved(t, "", "export", "--redis", url); strings.Count(exported, "\n") != 2499 {
		t.Errorf("%d records are there", strings.Count(exported, "\n"))
	}
	raw := rawRedis(t, url)
	entries, err := raw.XRange(t.Context(), "cg:{"+data.ExampleOrganisation+"}:changes", "-", "+").Result()
	if err != nil || len(entries) != 3 || entries[0].Values["by"] != "" || entries[2].Values["by"] != "team_member:amara" || entries[2].Values["via"] != "import" {
		t.Errorf("%d changes, the last one by %v, %v", len(entries), entries[len(entries)-1].Values["by"], err)
	}
}

func TestProgress(t *testing.T) {
	p := &progress{}
	if got, want := p.status(3000, 2*time.Second), "3000 records, 1500 a second"; got != want {
		t.Errorf("got %q, expected %q", got, want)
	}
	p.file = &countedFile{size: 4_000_000, done: 1_000_000}
	if got, want := p.status(3000, 2*time.Second), " 25 %  1.0 MB of 4.0 MB, 3000 records, 1500 a second, 6s left"; got != want {
		t.Errorf("got %q, expected %q", got, want)
	}
	p.file.done = p.file.size
	if got, want := p.status(3000, 2*time.Second), "100 %  4.0 MB of 4.0 MB, 3000 records, 1500 a second"; got != want {
		t.Errorf("got %q, expected %q", got, want)
	}
	p.records(1) // not on a terminal
	p.clear()
}

// An export that fails leaves the file that was there.
func TestExportKeepsTheFile(t *testing.T) {
	url, dir := redisForMoves(t), t.TempDir()
	out, link := filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "link.jsonl")
	if err := os.WriteFile(out, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(out, link); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := moved(t, "", "export", link, "--redis", url); code != 1 {
		t.Errorf("the export of nothing exits with %d", code)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "before" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if code, _, stderr := moved(t, exampleRecords(t), "import", "--redis", url); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := moved(t, "", "export", link, "--redis", url); code != 0 {
		t.Fatal(stderr)
	}
	info, err := os.Lstat(out)
	if err != nil || info.Mode() != 0o640 || info.Size() < 1000 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(names) != 0 {
		t.Errorf("left behind: %q, %v", names, err)
	}
}

// An import that waits for input ends when it is interrupted.
func TestImportInterrupted(t *testing.T) {
	url := redisForMoves(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	var out, errs bytes.Buffer
	code := run(ctx, []string{"import", "--redis", url}, nil, reader, &out, &errs)
	if code != 1 || !strings.Contains(errs.String(), "cannot be read") {
		t.Errorf("%d, %q", code, errs.String())
	}
}

// The settings come from the environment too.
func TestImportSettings(t *testing.T) {
	url := redisForMoves(t)
	var out, errs bytes.Buffer
	environ := []string{"CAREGATE_REDIS=" + url, "CAREGATE_ORGANISATION=elsewhere"}
	if code := run(t.Context(), []string{"import"}, environ, strings.NewReader(exampleRecords(t)), &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	environ = []string{"CAREGATE_REDIS=nonsense"}
	if code := run(t.Context(), []string{"export"}, environ, nil, &out, &errs); code != 1 || !strings.Contains(errs.String(), "caregate: CAREGATE_REDIS: is not a URL") {
		t.Errorf("%d, %s", code, errs.String())
	}
	if _, stdout, _ := moved(t, "", "export", "--redis", url, "--organisation", data.ExampleOrganisation); stdout != "" {
		t.Error(fmt.Sprint("the default organisation has facts: ", stdout))
	}
}
