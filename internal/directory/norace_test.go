//go:build !race

package directory

// exactCases is how many decisions of the test of exactness are checked.
const exactCases = 200_000
