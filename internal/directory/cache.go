package directory

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
	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// The defaults of CacheConfig.
const (
	DefaultCacheBytes       = 64 << 20
	DefaultMaxStaleness     = 2 * time.Second
	DefaultMaxOrganisations = 16
)

// MinStaleness is the shortest time that CacheConfig.MaxStaleness may be.
const MinStaleness = 20 * time.Millisecond

// CacheConfig says how much is kept and for how long.
type CacheConfig struct {
	// Bytes bounds the facts that are kept, of all organisations together; 0 means
	// DefaultCacheBytes, negative keeps nothing.
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
	// Logger is told of lost histories. nil discards.
	Logger *slog.Logger
}

// Cache is a Directory that keeps facts it has read, and is still exact: what it
// answers was true at the revision that it states.
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
	*Directory
	cfg   CacheConfig
	facts *otter.Cache[entryKey, *authz.Fact]
	feed  redis.UniversalClient

	generations atomic.Uint64
	// admits says whether an entity that was read at one revision and last touched
	// at another, 0 for not that anybody knows, is kept (D3).
	admits func(touched, read uint64) bool

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

// NewCache returns a cache over d, which it closes with itself.
func NewCache(d *Directory, cfg CacheConfig) (*Cache, error) {
	if cfg.MaxStaleness < 0 || cfg.MaxOrganisations < 0 || cfg.MinReplicas < 0 {
		return nil, errors.New("directory: a limit of the cache cannot be negative; 0 means its default")
	}
	if cfg.MinReplicas > 0 && d.embedded != nil {
		return nil, errors.New("directory: a number of replicas cannot be asked for of the embedded store, which has none; leave it out")
	}
	if cfg.MinReplicas > 0 && d.server.cluster != nil {
		return nil, errors.New("directory: a number of replicas cannot be asked for in a cluster: a master that is cut off " +
			"stops answering by itself, after cluster-node-timeout; leave it out")
	}
	if cfg.MaxStaleness > 0 && cfg.MaxStaleness < MinStaleness {
		return nil, fmt.Errorf("directory: facts must be allowed an age of %v at least, four looks at Redis take their time", MinStaleness)
	}
	cfg.Bytes = cmp.Or(cfg.Bytes, DefaultCacheBytes)
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
		Weigher:       weigh,
	})
	if err != nil {
		return nil, err
	}
	c := &Cache{Directory: d, cfg: cfg, facts: facts, admits: func(touched, read uint64) bool { return touched <= read }}
	if cfg.Bytes > 0 {
		d.parsed = parsed{} // what is kept is there already taken apart
	}
	d.believe(cfg.MinReplicas)
	c.followers.Store(&map[string]*follower{})
	c.feed = d.server.feed(max(cfg.MaxOrganisations, 1))
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Close ends the following and closes the directory.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	err := c.feed.Close() // ends calls that wait
	c.running.Wait()
	return errors.Join(err, c.Directory.Close())
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

// Ready is Directory.Ready, by the way of Read. It asks Redis even where memory could
// answer, for other questions have to, and counts as no reading.
func (c *Cache) Ready(ctx context.Context, organisation string) error {
	var err error
	if f := c.follower(organisation); f != nil {
		_, err = f.load(ctx, probe(), authz.Freshness{Full: true})
	} else {
		_, err = c.readUnfollowed(ctx, organisation, probe(), authz.Freshness{})
	}
	return err
}

// Commit implements admin.Store. What it committed is in every answer that this
// cache gives afterwards.
func (c *Cache) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	done, err := c.Directory.Commit(ctx, organisation, change)
	if err == nil {
		if f := c.follower(organisation); f != nil {
			f.wrote(done.Revision)
		}
	}
	return done, err
}

// Includes implements admin.Store. What a follower came through needs no look.
func (c *Cache) Includes(ctx context.Context, organisation string, have, want authz.Revision) error {
	if f := c.follower(organisation); f != nil && f.cameThrough(have, want) {
		return nil
	}
	return c.Directory.Includes(ctx, organisation, have, want)
}

// readUnfollowed reads what nobody follows, and has it followed from now on if
// the organisation exists and there is room.
func (c *Cache) readUnfollowed(
	ctx context.Context, organisation string, keys []authz.Key, fresh authz.Freshness,
) (*authz.Facts, error) {
	until := c.believed(time.Now())
	facts, err := c.Directory.Read(ctx, organisation, keys, fresh)
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
	c.running.Go(f.run)
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
