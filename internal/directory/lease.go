package directory

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caregate/caregate/internal/authz"
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
	least := max(known, f.floor)
	f.mu.RUnlock()
	if known == 0 {
		return // the feed is looking
	}
	until, err := f.cache.believed(time.Now())
	if err != nil {
		return
	}
	h, err := f.readHead()
	if err != nil {
		return
	}
	if !f.saw(generation, least, h, until) {
		f.reset(generation, "the head is not of the history that is followed")
	}
}

// saw takes a head that was asked for when A, and what this process had committed,
// had come to the count least: once A is there, it is current until then. It
// reports false if the head is of another history.
func (f *follower) saw(generation, least uint64, h head, until time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.generation != generation {
		return true
	}
	if !h.exists || h.revision.Count < least {
		return false
	}
	if h.revision.Count > f.at.Count {
		if len(f.promises) < maxPromises {
			f.promises = append(f.promises, promise{h.revision, until})
		}
		return true
	}
	switch f.history.compare(h.revision) {
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

// readHead reads the head.
func (f *follower) readHead() (head, error) {
	bounded, cancel := context.WithTimeout(f.ctx, f.cache.factsTimeout)
	defer cancel()
	fields, err := f.cache.Directory.facts.HGetAll(bounded, f.head).Result()
	if err != nil {
		return head{}, err
	}
	flat := make([]string, 0, 2*len(fields))
	for field, value := range fields {
		flat = append(flat, field, value)
	}
	return headOf(strings.Join(flat, "\x00"))
}

// authority is when the master was last seen with enough replicas.
type authority struct {
	mu   sync.Mutex
	seen time.Time
}

// believed returns until when what is asked of Redis now is to be believed: for
// as long as a lease lasts, counted from now or, if the master has to have
// replicas, from when it was last seen to have them. An error says that this is
// over already.
func (c *Cache) believed(now time.Time) (time.Time, error) {
	if c.cfg.MinReplicas == 0 {
		return now.Add(c.cfg.MaxStaleness), nil
	}
	c.authority.mu.Lock()
	until := c.authority.seen.Add(c.cfg.MaxStaleness)
	c.authority.mu.Unlock()
	if expired(until, now) {
		return time.Time{}, authz.Errorf(authz.Unavailable, "",
			"the Redis master has too few replicas in good state to be believed; check the replicas, or lower --min-replicas")
	}
	return until, nil
}

// watchAuthority looks at the replicas of the master as often as a follower looks
// at a head.
func (c *Cache) watchAuthority(ctx context.Context) {
	tick := time.NewTicker(c.cfg.MaxStaleness / 4)
	defer tick.Stop()
	for {
		c.lookAtReplicas(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *Cache) lookAtReplicas(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, c.factsTimeout)
	defer cancel()
	asked := time.Now()
	info, err := c.Directory.facts.Info(bounded, "replication").Result()
	if err != nil || goodReplicas(info) < c.cfg.MinReplicas {
		return
	}
	c.authority.mu.Lock()
	c.authority.seen = asked
	c.authority.mu.Unlock()
}

// goodReplicas reads how many replicas a master has that are in good state. Redis
// says so if min-replicas-to-write is set; a replica says nothing.
func goodReplicas(info string) int {
	master, good := false, 0
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "role":
			master = value == "master"
		case "min_slaves_good_slaves":
			good, _ = strconv.Atoi(value) // not a number: none
		}
	}
	if !master {
		return 0
	}
	return good
}

// includes returns nil if facts at have include the changes up to want, which is
// so if both are in the stream of one history.
func (d *Directory) includes(ctx context.Context, organisation string, have, want authz.Revision) error {
	if want.Count == 0 || have == want {
		return nil
	}
	if have.Count <= want.Count {
		return authz.NotIncluded()
	}
	bounded, cancel := context.WithTimeout(ctx, d.factsTimeout)
	defer cancel()
	nonces, err := d.nonces.RunRO(bounded, d.facts, []string{headKey(organisation)},
		have.Count, want.Count).StringSlice()
	if err != nil {
		return unavailable(ctx, err)
	}
	if len(nonces) != 2 || nonces[0] != have.Nonce || nonces[1] != want.Nonce {
		return authz.NotIncluded()
	}
	return nil
}
