package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How often it is tried whether a child is ready, and how long at most: an OPA server
// reads much before it is.
const (
	readyEvery  = 2 * time.Millisecond
	readyWithin = 3 * time.Minute
)

// process is a child process.
type process struct {
	addr   string // where it is asked
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	exited chan struct{}
}

// start starts a child and waits until ready has no error. The child ends when it is
// stopped, and at the latest with the section or with ctx.
func (s *stage) start(
	ctx context.Context, addr string, ready func(context.Context) error, program string, args ...string,
) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	cmd.WaitDelay = time.Second
	p := &process{addr: addr, cmd: cmd, exited: make(chan struct{})}
	cmd.Stderr = &p.stderr
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.children = append(s.children, p)
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	limited, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		if err = ready(limited); err == nil {
			return p, nil
		}
		select {
		case <-p.exited:
			return nil, fmt.Errorf("%s did not start", program)
		case <-limited.Done():
			return nil, fmt.Errorf("%s was not ready within %s: %w", program, readyWithin, err)
		case <-time.After(readyEvery):
		}
	}
}

// stop asks children to end, and makes each end after two seconds.
func (s *stage) stop(children ...*process) {
	for _, p := range children {
		_ = p.stdin.Close()
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.exited:
		case <-time.After(2 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
		s.children = slices.DeleteFunc(s.children, func(child *process) bool { return child == p })
	}
}

// died is the error of a child that ended by itself, nil while it runs.
func (p *process) died() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended: %s: %s", p.cmd.Path, p.cmd.ProcessState, strings.TrimSpace(p.stderr.String()))
	default:
		return nil
	}
}

// resident returns the bytes of memory that the child has now.
func (p *process) resident() float64 { return p.figure("status", "VmRSS:", 0) * 1024 }

// cpu returns the µs of CPU that the child has used.
func (p *process) cpu() float64 {
	const tick = 10_000 // a hundred a second, on every Linux
	return (p.figure("stat", ") ", 11) + p.figure("stat", ") ", 12)) * tick
}

// figure returns the field with an index after mark in a file of Linux about the child,
// 0 on other systems.
func (p *process) figure(file, mark string, index int) float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/" + file)
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), mark)
	fields := strings.Fields(rest)
	if len(fields) <= index {
		return 0
	}
	value, _ := strconv.ParseFloat(fields[index], 64)
	return value
}

// get returns what a URL answers with 200, on a connection of its own.
func get(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	r.Close = true
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = w.Body.Close() }()
	text, err := io.ReadAll(w.Body)
	if err == nil && w.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s", url, w.Status)
	}
	return string(text), err
}

// answering returns a function that tries whether a URL answers 200.
func answering(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := get(ctx, url)
		return err
	}
}

// freeAddress returns a loopback address that nobody listens on now.
func freeAddress(ctx context.Context) string {
	var config net.ListenConfig
	l := must(config.Listen(ctx, "tcp", "127.0.0.1:0"))
	check(l.Close())
	return l.Addr().String()
}
