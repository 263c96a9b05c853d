package directory

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/redistest"
)

func TestOpenURLs(t *testing.T) {
	for _, url := range []string{
		"redis://localhost", "redis://127.0.0.1:6379/3", "redis://user:p%40ss@host:6379", "rediss://:pass@host", "unix:///run/redis.sock?db=1", "unix://user:pass@/run/redis.sock",
		"redis+cluster://a:1?addr=b:2&addr=c:3", "rediss+cluster://user:pass@a:1", "redis+sentinel://a:26379?master_name=m&addr=b:26379", "rediss+sentinel://u:p@a/2?master_name=m",
		"redis://host?read_timeout=50ms&dial_timeout=1s&max_retries=2&pool_size=5",
	} {
		d, err := Open(Config{URL: url})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		closed(t, d)
	}
}

func TestOpenBadURLs(t *testing.T) {
	for _, url := range []string{
		"", "localhost", "localhost:6379", "://", "redis:", "http://user:SECRET@host", "SECRET://host", "REDIS://user:SECRET@host",
		"redis://user:SEC/RET@host:6379", "redis://:SECRET@host:port", "redis://user:SECRET@host/rubbish", "redis://user:%SECRET@host", "redis://user:SECRET@host?SECRET=1",
		"redis://h?read_timeout=SECRET", "redis+cluster://user:SECRET@host?addr=SECRET", "redis+unix://SECRET", "unix+cluster://SECRET", "redis+sentinel://user:SECRET@host",
		"redis+sentinel://u:SECRET@host/x?master_name=m", "cluster://SECRET", "redis+cluster+x://SECRET", "unix://SECRET@", "redis://user:SECRET@[::1",
		"redis+cluster://:SECRET@a:1?read_only=true", "redis+cluster://:SECRET@a:1?route_by_latency=true", "redis+cluster://:SECRET@a:1?route_randomly=true",
		"redis+sentinel://:SECRET@a?master_name=m&replica_only=true", "redis+sentinel://:SECRET@a?master_name=m&route_randomly=true",
		"redis+sentinel://:SECRET@a?master_name=m&route_by_latency=true", "redis+sentinel://:SECRET@a?master_name=m&use_disconnected_replicas=true",
	} {
		_, err := Open(Config{URL: url})
		e, ok := errors.AsType[*authz.Error](err)
		if !ok || e.Field != "redis" || e.Kind != authz.Malformed || strings.Contains(err.Error(), "SEC") || strings.Contains(err.Error(), "RET") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// The options that keep a decision within its time.
func TestOptions(t *testing.T) {
	for url, want := range map[string]redis.Options{
		"redis://localhost": {
			DialTimeout: 500 * time.Millisecond, ReadTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond, MaxRetries: 1,
		},
		"redis://localhost?read_timeout=40ms&max_retries=2&dial_timeout=1s": {
			DialTimeout: time.Second, ReadTimeout: 40 * time.Millisecond, WriteTimeout: 100 * time.Millisecond, MaxRetries: 2,
		},
	} {
		d, err := Open(Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		got := d.facts.(*redis.Client).Options()
		if !got.ContextTimeoutEnabled || !got.DisableIdentity || got.MaintNotificationsConfig.Mode != "disabled" {
			t.Errorf("%s: %+v", url, got)
		}
		if got.DialTimeout != want.DialTimeout || got.ReadTimeout != want.ReadTimeout || got.WriteTimeout != want.WriteTimeout || got.MaxRetries != want.MaxRetries {
			t.Errorf("%s: dial %v, read %v, write %v, retries %d", url, got.DialTimeout, got.ReadTimeout, got.WriteTimeout, got.MaxRetries)
		}
		if bulk := d.bulk.(*redis.Client).Options(); bulk.ReadTimeout != connect.BulkReadTimeout {
			t.Errorf("%s: bulk waits %v", url, bulk.ReadTimeout)
		}
		closed(t, d)
	}
}

// works imports, reads and exports through a directory opened with url.
func works(t *testing.T, cfg Config) {
	t.Helper()
	cfg.FactsTimeout = 10 * time.Second
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	s := &store{Directory: d, raw: d.bulk, org: "riverside"}
	if err := d.Ready(t.Context(), "riverside"); err != nil {
		t.Fatal(err)
	}
	s.load(t, clinic()...)
	if !s.facts(t, member("mark")).Get(member("mark")).Found {
		t.Error("mark is not found")
	}
	if strings.Count(s.export(t), "\n") != len(clinic()) {
		t.Error("the export is not whole")
	}
}

func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	startRedis(t, "--unixsocket", socket)
	works(t, Config{URL: "unix://" + socket})
}

func TestPassword(t *testing.T) {
	server := startRedis(t)
	admin := openStore(t, server)
	ctx := t.Context()
	if err := admin.raw.Do(ctx, "ACL", "SETUSER", "writer", "on", ">p@ss/word", "~cg:*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	works(t, Config{URL: strings.Replace(server.url, "redis://", "redis://writer:p%40ss%2Fword@", 1)})
	d, err := Open(Config{URL: strings.Replace(server.url, "redis://", "redis://writer:hunter2@", 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	_, err = d.Read(ctx, "riverside", nil, authz.Freshness{})
	if authz.KindOf(err) != authz.Unavailable || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestCluster(t *testing.T) {
	server := startRedis(t, "--cluster-enabled", "yes")
	node := openStore(t, server)
	if err := node.raw.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", "0", "16383").Err(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if info := node.raw.ClusterInfo(t.Context()).Val(); strings.Contains(info, "cluster_state:ok") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	works(t, Config{URL: strings.Replace(server.url, "redis://", "redis+cluster://", 1)})
}

func TestSentinel(t *testing.T) {
	replicated, err := redistest.StartReplicated(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(replicated.Stop)
	works(t, Config{URL: replicated.URL()})
}
