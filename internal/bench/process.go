package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"github.com/caregate/caregate/internal/process"
)

// child is a process that is asked at an address.
type child struct {
	*process.Process
	addr string
}

// start starts a child and waits until a URL answers 200. The child ends when it is stopped,
// and at the latest with the section or with ctx.
func (s *stage) start(ctx context.Context, addr, ready, program string, args ...string) *child {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	c := &child{must(process.Start(cmd)), addr}
	s.children = append(s.children, c)
	limited, cancel := context.WithTimeout(ctx, 3*time.Minute) // an OPA server reads much before it is ready
	defer cancel()
	check(c.Await(limited, func(ctx context.Context) error {
		_, err := get(ctx, ready)
		return err
	}))
	return c
}

// stop asks children to end, and kills each that does not within two seconds.
func (s *stage) stop(children ...*child) {
	for _, c := range children {
		_ = c.Stop(syscall.SIGINT, 2*time.Second)
		s.children = slices.DeleteFunc(s.children, func(other *child) bool { return other == c })
	}
}

// stat returns what Linux counts of the child, nothing on other systems.
func (c *child) stat() procfs.ProcStat {
	p, err := procfs.NewProc(c.PID())
	if err != nil {
		return procfs.ProcStat{}
	}
	stat, _ := p.Stat()
	return stat
}

// resident returns the bytes of memory that the child has now.
func (c *child) resident() float64 { return float64(c.stat().ResidentMemory()) }

// cpu returns the µs of CPU that the child has used.
func (c *child) cpu() float64 { return c.stat().CPUTime() * 1e6 }

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
