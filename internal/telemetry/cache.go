package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// CacheStats is what a cache of facts did since it was made, and what it holds.
type CacheStats struct {
	Hits, Misses, Repeated, Resets uint64
	Bytes                          uint64
	Organisations                  int
	Staleness                      time.Duration
}

// Cache shows what a cache of facts does. stats is asked for each scrape, and is to
// answer at once. It must be called once at most.
func (t *Telemetry) Cache(stats func() CacheStats) {
	counter := func(name, help string, value func(CacheStats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(stats())) })
	}
	gauge := func(name, help string, value func(CacheStats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return value(stats()) })
	}
	t.metrics.registry.MustRegister(
		counter("caregate_facts_cache_hits_total", "Readings of facts that were answered from memory.",
			func(s CacheStats) uint64 { return s.Hits }),
		counter("caregate_facts_cache_misses_total", "Readings of facts that asked Redis.",
			func(s CacheStats) uint64 { return s.Misses }),
		counter("caregate_facts_cache_repeated_total", "Of the readings that asked Redis, those that asked twice because the facts changed meanwhile.",
			func(s CacheStats) uint64 { return s.Repeated }),
		counter("caregate_facts_cache_resets_total", "Times that the facts of an organisation were dropped: its history was lost, or could not be followed.",
			func(s CacheStats) uint64 { return s.Resets }),
		gauge("caregate_facts_cache_bytes", "Memory that the facts in the cache take, estimated.",
			func(s CacheStats) float64 { return float64(s.Bytes) }),
		gauge("caregate_organisations_followed", "Organisations whose changes are followed.",
			func(s CacheStats) float64 { return float64(s.Organisations) }),
		gauge("caregate_facts_staleness_seconds", "For how long the facts in the cache have not been known to be current, of the organisation for which that is longest.",
			func(s CacheStats) float64 { return s.Staleness.Seconds() }),
	)
}

// Answers exposes how many decisions each way of answering has made, by its name.
func (t *Telemetry) Answers(answered func() map[string]uint64) {
	for way := range answered() {
		t.metrics.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "caregate_policy_answers_total", Help: "Decisions by the way in which they were made, errors left out.",
			ConstLabels: prometheus.Labels{"by": way},
		}, func() float64 { return float64(answered()[way]) }))
	}
}
