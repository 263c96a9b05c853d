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
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a child process. stop ends it.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *bytes.Buffer
	aside  string // of a child of startSelf: where it tells about itself
	exited chan struct{}
}

// start starts a child. It ends at the latest when ctx does.
func start(ctx context.Context, stdout io.Writer, name string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	cmd.WaitDelay = time.Second
	p := &process{cmd: cmd, stderr: new(bytes.Buffer), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = stdout, p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// stop asks the child to end, and makes it end after two seconds.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.exited:
	case <-time.After(2 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
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

// startSelf starts this program as a server and returns its address.
func startSelf(ctx context.Context, args ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	read, write := io.Pipe()
	p, err := start(ctx, write, self, args...)
	if err != nil {
		return nil, "", err
	}
	go func() {
		<-p.exited
		_ = write.Close()
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	addrs := strings.Fields(line)
	if err != nil || len(addrs) != 2 {
		p.stop()
		return nil, "", errors.Join(fmt.Errorf("%s did not say where it listens", args[0]), p.died())
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	p.aside = addrs[1]
	return p, addrs[0], nil
}

// heap returns the bytes of heap that a child of startSelf uses after it collected
// its garbage.
func (p *process) heap(ctx context.Context) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.aside+pathHeap, nil)
	if err != nil {
		return 0, err
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = w.Body.Close() }()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(text), 64)
}

// resident returns the bytes of memory that the child has now, 0 where the system
// does not say it in Linux's way.
func (p *process) resident() float64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0
	}
	return kilobytes * 1024
}

// ready polls a URL until it answers 200.
func (p *process) ready(ctx context.Context, url string, every, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if w, err := client.Do(r); err == nil {
			_ = w.Body.Close()
			if w.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := p.died(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready within %s", p.cmd.Path, limit)
		case <-time.After(every):
		}
	}
}

// cpu returns the CPU time that the child has used, 0 where the system does not
// say it in Linux's way.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond // a hundred ticks a second, on every Linux
}

// freePort returns a loopback address that nobody listens on now.
func freePort(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
