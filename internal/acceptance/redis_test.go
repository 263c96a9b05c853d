package acceptance

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/caregate/caregate/internal/redistest"
)

// redisServer is a real redis-server that keeps nothing on disk.
type redisServer struct {
	*redistest.Server
	port int
}

// startRedis starts redis-server on a port of the loopback address, a free one
// for 0, and waits until it answers.
func startRedis(parent string, port int) (*redisServer, error) {
	dir, err := os.MkdirTemp(parent, "redis-")
	if err != nil {
		return nil, err
	}
	var s *redistest.Server
	if port == 0 {
		s, err = redistest.Start(dir)
	} else {
		s, err = redistest.StartOn(port, dir)
	}
	if err != nil {
		return nil, err
	}
	return &redisServer{s, s.Port}, nil
}

func freePort() (int, error) { return redistest.FreePort() }

// addr and url are of the port alone: the server need not run yet.
func (r *redisServer) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }
func (r *redisServer) url() string  { return "redis://" + r.addr() }
func (r *redisServer) kill()        { r.Kill() }

// unhurried is url for a sidecar that gives a busy machine its time.
func (r *redisServer) unhurried() string { return r.url() + "?read_timeout=5s" }

func (r *redisServer) signal(s syscall.Signal) error { return syscall.Kill(r.PID(), s) }

// do sends one command on a connection of its own and returns the reply: a
// string, an int64, nil or a []any of these.
func (r *redisServer) do(args ...string) (any, error) { return r.Do(args...) }

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
