package soak

import (
	"strings"
	"testing"
)

// recorder is a test that fails, and keeps what it logs.
type recorder struct {
	testing.TB
	cleanUp func()
	logged  string
}

func (r *recorder) Helper()           {}
func (r *recorder) Cleanup(f func())  { r.cleanUp = f }
func (r *recorder) Failed() bool      { return true }
func (r *recorder) Name() string      { return "TestX" }
func (r *recorder) Log(values ...any) { r.logged = values[0].(string) }

func TestAFailureSaysHowToRepeatIt(t *testing.T) {
	t.Setenv("CAREGATE_TEST_SEED", "7")
	t.Setenv("CAREGATE_TEST_SOAK", "1")
	r := &recorder{}
	if got := Seed(r); got != 7 {
		t.Errorf("the seed is %d, expected 7", got)
	}
	r.cleanUp()
	for _, part := range []string{"CAREGATE_TEST_SEED=7 ", "CAREGATE_TEST_SOAK=1 ", "go test ./internal/soak -count=1 -run '^TestX$'"} {
		if !strings.Contains(r.logged, part) {
			t.Errorf("it says %q, without %q", r.logged, part)
		}
	}
}

func TestCasesAreAPartOrAll(t *testing.T) {
	t.Setenv("CAREGATE_TEST_SOAK", "")
	if got := Cases(800); got != 100 || Cases(3) != 1 || All() {
		t.Errorf("of 800 cases %d are tried, of 3 %d", got, Cases(3))
	}
	t.Setenv("CAREGATE_TEST_SOAK", "1")
	if got := Cases(800); got != 800 || !All() {
		t.Errorf("%d of 800 cases are tried", got)
	}
}
