package cache

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
)

// follower keeps the facts of one organisation at one revision, A.
//
// Two goroutines drive it. The feed (feed.go) reads the stream of changes from A
// on: a record follows A if it counts one more and names A's nonce as the one
// before; anything else is another history, or a stream with a gap, and is a
// reset. The watch (lease.go) looks at the head and renews the lease. A reset
// empties the cache, lets nothing in that was being read, ends the lease, and
// takes the head as the new A.
//
// All of it happens under mu, so that a reader sees facts and A that belong
// together. What is kept is keyed by the generation, and a generation never comes
// back.
type follower struct {
	cache        *Cache
	organisation string
	ctx          context.Context //nolint:containedctx // its own life, which stop ends
	stop         context.CancelFunc
	used         atomic.Int64 // when somebody last asked, in nanoseconds since 1970
	look         chan struct{}

	records int64 // that the feed asks for at once

	mu         sync.RWMutex
	generation uint64
	at         authz.Revision // A; zero while it is not known
	lease      time.Time
	floor      uint64 // the highest count of a change by this process, for as long as it may be there
	own        []ownChange
	written    uint64 // how many changes this process committed
	history    history
	promises   []promise
	loads      loads
}

// ownChange is a change by this process, the one with this number, that A is not
// known to include. While there is one nothing is answered from memory.
type ownChange struct {
	revision authz.Revision
	number   uint64
}

// maxOwn bounds them. In one history the later ones include the earlier ones.
const maxOwn = 64

func newFollower(c *Cache, organisation string) *follower {
	f := &follower{cache: c, organisation: organisation, look: make(chan struct{}, 1), records: feedCount}
	f.ctx, f.stop = context.WithCancel(c.ctx)
	f.generation = c.generations.Add(1)
	f.used.Store(time.Now().UnixNano())
	return f
}

func (f *follower) currentGeneration() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.generation
}

func (f *follower) currentFloor() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.floor
}

// usedAt notes that somebody asked, to the second: every question comes here.
func (f *follower) usedAt(now time.Time) {
	if n := now.UnixNano(); n-f.used.Load() > int64(time.Second) {
		f.used.Store(n)
	}
}

// staleness returns how long ago what is kept was last known to be current, none
// if nothing is.
func (f *follower) staleness() time.Duration {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.lease.IsZero() {
		return 0
	}
	return max(0, f.cache.cfg.MaxStaleness-time.Until(f.lease))
}

// get returns a fact that is kept.
func (f *follower) get(key authz.Key) *authz.Fact {
	fact, _ := f.cache.facts.GetIfPresent(entryKey{f.generation, key})
	return fact
}

// recall answers from memory (D1). It returns nothing if that cannot be done, and
// an error if what the caller asks for is in no future of A.
func (f *follower) recall(keys []authz.Key, atLeast authz.Revision) (*authz.Facts, error) {
	now := time.Now()
	f.usedAt(now)
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.at.Count == 0 || expired(f.lease, now) || f.at.Count < f.floor || len(f.own) > 0 {
		return nil, nil //nolint:nilnil // not from memory
	}
	if atLeast.Count > 0 {
		switch f.history.compare(atLeast) {
		case included:
		case lost:
			return nil, authz.NotIncluded()
		default:
			return nil, nil //nolint:nilnil // Redis may know
		}
	}
	found, missing := f.collect(keys, true)
	if missing != nil {
		return nil, nil //nolint:nilnil // to be read
	}
	facts := authz.NewFacts(true, f.at, found...)
	facts.Until = f.lease
	return facts, nil
}

