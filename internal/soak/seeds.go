package soak

import (
	"iter"
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

// Seeds yields the seeds of the cases of a property: 0 to n-1, or the one that
// CAREGATE_TEST_SEED has. It ends with the first case that fails, prints its seed, and the
// command that repeats it.
func Seeds(t *testing.T, n int) iter.Seq[uint64] {
	t.Helper()
	first, last := uint64(0), uint64(n)
	if Repeats() {
		first = Seed(t, 0)
		last = first + 1
	}
	return func(yield func(uint64) bool) {
		seed := first
		defer func() { // even when the case ends the test
			if t.Failed() {
				t.Logf("seed %d; repeat it with\n\t%s", seed, Command(t, seed))
			}
		}()
		for ; seed < last; seed++ {
			if !yield(seed) || t.Failed() {
				return
			}
		}
	}
}

// Seed returns the seed that CAREGATE_TEST_SEED has, or another one where it has none.
func Seed(t *testing.T, otherwise uint64) uint64 {
	t.Helper()
	if !Repeats() {
		return otherwise
	}
	seed, err := strconv.ParseUint(os.Getenv(only), 10, 64)
	if err != nil {
		t.Fatalf("%s is %q, which is no seed: %v", only, os.Getenv(only), err)
	}
	return seed
}

// Command returns the command that repeats a seed of a test.
func Command(t *testing.T, seed uint64) string {
	parts := strings.Split(t.Name(), "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return only + "=" + strconv.FormatUint(seed, 10) + " go test ./" + directory() + " -count=1 -run '" + strings.Join(parts, "/") + "'"
}

// directory returns where the package under test is in its module: a test runs in there.
func directory() string {
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
