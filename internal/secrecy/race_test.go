//go:build race

package secrecy

import "time"

// ofAll is the part of the requests that are compared with the race detector, which takes many times
// as long; make test compares all of them without it.
const ofAll = 10

const requestTimeout = time.Minute