// collect returns the facts for keys that are kept, each team member with their
// role and groups, and the keys of those that are not; with one missing, if
// allOrNothing, it gives up. mu is held.
func (f *follower) collect(keys []authz.Key, allOrNothing bool) (found []*authz.Fact, missing []authz.Key) {
	found = make([]*authz.Fact, 0, len(keys)+4)
	take := func(key authz.Key) *authz.Fact {
		fact := f.get(key)
		if fact == nil {
			missing = append(missing, key)
		} else {
			found = append(found, fact)
		}
		return fact
	}
	for i, key := range keys {
		if i > 0 && key == keys[0] { // the subject of a batch
			continue
		}
		if fact := take(key); fact != nil && fact.Found && key.Kind == authz.KindTeamMember {
			for source := range fact.Sources() {
				take(source)
			}
		}
		if allOrNothing && missing != nil {
			return nil, missing
		}
	}
	return found, missing
}

// load asks Redis (D2).
func (f *follower) load(ctx context.Context, keys []authz.Key, fresh authz.Freshness) (*authz.Facts, error) {
	f.usedAt(time.Now())
	c := f.cache
	missing, at := keys, authz.Revision{}
	var kept []*authz.Fact
	l, floor := f.register()
	if !fresh.Full {
		f.mu.RLock()
		// Of what is known to be behind nothing is used: it would only be read again.
		if f.generation == l.generation && f.at.Count >= max(1, floor, fresh.AtLeast.Count) && !expired(f.lease, time.Now()) {
			kept, missing = f.collect(keys, false)
			at = f.at
		}
		f.mu.RUnlock()
	}

	facts, err := f.read(ctx, l, missing)
	if err != nil {
		return nil, err
	}
	if len(kept) > 0 && facts.Revision != at {
		c.counts.twice.Add(1)
		kept = nil
		l, _ = f.register()
		if facts, err = f.read(ctx, l, keys); err != nil {
			return nil, err
		}
	}
	if len(kept) > 0 {
		until := facts.Until
		facts = authz.NewFacts(true, at, append(kept, facts.All()...)...)
		facts.Until = until
	}
	if err := f.accept(ctx, facts, floor, fresh.AtLeast); err != nil {
		return nil, err
	}
	return facts, nil
}

// register begins a load, and returns the floor for its answer: a change that is
// committed from now on need not be in it.
func (f *follower) register() (l *load, floor uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loads.begin(f.generation, f.at.Count), f.floor
}

// read reads keys in one script and, unless something touched them meanwhile,
// keeps them.
func (f *follower) read(ctx context.Context, l *load, keys []authz.Key) (*authz.Facts, error) {
	until := f.cache.believed(time.Now())
	facts, err := f.cache.store.ReadNow(ctx, f.organisation, keys)
	if err == nil {
		if facts, err = f.finish(l, keys, facts); err == nil {
			facts.Until = until
			return facts, nil
		}
	}
	f.mu.Lock()
	f.loads.end(l)
	f.mu.Unlock()
	return nil, err
}

func beforeOurs() *authz.Error {
	return authz.Errorf(authz.Unavailable, "", "the facts are from before a change that was made here; ask again")
}

// accept refuses facts that do not include what the caller asks for, or what this
// process had committed itself when the question came.
func (f *follower) accept(ctx context.Context, facts *authz.Facts, floor uint64, atLeast authz.Revision) error {
	f.mu.RLock()
	known := unknown
	if atLeast.Count > 0 && facts.Revision == f.at {
		known = f.history.compare(atLeast)
	}
	f.mu.RUnlock()
	if facts.Revision.Count < floor {
		// A master that lost writes, or one that was replaced and does not know.
		f.lookNow()
		return beforeOurs()
	}
	if atLeast.Count == 0 || known == included {
		return nil
	}
	if known == lost {
		return authz.NotIncluded()
	}
	err := f.cache.store.Includes(ctx, f.organisation, facts.Revision, atLeast)
	if err == nil {
		f.mu.Lock()
		if f.history.compare(facts.Revision) == included {
			f.history.note(atLeast)
		}
		f.mu.Unlock()
	}
	return err
}

