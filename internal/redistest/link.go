package redistest

import (
	"bytes"
	"context"
	"net"
	"sync"
)

// Link is the network between a server and everybody else. It can lose what goes
// over it, without ending a connection: as a network does that is partitioned.
type Link struct {
	listener net.Listener
	upstream func() string

	mu     sync.Mutex
	wake   *sync.Cond
	lost   func(replica bool) bool // which connections get nothing through
	conns  map[net.Conn]bool
	closed bool
	group  sync.WaitGroup
}

// NewLink returns a link on a free port. upstream is asked for the address of the
// server for each connection.
func NewLink(upstream func() string) (*Link, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{listener: listener, upstream: upstream, conns: map[net.Conn]bool{}, lost: func(bool) bool { return false }}
	l.wake = sync.NewCond(&l.mu)
	l.group.Go(l.accept)
	return l, nil
}

// Port returns the port of the link.
func (l *Link) Port() int { return l.listener.Addr().(*net.TCPAddr).Port }

// LoseReplicas lets nothing through to and from replicas.
func (l *Link) LoseReplicas() { l.lose(func(replica bool) bool { return replica }) }

// LoseAll lets nothing through.
func (l *Link) LoseAll() { l.lose(func(bool) bool { return true }) }

// Heal lets everything through, and what was held back.
func (l *Link) Heal() { l.lose(func(bool) bool { return false }) }

func (l *Link) lose(lost func(replica bool) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = lost
	l.wake.Broadcast()
}

// Cut ends every connection, and what was held back is gone.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

func (l *Link) cut() {
	for conn := range l.conns {
		_ = conn.Close()
	}
	clear(l.conns)
	l.wake.Broadcast()
}

// Close ends every connection and the link.
func (l *Link) Close() {
	_ = l.listener.Close()
	l.mu.Lock()
	l.closed = true
	l.cut()
	l.mu.Unlock()
	l.group.Wait()
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.group.Go(func() { l.serve(conn) })
	}
}

func (l *Link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close()
		return false
	}
	l.conns[conn] = true
	return true
}

// pass waits until what goes over a connection may pass, or the connection has
// ended.
func (l *Link) pass(conn net.Conn, replica *bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.conns[conn] && l.lost(*replica) {
		l.wake.Wait()
	}
}

// drop ends one of two connections that belong together, and its passing.
func (l *Link) drop(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
	l.wake.Broadcast()
}

func (l *Link) serve(client net.Conn) {
	if !l.keep(client) {
		return
	}
	defer l.drop(client)
	var dialer net.Dialer
	server, err := dialer.DialContext(context.Background(), "tcp", l.upstream())
	if err != nil || !l.keep(server) {
		return
	}
	defer l.drop(server)
	var replica bool // guarded by l.mu
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyEach(server, client, func(said []byte) {
			if bytes.Contains(bytes.ToUpper(said[:min(len(said), 64)]), []byte("REPLCONF")) {
				l.mu.Lock()
				replica = true
				l.mu.Unlock()
			}
			l.pass(server, &replica)
		})
		l.drop(client)
		l.drop(server)
	}()
	copyEach(client, server, func([]byte) { l.pass(client, &replica) })
	l.drop(client)
	l.drop(server)
	<-done
}
