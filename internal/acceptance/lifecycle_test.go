package acceptance

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGracefulShutdown ends a server as Kubernetes does: readiness goes first,
// everybody who still asks is answered, and then it ends well.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	s := serve(t, "--facts", writeFacts(t, merge(nil, clinic()...)), "--shutdown-delay", "1500ms", "--shutdown-timeout", "5s", "--request-timeout", "10s")
	if got := s.health("/health/ready"); got != http.StatusOK {
		t.Fatalf("/health/ready answers %d before", got)
	}
	finish := half(t, s) // a request that is on its way when the end begins
	start := time.Now()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Second, "/health/ready answers 503", func() bool { return s.health("/health/ready") == http.StatusServiceUnavailable })
	if got := s.health("/health/live"); got != http.StatusOK {
		t.Errorf("/health/live answers %d while it ends", got)
	}
	answered := 0
	for time.Since(start) < time.Second {
		r := post(t, s.decisions()+"/access/v1/evaluation", soundQuestion)
		if !decode[decision](t, r).allowed() {
			t.Fatalf("%v while it ends", r)
		}
		answered++
	}
	t.Logf("%d answers after SIGTERM", answered)
	if got := finish(); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("the request in flight is answered with %q", got)
	}
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if s.exitCode() != 0 {
		t.Errorf("exit code %d:\n%s", s.exitCode(), s.log.String())
	}
	if took := time.Since(start); took < 1500*time.Millisecond {
		t.Errorf("it ended after %v, before the shutdown delay was over", took)
	}
}

// TestShutdownFinishesWhatIsInFlight finishes a request after the listener has
// closed.
func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := serve(t, "--facts", writeFacts(t, merge(nil, clinic()...)), "--shutdown-delay", "0s", "--shutdown-timeout", "10s", "--request-timeout", "10s")
	finish := half(t, s)
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "it takes no more connections", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.decisions(), "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if got := finish(); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("the request in flight is answered with %q", got)
	}
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if s.exitCode() != 0 {
		t.Errorf("exit code %d:\n%s", s.exitCode(), s.log.String())
	}
}

// half sends the first half of a request and returns what sends the other and
// reads the status line.
func half(t *testing.T, s *server) func() string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.decisions(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// Expect makes the server say when it has begun to read the body.
	if _, err := fmt.Fprintf(conn, "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		len(soundQuestion)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q %v, expected 100 Continue", line, err)
	}
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(soundQuestion[:20])); err != nil {
		t.Fatal(err)
	}
	return func() string {
		if _, err := conn.Write([]byte(soundQuestion[20:])); err != nil {
			return err.Error()
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return line
	}
}

