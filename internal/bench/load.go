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
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// connection is a keep-alive connection. It speaks as much HTTP/1.1 as these
// servers do, so that asking costs little beside answering.
type connection struct {
	net.Conn
	r    *bufio.Reader
	sent []byte // the last request that was written for it only
	body []byte
}

// connections are asked at the same time.
type connections []*connection

// dial opens n connections.
func dial(ctx context.Context, addr string, n int) (connections, error) {
	all := make(connections, 0, n)
	for range n {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, &connection{Conn: conn, r: bufio.NewReaderSize(conn, 16<<10)})
	}
	return all, nil
}

func (all connections) close() {
	for _, c := range all {
		_ = c.Close()
	}
}

// each uses every connection, until all are done.
func (all connections) each(use func(i int, c *connection) error) error {
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, c := range all {
		group.Go(func() { errs[i] = use(i, c) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// httpRequest writes a request with JSON. headers are those beside what every request has.
func httpRequest(addr, path, headers string, content any) []byte {
	body := encode(content)
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		path, addr, headers, len(body), body)
}

// ask sends a request and returns the body of a 200, good until the next call.
func (c *connection) ask(request []byte) ([]byte, error) {
	status, body, err := c.exchange(request)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("answered %d: %s", status, body)
	}
	return body, err
}

// exchange sends a request and returns the status and the body of its answer, good
// until the next call.
func (c *connection) exchange(request []byte) (status int, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
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
	for len(line) != 2 { // the empty line
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, nil, err
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
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.r, c.body)
	return status, c.body, err
}

// target is a server with the questions as it is asked them, ready to be sent. Its turns
// are those of rate.
type target struct {
	contender
	*child
	questions []question
	size      int // questions in one request
	requests  [][]byte
	answers   [][]byte // of the warm-up; later ones have the same length
	serial    atomic.Uint64
}

// newTarget writes the requests that ask questions at a path, and asks every one twice:
// the first answers come before the organisation is followed.
func (s *stage) newTarget(ctx context.Context, name string, p *child, path string, questions []question) *target {
	t := &target{child: p, questions: questions, size: 1}
	if path == pathBatch {
		t.size = batchSize
	}
	t.contender = contender{name: name, turn: t.turnOn(s.connections, s.turn)}
	for part := range slices.Chunk(questions, t.size) {
		t.requests = append(t.requests, httpRequest(p.addr, path, "", bodyOf(path, part)))
	}
	t.answers = make([][]byte, len(t.requests))
	conns := must(dial(ctx, p.addr, 1))
	defer conns.close()
	for i := range 2 * len(t.requests) {
		at := i % len(t.requests)
		body, err := conns[0].ask(t.request(at, conns[0]))
		if err != nil {
			check(fmt.Errorf("%s, question %d: %w", name, at, err))
		}
		t.answers[at] = bytes.Clone(body)
	}
	check(ctx.Err())
	return t
}

// A request that differs each time has a member of this name in its context, with a
// number in place of the zeros.
const (
	differing     = "request"
	differingZero = "000000000000"
)

// request returns the request i as it is to be sent on c.
func (t *target) request(i int, c *connection) []byte {
	if t.questions[0].request.Context[differing] == nil {
		return t.requests[i]
	}
	c.sent = append(c.sent[:0], t.requests[i]...)
	_, rest, _ := bytes.Cut(c.sent, []byte(`"`+differing+`":"`))
	copy(rest, strconv.FormatUint(1e12+t.serial.Add(1), 10)[1:]) // twelve digits
	return c.sent
}

// ask asks request i, wrapped around, on c. An answer of another status or length than
// in the warm-up is an error.
func (t *target) ask(i int, c *connection) error {
	i %= len(t.requests)
	body, err := c.ask(t.request(i, c))
	if err == nil && len(body) != len(t.answers[i]) {
		err = fmt.Errorf("question %d was answered with %d bytes, and before with %d: %s", i, len(body), len(t.answers[i]), body)
	}
	return err
}

// first is the request with which the connection i of n begins.
func (t *target) first(i, n int) int { return i * len(t.requests) / n }

// rate asks on n connections for as long as turn, each question when the one before is
// answered. It returns the decisions in a second, and the µs of the server's CPU for each.
func (t *target) rate(ctx context.Context, n int, turn time.Duration) (rate, cpu float64) {
	conns := must(dial(ctx, t.addr, n))
	defer conns.close()
	var decisions atomic.Int64
	used, began := t.cpu(), time.Now()
	deadline := began.Add(turn)
	check(conns.each(func(i int, c *connection) error {
		if err := c.SetDeadline(deadline.Add(5 * time.Second)); err != nil {
			return err
		}
		for asked := 0; ; {
			if err := t.ask(t.first(i, n)+asked, c); err != nil {
				return err
			}
			if asked++; (t.size > 1 || asked%16 == 0) && !time.Now().Before(deadline) {
				decisions.Add(int64(asked * t.size))
				return nil
			}
		}
	}))
	return float64(decisions.Load()) / time.Since(began).Seconds(), (t.cpu() - used) / float64(decisions.Load())
}

// turnOn returns a turn on n connections.
func (t *target) turnOn(n int, turn time.Duration) func(context.Context) (rate, cpu float64) {
	return func(ctx context.Context) (float64, float64) { return t.rate(ctx, n, turn) }
}

// shortestSleep is how long before a question is due it may be asked: a sleep takes
// longer than it should.
const shortestSleep = 200 * time.Microsecond

// paced asks on n connections at a rate, whatever becomes of the questions before, for
// as long as duration or until ctx ends. It returns how many ms each answer took: from
// when the question was due if the answer before it was late, and else from when it was
// sent.
func (t *target) paced(ctx context.Context, n int, rate float64, duration time.Duration) (spread, error) {
	conns, err := dial(ctx, t.addr, n)
	if err != nil {
		return nil, err
	}
	defer conns.close()
	each := time.Duration(float64(n) / rate * float64(time.Second))
	began := time.Now()
	took := make([]spread, n)
	err = conns.each(func(i int, c *connection) error {
		begins := began.Add(each * time.Duration(i) / time.Duration(n))
		for asked := 0; time.Duration(asked)*each < duration && ctx.Err() == nil; asked++ {
			since := begins.Add(time.Duration(asked) * each)
			if early := time.Until(since); early > 0 {
				if early > shortestSleep {
					time.Sleep(early)
				}
				since = time.Now()
			}
			if err := t.ask(t.first(i, n)+asked, c); err != nil {
				return err
			}
			took[i] = append(took[i], milliseconds(since))
		}
		return nil
	})
	return slices.Concat(took...), err
}

// agree makes sure that the server answered every question as the policy does in process.
func (t *target) agree() {
	for i, text := range t.answers {
		asked := t.questions[i*t.size:][:t.size]
		answers := answersOf(text)
		if len(answers) != t.size {
			check(fmt.Errorf("%s gives %d answers to %d questions", t.name, len(answers), t.size))
		}
		for j, q := range asked {
			if !reflect.DeepEqual(answers[j], q.answer) {
				check(fmt.Errorf("%s answers a question of the kind %q otherwise than the policy in process:\n%s\nserver: %+v\npolicy: %+v",
					t.name, q.kind, encode(q.wire()), answers[j], q.answer))
			}
		}
	}
}

// answerSize returns the mean size of the answers, in bytes.
func (t *target) answerSize() float64 {
	total := 0
	for _, answer := range t.answers {
		total += len(answer)
	}
	return float64(total) / float64(len(t.answers))
}
