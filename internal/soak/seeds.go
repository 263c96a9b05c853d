package soak

import (
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// only names the environment variable with the one seed that is to be tried.
const only = "CAREGATE_TEST_SEED"

// Repeats reports whether a test repeats one seed instead of trying many, which is then too
// little for what it demands of all cases together.
func Repeats() bool { return os.Getenv(only) != "" }

// Seed returns the seed of a test's random cases: that of CAREGATE_TEST_SEED, or a new one. A
// test that fails prints it with the command that repeats the test.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := SeedOr(t, rand.Uint64()) //nolint:gosec // nobody guesses it
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("once more: " + Command(t.Name(), seed))
		}
	})
	return seed
}

// SeedOr returns the seed that CAREGATE_TEST_SEED has, or another one where it has none.
func SeedOr(t testing.TB, otherwise uint64) uint64 {
	t.Helper()
	return Number(t, only, otherwise)
}

// Seeds yields the seeds of the cases of a property: 0 to n-1, or the one that
// CAREGATE_TEST_SEED has. It ends with the first case that fails, prints its seed, and the
// command that repeats it.
func Seeds(t testing.TB, n int) iter.Seq[uint64] {
	t.Helper()
	first, last := uint64(0), uint64(n)
	if Repeats() {
		first = SeedOr(t, 0)
		last = first + 1
	}
	return func(yield func(uint64) bool) {
		seed := first
		defer func() { // even when the case ends the test
			if t.Failed() {
				t.Logf("seed %d; once more: %s", seed, Command(t.Name(), seed))
			}
		}()
		for ; seed < last; seed++ {
			if !yield(seed) || t.Failed() {
				return
			}
		}
	}
}

// Command returns the command that repeats a test of the package in the working directory,
// with the same settings. more are settings of its own, NAME=value.
func Command(test string, seed uint64, more ...string) string {
	settings := append([]string{only + "=" + strconv.FormatUint(seed, 10)}, more...)
	for _, setting := range os.Environ() {
		if strings.HasPrefix(setting, "CAREGATE_TEST_") && !strings.HasPrefix(setting, only+"=") {
			settings = append(settings, setting)
		}
	}
	parts := strings.Split(test, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(settings, " ") + " go test ./" + folder() + " -count=1 -run '" + strings.Join(parts, "/") + "'"
}

// folder returns the working directory, that of the package under test, seen from the root of
// the module.
func folder() string {
	here, err := os.Getwd()
	for root := here; err == nil && root != filepath.Dir(root); root = filepath.Dir(root) {
		if _, missing := os.Stat(filepath.Join(root, "go.mod")); missing == nil {
			if path, err := filepath.Rel(root, here); err == nil {
				return filepath.ToSlash(path)
			}
		}
	}
	return "..."
}
