package acceptance

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

// meddler stands between the server and Redis and changes what Redis says.
type meddler struct {
	listener net.Listener
	upstream string

	mu     sync.Mutex
	change func(said []byte) (instead []byte, hangUp bool) // nil changes nothing
	conns  map[net.Conn]bool
	closed bool
}

func newMeddler(t *testing.T, upstream string) *meddler {
	t.Helper()
	listener := try(net.Listen("tcp", "127.0.0.1:0")).must(t)
	m := &meddler{listener: listener, upstream: upstream, conns: map[net.Conn]bool{}}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { m.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		m.mu.Lock()
		m.closed = true
		for conn := range m.conns {
			conn.Close()
		}
		m.mu.Unlock()
		group.Wait()
	})
	return m
}

func (m *meddler) url() string {
	return "redis://127.0.0.1:" + strconv.Itoa(m.listener.Addr().(*net.TCPAddr).Port)
}

// say sets what becomes of everything that Redis says from now on, on old
// connections as well as on new ones.
func (m *meddler) say(change func([]byte) ([]byte, bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change = change
}

func (m *meddler) keep(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.conns[conn] = true
	}
	return !m.closed
}

func (m *meddler) drop(conn net.Conn) {
	conn.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, conn)
}

func (m *meddler) serve(caller net.Conn) {
	defer m.drop(caller)
	redis, err := net.Dial("tcp", m.upstream)
	if err != nil {
		return
	}
	defer m.drop(redis)
	if !m.keep(caller) || !m.keep(redis) {
		return
	}
	var group sync.WaitGroup
	group.Go(func() {
		defer redis.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := caller.Read(b)
			if err != nil {
				return
			}
			if _, err := redis.Write(b[:n]); err != nil {
				return
			}
		}
	})
	m.answer(redis, caller)
	caller.Close()
	group.Wait()
}

func (m *meddler) answer(redis, caller net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := redis.Read(b)
		if err != nil {
			return
		}
		m.mu.Lock()
		change := m.change
		m.mu.Unlock()
		said, hangUp := b[:n], false
		if change != nil {
			said, hangUp = change(said)
		}
		if _, err := caller.Write(said); err != nil || hangUp {
			return
		}
	}
}
