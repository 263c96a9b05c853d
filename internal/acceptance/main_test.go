package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// bench is what every test works at: the binary, one Redis and one server on
// that Redis for all the organisations of the scenario tests.
type bench struct {
	binary string
	dir    string
	redis  *redisServer

	once   sync.Once
	shared *server
	err    error
}

var workbench bench

func TestMain(m *testing.M) {
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "caregate-acceptance-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	workbench.dir = dir
	workbench.binary = filepath.Join(dir, "caregate")
	if err := build(workbench.binary, raceFlags()...); err != nil {
		return fail(err)
	}
	workbench.redis, err = startRedis(dir, 0)
	if err != nil {
		return fail(err)
	}
	defer workbench.redis.kill()
	defer workbench.stopShared()
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "acceptance:", err)
	return 1
}

// raceFlags are the flags of a build with the race detector, when it is asked
// for.
func raceFlags() []string {
	if os.Getenv("CAREGATE_TEST_RACE") == "" {
		return nil
	}
	return []string{"-race"}
}

// build makes the binary that operators run.
func build(path string, flags ...string) error {
	args := append([]string{"build", "-o", path}, flags...)
	command := exec.Command("go", append(args, "../../cmd/caregate")...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("building caregate: %w\n%s", err, out)
	}
	return nil
}

// server returns the server that reads the common Redis, started by the first
// test that needs it.
func (b *bench) server(t *testing.T) *server {
	t.Helper()
	b.once.Do(func() {
		b.shared, b.err = launch(serverOptions{}, "--redis", b.redis.unhurried(), "--admin-addr", "127.0.0.1:0", "--max-body", "16777216")
		if b.err == nil {
			b.err = b.shared.waitReady()
		}
	})
	if b.err != nil {
		t.Fatalf("the server on the common Redis: %v", b.err)
	}
	return b.shared
}

func (b *bench) stopShared() {
	if b.shared == nil {
		return
	}
	if err := b.shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance: the server on the common Redis:", err)
	}
}
