// Package orgstore opens the stores that tests use, and fills them. It is apart from
// orgtest because the tests inside of internal/directory use that one.
package orgstore

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/redistest"
)

// factsTimeout is how long a reading may take on a machine that is busy.
const factsTimeout = time.Minute

// Embedded opens a store in this process.
func Embedded(t testing.TB) *directory.Directory {
	t.Helper()
	store, err := directory.OpenEmbedded(directory.Config{FactsTimeout: factsTimeout})
	return closing(t, store, err)
}

// Redis starts a Redis and opens it.
func Redis(t testing.TB) *directory.Directory {
	t.Helper()
	server, err := redistest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	store, err := directory.Open(directory.Config{URL: server.Unhurried(), FactsTimeout: factsTimeout})
	return closing(t, store, err)
}

// Cached returns a store behind a cache, as sidecars have it.
func Cached(t testing.TB, store *directory.Directory) *directory.Cache {
	t.Helper()
	cache, err := directory.NewCache(store, directory.CacheConfig{})
	return closing(t, cache, err)
}

func closing[S io.Closer](t testing.TB, store S, err error) S {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// Each runs a test over both stores.
func Each(t *testing.T, test func(t *testing.T, store *directory.Directory)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, Embedded(t)) })
	t.Run("redis", func(t *testing.T) { test(t, Redis(t)) })
}

// importer is a store that lines of facts are written to.
type importer interface {
	Import(ctx context.Context, organisation string, records io.Reader, o directory.ImportOptions) (directory.Imported, error)
}

// Load imports lines of facts, as they stand in a file.
func Load(t testing.TB, store importer, organisation string, lines ...string) {
	t.Helper()
	load(t, store, organisation, strings.NewReader(strings.Join(lines, "\n")))
}

// Example imports the example organisation, under its own name.
func Example(t testing.TB, store importer) {
	t.Helper()
	records, err := data.OpenExample()
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	load(t, store, data.ExampleOrganisation, records)
}

func load(t testing.TB, store importer, organisation string, records io.Reader) {
	t.Helper()
	if _, err := store.Import(t.Context(), organisation, records, directory.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}
