package directory

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/cache"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/search"
)

// The defaults and the bounds of a CacheConfig.
const (
	DefaultCacheBytes       = cache.DefaultBytes
	DefaultMaxStaleness     = cache.DefaultMaxStaleness
	DefaultMaxOrganisations = cache.DefaultMaxOrganisations
	MinStaleness            = cache.MinStaleness
)

// CacheConfig says how much is kept and for how long.
type CacheConfig = cache.Config

// Cache is a Directory that keeps facts it has read: see package cache.
type Cache struct {
	*Directory
	kept *cache.Cache
}

// NewCache returns a cache over d, which it closes with itself.
func NewCache(d *Directory, cfg CacheConfig) (*Cache, error) {
	connections := max(cmp.Or(cfg.MaxOrganisations, DefaultMaxOrganisations), 1)
	return newCache(d, &feed{d, d.server.Feed(connections)}, cfg)
}

// newCache is NewCache with a feed.
func newCache(d *Directory, feed cache.Feed, cfg CacheConfig) (*Cache, error) {
	if cfg.MinReplicas > 0 && d.embedded != nil {
		return nil, errors.New("directory: a number of replicas cannot be asked for of the embedded store, which has none; leave it out")
	}
	if cfg.MinReplicas > 0 && d.server.IsCluster() {
		return nil, errors.New("directory: a number of replicas cannot be asked for in a cluster: a master that is cut off " +
			"stops answering by itself, after cluster-node-timeout; leave it out")
	}
	kept, err := cache.New(cachedStore{d}, feed, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Bytes >= 0 {
		d.parsed = parsed{} // what is kept is there already taken apart
	}
	d.believe(cfg.MinReplicas)
	return &Cache{Directory: d, kept: kept}, nil
}

// Close ends the following and closes the directory.
func (c *Cache) Close() error { return errors.Join(c.kept.Close(), c.Directory.Close()) }

// Stats returns what the cache did.
func (c *Cache) Stats() cache.Stats { return c.kept.Stats() }

// Read implements authz.Directory.
func (c *Cache) Read(
	ctx context.Context, organisation string, keys []authz.Key, fresh authz.Freshness,
) (*authz.Facts, error) {
	return c.kept.Read(ctx, organisation, keys, fresh)
}

// Ready is Directory.Ready, by the way of Read; it asks Redis even where memory could answer.
func (c *Cache) Ready(ctx context.Context, organisation string) error {
	return c.kept.Ready(ctx, organisation, probe())
}

// Commit implements admin.Store. What it committed is in every answer that this
// cache gives afterwards.
func (c *Cache) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	done, err := c.Directory.Commit(ctx, organisation, change)
	if err == nil {
		c.kept.Wrote(organisation, done.Revision)
	}
	return done, err
}

// Includes implements admin.Store. What the cache has passed needs no look.
func (c *Cache) Includes(ctx context.Context, organisation string, have, want authz.Revision) error {
	if c.kept.HasPassed(organisation, have, want) {
		return nil
	}
	return c.Directory.Includes(ctx, organisation, have, want)
}

// Range implements search.Store. It reads each time, and answers under the same
// conditions as Read.
func (c *Cache) Range(
	ctx context.Context, organisation string, r search.Range, fresh authz.Freshness,
) (search.Found, error) {
	until, hasOurs := c.kept.Trust(organisation)
	found, err := c.Directory.Range(ctx, organisation, r, fresh)
	if err == nil {
		err = hasOurs(found.Revision)
	}
	if err != nil {
		return search.Found{}, err
	}
	if found.Facts != nil {
		found.Facts.Until = until
	}
	return found, nil
}

// Sizes implements search.Store, as Range does.
func (c *Cache) Sizes(
	ctx context.Context, organisation string, kind authz.Kind, indexes []search.Index,
) ([]int, authz.Revision, error) {
	_, hasOurs := c.kept.Trust(organisation)
	sizes, revision, err := c.Directory.Sizes(ctx, organisation, kind, indexes)
	if err == nil {
		err = hasOurs(revision)
	}
	if err != nil {
		return nil, authz.Revision{}, err
	}
	return sizes, revision, nil
}

// RecordsAndFacts implements admin.Store, as Range does.
func (c *Cache) RecordsAndFacts(
	ctx context.Context, organisation string, keys, also []authz.Key,
) ([]*admin.Stored, *authz.Facts, error) {
	until, hasOurs := c.kept.Trust(organisation)
	records, facts, err := c.Directory.RecordsAndFacts(ctx, organisation, keys, also)
	if err == nil {
		err = hasOurs(facts.Revision)
	}
	if err != nil {
		return nil, nil, err
	}
	facts.Until = until
	return records, facts, nil
}

// cachedStore is the store of a cache.
type cachedStore struct{ *Directory }

// ReadNow implements cache.Store.
func (s cachedStore) ReadNow(ctx context.Context, organisation string, keys []authz.Key) (*authz.Facts, error) {
	return s.readNow(ctx, organisation, keys)
}

// ReadHead implements cache.Store.
func (s cachedStore) ReadHead(ctx context.Context, organisation string) (script.Head, error) {
	bounded, cancel := context.WithTimeout(ctx, s.factsTimeout)
	defer cancel()
	return s.scripts.ReadHead(bounded, s.facts, organisation)
}

// feed is the feed of a cache, with connections of its own.
type feed struct {
	*Directory
	client redis.UniversalClient
}

// feedSlack is the time that Redis has beyond the wait, to send a thousand records over a slow
// line.
const feedSlack = 2 * time.Second

// Next implements cache.Feed.
func (f *feed) Next(
	ctx context.Context, organisation string, after authz.Revision, most int64, wait time.Duration,
) ([]layout.Change, error) {
	bounded, cancel := context.WithTimeout(ctx, wait+feedSlack)
	defer cancel()
	streams, err := f.scripts.ReadStream(bounded, f.client, organisation, &redis.XReadArgs{
		Streams: []string{script.StreamID(after.Count)}, Count: most, Block: wait,
	})
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, connect.Unavailable(ctx, err)
	}
	var changes []layout.Change
	for _, stream := range streams {
		for _, message := range stream.Messages {
			c, err := layout.ChangeOf(message)
			if err != nil {
				c = layout.Change{}
			}
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// Renew implements cache.Feed.
func (f *feed) Renew() { f.server.Renew() }

// Close implements cache.Feed.
func (f *feed) Close() error { return f.client.Close() }
