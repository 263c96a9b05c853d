package main

import (
	"log/slog"
	"sync"

	"github.com/caregate/caregate/internal/telemetry"
)

// watcher is told of searches that a policy makes slow, and tells the operator: each
// time in a metric, and once in the log. It is for one policy.
type watcher struct {
	log  *slog.Logger
	t    *telemetry.Telemetry // nil counts nothing
	once sync.Once
}

// Evaluated implements search.Watcher.
func (w *watcher) Evaluated(where []string, asked int) {
	if w.t != nil {
		w.t.SearchEvaluated(asked)
	}
	w.once.Do(func() {
		w.log.Warn("searches ask the policy about one candidate after the other, more slowly: it cannot be turned into a filter", "where", where)
	})
}
