package redistest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy stands between clients and a server. It can cut every connection, refuse
// new ones, and delay what the server says to those that follow a stream.
type Proxy struct {
	listener net.Listener
	upstream func() string

	feedDelay atomic.Int64 // nanoseconds
	refusing  atomic.Bool

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	group  sync.WaitGroup
}

// NewProxy returns a proxy on a free port. upstream is asked for the address of
// the server for each connection.
func NewProxy(upstream func() string) (*Proxy, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, upstream: upstream, conns: map[net.Conn]bool{}}
	p.group.Go(p.accept)
	return p, nil
}

// URL returns the URL of the proxy.
func (p *Proxy) URL() string { return "redis://" + p.listener.Addr().String() }

// DelayFeed holds back what follows a XREAD for so long.
func (p *Proxy) DelayFeed(d time.Duration) { p.feedDelay.Store(int64(d)) }

// Refuse ends every connection and lets none in, until it is told otherwise.
func (p *Proxy) Refuse(refuse bool) {
	p.refusing.Store(refuse)
	if refuse {
		p.Cut()
	}
}

// Cut ends every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// Close ends every connection and the proxy.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.group.Wait()
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.serve(conn) })
	}
}

// keep registers a connection, or closes it if it comes too late.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refusing.Load() {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
}

func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", p.upstream())
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	var follows atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyEach(server, client, func(said []byte) {
			if bytes.Contains(said, []byte("xread")) {
				follows.Store(true)
			}
		})
		_ = server.Close()
	}()
	copyEach(client, server, func([]byte) {
		if follows.Load() {
			time.Sleep(time.Duration(p.feedDelay.Load()))
		}
	})
	_ = client.Close()
	<-done
}

// copyEach copies until either side ends, and shows each piece before it goes on.
func copyEach(to, from net.Conn, see func([]byte)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			see(buffer[:n])
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
