package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/telemetry"
)

func TestCacheIsShown(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Config{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	tel.Cache(func() telemetry.CacheStats {
		return telemetry.CacheStats{Hits: 11, Misses: 12, Repeated: 13, Resets: 14, Bytes: 15, Organisations: 16, Staleness: 1700 * time.Millisecond}
	})
	answer := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		"caregate_facts_cache_hits_total 11", "caregate_facts_cache_misses_total 12", "caregate_facts_cache_repeated_total 13",
		"caregate_facts_cache_resets_total 14", "caregate_facts_cache_bytes 15", "caregate_organisations_followed 16",
		"caregate_facts_staleness_seconds 1.7",
	} {
		if !strings.Contains(answer.Body.String(), "\n"+want+"\n") {
			t.Errorf("the metrics lack %q", want)
		}
	}
}
