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

	"github.com/caregate/caregate/internal/process"
)

// TestGracefulShutdown ends a server as Kubernetes does: readiness goes first,
// everybody who still asks is answered, and then it ends well.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	const delay = 5 * time.Second // so that a busy machine comes to ask meanwhile
	s := serve(t, "--facts", writeFacts(t, merge(nil, clinic()...)), "--shutdown-delay", delay.String(), "--shutdown-timeout", "1m", "--request-timeout", "1m")
	if got := s.health("/health/ready"); got != http.StatusOK {
		t.Fatalf("/health/ready answers %d before", got)
	}
	finish := half(t, s) // a request that is on its way when the end begins
	start := time.Now()
	noError(t, s.Signal(syscall.SIGTERM))
	eventually(t, "/health/ready answers 503", func() bool { return s.health("/health/ready") == http.StatusServiceUnavailable })
	equal(t, s.health("/health/live"), http.StatusOK, "/health/live answers")
	answered := 0
	for time.Since(start) < time.Second {
		r := post(t, s.decisions()+"/access/v1/evaluation", soundQuestion)
		require(t, decode[decision](t, r).allowed(), "%v while it ends", r)
		answered++
	}
	t.Logf("%d answers after SIGTERM", answered)
	if got := finish(); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("the request in flight is answered with %q", got)
	}
	s.endsWell(t)
	if took := time.Since(start); took < delay {
		t.Errorf("it ended after %v, before the shutdown delay was over", took)
	}
}

// TestShutdownFinishesWhatIsInFlight finishes a request after the listener has
// closed.
func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := serve(t, "--facts", writeFacts(t, merge(nil, clinic()...)), "--shutdown-delay", "0s", "--shutdown-timeout", "1m", "--request-timeout", "1m")
	finish := half(t, s)
	noError(t, s.Signal(syscall.SIGTERM))
	eventually(t, "it takes no more connections", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.decisions(), "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if got := finish(); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("the request in flight is answered with %q", got)
	}
	s.endsWell(t)
}

// half sends the first half of a request and returns what sends the other and
// reads the status line.
func half(t *testing.T, s *server) func() string {
	t.Helper()
	conn := try(net.Dial("tcp", strings.TrimPrefix(s.decisions(), "http://"))).must(t)
	t.Cleanup(func() { conn.Close() })
	noError(t, conn.SetDeadline(time.Now().Add(patience)))
	// Expect makes the server say when it has begun to read the body.
	if _, err := fmt.Fprintf(conn, "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		len(soundQuestion)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	require(t, err == nil && strings.HasPrefix(line, "HTTP/1.1 100"), "%q %v, expected 100 Continue", line, err)
	try(in.ReadString('\n')).must(t)
	try(conn.Write([]byte(soundQuestion[:20]))).must(t)
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
		noError(t, os.WriteFile(file, []byte(text), 0o600))
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
		{"facts and Redis at once", "--redis", []string{"--facts", facts, "--redis", workbench.redis.URL()}},
		{"a Redis URL that is none", "redis", []string{"--redis", "http://127.0.0.1"}},
		{"policies that are not there", "nothing", []string{"--policies", filepath.Join(dir, "nothing")}},
		{"a policy that does not compile", "rego", []string{"--policies", func() string {
			sub := filepath.Join(dir, "policies")
			noError(t, os.Mkdir(sub, 0o700))
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
			said := refusesToStart(t, c.flags...)
			check(t, strings.Contains(strings.ToLower(said), strings.ToLower(c.says)), "it does not speak of %q:\n%s", c.says, said)
		})
	}
	t.Run("unless it is told to", func(t *testing.T) {
		s := serve(t, "--facts", facts, "--addr", "0.0.0.0:0", "--allow-unauthenticated")
		_, port, err := net.SplitHostPort(strings.TrimPrefix(s.decisions(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		allowed(t, post(t, "http://127.0.0.1:"+port+"/access/v1/evaluation", soundQuestion))
	})
}

// TestStartsAtOnce has the embedded example ready in less than a second, of the clock or, on a machine
// that is busy with other things, of the CPU.
func TestStartsAtOnce(t *testing.T) {
	t.Parallel()
	const most = time.Second
	began := time.Now()
	s := serve(t)
	took := time.Since(began)
	s.end(t)
	if used := s.CPU(); took >= most && used >= most {
		t.Errorf("it took %v and %v of CPU from start to end, expected less than %v", took, used, most)
	}
}

// TestStrippedBinaryIsSmall builds what the image has in it.
func TestStrippedBinaryIsSmall(t *testing.T) {
	t.Parallel()
	const most = 40_000_000
	file := filepath.Join(t.TempDir(), "caregate")
	noError(t, process.Build(t.Context(), file, "-tags", "grpcnotrace,nosqlite", "-ldflags", "-s -w"))
	info := try(os.Stat(file)).must(t)
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
		noError(t, s.Signal(syscall.SIGHUP))
	}
	eventually(t, "the log says what SIGHUP does", func() bool { return strings.Contains(s.Log.String(), "SIGHUP changes nothing") })
	equal(t, s.health("/health/live"), http.StatusOK, "/health/live answers")
	allowed(t, post(t, s.decisions()+"/access/v1/evaluation", soundQuestion))
}
