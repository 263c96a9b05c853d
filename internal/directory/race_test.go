//go:build race

package directory

// exactCases is how many decisions of the test of exactness are checked with the race detector; make test
// checks more without it.
const exactCases = 25_000
