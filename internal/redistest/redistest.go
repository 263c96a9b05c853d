// Package redistest starts real Redis servers for tests and benchmarks, from the
// redis-server binary, and does to them what happens to servers: it pauses, kills
// and restarts them, and stands between them and their clients.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrMissing says that there is no redis-server to start, and what to do.
var ErrMissing = errors.New("redis-server 7 or later is not on the PATH; install it (Debian: apt-get install redis-server)")

// Server is one redis-server on the loopback address.
type Server struct {
	Port int
	Dir  string // what it keeps is here

	config    string // a file of settings, for a Sentinel; it rewrites it
	arguments []string
	command   *exec.Cmd
	resume    func() // the disk, if it is stalled
}

// Start starts redis-server on a free port, with dir to keep things in, and waits
// until it answers. Without arguments it keeps nothing.
func Start(dir string, arguments ...string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	var err error
	for range 5 { // a port found free may be taken before Redis binds it
		s := &Server{Dir: dir, arguments: arguments}
		if s.Port, err = FreePort(); err != nil {
			return nil, err
		}
		if err = s.Restart(); err == nil {
			return s, nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	return nil, fmt.Errorf("redis-server does not start: %w\n%s", err, log)
}

// StartOn starts redis-server on a port.
func StartOn(port int, dir string, arguments ...string) (*Server, error) {
	s := &Server{Port: port, Dir: dir, arguments: arguments}
	return s, s.Restart()
}

// Restart starts the server again, on its port and with what is in its folder.
func (s *Server) Restart() error {
	arguments := append([]string{
		"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", s.Dir, "--logfile", filepath.Join(s.Dir, "log"),
	}, s.arguments...)
	if s.config != "" {
		arguments = []string{s.config, "--sentinel"}
	}
	s.command = exec.Command("redis-server", arguments...) //nolint:noctx // it ends with Kill
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return err
	}
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err = s.Do("PING"); err == nil {
			return nil
		}
	}
	s.Kill()
	return err
}

// RestartWith is Restart with further arguments, from now on.
func (s *Server) RestartWith(arguments ...string) error {
	s.arguments = append(slices.Clone(s.arguments), arguments...)
	return s.Restart()
}

// FreePort returns a port that nobody listens on at the moment.
func FreePort() (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// Addr returns host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// URL returns the URL of the server.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Unhurried returns the URL with times that a busy machine keeps, for tests that are
// not about time.
func (s *Server) Unhurried() string {
	return s.URL() + "?read_timeout=60s&write_timeout=60s&dial_timeout=60s&pool_timeout=60s"
}

// PID returns the id of the server's process.
func (s *Server) PID() int { return s.command.Process.Pid }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	_ = s.command.Process.Kill()
	if s.resume != nil {
		s.resume()
		s.resume = nil
	}
	_ = s.command.Wait()
}

// Pause stops the server where it stands; its clients wait.
func (s *Server) Pause() error { return s.command.Process.Signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() error { return s.command.Process.Signal(syscall.SIGCONT) }

// Do sends one command on a connection of its own and returns the reply: a
// string, an int64, nil or a []any of these.
func (s *Server) Do(args ...string) (any, error) {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(context.Background(), "tcp", s.Addr())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	return reply(bufio.NewReader(conn))
}

// reply reads one reply of Redis's protocol, version 2.
func reply(in *bufio.Reader) (any, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], strings.TrimRight(line[1:], "\r\n")
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return nil, fmt.Errorf("redis: %s", rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 0 {
		return nil, err
	}
	switch kind {
	case '$':
		b := make([]byte, n+2)
		_, err := io.ReadFull(in, b)
		return string(b[:n]), err
	case '*':
		list := make([]any, n)
		for i := range list {
			if list[i], err = reply(in); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("redis: a reply that begins with %q", kind)
}
