package httpapi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:8181": true, "127.9.9.9:0": true, "[::1]:8181": true, "localhost:1": true, "LocalHost:1": true, "unix:///run/x.sock": true, "[::ffff:127.0.0.1]:1": true,
		":8181": false, "0.0.0.0:8181": false, "[::]:8181": false, "10.0.0.1:8181": false, "example.com:1": false, "localhost.example:1": false, "": false, "127.0.0.1": false,
	} {
		if httpapi.IsLoopback(addr) != want {
			t.Errorf("%q is %v", addr, !want)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for _, tt := range []struct {
		addr                  string
		authenticated, anyway bool
		refused               bool
	}{
		{":8181", false, false, true},
		{"10.0.0.1:8181", false, false, true},
		{":8181", true, false, false},
		{":8181", false, true, false},
		{"127.0.0.1:8181", false, false, false},
		{"unix:///run/x", false, false, false},
	} {
		err := httpapi.CheckAddress("--addr", tt.addr, tt.authenticated, tt.anyway)
		if (err != nil) != tt.refused {
			t.Errorf("%+v: %v", tt, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "--allow-unauthenticated") || !strings.Contains(err.Error(), "--addr "+tt.addr)) {
			t.Error(err)
		}
	}
}

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := httpapi.Listen("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := httpapi.Listen("unix://" + path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a socket in use: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as a process that was killed leaves it
	_ = l.Close()
	l, err = httpapi.Listen("unix://" + path)
	if err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	_ = l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	write(t, path, "precious")
	if _, err := httpapi.Listen("unix://" + path); err == nil {
		t.Error("a file was replaced")
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("a file was removed")
	}
	for _, bad := range []string{"unix://relative", "unix://", "127.0.0.1", "127.0.0.1:http:x", "unix:///no/such/dir/s"} {
		if _, err := httpapi.Listen(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// started serves a handler over a listener of its own, until the test ends.
func started(t *testing.T, cfg httpapi.ServerConfig, h http.Handler, config *tls.Config) (*httpapi.Server, net.Listener) {
	t.Helper()
	l, err := httpapi.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.NewServer(cfg)
	server.Add("handler", l, h, config)
	go func() { _ = server.Serve() }()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return server, l
}

// clientOf returns a client whose every connection goes to l.
func clientOf(t *testing.T, l net.Listener) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, l.Addr().Network(), l.Addr().String())
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestServerFinishesWhatIsInFlight(t *testing.T) {
	s := newService()
	entered, leave := make(chan bool), make(chan bool)
	s.decide = func(context.Context, *authz.Request) (authz.Decision, error) {
		entered <- true
		<-leave
		return authz.Decision{Allow: true}, nil
	}
	api := newAPI(t, httpapi.Config{Service: s, RequestTimeout: time.Minute})
	socket := filepath.Join(t.TempDir(), "s")
	server := httpapi.NewServer(httpapi.ServerConfig{})
	var listeners []net.Listener
	for _, addr := range []string{"127.0.0.1:0", "unix://" + socket} {
		l, err := httpapi.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		server.Add("decisions", l, api.Decisions(), nil)
	}
	served := make(chan error)
	go func() { served <- server.Serve() }()
	answers := make(chan string)
	for _, l := range listeners {
		go func() {
			w, err := clientOf(t, l).Post("http://localhost/access/v1/evaluation", "application/json", strings.NewReader(good))
			if err != nil {
				answers <- err.Error()
				return
			}
			defer func() { _ = w.Body.Close() }()
			b, _ := io.ReadAll(w.Body)
			answers <- string(b)
		}()
		<-entered
	}
	down := make(chan error)
	go func() { down <- server.Shutdown(context.Background()) }()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	for _, l := range listeners { // nobody new is answered
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
			if err != nil {
				break
			}
			_ = conn.Close()
		}
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(leave)
	for range listeners {
		if got := <-answers; got != `{"decision":true}` {
			t.Errorf("got %s", got)
		}
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestServerCutsOffAtTheDeadline(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	defer close(leave)
	server, l := started(t, httpapi.ServerConfig{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- true
		<-leave
	}), nil)
	go func() {
		if w, err := clientOf(t, l).Get("http://localhost/"); err == nil {
			_ = w.Body.Close()
		}
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "handler") {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestServerFailsAsOne(t *testing.T) {
	server := httpapi.NewServer(httpapi.ServerConfig{})
	if err := server.Serve(); err == nil {
		t.Error("a server without endpoints serves")
	}
	var listeners []net.Listener
	for range 2 {
		l, err := httpapi.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		server.Add("d", l, http.NotFoundHandler(), nil)
	}
	_ = listeners[0].Close()
	if err := server.Serve(); err == nil || !strings.Contains(err.Error(), "d on 127.0.0.1") {
		t.Errorf("Serve: %v", err)
	}
	if conn, err := net.Dial("tcp", listeners[1].Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the other listener is still open")
	}
}

// A request whose headers do not come is let go.
func TestServerTimesOutHeaders(t *testing.T) {
	_, l := started(t, httpapi.ServerConfig{ReadHeaderTimeout: 20 * time.Millisecond}, http.NotFoundHandler(), nil)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost:")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the connection stays open: %v", err)
	}
}

// A body that stops half way is answered, and its connection is let go, as soon as an answer
// may take; whether it was read to where it stopped or not at all.
func TestServerLetsGoOfHalfABody(t *testing.T) {
	api := newAPI(t, httpapi.Config{RequestTimeout: 100 * time.Millisecond, MaxBody: 1000, Reviewer: &reviewer{}})
	server, l := started(t, httpapi.ServerConfig{ReadTimeout: 500 * time.Millisecond}, api.Decisions(), nil)
	for what, request := range map[string]string{
		"half a body":                 "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{",
		"no body":                     "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n",
		"half a chunk":                "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{",
		"half of too much":            "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n{",
		"too much, of no length":      "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n500\r\n" + strings.Repeat("a", 0x500) + "\r\n",
		"half of no JSON":             "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\n{",
		"half where nobody reads":     "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{",
		"half of what has longer":     "POST /v1/explanations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{",
		"half, and the name is wrong": "POST /access/v1/evaluation HTTP/1.1\r\nHost: rebound.example\r\nContent-Length: 500\r\n\r\n{",
	} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, request)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
			t.Errorf("%s: %q, %v", what, answer, err)
		}
		_ = conn.Close()
	}
	// What arrived as a whole leaves the connection for the next one, however late that is.
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	for range 2 {
		_, _ = fmt.Fprintf(conn, "POST /access/v1/evaluation HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(good), good)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("a whole body: %d, %v", answer.StatusCode, err)
		}
		_ = answer.Body.Close()
		time.Sleep(200 * time.Millisecond)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
