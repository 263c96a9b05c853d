package connect

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// connLifetime is how long a connection is used: an address may lead elsewhere by
// then, and whatever is still connected to where it led before would not know. What
// the query of a URL says wins.
const connLifetime = 30 * time.Second

// connections is what the connections of a directory have in common, those of all its
// clients.
type connections struct {
	taken atomic.Int64 // of maxReplies
	era   atomic.Uint64
}

// renew has every connection dialled anew before it is used again. It is for when one
// of them turned out to lead to another server than it should: to a replica, which
// replies sees, or to one with another history.
func (c *connections) renew() { c.era.Add(1) }

func (c *connections) take(n int64) bool {
	if c.taken.Add(n) <= maxReplies {
		return true
	}
	c.taken.Add(-n)
	return false
}

func (c *connections) give(n int64) { c.taken.Add(-n) }

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// bounding makes a dialer of connections that end when a server announces too much, and
// when they have to be dialled anew.
func (c *connections) bounding(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		era := c.era.Load()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundConn{Conn: conn, era: era, replies: replies{all: c}}, nil
	}
}

// boundConn is a connection that is read by one goroutine at a time.
type boundConn struct {
	net.Conn
	era uint64

	mu      sync.Mutex // Close may come at any time
	replies replies
	failed  bool
}

// Read reads, and shows nothing of what is out of bounds.
func (c *boundConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed || !c.replies.admits(p[:n]) {
		c.failed = true
		return 0, errAnnounced
	}
	return n, err
}

// Close gives back what the replies had taken.
func (c *boundConn) Close() error {
	c.mu.Lock()
	c.failed = true
	c.replies.end()
	c.mu.Unlock()
	return c.Conn.Close()
}

// SyscallConn implements syscall.Conn. The client asks for it before it uses a
// connection again, to see whether the other side has ended it, and takes an error for
// that as well.
func (c *boundConn) SyscallConn() (syscall.RawConn, error) {
	if c.era != c.replies.all.era.Load() {
		return nil, net.ErrClosed
	}
	if raw, ok := c.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return unseen{}, nil
}

// unseen is a connection, such as an encrypted one, whose end is noticed when it is
// read.
type unseen struct{}

func (unseen) Control(func(uintptr)) error    { return nil }
func (unseen) Read(func(uintptr) bool) error  { return nil }
func (unseen) Write(func(uintptr) bool) error { return nil }