// hasPassed reports whether a revision, and one that is not before it, are known to be
// of the history that is followed.
func (f *follower) hasPassed(have, want authz.Revision) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return have.Count >= want.Count && f.history.compare(have) == included && f.history.compare(want) == included
}

// finish takes what a load has read, and keeps it if that is sound (D3). It
// returns the reading with a fact for each key, those included that do not exist.
func (f *follower) finish(l *load, keys []authz.Key, facts *authz.Facts) (*authz.Facts, error) {
	if !facts.Organisation {
		f.lookNow()
		f.mu.Lock()
		f.loads.end(l)
		f.mu.Unlock()
		return facts, nil
	}
	all := complete(keys, facts)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case l.generation != f.generation || f.at.Count == 0: // a reset came between
		f.loads.end(l)
	case facts.Revision.Count < l.from: // older than what was known: not this history
		f.loads.end(l)
		f.lookNow()
		return nil, authz.Errorf(authz.Unavailable, "", "the facts are from before what is known here; ask again")
	default:
		l.facts, l.revision = all, facts.Revision
		f.admit(l)
	}
	return authz.NewFacts(true, facts.Revision, all...), nil
}

// complete returns the facts of a reading, and for each key that it has none for,
// one that says so.
func complete(keys []authz.Key, facts *authz.Facts) []*authz.Fact {
	found := facts.All()
	all := make([]*authz.Fact, len(found), max(len(found), len(keys)))
	copy(all, found)
	for _, key := range keys {
		if fact := facts.Get(key); !fact.Found {
			all = append(all, fact)
		}
	}
	return all
}

// admit keeps what a load has read as soon as A has come to its revision: not
// earlier, for the changes up to it are still to be dropped, and only what no
// change after it has touched. mu is held.
func (f *follower) admit(l *load) {
	if f.at.Count < l.revision.Count {
		f.loads.wait(l)
		return
	}
	if f.history.compare(l.revision) == included {
		for _, fact := range l.facts {
			if f.cache.cfg.Admits(f.loads.dirty[fact.Key], l.revision.Count) && admin.ValidID(fact.ID) {
				f.cache.facts.Set(entryKey{f.generation, fact.Key}, fact)
			}
		}
	}
	f.loads.end(l)
}

// wrote notes that this process committed a change. One that does not come after A and
// is not in its history is of another history, which the next look makes known.
func (f *follower) wrote(revision authz.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written++
	f.floor = max(f.floor, revision.Count)
	if f.history.compare(revision) == included {
		return
	}
	if len(f.own) == maxOwn {
		f.own = slices.Delete(f.own, 0, 1)
	}
	f.own = append(f.own, ownChange{revision, f.written})
	if revision.Count <= f.at.Count {
		f.lookNow()
	}
}

// hasForeign reports whether a change by this process is of another history than A.
// mu is held.
func (f *follower) hasForeign() bool {
	return slices.ContainsFunc(f.own, func(own ownChange) bool { return own.revision.Count <= f.at.Count })
}

// includeOwn strikes out the change by this process that A has just come to. It
// reports false if another one has its place. mu is held.
func (f *follower) includeOwn() bool {
	f.own = slices.DeleteFunc(f.own, func(own ownChange) bool { return own.revision == f.at })
	return !f.hasForeign()
}

// apply takes one record of the feed and reports whether it follows A. If it does
// not, the caller resets.
func (f *follower) apply(generation uint64, c layout.Change) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.generation != generation {
		return true // of no use any more
	}
	if c.Revision.Count != f.at.Count+1 || c.Previous != f.at {
		return false
	}
	for _, key := range c.Touched {
		f.cache.facts.Invalidate(entryKey{f.generation, key})
		f.loads.touch(key, c.Revision.Count)
	}
	f.at = c.Revision
	f.history.add(c.Revision)
	for _, l := range f.loads.due(f.at.Count) {
		f.admit(l)
	}
	return f.includeOwn() && f.keepPromises()
}
