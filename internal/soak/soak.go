// Package soak says how many cases the tests try, and from which seed. Its only user is tests: make test tries
// a part of them, so that people run it, and make soak all of them, by CAREGATE_TEST_SOAK.
package soak

import (
	"os"
	"strconv"
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
