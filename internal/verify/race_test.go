//go:build race

package verify_test

// ofEach is how many organisations a part has with the race detector, which takes many
// times as long; make test asks about all of them without it.
const ofEach = 8
