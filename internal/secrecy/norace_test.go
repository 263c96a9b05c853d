//go:build !race

package secrecy

import "time"

// ofAll is the part of the requests that are compared: 1 in so many.
const ofAll = 1

// requestTimeout is one that a busy machine keeps.
const requestTimeout = time.Minute
