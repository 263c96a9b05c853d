package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// target is a server with the questions as it is asked them, ready to be sent.
type target struct {
	name      string
	addr      string
	header    string // beside those that every request has
	child     *process
	decisions int  // in one answer
	differ    bool // no request is sent twice as it was
	requests  [][]byte
	answers   [][]byte // of the warm-up; later ones have the same length
	serial    atomic.Uint64
}

// A request that differs each time has a member of this name in its context, with a
// number in place of the zeros.
const (
	differing     = "request"
	differingZero = "000000000000"
)

// newTarget writes the requests; body is what a question is to this server.
func newTarget(name, addr, path string, child *process, all []question, body func(question) []byte) *target {
	t := &target{name: name, addr: addr, child: child, decisions: 1}
	for _, q := range all {
		t.add(path, body(q))
	}
	return t
}

// add adds a request.
func (t *target) add(path string, body []byte) {
	t.requests = append(t.requests, fmt.Appendf(nil,
		"POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", path, t.addr, t.header, len(body), body))
}

// request returns a request as it is to be sent. One that differs each time is
// written into b, which is what the call before returned.
func (t *target) request(i int, b []byte) []byte {
	if !t.differ {
		return t.requests[i]
	}
	b = append(b[:0], t.requests[i]...)
	if at := bytes.Index(b, []byte(`"`+differing+`":"`)); at >= 0 {
		n := t.serial.Add(1)
		digits := b[at+len(differing)+4:][:len(differingZero)]
		for j := len(digits) - 1; j >= 0; j-- {
			digits[j] = '0' + byte(n%10)
			n /= 10
		}
	}
	return b
}

// connection is a keep-alive connection. It speaks as much HTTP/1.1 as these
// servers do, so that asking costs little beside answering.
type connection struct {
	conn net.Conn
	r    *bufio.Reader
	body []byte
}

func dial(ctx context.Context, addr string) (*connection, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// ask sends a request and returns the body of a 200, good until the next call.
func (c *connection) ask(request []byte) ([]byte, error) {
	status, body, err := c.exchange(request)
	if err == nil && status != http.StatusOK {
		return nil, fmt.Errorf("answered %d: %s", status, body)
	}
	return body, err
}

// exchange sends a request and returns the status and the body of its answer, good
// until the next call.
func (c *connection) exchange(request []byte) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 4 {
		return 0, nil, fmt.Errorf("answered %q", bytes.TrimSpace(line))
	}
	if status, err = strconv.Atoi(string(rest[:3])); err != nil {
		return 0, nil, err
	}
	length := -1
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if len(line) == 2 { // the empty line
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, err
			}
		}
	}
	if length < 0 {
		return 0, nil, errors.New("the answer has no Content-Length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.r, c.body)
	return status, c.body, err
}

// learn asks every question once and keeps the answers.
func (t *target) learn(ctx context.Context) error {
	t.answers = t.answers[:0]
	c, err := dial(ctx, t.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.conn.Close() }()
	var room []byte
	for i := range t.requests {
		room = t.request(i, room)
		body, err := c.ask(room)
		if err != nil {
			return fmt.Errorf("%s, question %d: %w", t.name, i, errors.Join(err, t.child.died()))
		}
		t.answers = append(t.answers, bytes.Clone(body))
	}
	return ctx.Err()
}

// load is what one turn of a target gave.
type load struct {
	rate float64 // decisions a second
	cpu  float64 // µs of the server's CPU a decision
}

// run asks on several connections for as long as slice. An answer of another
// status or length than in the warm-up is an error.
func (t *target) run(ctx context.Context, connections int, slice time.Duration) (load, error) {
	conns := make([]*connection, connections)
	for i := range conns {
		c, err := dial(ctx, t.addr)
		if err != nil {
			return load{}, err
		}
		defer func() { _ = c.conn.Close() }()
		conns[i] = c
	}
	var wg sync.WaitGroup
	counts := make([]int, connections)
	errs := make([]error, connections)
	cpu, start := t.child.cpu(), time.Now()
	deadline := start.Add(slice)
	for i, c := range conns {
		if err := c.conn.SetDeadline(deadline.Add(5 * time.Second)); err != nil {
			return load{}, err
		}
		wg.Go(func() { counts[i], errs[i] = t.keepAsking(c, i*len(t.requests)/connections, deadline) })
	}
	wg.Wait()
	took, spent := time.Since(start), t.child.cpu()-cpu
	total := 0
	for _, n := range counts {
		total += n * t.decisions
	}
	if err := errors.Join(errs...); err != nil {
		return load{}, fmt.Errorf("%s: %w", t.name, errors.Join(err, t.child.died()))
	}
	return load{float64(total) / took.Seconds(), float64(spent.Microseconds()) / float64(total)}, ctx.Err()
}

func (t *target) keepAsking(c *connection, from int, deadline time.Time) (n int, err error) {
	var room []byte
	for i := from; ; i++ {
		at := i % len(t.requests)
		room = t.request(at, room)
		body, err := c.ask(room)
		if err != nil {
			return n, err
		}
		if len(body) != len(t.answers[at]) {
			return n, fmt.Errorf("question %d was answered with %d bytes, and before with %d: %s", at, len(body), len(t.answers[at]), body)
		}
		if n++; (t.decisions > 1 || n%16 == 0) && !time.Now().Before(deadline) {
			return n, nil
		}
	}
}
