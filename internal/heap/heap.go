// Package heap keeps Go's collector from running often over a small heap. While it
// collects it takes time of all processors, and decisions wait; a small heap that is
// filled fast, as by administrators' work, is collected over and over (GODEBUG=gctrace=1
// tells when, and for how long).
package heap

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Room is how many bytes are allocated at least between two collections.
const Room = 64 << 20

// interval is how often the use of the heap is looked at: it changes slowly.
const interval = time.Second

// Keep leaves Room between two collections until ctx ends, and more where more than that is
// in use, as Go does by itself. A memory limit (GOMEMLIMIT) holds all the same. Whoever set
// GOGC has decided otherwise, and Keep returns at once.
func Keep(ctx context.Context, getenv func(string) string) {
	if getenv("GOGC") != "" {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for set := 0; ; {
		metrics.Read(live)
		if percent := Percent(live[0].Value.Uint64()); abs(percent-set) > set/10 { // to set it stops everything for a moment
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Percent is the GOGC that leaves Room between two collections where so many bytes are in
// use, and at least as much as is in use.
func Percent(live uint64) int {
	return int(max(100, min(math.Ceil(100*Room/float64(max(live, 1))), 10_000)))
}

func abs(n int) int { return max(n, -n) }
