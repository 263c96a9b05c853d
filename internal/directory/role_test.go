package directory

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/internal/search"
)

// startFor starts a server that is killed with the test.
func startFor(t *testing.T, arguments ...string) *redistest.Server {
	t.Helper()
	s, err := redistest.Start(t.TempDir(), append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, arguments...)...)
	must(t)(err)
	t.Cleanup(s.Kill)
	return s
}

// settleReplica is how long a replica may take to have what its master has, on a busy machine.
const settleReplica = 20 * time.Second

func portOf(s *redistest.Server) string { return strconv.Itoa(s.Port) }

// replicate makes one server the replica of another, and waits until it has all.
func replicate(t *testing.T, replica, master *redistest.Server) {
	t.Helper()
	_, err := replica.Do("REPLICAOF", "127.0.0.1", portOf(master))
	must(t)(err)
	must(t)(redistest.Await(settleReplica, "the replica has what its master has", replica.Follows))
}

// everything is all that a directory is asked to do.
func everything(t *testing.T, c *Cache) map[string]error {
	t.Helper()
	ctx := t.Context()
	said := map[string]error{}
	keys := []authz.Key{member("eve")}
	_, said["read"] = c.Read(ctx, exactOrganisation, keys, authz.Freshness{})
	_, said["read now"] = c.Read(ctx, exactOrganisation, keys, authz.Freshness{Full: true})
	_, said["read without a cache"] = c.Directory.Read(ctx, exactOrganisation, keys, authz.Freshness{})
	said["ready"] = c.Ready(ctx, exactOrganisation)
	// It would change nothing, and a replica could well say so.
	_, said["commit"] = c.Commit(ctx, exactOrganisation, admin.Change{Edits: []admin.Edit{access(admin.Unlink, "open")}})
	_, said["preview"] = c.Preview(ctx, exactOrganisation, admin.Change{Edits: []admin.Edit{access(admin.Link, "open")}})
	_, said["import"] = c.Import(ctx, exactOrganisation, strings.NewReader(`{"kind":"patient_group","id":"open"}`), ImportOptions{})
	_, said["export"] = c.Export(ctx, exactOrganisation, new(bytes.Buffer))
	_, said["audit"] = c.Audit(ctx, exactOrganisation, audit.Config{})
	_, said["history"] = c.History(ctx, exactOrganisation, admin.Place{}, 10)
	_, _, said["records"] = c.Records(ctx, exactOrganisation, keys)
	_, said["list"] = c.List(ctx, exactOrganisation, authz.KindPatient, "", 10)
	_, said["range"] = c.Range(ctx, exactOrganisation, search.Range{Kind: authz.KindPatient, Indexes: make([]search.Index, 1), Limit: 10}, authz.Freshness{})
	_, _, said["sizes"] = c.Sizes(ctx, exactOrganisation, authz.KindPatient, make([]search.Index, 1))
	said["wait"] = c.Wait(ctx, exactOrganisation, authz.Revision{Count: 1, Nonce: "x"})
	_, said["stream"] = c.scripts.Entries.RunRO(ctx, c.administers, []string{headOfExact}, "-", "+", "10", "1000000").Slice()
	_, said["names"] = c.scripts.Scan.RunRO(ctx, c.bulk, []string{headOfExact}, "0", "10").Slice()
	return said
}

// Nothing that a replica says is an answer, whether it lets others write or not.
func TestAReplicaIsNoAnswer(t *testing.T) {
	t.Parallel()
	for _, readOnly := range []string{"yes", "no"} {
		master, replica := startFor(t), startFor(t, "--replica-read-only", readOnly)
		direct := openFor(t, master.URL())
		t.Cleanup(func() { closed(t, direct) })
		_, err := direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(smallClinic(), "\n")), ImportOptions{})
		must(t)(err)
		replicate(t, replica, master)
		for _, s := range []*redistest.Server{master, replica} {
			c, err := NewCache(openFor(t, s.URL()), CacheConfig{})
			must(t)(err)
			for what, err := range everything(t, c) {
				switch {
				case s == master && err != nil:
					t.Errorf("%s of the master: %v", what, err)
				case s == replica && (err == nil || !strings.Contains(err.Error(), "READONLY")):
					t.Errorf("%s of a replica with replica-read-only %s: %v", what, readOnly, err)
				}
			}
			if s == replica && c.Stats().Bytes > 0 {
				t.Error("facts of a replica are kept")
			}
			must(t)(c.Close())
		}
	}
}

// A master that was demoted goes on answering on the connections that it has. Once the
// address leads to the new master, a sidecar finds it there, and so does its feed.
func TestADemotedMasterIsLeft(t *testing.T) {
	t.Parallel()
	old, other := startFor(t), startFor(t)
	direct := openFor(t, old.URL())
	t.Cleanup(func() { closed(t, direct) })
	_, err := direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(append(smallClinic(),
		`{"kind":"team_member","id":"doc","role":"nurse","access":["open"]}`), "\n")), ImportOptions{})
	must(t)(err)
	var address atomic.Value
	address.Store(old.Addr())
	proxy, err := redistest.NewProxy(func() string { return address.Load().(string) })
	must(t)(err)
	t.Cleanup(proxy.Close)
	s := newTopologySidecar(t, proxy.URL(), CacheConfig{})
	s.ready(t)
	replicate(t, other, old)

	_, err = other.Do("REPLICAOF", "NO", "ONE")
	must(t)(err)
	replicate(t, old, other)
	demoted := time.Now()
	after := openFor(t, other.URL())
	t.Cleanup(func() { closed(t, after) })
	done, err := after.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(admin.Link, "open")}})
	must(t)(err)
	for time.Since(demoted) < 2*exactStaleness { // the address still leads to the old one, which has the change as well
		asked := time.Now()
		if _, stated, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{}); err == nil && asked.Sub(demoted) > exactStaleness {
			t.Fatalf("answered at %s from a master that was demoted", stated.Revision)
		}
	}
	address.Store(other.Addr()) // and no connection is cut
	must(t)(redistest.Await(10*time.Second, "the sidecar asks the new master", func() bool {
		d, stated, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{Full: true})
		return err == nil && d.Allow && stated.Revision == done.Revision
	}))
	s.ready(t)
	done, err = after.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(admin.Unlink, "open")}})
	must(t)(err)
	must(t)(redistest.Await(10*time.Second, "the sidecar follows the new master", func() bool {
		hits := s.cache.Stats().Hits
		d, stated, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{})
		return err == nil && !d.Allow && stated.Revision == done.Revision && s.cache.Stats().Hits > hits
	}))
	for what, err := range everything(t, s.cache) {
		if err != nil && !errors.Is(err, t.Context().Err()) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
