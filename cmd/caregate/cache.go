package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/telemetry"
)

// cacheSettings says which facts are kept in memory, and for how long.
type cacheSettings struct {
	bytes         int64
	maxStaleness  time.Duration
	organisations int
	minReplicas   int
}

func (s *cacheSettings) flags(flags *pflag.FlagSet) {
	flags.Int64Var(&s.bytes, "cache-bytes", directory.DefaultCacheBytes, "keep facts in this many `bytes` of memory; 0 reads them for every request")
	flags.DurationVar(&s.maxStaleness, "max-staleness", directory.DefaultMaxStaleness,
		"answer from memory for this long at most without a word from Redis that it is current")
	flags.IntVar(&s.organisations, "max-organisations", directory.DefaultMaxOrganisations,
		"follow the changes of this many `organisations`, with a connection each; the facts of others are read for every request")
	flags.IntVar(&s.minReplicas, "min-replicas", 0,
		"believe a Redis master only while this many `replicas` are in good state; needs min-replicas-to-write in Redis")
}

// cacheOn returns a cache over store, which it closes with itself.
func (s *cacheSettings) cacheOn(store *directory.Directory, log *slog.Logger) (*directory.Cache, error) {
	cfg := directory.CacheConfig{
		Bytes: s.bytes, MaxStaleness: s.maxStaleness, MaxOrganisations: s.organisations, MinReplicas: s.minReplicas, Logger: log,
	}
	switch {
	case s.bytes < 0:
		return nil, fmt.Errorf("--cache-bytes: cannot be negative; 0 keeps no facts")
	case s.maxStaleness < directory.MinStaleness:
		return nil, fmt.Errorf("--max-staleness: must be at least %v: Redis is looked at four times in it", directory.MinStaleness)
	case s.organisations < 0:
		return nil, fmt.Errorf("--max-organisations: cannot be negative; 0 follows none and keeps no facts")
	case s.minReplicas < 0:
		return nil, fmt.Errorf("--min-replicas: cannot be negative; 0 believes every master")
	case s.bytes == 0 || s.organisations == 0:
		cfg.Bytes = -1
	}
	return directory.NewCache(store, cfg)
}

// cacheStats tells the metrics what a cache does.
func cacheStats(c *directory.Cache) func() telemetry.CacheStats {
	return func() telemetry.CacheStats {
		s := c.Stats()
		return telemetry.CacheStats{
			Hits: s.Hits, Misses: s.Misses, Repeated: s.Repeated, Resets: s.Resets,
			Bytes: s.Bytes, Organisations: s.Organisations, Staleness: s.Staleness,
		}
	}
}
