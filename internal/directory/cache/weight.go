package cache

import (
	"math"

	"github.com/caregate/caregate/internal/authz"
)

// What facts take in memory, in bytes, with the form that the policy evaluates.
// Those of an entry and an item were measured on patients, whose heap the benchmarks
// hold against the bound; that of a union is an estimate.
const (
	weightOfEntry = 1500 // a fact without lists, its key, and its place in the cache
	weightOfItem  = 350  // an id in a list, beside its bytes
	weightOfUnion = 4000 // what the role and groups of a member grant together, when it is nobody else's
)

// Weigh estimates the memory that a fact takes. Its id and each id in its lists
// are there about three times: in the fact, in the form that is evaluated, and in
// what that is looked up by.
func Weigh(f *authz.Fact) uint32 {
	n := weightOfEntry + 3*len(f.ID)
	if len(f.Groups) > 0 {
		n += weightOfUnion
	}
	items, bytes := f.Size()
	n += weightOfItem*items + 3*bytes
	return uint32(min(n, math.MaxUint32))
}
