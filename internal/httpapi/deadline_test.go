package httpapi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type deadlineKey struct{}

// A deadline that nobody waits for is told by the clock.
func TestDeadlineByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDeadline(t.Context(), time.Now().Add(time.Second))
		defer d.stop()
		time.Sleep(time.Second - 1)
		if err := d.Err(); err != nil {
			t.Errorf("before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := d.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after: %v", err)
		}
		<-d.Done() // over already
		if d.timed.Load() == nil {
			t.Error("whoever waits has no timer")
		}
	})
}

// Who waits is woken by the deadline, by the parent and by the end of the answer,
// whichever comes first.
func TestDeadlineWakes(t *testing.T) {
	for name, c := range map[string]struct {
		parent, limit, stop time.Duration
		after               time.Duration
		want                error
	}{
		"the deadline":               {parent: time.Hour, limit: time.Second, stop: time.Hour, after: time.Second, want: context.DeadlineExceeded},
		"the parent's deadline":      {parent: time.Second, limit: time.Hour, stop: time.Hour, after: time.Second, want: context.DeadlineExceeded},
		"the end of the answer":      {parent: time.Hour, limit: time.Hour, stop: time.Second, after: time.Second, want: context.Canceled},
		"the answer, and then later": {parent: time.Hour, limit: 2 * time.Second, stop: time.Second, after: time.Second, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithTimeout(context.WithValue(t.Context(), deadlineKey{}, "here"), c.parent)
				defer cancel()
				d := newDeadline(parent, time.Now().Add(c.limit))
				defer d.stop()
				if got, ok := d.Deadline(); !ok || time.Until(got) != min(c.parent, c.limit) {
					t.Errorf("Deadline is %v from now, %v", time.Until(got), ok)
				}
				began, woken := time.Now(), make(chan error, 2)
				child, stopChild := context.WithCancel(d)
				defer stopChild()
				for _, ctx := range []context.Context{d, child} {
					go func() {
						<-ctx.Done()
						woken <- ctx.Err()
					}()
				}
				if d.Value(deadlineKey{}) != "here" {
					t.Error("the parent's values are lost")
				}
				time.AfterFunc(c.stop, d.stop)
				for range 2 {
					if err := <-woken; !errors.Is(err, c.want) || time.Since(began) != c.after {
						t.Errorf("woken after %v by %v", time.Since(began), err)
					}
				}
			})
		})
	}
}

// A context that is over says so, waited for or not.
func TestDeadlineStopped(t *testing.T) {
	d := newDeadline(t.Context(), time.Now().Add(time.Hour))
	d.stop()
	if err := d.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("Err is %v", err)
	}
	<-d.Done()
	if err := d.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("Err after Done is %v", err)
	}
}
