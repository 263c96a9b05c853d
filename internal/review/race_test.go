//go:build race

package review_test

// underRace is true with the race detector, under which properties have fewer cases;
// make test asks them in full without it.
const underRace = true
