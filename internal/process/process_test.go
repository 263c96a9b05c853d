package process

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), "sh", "-c", script)
}

func TestAProcessIsAwaitedAndStopped(t *testing.T) {
	t.Parallel()
	p, err := Start(shell(t, `trap 'echo bye; exit 3' TERM; echo up >&2; while :; do sleep 0.01; done`))
	if err != nil {
		t.Fatal(err)
	}
	err = p.Await(t.Context(), func(context.Context) error {
		if !strings.Contains(p.Log.String(), "up") {
			return errors.New("not up")
		}
		return p.Died()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(syscall.SIGTERM, time.Minute); err != nil || p.ExitCode() != 3 || p.Out.String() != "bye\n" || p.Died() == nil {
		t.Errorf("%v: exit code %d and %q", err, p.ExitCode(), p.Out)
	}
}

func TestAProcessThatDoesNotGetReadyOrEndIsAnError(t *testing.T) {
	t.Parallel()
	never := func(context.Context) error { return errors.New("no") }
	p, err := Start(shell(t, "echo why >&2; exit 1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await(t.Context(), never); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("it ended: %v", err)
	}
	p, err = Start(shell(t, "trap '' TERM; echo up >&2; while :; do sleep 0.01; done"))
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.Log.String(), "up") {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Await(ctx, never); err == nil {
		t.Error("it is ready")
	}
	if err := p.Stop(syscall.SIGTERM, 20*time.Millisecond); err == nil {
		t.Error("it ended by itself")
	}
}

func TestTheLogSaysWhereASidecarListens(t *testing.T) {
	t.Parallel()
	s, err := Serve(shell(t, `for a in 1 2; do echo '{"msg":"listening","listener":"decisions","addr":"127.0.0.1:'$a'"}' >&2; done
		echo 'no JSON' >&2; echo '{"msg":"ready"}' >&2; trap 'exit 0' TERM; while :; do sleep 0.01; done`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WaitReady(); err != nil {
		t.Fatal(err)
	}
	if got := s.URL("decisions"); got != "http://127.0.0.1:1" || len(s.Addresses("decisions")) != 2 || !strings.Contains(s.URL("admin"), "no-listener-admin") {
		t.Errorf("it listens at %s, and at %q", got, s.Addresses("decisions"))
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	for script, want := range map[string]string{
		`echo 'WARNING: DATA RACE' >&2`: "data race", `echo 'panic: no' >&2`: "panic", `exit 4`: "exit code 4",
	} {
		s, err := Serve(shell(t, script))
		if err != nil {
			t.Fatal(err)
		}
		<-s.Exited()
		if err := s.Stop(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}
