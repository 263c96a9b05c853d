package authz

import (
	"context"
	"testing"
	"time"
)

// Work rests less the nearer its end is, and not at all past it.
func TestLongWorkRestsLessTowardsItsEnd(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		w    longWork
		want float64
	}{
		{longWork{began: now}, paceRest},
		{longWork{began: now, deadline: now.Add(time.Second)}, paceRest},
		{longWork{began: now.Add(-time.Second), deadline: now.Add(time.Second)}, paceRest / 2.0},
		{longWork{began: now.Add(-9 * time.Second), deadline: now.Add(time.Second)}, paceRest / 10.0},
		{longWork{began: now.Add(-2 * time.Second), deadline: now.Add(-time.Second)}, 0},
	} {
		if got := c.w.rest(now); got != c.want {
			t.Errorf("began %v ago, %v left: rests for %v times as long as it works, expected %v",
				now.Sub(c.w.began), c.w.deadline.Sub(now), got, c.want)
		}
	}
}

// What is worked out from facts that become too old rests as if it had to end before.
func TestLongWorkEndsBeforeItsFactsAreTooOld(t *testing.T) {
	for _, limit := range []time.Duration{0, time.Minute, time.Hour} {
		ctx := WithPace(t.Context(), NewPace(1))
		if limit > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		ctx, end, err := LongWork(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		w := ctx.Value(paceKey{}).(*longWork)
		before, at := *w, time.Now().Add(10*time.Minute)
		restore := endBefore(ctx, at)
		if want := limit == time.Minute; w.deadline.Equal(at) == want {
			t.Errorf("within %v it has to end at %v, and the facts at %v", limit, w.deadline, at)
		}
		restore()
		endBefore(ctx, time.Time{})()
		if *w != before {
			t.Errorf("within %v, afterwards: %+v, before %+v", limit, *w, before)
		}
	}
}
