package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// The defaults of Config.
const (
	DefaultBytes            = 64 << 20
	DefaultMaxStaleness     = 2 * time.Second
	DefaultMaxOrganisations = 16
)

// MinStaleness is the shortest time that Config.MaxStaleness may be.
const MinStaleness = 20 * time.Millisecond

// Config says how much is kept and for how long.
type Config struct {
	// Bytes bounds the facts that are kept, of all organisations together; 0 means
	// DefaultBytes, negative keeps nothing.
	Bytes int64
	// MaxStaleness is the longest time for which facts are answered from without
	// a word from Redis that they are current; 0 means DefaultMaxStaleness.
	MaxStaleness time.Duration
	// MaxOrganisations bounds how many organisations are followed, with a
	// connection each; the facts of others are read each time. 0 means
	// DefaultMaxOrganisations.
	MaxOrganisations int
	// MinReplicas is the number of replicas that a master must have in good state
	// (min-replicas-max-lag) to be believed, which every script looks at. With
	// Sentinel it is what unmasks a master that was replaced and does not know. 0
	// believes every master. In a cluster it has to be 0: there such a master stops
	// answering by itself; and with the embedded store, which has no replicas.
	MinReplicas int
	// Admits says whether an entity that was read at one count and last touched at another, 0 for not
	// that anybody knows, is kept (D3). nil means touched <= read, and any other rule is wrong: a test
	// shows that the test of exactness notices one.
	Admits func(touched, read uint64) bool
	// Logger is told of lost histories. nil discards.
	Logger *slog.Logger
}

// Store is where the facts are.
type Store interface {
	// ReadNow returns the facts about keys at whatever revision there is, within a bound of its own.
	ReadNow(ctx context.Context, organisation string, keys []authz.Key) (*authz.Facts, error)
	// ReadHead returns the head as it is now, within a bound of its own.
	ReadHead(ctx context.Context, organisation string) (script.Head, error)
	// Includes is that of admin.Store.
	Includes(ctx context.Context, organisation string, have, want authz.Revision) error
}

// Feed tells of changes.
type Feed interface {
	// Next waits for up to most changes that come after a revision. None within so long is no error, and
	// no proof of anything; a record that is none of Caregate's is the zero change.
	Next(ctx context.Context, organisation string, after authz.Revision, most int64, wait time.Duration) ([]layout.Change, error)
	// Renew makes later calls ask the servers that the addresses lead to then.
	Renew()
	// Close ends calls that wait.
	Close() error
}

// Cache keeps facts that it has read, and is still exact: what it answers was true at the
// revision that it states.
//
// It follows the stream of changes of each organisation that it is asked about
// (follower), so that it knows the revision A which the facts it keeps are of,
// and drops what a change touches in the same step in which A becomes that
// change's revision. That A is recent is what the lease says: the head of the
// organisation was seen at A, or A came to where the head was seen, not longer
// than MaxStaleness ago.
//
//	D1  Everything that a question needs is kept, the lease holds, and A includes
//	    what the caller and this process's own writes ask for: answered from
//	    memory, at A. Until is the end of the lease.
//	D2  Otherwise what is missing is read, in one script, which also says at what
//	    revision. If that is A, both together are one reading at A. If it is not,
//	    everything is read again, what is kept included.
//	D3  What was read is kept if nothing touched it since: see follower.finish.
type Cache struct {
	store Store
	feed  Feed
	cfg   Config
	facts *otter.Cache[entryKey, *authz.Fact]

	generations atomic.Uint64

	mu        sync.Mutex                           // for whoever changes what follows
	followers atomic.Pointer[map[string]*follower] // never changed in place
	closed    bool
	running   sync.WaitGroup
	stop      context.CancelFunc
	ctx       context.Context //nolint:containedctx // the life of the followers, which outlive a request

	counts counts
}

// entryKey is a key of an organisation in one generation. A reset begins a new
// one, which empties the cache at once.
type entryKey struct {
	generation uint64
	authz.Key
}

// counts are what Stats tells.
type counts struct {
	hits, misses, twice, resets atomic.Uint64
}

// Stats is what a cache did since it was made.
type Stats struct {
	Hits          uint64 // readings from memory
	Misses        uint64 // readings that asked Redis
	Repeated      uint64 // of those, read twice because the facts changed meanwhile
	Resets        uint64 // times that the facts of an organisation were dropped
	Bytes         uint64 // of facts that are kept now, estimated
	Organisations int    // that are followed now
	// Staleness is how long ago the facts that are kept were last known to be
	// current, of the organisation for which that is longest.
	Staleness time.Duration
}

