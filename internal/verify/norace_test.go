//go:build !race

package verify_test

// ofEach is how many organisations a part has.
const ofEach = 75
