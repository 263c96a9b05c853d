package acceptance

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/process"
	"github.com/caregate/caregate/internal/redistest"
)

// server is a running `caregate serve`.
type server struct{ *process.Sidecar }

// caregate returns the command with an environment of its own, so that nothing
// of the machine's leaks into a test, and with timeouts that a busy machine
// keeps. Whoever tests timeouts gives others by flags.
func caregate(env []string, args ...string) *exec.Cmd {
	command := exec.Command(workbench.binary, args...)
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + workbench.dir, "CAREGATE_FACTS_TIMEOUT=5s", "CAREGATE_REQUEST_TIMEOUT=20s",
	}, env...)
	command.Dir = workbench.dir
	return command
}

// launch starts `caregate serve` on free ports of the loopback address, with variables of the environment and flags. It
// does not wait until the server is ready.
func launch(env []string, flags ...string) (*server, error) {
	args := []string{"serve"}
	for _, flag := range []string{"--addr", "--diagnostic-addr"} {
		if !hasFlag(flags, flag) {
			args = append(args, flag, "127.0.0.1:0")
		}
	}
	if !slices.ContainsFunc([]string{"--facts", "--redis", "--data", "--admin-addr"}, func(flag string) bool { return hasFlag(flags, flag) }) {
		args = append(args, "--admin-addr", "127.0.0.1:0") // the example is administered on a port of its own
	}
	s, err := process.Serve(caregate(env, append(args, flags...)...))
	return &server{s}, err
}

func hasFlag(flags []string, name string) bool {
	return slices.ContainsFunc(flags, func(flag string) bool { return flag == name || strings.HasPrefix(flag, name+"=") })
}

// start is launch for a server that ends with the test at the latest.
func start(t *testing.T, env []string, flags ...string) *server {
	t.Helper()
	s := try(launch(env, flags...)).must(t)
	t.Cleanup(s.Kill)
	return s
}

// serve starts a server and waits until it is ready. It is stopped, and its log is looked through for panics and races,
// when the test ends.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return serveWith(t, nil, flags...)
}

// serveWith is serve with variables of the environment.
func serveWith(t *testing.T, env []string, flags ...string) *server {
	t.Helper()
	s := start(t, env, flags...)
	t.Cleanup(func() { s.end(t) })
	noError(t, s.WaitReady())
	return s
}

// serveAnyway is serve for a server over a Redis that may not be right: it waits until it listens.
func serveAnyway(t *testing.T, env []string, flags ...string) *server {
	t.Helper()
	s := start(t, env, flags...)
	t.Cleanup(func() { s.end(t) })
	eventually(t, "it listens", func() bool { return s.health("/health/live") == http.StatusOK })
	return s
}

// end stops a server. One that does not end well fails the test.
func (s *server) end(t *testing.T) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Errorf("%q: %v", s.Args(), err)
	}
}

// endsWell waits until a server that was told to has ended.
func (s *server) endsWell(t *testing.T) {
	t.Helper()
	select {
	case <-s.Exited():
		check(t, s.ExitCode() == 0, "exit code %d:\n%s", s.ExitCode(), s.Log)
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// refusesToStart says that a server ends by itself, with exit code 1 and no stack, and returns what it says.
func refusesToStart(t *testing.T, flags ...string) string {
	t.Helper()
	s := start(t, nil, flags...)
	select {
	case <-s.Exited():
	case <-s.Ready():
		t.Fatalf("it starts:\n%s", s.Log)
	case <-time.After(patience):
		t.Fatal("it neither starts nor ends")
	}
	said := s.Log.String()
	check(t, s.ExitCode() == 1 && !strings.Contains(said, "goroutine "), "exit code %d, expected 1:\n%s", s.ExitCode(), said)
	return said
}

func (s *server) decisions() string  { return s.URL("decisions") }
func (s *server) diagnostic() string { return s.URL("diagnostic") }
func (s *server) admin() string      { return s.URL("admin") }

// health returns the status of a health path, 0 when nothing answers.
func (s *server) health(path string) int {
	response, err := client.Get(s.diagnostic() + path)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// metrics returns the text of /metrics.
func (s *server) metrics(t *testing.T) string {
	t.Helper()
	return string(get(t, s.diagnostic()+"/metrics").body)
}

// startRedis starts a Redis that ends with the test.
func startRedis(t *testing.T, arguments ...string) *redistest.Server {
	t.Helper()
	redis := try(redistest.Start(t.TempDir(), arguments...)).must(t)
	t.Cleanup(redis.Kill)
	return redis
}

// redisWith is startRedis with the facts of the organisation riverside.
func redisWith(t *testing.T, records []record, arguments ...string) *redistest.Server {
	t.Helper()
	redis := startRedis(t, arguments...)
	mustRun(t, string(lines(records)), "import", "--redis", redis.URL(), "--organisation", "riverside")
	return redis
}

// startRedisOn is startRedis on a port, where another Redis was.
func startRedisOn(t *testing.T, port int) *redistest.Server {
	t.Helper()
	redis := try(redistest.StartOn(port, t.TempDir())).must(t)
	t.Cleanup(redis.Kill)
	return redis
}

// result is what a command that ends by itself left behind.
type result struct {
	code           int
	stdout, stderr string
}

// said is all that the command wrote.
func (r result) said() string { return r.stdout + r.stderr }

// ends compares the exit code of a command with the expected one.
func ends(t *testing.T, got result, code int, about ...any) {
	t.Helper()
	check(t, got.code == code, "%sexit code %d, expected %d\n%s", beginning(about), got.code, code, got.said())
}

// run runs a subcommand to its end.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	command := caregate(nil, args...)
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	noError(t, command.Start())
	timer := time.AfterFunc(5*patience, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	if _, failed := errors.AsType[*exec.ExitError](command.Wait()); failed && command.ProcessState.ExitCode() < 0 {
		t.Fatalf("caregate %s did not end by itself:\n%s", strings.Join(args, " "), stderr.String())
	}
	return result{code: command.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// mustRun is run for a subcommand that has to succeed.
func mustRun(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	got := run(t, stdin, args...)
	require(t, got.code == 0, "caregate %s: exit code %d\n%s", strings.Join(args, " "), got.code, got.said())
	return got
}

// writeFile writes a file in a folder of its own and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	noError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
