package httpapi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// deadlineContext is context.WithDeadline for answers that are mostly made without
// waiting: it says by the clock whether it is over, and starts a timer only for
// who asks for Done, to wait for it.
type deadlineContext struct {
	context.Context //nolint:containedctx // it is a context; the end of this one is its end too
	deadline        time.Time

	mu      sync.Mutex                   // held to set what follows
	timed   atomic.Pointer[timedContext] // nil until somebody waits
	stopped atomic.Bool
}

// timedContext is a deadlineContext as the standard library makes it.
type timedContext struct {
	context.Context //nolint:containedctx // it is a context
	cancel          context.CancelFunc
}

func newDeadline(parent context.Context, deadline time.Time) *deadlineContext {
	return &deadlineContext{Context: parent, deadline: deadline}
}

// stop ends the context, as a context.CancelFunc does. It must be called.
func (d *deadlineContext) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped.Store(true)
	if t := d.timed.Load(); t != nil {
		t.cancel()
	}
}

// Deadline implements context.Context.
func (d *deadlineContext) Deadline() (time.Time, bool) {
	if earlier, ok := d.Context.Deadline(); ok && earlier.Before(d.deadline) {
		return earlier, true
	}
	return d.deadline, true
}

// Done implements context.Context.
func (d *deadlineContext) Done() <-chan struct{} {
	if t := d.timed.Load(); t != nil {
		return t.Done()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.timed.Load()
	if t == nil {
		ctx, cancel := context.WithDeadline(d.Context, d.deadline)
		t = &timedContext{ctx, cancel}
		d.timed.Store(t)
		if d.stopped.Load() {
			cancel()
		}
	}
	return t.Done()
}

// Err implements context.Context. A timer may be late, and the clock is not.
func (d *deadlineContext) Err() error {
	if t := d.timed.Load(); t != nil {
		if err := t.Err(); err != nil {
			return err
		}
	} else if err := d.Context.Err(); err != nil {
		return err
	} else if d.stopped.Load() {
		return context.Canceled
	}
	if !time.Now().Before(d.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. Contexts that are made of this one find in it
// the one that has the timer, and wait for that without a goroutine each.
func (d *deadlineContext) Value(key any) any {
	if t := d.timed.Load(); t != nil {
		return t.Value(key)
	}
	return d.Context.Value(key)
}
