// Package process starts programs for tests and benchmarks, waits until they are ready, keeps their output, and ends
// them by their process id.
package process

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Process is a program that was started.
type Process struct {
	Out, Log *Output // stdout and stderr
	command  *exec.Cmd
	exited   chan struct{}
}

// Start starts a command whose output goes nowhere yet. Unless its attributes say otherwise, it ends with this process.
func Start(command *exec.Cmd) (*Process, error) { return start(command, new(Output)) }

func start(command *exec.Cmd, log *Output) (*Process, error) {
	p := &Process{Out: new(Output), Log: log, command: command, exited: make(chan struct{})}
	command.Stdout, command.Stderr = p.Out, p.Log
	command.WaitDelay = time.Second // for output that a child of the child holds open
	if command.SysProcAttr == nil {
		command.SysProcAttr = attributes()
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = command.Wait() // the state has the exit code
		close(p.exited)
	}()
	return p, nil
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Args returns the command line, the program first.
func (p *Process) Args() []string { return p.command.Args }

// Signal sends a signal.
func (p *Process) Signal(signal os.Signal) error { return p.command.Process.Signal(signal) }

// Exited is closed when the process has ended and its output is complete.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitCode returns the exit code of a process that has ended, -1 after a signal.
func (p *Process) ExitCode() int { return p.command.ProcessState.ExitCode() }

// CPU returns the time of the CPU that a process used which has ended.
func (p *Process) CPU() time.Duration {
	return p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
}

// Await calls ready every few milliseconds until it returns nil. The end of the process, or of ctx, is an error.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.Died()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.command.Path, err, p.Log)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Died returns the error of a process that ended by itself, with its log; nil while it runs.
func (p *Process) Died() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended: %s: %s", p.command.Path, p.command.ProcessState, strings.TrimSpace(p.Log.String()))
	default:
		return nil
	}
}

// Stop asks the process to end, by a signal, and waits for that. A process that does not end in time is killed, which
// is an error.
func (p *Process) Stop(signal os.Signal, within time.Duration) error {
	_ = p.Signal(signal)
	select {
	case <-p.exited:
		return nil
	case <-time.After(within):
		p.Kill()
		return fmt.Errorf("%s did not end within %v of %v:\n%s", p.command.Path, within, signal, p.Log)
	}
}

// Kill ends the process at once, as a crash does, and waits for its end.
func (p *Process) Kill() {
	_ = p.command.Process.Kill()
	<-p.exited
}

// Output is what a process writes. It may be read meanwhile.
type Output struct {
	line func([]byte) // is given each whole line; nil for nothing

	mu   sync.Mutex
	text bytes.Buffer
	seen int // bytes that were given to line
}

// Write is for the process.
func (o *Output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(text)
	for o.line != nil {
		end := bytes.IndexByte(o.text.Bytes()[o.seen:], '\n')
		if end < 0 {
			break
		}
		o.line(o.text.Bytes()[o.seen : o.seen+end])
		o.seen += end + 1
	}
	return n, err
}

// String returns what was written until now.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// FreeAddress returns a loopback address that nobody listens on now.
func FreeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
