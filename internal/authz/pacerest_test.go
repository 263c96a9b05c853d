package authz

import (
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
