package acceptance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// redisServer is a real redis-server that keeps nothing on disk.
type redisServer struct {
	command *exec.Cmd
	port    int
}

// startRedis starts redis-server on a port of the loopback address, a free one
// for 0, and waits until it answers.
func startRedis(parent string, port int) (*redisServer, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	dir, err := os.MkdirTemp(parent, "redis-")
	if err != nil {
		return nil, err
	}
	// A port found free may be taken before Redis binds it; then try another.
	for attempt := 0; ; attempt++ {
		chosen := port
		if chosen == 0 {
			if chosen, err = freePort(); err != nil {
				return nil, err
			}
		}
		r := &redisServer{port: chosen}
		r.command = exec.Command(path, "--port", strconv.Itoa(chosen), "--bind", "127.0.0.1",
			"--save", "", "--appendonly", "no", "--dir", dir,
			"--logfile", filepath.Join(dir, "log"), "--daemonize", "no")
		r.command.SysProcAttr = childAttributes()
		if err := r.command.Start(); err != nil {
			return nil, err
		}
		if err = r.waitAlive(); err == nil {
			return r, nil
		}
		r.kill()
		if attempt == 5 {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			return nil, fmt.Errorf("redis-server on port %d: %w\n%s", chosen, err, log)
		}
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (r *redisServer) waitAlive() error {
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err = r.do("PING"); err == nil {
			return nil
		}
	}
	return err
}

func (r *redisServer) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }
func (r *redisServer) url() string  { return "redis://" + r.addr() }

func (r *redisServer) kill() {
	_ = r.command.Process.Kill()
	_ = r.command.Wait()
}

func (r *redisServer) signal(s syscall.Signal) error { return r.command.Process.Signal(s) }

// do sends one command on a connection of its own and returns the reply: a
// string, an int64, nil or a []any of these.
func (r *redisServer) do(args ...string) (any, error) {
	conn, err := net.DialTimeout("tcp", r.addr(), time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
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
	return readReply(bufio.NewReader(conn))
}

// strings is do for a command that answers with a list of strings.
func (r *redisServer) strings(args ...string) ([]string, error) {
	reply, err := r.do(args...)
	if err != nil {
		return nil, err
	}
	list, ok := reply.([]any)
	if !ok {
		return nil, fmt.Errorf("%s: %T is not a list", args[0], reply)
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		out = append(out, fmt.Sprint(item))
	}
	return out, nil
}

// readReply reads one reply of Redis's protocol, version 2.
func readReply(in *bufio.Reader) (any, error) {
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
			if list[i], err = readReply(in); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("redis: a reply that begins with %q", kind)
}
