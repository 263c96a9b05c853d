package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caregate/caregate/internal/process"
	"github.com/caregate/caregate/internal/redistest"
)

// bench is what every test works at: the binary, one Redis and one server on
// that Redis for all the organisations of the scenario tests.
type bench struct {
	binary string
	dir    string
	redis  *redistest.Server

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
	if err := process.Build(context.Background(), workbench.binary, raceFlags()...); err != nil {
		return fail(err)
	}
	workbench.redis, err = redistest.Start(dir)
	if err != nil {
		return fail(err)
	}
	defer workbench.redis.Kill()
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

// server returns the server that reads the common Redis, started by the first
// test that needs it.
func (b *bench) server(t *testing.T) *server {
	t.Helper()
	b.once.Do(func() {
		b.shared, b.err = launch(nil, "--redis", b.redis.Unhurried(), "--admin-addr", "127.0.0.1:0", "--max-body", "16777216")
		if b.err == nil {
			b.err = b.shared.WaitReady()
		}
	})
	require(t, b.err == nil, "the server on the common Redis: %v", b.err)
	return b.shared
}

func (b *bench) stopShared() {
	if b.shared == nil {
		return
	}
	if err := b.shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance: the server on the common Redis:", err)
	}
}