// New returns a cache of the facts in a store, of whose changes a feed tells, which is closed
// with it.
func New(store Store, feed Feed, cfg Config) (*Cache, error) {
	if cfg.MaxStaleness < 0 || cfg.MaxOrganisations < 0 || cfg.MinReplicas < 0 {
		return nil, errors.New("directory: a limit of the cache cannot be negative; 0 means its default")
	}
	if cfg.MaxStaleness > 0 && cfg.MaxStaleness < MinStaleness {
		return nil, fmt.Errorf("directory: facts must be allowed an age of %v at least, four looks at Redis take their time", MinStaleness)
	}
	cfg.Bytes = cmp.Or(cfg.Bytes, DefaultBytes)
	cfg.MaxStaleness = cmp.Or(cfg.MaxStaleness, DefaultMaxStaleness)
	cfg.MaxOrganisations = cmp.Or(cfg.MaxOrganisations, DefaultMaxOrganisations)
	if cfg.Bytes < 0 {
		cfg.MaxOrganisations = 0
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	facts, err := otter.New(&otter.Options[entryKey, *authz.Fact]{
		MaximumWeight: uint64(max(cfg.Bytes, 1)),
		Weigher:       func(_ entryKey, f *authz.Fact) uint32 { return Weigh(f) },
	})
	if err != nil {
		return nil, err
	}
	if cfg.Admits == nil {
		cfg.Admits = func(touched, read uint64) bool { return touched <= read }
	}
	c := &Cache{store: store, feed: feed, cfg: cfg, facts: facts}
	c.followers.Store(&map[string]*follower{})
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Close ends the following, and closes the feed.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	err := c.feed.Close()
	c.running.Wait()
	return err
}

// Stats returns what the cache did.
func (c *Cache) Stats() Stats {
	var staleness time.Duration
	for _, f := range *c.followers.Load() {
		staleness = max(staleness, f.staleness())
	}
	return Stats{
		Staleness: staleness,
		Hits:      c.counts.hits.Load(), Misses: c.counts.misses.Load(), Repeated: c.counts.twice.Load(),
		Resets: c.counts.resets.Load(), Bytes: c.facts.WeightedSize(), Organisations: len(*c.followers.Load()),
	}
}

// Read implements authz.Directory.
func (c *Cache) Read(
	ctx context.Context, organisation string, keys []authz.Key, fresh authz.Freshness,
) (*authz.Facts, error) {
	f := c.follower(organisation)
	if f == nil {
		c.counts.misses.Add(1)
		return c.readUnfollowed(ctx, organisation, keys, fresh)
	}
	if !fresh.Full {
		facts, err := f.recall(keys, fresh.AtLeast)
		if facts != nil || err != nil {
			c.counts.hits.Add(1)
			return facts, err
		}
	}
	c.counts.misses.Add(1)
	return f.load(ctx, keys, fresh)
}

// Ready reads keys by the way of Read. It asks Redis even where memory could answer, for other
// questions have to, and counts as no reading.
func (c *Cache) Ready(ctx context.Context, organisation string, keys []authz.Key) error {
	var err error
	if f := c.follower(organisation); f != nil {
		_, err = f.load(ctx, keys, authz.Freshness{Full: true})
	} else {
		_, err = c.readUnfollowed(ctx, organisation, keys, authz.Freshness{})
	}
	return err
}

// Wrote notes that this process committed a change: it is in every answer from now on.
func (c *Cache) Wrote(organisation string, revision authz.Revision) {
	if f := c.follower(organisation); f != nil {
		f.wrote(revision)
	}
}

// HasPassed reports whether a revision, and one that is not before it, are known to be of the
// history that is followed.
func (c *Cache) HasPassed(organisation string, have, want authz.Revision) bool {
	f := c.follower(organisation)
	return f != nil && f.hasPassed(have, want)
}

// readUnfollowed reads what nobody follows, and has it followed from now on if
// the organisation exists and there is room.
func (c *Cache) readUnfollowed(
	ctx context.Context, organisation string, keys []authz.Key, fresh authz.Freshness,
) (*authz.Facts, error) {
	until := c.believed(time.Now())
	facts, err := c.store.ReadNow(ctx, organisation, keys)
	if err == nil {
		err = c.store.Includes(ctx, organisation, facts.Revision, fresh.AtLeast)
	}
	if err != nil {
		return nil, err
	}
	facts.Until = until
	if facts.Organisation {
		c.follow(organisation)
	}
	return facts, nil
}

// follower returns who follows an organisation, nil if nobody does.
func (c *Cache) follower(organisation string) *follower {
	return (*c.followers.Load())[organisation]
}

// idle is how long an organisation must not have been asked about to make room
// for another one.
const idle = time.Minute

// follow begins to follow an organisation that exists.
func (c *Cache) follow(organisation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	followers := maps.Clone(*c.followers.Load())
	if c.closed || followers[organisation] != nil {
		return
	}
	if len(followers) >= c.cfg.MaxOrganisations && !makeRoom(followers) {
		return
	}
	f := newFollower(c, organisation)
	followers[organisation] = f
	c.followers.Store(&followers)
	c.running.Go(f.follow)
}

// makeRoom ends the following of the organisation that nobody has asked about for
// the longest time, if that is long.
func makeRoom(followers map[string]*follower) bool {
	var oldest *follower
	for _, f := range followers {
		if oldest == nil || f.used.Load() < oldest.used.Load() {
			oldest = f
		}
	}
	if oldest == nil || time.Since(time.Unix(0, oldest.used.Load())) < idle {
		return false
	}
	delete(followers, oldest.organisation)
	oldest.stop()
	return true
}

// forget ends the following of an organisation that does not exist any more.
func (c *Cache) forget(f *follower) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if followers := maps.Clone(*c.followers.Load()); followers[f.organisation] == f {
		delete(followers, f.organisation)
		c.followers.Store(&followers)
	}
	f.stop()
}

// purge frees the memory of generations that are over. New ones may begin
// meanwhile, and keep what they have.
func (c *Cache) purge() {
	newest := c.generations.Load()
	current := map[uint64]bool{}
	for _, f := range *c.followers.Load() {
		current[f.currentGeneration()] = true
	}
	for key := range c.facts.Keys() {
		if key.generation <= newest && !current[key.generation] {
			c.facts.Invalidate(key)
		}
	}
}

// Trust returns until when what is asked of Redis from now on is to be believed,
// and a function that refuses a revision from before what was committed here up to
// now.
func (c *Cache) Trust(organisation string) (until time.Time, hasOurs func(authz.Revision) error) {
	until = c.believed(time.Now())
	f := c.follower(organisation)
	if f == nil {
		return until, func(authz.Revision) error { return nil }
	}
	floor := f.currentFloor()
	return until, func(have authz.Revision) error {
		if have.Count >= floor {
			return nil
		}
		f.lookNow()
		return beforeOurs()
	}
}
