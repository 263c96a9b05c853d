// Package soak says how many cases the tests try. Its only user is tests: make test tries
// a part of them, so that people run it, and make soak all of them, by CAREGATE_TEST_SOAK.
package soak

import "os"

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
