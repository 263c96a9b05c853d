package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a sidecar may take to start and to end: long, for a machine that is busy with other things.
const (
	StartTimeout = time.Minute
	StopTimeout  = 30 * time.Second
)

// Build builds caregate from a folder below the root of the module, with flags of go build, into a file.
func Build(ctx context.Context, file string, flags ...string) error {
	args := append([]string{"build", "-o", file}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(args, "github.com/caregate/caregate/cmd/caregate")...).CombinedOutput(); err != nil {
		return fmt.Errorf("building caregate: %w\n%s", err, out)
	}
	return nil
}

// Sidecar is a running caregate serve.
type Sidecar struct {
	*Process
	ready chan struct{}
	stop  func() error

	mu     sync.Mutex
	listen map[string][]string // addresses, by listener
}

// Serve starts a command that is caregate serve, and does not wait until it is ready. It learns from the log where the
// sidecar listens.
func Serve(command *exec.Cmd) (*Sidecar, error) {
	s := &Sidecar{ready: make(chan struct{}), listen: map[string][]string{}}
	s.stop = sync.OnceValue(s.end)
	started := sync.OnceFunc(func() { close(s.ready) })
	log := &Output{line: func(line []byte) {
		var entry struct{ Msg, Listener, Addr string }
		if json.Unmarshal(line, &entry) != nil {
			return
		}
		switch entry.Msg {
		case "listening":
			s.mu.Lock()
			s.listen[entry.Listener] = append(s.listen[entry.Listener], entry.Addr)
			s.mu.Unlock()
		case "ready":
			started()
		}
	}}
	var err error
	s.Process, err = start(command, log)
	return s, err
}

// Ready is closed when the sidecar says that it is ready.
func (s *Sidecar) Ready() <-chan struct{} { return s.ready }

// WaitReady waits until the sidecar is ready. One that ends, or is not ready in time, is stopped and an error.
func (s *Sidecar) WaitReady() error {
	select {
	case <-s.ready:
		return nil
	case <-s.Exited():
		return s.Died()
	case <-time.After(StartTimeout):
		return errors.Join(fmt.Errorf("it was not ready within %v:\n%s", StartTimeout, s.Log), s.Stop())
	}
}

// Addresses returns where a listener listens, in the order of the log.
func (s *Sidecar) Addresses(listener string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.listen[listener])
}

// URL returns the address of the first listener of that name. Without one it is an address that refuses at once, which
// a name, looked up by whatever resolver there is, may not do.
func (s *Sidecar) URL(listener string) string {
	if addresses := s.Addresses(listener); len(addresses) > 0 {
		return "http://" + addresses[0]
	}
	return "http://127.0.0.1:0/no-listener-" + listener
}

// Stop ends the sidecar as Kubernetes does, once. A sidecar that does not end by itself, or ends with an error, or wrote
// of a panic or a race, is an error.
func (s *Sidecar) Stop() error { return s.stop() }

func (s *Sidecar) end() error {
	if err := s.Process.Stop(syscall.SIGTERM, StopTimeout); err != nil {
		return err
	}
	log := s.Log.String()
	switch {
	case strings.Contains(log, "DATA RACE"):
		return fmt.Errorf("a data race:\n%s", log)
	case strings.Contains(log, "panic:") || strings.Contains(log, "goroutine 1 ["):
		return fmt.Errorf("a panic:\n%s", log)
	case s.ExitCode() != 0:
		return fmt.Errorf("exit code %d after SIGTERM:\n%s", s.ExitCode(), log)
	}
	return nil
}
