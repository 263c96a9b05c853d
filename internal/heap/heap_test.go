package heap_test

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/heap"
)

// The smaller the heap, the more of it may be allocated anew before it is collected.
func TestTheRoomIsTheSame(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 10_000, 1 << 20: 6400, heap.Room / 4: 400, heap.Room / 2: 200, heap.Room: 100, 2 * heap.Room: 100, math.MaxUint64: 100,
	} {
		if got := heap.Percent(live); got != want {
			t.Errorf("with %d bytes in use it is %d, expected %d", live, got, want)
		}
	}
}

// It is set at once, unless somebody has decided otherwise.
func TestItIsKept(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	ctx, cancel := context.WithCancel(t.Context())
	heap.Keep(ctx, func(string) string { return "50" })
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("it is %d though GOGC was set", got)
	}
	ended := make(chan struct{})
	go func() {
		heap.Keep(ctx, func(string) string { return "" })
		close(ended)
	}()
	for {
		if got := debug.SetGCPercent(100); got > 100 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
}
