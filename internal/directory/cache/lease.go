package cache

import (
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
)

// expired reports whether a lease has ended. Both clocks are asked: the monotonic
// one, which nobody can set, and that of the wall, which goes on while a machine
// is suspended.
func expired(lease, now time.Time) bool {
	return !now.Before(lease) || now.UnixNano() >= lease.UnixNano()
}

// promise is a lease that begins when A comes to where the head was seen.
type promise struct {
	head  authz.Revision
	until time.Time
}

// maxPromises bounds the promises. Those that do not fit are made again.
const maxPromises = 16

// watch looks at the head, four times in the span of a lease and whenever asked.
func (f *follower) watch() {
	tick := time.NewTicker(f.cache.cfg.MaxStaleness / 4)
	defer tick.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-tick.C:
		case <-f.look:
		}
		f.renew()
	}
}

// lookNow asks for a look at the head.
func (f *follower) lookNow() {
	select {
	case f.look <- struct{}{}:
	default: // asked already
	}
}

// renew looks at the head once. What cannot be seen does not count: the lease
// ends by itself.
func (f *follower) renew() {
	f.mu.RLock()
	generation, known := f.generation, f.at.Count
	least, foreign := max(known, f.floor), f.hasForeign()
	f.mu.RUnlock()
	switch {
	case known == 0:
		return // the feed is looking
	case foreign:
		f.reset(generation, "a change of this process is not of the history that is followed")
		return
	}
	until := f.cache.believed(time.Now())
	h, err := f.cache.store.ReadHead(f.ctx, f.organisation)
	if err != nil {
		return
	}
	if !f.takeHead(generation, least, h, until) {
		f.reset(generation, "the head is not of the history that is followed")
	}
}

// takeHead takes a head that was asked for when A, and what this process had committed,
// had come to the count least: once A is there, it is current until then. It
// reports false if the head is of another history.
func (f *follower) takeHead(generation, least uint64, h script.Head, until time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.generation != generation {
		return true
	}
	if !h.Exists || h.Revision.Count < least {
		return false
	}
	if h.Revision.Count > f.at.Count {
		if len(f.promises) < maxPromises {
			f.promises = append(f.promises, promise{h.Revision, until})
		}
		return true
	}
	switch f.history.compare(h.Revision) {
	case included:
		f.extend(until)
		return true
	case lost:
		return false
	default: // A has moved on by thousands; the next look will tell
		return true
	}
}

// keepPromises begins the leases of heads that A has come to. It reports false if
// A came past one of another history. mu is held.
func (f *follower) keepPromises() bool {
	open := f.promises[:0]
	for _, p := range f.promises {
		switch {
		case p.head.Count > f.at.Count:
			open = append(open, p)
		case f.history.compare(p.head) == included:
			f.extend(p.until)
		default:
			return false
		}
	}
	f.promises = open
	return true
}

// extend lets the lease last until then, if it did not already. mu is held.
func (f *follower) extend(until time.Time) {
	if until.After(f.lease) {
		f.lease = until
	}
}

// believed returns until when what is asked of Redis now is to be believed.
func (c *Cache) believed(now time.Time) time.Time { return now.Add(c.cfg.MaxStaleness) }