// TestRefusesToStart lists what an operator gets wrong. Each is refused at
// once, with exit code 1 and words that say what to do.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	facts := write("facts", string(lines(merge(nil, clinic()...))))
	for _, c := range []struct {
		name  string
		says  string
		flags []string
	}{
		{"a public address without authentication", "--allow-unauthenticated", []string{"--addr", "0.0.0.0:0"}},
		{"every address without authentication", "--allow-unauthenticated", []string{"--addr", ":0"}},
		{"every IPv6 address without authentication", "--allow-unauthenticated", []string{"--addr", "[::]:0"}},
		{"one good address and one public", "--allow-unauthenticated", []string{"--addr", "127.0.0.1:0", "--addr", "0.0.0.0:0"}},
		{"a token file that is not there", "token", []string{"--tokens", filepath.Join(dir, "nothing")}},
		{"an empty token file", "token", []string{"--tokens", write("empty", "")}},
		{"a certificate that is not there", "nothing", []string{"--tls-cert", filepath.Join(dir, "nothing"), "--tls-key", filepath.Join(dir, "nothing")}},
		{"a certificate without its key", "tls-key", []string{"--tls-cert", write("cert", "x")}},
		{"a client CA that is none", "ca", []string{"--tls-client-ca", write("ca", "not a certificate"), "--admin-client-names", "console.example"}},
		{"facts that are not there", "nothing", []string{"--facts", filepath.Join(dir, "nothing")}},
		{"facts that are wrong", "line 2", []string{"--facts", write("bad", `{"kind":"patient_group","id":"g"}`+"\n"+`{"kind":"patient","id":"p","patient_group":"h"}`+"\n")}},
		{"facts and Redis at once", "--redis", []string{"--facts", facts, "--redis", workbench.redis.url()}},
		{"a Redis URL that is none", "redis", []string{"--redis", "http://127.0.0.1"}},
		{"policies that are not there", "nothing", []string{"--policies", filepath.Join(dir, "nothing")}},
		{"a policy that does not compile", "rego", []string{"--policies", func() string {
			sub := filepath.Join(dir, "policies")
			if err := os.Mkdir(sub, 0o700); err != nil {
				t.Fatal(err)
			}
			write("policies/bad.rego", "package authz\nallow if {")
			return sub
		}()}},
		{"a flag that is not there", "--no-such-flag", []string{"--no-such-flag"}},
		{"a timeout that is none", "facts-timeout", []string{"--facts-timeout", "soon"}},
		{"an address that is none", "addr", []string{"--addr", "nowhere"}},
		{"a config file that is not there", "nothing", []string{"--config", filepath.Join(dir, "nothing")}},
		{"an unknown key in the config file", "no-such-key", []string{"--config", write("config.yaml", "no-such-key: 1\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := launch(serverOptions{}, c.flags...)
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-s.exited:
			case <-s.ready:
				_ = s.stop()
				t.Fatalf("it starts:\n%s", s.log.String())
			case <-time.After(startTimeout):
				_ = s.stop()
				t.Fatal("it neither starts nor ends")
			}
			if s.exitCode() != 1 {
				t.Errorf("exit code %d, expected 1", s.exitCode())
			}
			if text := s.log.String(); !strings.Contains(strings.ToLower(text), strings.ToLower(c.says)) || strings.Contains(text, "goroutine ") {
				t.Errorf("it does not speak of %q:\n%s", c.says, text)
			}
		})
	}
	t.Run("unless it is told to", func(t *testing.T) {
		s := serve(t, "--facts", facts, "--addr", "0.0.0.0:0", "--allow-unauthenticated")
		_, port, err := net.SplitHostPort(strings.TrimPrefix(s.decisions(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if r := post(t, "http://127.0.0.1:"+port+"/access/v1/evaluation", soundQuestion); !decode[decision](t, r).allowed() {
			t.Errorf("%v", r)
		}
	})
}

// TestStartsAtOnce has the embedded example ready in less than a second; a
// machine that is busy with other tests gets a few tries.
func TestStartsAtOnce(t *testing.T) {
	t.Parallel()
	const most, tries = time.Second, 10
	var took time.Duration
	for range tries {
		start := time.Now()
		s := serve(t)
		took = time.Since(start)
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if took < most {
			return
		}
	}
	t.Errorf("it took %v from start to ready, expected less than %v", took, most)
}

// TestStrippedBinaryIsSmall builds what the image has in it.
func TestStrippedBinaryIsSmall(t *testing.T) {
	t.Parallel()
	const most = 40_000_000
	file := filepath.Join(t.TempDir(), "caregate")
	if err := build(file, "-tags", "grpcnotrace,nosqlite", "-ldflags", "-s -w"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= most {
		t.Errorf("%d bytes, expected less than %d", info.Size(), most)
	}
	t.Logf("%.1f MB", float64(info.Size())/1e6)
}

// TestSIGHUPEndsNothing sends what a terminal that closes sends, or an operator who
// expects files to be read again: the server answers on, and says what it does.
func TestSIGHUPEndsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, "--facts", writeFacts(t, merge(nil, clinic()...)))
	for range 3 {
		if err := s.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, startTimeout, "the log says what SIGHUP does", func() bool { return strings.Contains(s.log.String(), "SIGHUP changes nothing") })
	if got := s.health("/health/live"); got != http.StatusOK {
		t.Errorf("/health/live answers %d after SIGHUP", got)
	}
	if r := post(t, s.decisions()+"/access/v1/evaluation", soundQuestion); !decode[decision](t, r).allowed() {
		t.Errorf("%v after SIGHUP", r)
	}
}
