package directory

import (
	"context"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/search"
)

// Whoever administers waits for others who do, and no search, batch or decision waits for
// them.
func TestAdministratorsHoldNoConnectionOfASearch(t *testing.T) {
	d, err := Open(Config{URL: startRedis(t).url + "?pool_size=1&pool_timeout=200ms&read_timeout=5s", FactsTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, d) })
	s := &store{Directory: d, raw: d.bulk, org: "riverside"}
	s.load(t, bulky(1200)...)
	held, err := d.connection(t.Context(), script.HeadKey(s.org))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	if err := held.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.List(ctx, s.org, authz.KindPatient, "", 0); err == nil {
		t.Error("a list finds a connection where all are held")
	}
	found, err := s.Range(ctx, s.org, search.Range{Kind: authz.KindPatient, Indexes: make([]search.Index, 1)}, authz.Freshness{})
	if err != nil || len(found.IDs) != 1000 {
		t.Errorf("a search finds %d, %v", len(found.IDs), err)
	}
	var keys []authz.Key
	for _, id := range found.IDs {
		keys = append(keys, patient(id))
	}
	keys = append(keys, member("m-1"))
	if facts := s.facts(t, keys...); len(facts.All()) < len(keys) {
		t.Errorf("a batch finds %d facts", len(facts.All()))
	}
}
