// Package soak says how many cases the tests try, and from which seed. Its only user is tests: make test tries
// a part of them, so that people run it, and make soak all of them, by CAREGATE_TEST_SOAK.
package soak

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fraction is the part of all cases that make test tries.
const fraction = 8

// All reports whether all cases are tried.
func All() bool { return os.Getenv("CAREGATE_TEST_SOAK") != "" }

// Cases returns how many cases of all a test tries, one at the least.
func Cases(all int) int {
	if All() {
		return all
	}
	return max(1, all/fraction)
}

// Number returns the number that a variable of the environment has, or another where it is not set. A value that is
// no number ends the test.
func Number(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// Seed returns the seed of a test's random cases: that of CAREGATE_TEST_SEED, or a new one. A test that fails prints it
// with the command that repeats the test.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := Number(t, "CAREGATE_TEST_SEED", rand.Uint64()) //nolint:gosec // nobody guesses it
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("once more: " + Command(t.Name(), seed))
		}
	})
	return seed
}

// Command returns the command that repeats a test of the package in the working directory, as often as it was tried and
// with the same settings. more are settings of its own, NAME=value.
func Command(test string, seed uint64, more ...string) string {
	settings := append([]string{"CAREGATE_TEST_SEED=" + strconv.FormatUint(seed, 10)}, more...)
	for _, setting := range os.Environ() {
		if strings.HasPrefix(setting, "CAREGATE_TEST_") && !strings.HasPrefix(setting, "CAREGATE_TEST_SEED=") {
			settings = append(settings, setting)
		}
	}
	return strings.Join(settings, " ") + " go test ./" + folder() + " -count=1 -run '^" + test + "$'"
}

// folder returns the working directory, seen from the root of the module.
func folder() string {
	dir, err := os.Getwd()
	for root := dir; err == nil; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			path, _ := filepath.Rel(root, dir)
			return filepath.ToSlash(path)
		}
		if root == filepath.Dir(root) {
			break
		}
	}
	return "..."
}
