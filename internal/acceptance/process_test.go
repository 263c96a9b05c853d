package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 30 * time.Second // a start under a loaded machine and the race detector
	stopTimeout  = 20 * time.Second
)

// serverOptions is how a server is started other than by its flags.
type serverOptions struct {
	env []string // beside PATH, HOME and the timeouts, the only ones that are inherited
}

// server is a running `caregate serve`.
type server struct {
	command *exec.Cmd
	log     logBuffer // stderr
	said    logBuffer // stdout
	stopped sync.Once
	stopErr error

	mu     sync.Mutex
	addrs  map[string][]string // by listener
	ready  chan struct{}       // closed by the line "ready"
	exited chan struct{}       // closed when the process is gone
}

// caregate returns the command with an environment of its own, so that nothing
// of the machine's leaks into a test, and with timeouts that a busy machine
// keeps. Whoever tests timeouts gives others by flags.
func caregate(env []string, args ...string) *exec.Cmd {
	command := exec.Command(workbench.binary, args...)
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + workbench.dir, "CAREGATE_FACTS_TIMEOUT=5s", "CAREGATE_REQUEST_TIMEOUT=20s",
	}, env...)
	command.Dir = workbench.dir
	command.SysProcAttr = childAttributes()
	return command
}

// launch starts `caregate serve` on free ports of the loopback address, with
// the flags given, and does not wait for anything.
func launch(options serverOptions, flags ...string) (*server, error) {
	args := []string{"serve"}
	for _, flag := range []string{"--addr", "--diagnostic-addr"} {
		if !hasFlag(flags, flag) {
			args = append(args, flag, "127.0.0.1:0")
		}
	}
	if !hasFlag(flags, "--facts") && !hasFlag(flags, "--redis") && !hasFlag(flags, "--data") {
		args = append(args, "--admin-addr", "127.0.0.1:0") // the example is administered on a port of its own
	}
	s := &server{
		command: caregate(options.env, append(args, flags...)...),
		addrs:   map[string][]string{},
		ready:   make(chan struct{}),
		exited:  make(chan struct{}),
	}
	s.command.Stdout = &s.said
	stderr, err := s.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go s.follow(stderr)
	return s, nil
}

func hasFlag(flags []string, name string) bool {
	for _, flag := range flags {
		if flag == name || strings.HasPrefix(flag, name+"=") {
			return true
		}
	}
	return false
}

// follow reads the log until the process ends.
func (s *server) follow(stderr io.Reader) {
	lines := bufio.NewReader(stderr)
	ready := false
	for {
		line, err := lines.ReadBytes('\n')
		_, _ = s.log.Write(line)
		var entry struct{ Msg, Listener, Addr string }
		if json.Unmarshal(line, &entry) == nil {
			switch {
			case entry.Msg == "listening":
				s.mu.Lock()
				s.addrs[entry.Listener] = append(s.addrs[entry.Listener], entry.Addr)
				s.mu.Unlock()
			case entry.Msg == "ready" && !ready:
				ready = true
				close(s.ready)
			}
		}
		if err != nil {
			break
		}
	}
	_ = s.command.Wait() // ProcessState has the exit code
	close(s.exited)
}

// waitReady waits for the line "ready".
func (s *server) waitReady() error {
	select {
	case <-s.ready:
		return nil
	case <-s.exited:
		return fmt.Errorf("it ended with exit code %d:\n%s", s.exitCode(), s.log.String())
	case <-time.After(startTimeout):
		_ = s.stop()
		return fmt.Errorf("it was not ready within %v:\n%s", startTimeout, s.log.String())
	}
}

// serve starts a server that is stopped, and whose log is looked through for
// panics and races, when the test ends.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return serveWith(t, serverOptions{}, flags...)
}

func serveWith(t *testing.T, options serverOptions, flags ...string) *server {
	t.Helper()
	s, err := launch(options, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("caregate serve %s: %v", strings.Join(flags, " "), err)
		}
	})
	if err := s.waitReady(); err != nil {
		t.Fatalf("caregate serve %s: %v", strings.Join(flags, " "), err)
	}
	return s
}

// stop ends the server as Kubernetes does. A server that does not end by
// itself, or ends with an error, or wrote of a panic or a race, is an error.
func (s *server) stop() error {
	s.stopped.Do(func() {
		_ = s.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(stopTimeout):
			_ = s.command.Process.Kill()
			<-s.exited
			s.stopErr = fmt.Errorf("it did not end within %v of SIGTERM", stopTimeout)
			return
		}
		log := s.log.String()
		switch {
		case strings.Contains(log, "DATA RACE"):
			s.stopErr = fmt.Errorf("a data race:\n%s", log)
		case strings.Contains(log, "panic:") || strings.Contains(log, "goroutine 1 ["):
			s.stopErr = fmt.Errorf("a panic:\n%s", log)
		case s.exitCode() != 0:
			s.stopErr = fmt.Errorf("exit code %d after SIGTERM:\n%s", s.exitCode(), log)
		}
	})
	return s.stopErr
}

func (s *server) exitCode() int { return s.command.ProcessState.ExitCode() }

// url returns the address of the first listener of that name. Without one it is an address
// that refuses at once, which a name, looked up by whatever resolver there is, may not do.
func (s *server) url(listener string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.addrs[listener]) == 0 {
		return "http://127.0.0.1:0/no-listener-" + listener
	}
	return "http://" + s.addrs[listener][0]
}

func (s *server) decisions() string  { return s.url("decisions") }
func (s *server) diagnostic() string { return s.url("diagnostic") }
func (s *server) admin() string      { return s.url("admin") }

// health returns the status of a health path, 0 when nothing answers.
func (s *server) health(path string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.diagnostic()+path, nil)
	if err != nil {
		return 0
	}
	response, err := client.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// result is what a command that ends by itself left behind.
type result struct {
	code           int
	stdout, stderr string
}

// run runs a subcommand to its end.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	command := caregate(nil, args...)
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
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
	if got.code != 0 {
		t.Fatalf("caregate %s: exit code %d\n%s%s", strings.Join(args, " "), got.code, got.stdout, got.stderr)
	}
	return got
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually polls until done says so. It fails the test at the deadline.
func eventually(t *testing.T, within time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
