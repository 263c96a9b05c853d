package directory

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
)

// exactDecisions is how many decisions the test of exactness checks: 200,000, fewer with the race
// detector, or CAREGATE_TEST_DECISIONS.
func exactDecisions(t *testing.T) int {
	text := os.Getenv("CAREGATE_TEST_DECISIONS")
	if text == "" {
		return exactCases
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatal("CAREGATE_TEST_DECISIONS: write the number of decisions to check")
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// repeat does something again and again.
func repeat(every time.Duration, do func(ctx context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		for ctx.Err() == nil {
			do(ctx)
			sleep(ctx, every)
		}
	}
}

// Every decision is true at exactly the revision that it states, whatever becomes
// of the connections, of Redis, and of the data.
func TestEveryDecisionIsExactAtItsRevision(t *testing.T) {
	n := exactDecisions(t) / 8
	x := newTrial(t, 3, nil)
	victim := func() *sidecar { return x.sidecars[rand.IntN(len(x.sidecars))] }
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	x.phase("calm", 1, 2*n, nil)
	x.phase("connections cut", 2, n, repeat(20*time.Millisecond, func(context.Context) { victim().proxy.Cut() }))
	x.phase("Redis paused", 3, n, repeat(300*time.Millisecond, func(ctx context.Context) {
		must(x.server.Pause())
		sleep(ctx, time.Duration(rand.IntN(int(2*exactStaleness))))
		must(x.server.Resume())
	}))
	x.phase("a slow feed", 4, n, func(ctx context.Context) {
		for i, s := range x.sidecars {
			s.proxy.DelayFeed(time.Duration(i) * 150 * time.Millisecond)
		}
		<-ctx.Done()
		for _, s := range x.sidecars {
			s.proxy.DelayFeed(0)
		}
	})
	short := x.open(x.server.URL(), 2)
	lost := func(resets uint64) {
		if resets == 0 {
			t.Error("nobody noticed what was taken away")
		}
	}
	lost(x.phase("a truncated stream", 5, n, repeat(200*time.Millisecond, func(ctx context.Context) {
		s := victim()
		s.proxy.DelayFeed(100 * time.Millisecond)
		sleep(ctx, 50*time.Millisecond)
		x.gate.Lock()
		x.collect()
		r := rand.New(rand.NewPCG(uint64(x.number.Load()), 5))
		for range 12 { // all but two leave the stream before the slow one sees them
			_, _ = x.change(short, r, func(r *rand.Rand) []admin.Edit { return someEdits(r, "b-trim") })
			x.collect()
		}
		x.gate.Unlock()
		sleep(ctx, 150*time.Millisecond)
		s.proxy.DelayFeed(0)
	})))
	lost(x.phase("FLUSHALL", 6, n, repeat(250*time.Millisecond, func(context.Context) {
		x.lose(func() {
			_, err := x.server.Do("FLUSHALL")
			must(err)
			if rand.IntN(2) == 0 {
				time.Sleep(exactStaleness / 2)
			}
			_, err = x.change(x.direct, rand.New(rand.NewPCG(uint64(x.number.Load()), 6)), wholeClinic)
			must(err)
		})
	})))
	saved := false
	lost(x.phase("a restart with lost data", 7, n, repeat(400*time.Millisecond, func(context.Context) {
		if saved = !saved; saved {
			_, err := x.server.Do("SAVE")
			must(err)
			return
		}
		x.lose(func() {
			x.server.Kill()
			must(x.server.Restart())
		})
	})))
	x.pass()
}

// The test above notices when the rule of admission is broken: then what a load
// has read is kept although a change has touched it since.
func TestTheTestOfExactnessNoticesABrokenRule(t *testing.T) {
	for attempt := range uint64(20) {
		x := newTrial(t, 3, nil, func(cfg *CacheConfig) { cfg.Admits = func(uint64, uint64) bool { return true } })
		x.phase("careless", attempt, 10_000, nil)
		wrong := x.verdict()
		if slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, "the rules say") }) {
			t.Logf("noticed: %d wrong answers, such as %s", len(wrong), wrong[0])
			return
		}
	}
	t.Fatal("a cache that keeps what was changed since it was read passed 200,000 decisions")
}
