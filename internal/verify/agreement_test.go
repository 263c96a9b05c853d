package verify_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/dbtest"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/internal/soak"
	"github.com/caregate/caregate/internal/verify"
)

// How the organisations of the property are shared out: each part asks two stores, and
// executes filters in three databases.
const (
	parts        = 4
	asked        = 6
	seed  uint64 = 20_000
	apart uint64 = 1_000 // the seeds of parts are
)

// ofEach is how many organisations a part has.
func ofEach() int {
	if soak.Repeats() {
		return 1
	}
	return soak.Cases(75)
}

// both is an oracle of two: the policy evaluated plainly, and the rules in plain Go.
type both struct {
	authz.Policy
	reference reference
	compared  *comparison
}

// comparison is what the two said.
type comparison struct {
	mu             sync.Mutex
	asked, allowed int
	differ         []string
}

func (b both) Decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	d, err := b.Policy.Decide(ctx, q)
	if err != nil {
		return d, err
	}
	should, _ := b.reference.Decide(ctx, q)
	c := b.compared
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked++; d.Allow {
		c.allowed++
	}
	if d.Allow != should.Allow {
		c.differ = append(c.differ, fmt.Sprintf("the policy says %v and the rules %v to %+v, subject %+v, resource %+v, references %v",
			d.Allow, should.Allow, *q.Request, q.Subject, q.Resource, q.References))
	}
	return d, err
}

// servers are the real ones that a test starts.
type servers struct {
	redis               *redistest.Server
	postgresql, mariadb *dbtest.Server
}

func startServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{}
	var err error
	if s.redis, err = redistest.Start(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.redis.Kill)
	if s.postgresql, err = dbtest.StartPostgreSQL(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.postgresql.Stop)
	if s.mariadb, err = dbtest.StartMariaDB(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.mariadb.Stop)
	return s
}

// stores are an embedded one and a real Redis, each empty.
func (s *servers) stores(t *testing.T, part int) []verify.NamedStore {
	t.Helper()
	d, err := directory.Open(directory.Config{URL: fmt.Sprintf("%s/%d?read_timeout=60s&write_timeout=60s&dial_timeout=60s&pool_timeout=60s", s.redis.URL(), part), FactsTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return []verify.NamedStore{embedded(t), {Name: "Redis", Store: store{d}}}
}

// databases are SQLite, PostgreSQL and MariaDB, each empty.
func (s *servers) databases(t *testing.T, part int) []verify.Database {
	t.Helper()
	out := []verify.Database{sqlite(t)}
	for _, d := range []struct {
		name    string
		server  *dbtest.Server
		first   string // a database that there is
		dialect filter.Dialect
	}{
		{"PostgreSQL", s.postgresql, "postgres", filter.PostgreSQL},
		{"MariaDB", s.mariadb, "mysql", filter.MySQL},
	} {
		own := fmt.Sprintf("part%d", part)
		first, err := d.server.Open(d.first, nil)
		if err == nil {
			_, err = first.ExecContext(t.Context(), "CREATE DATABASE "+own)
			_ = first.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		db, err := d.server.Open(own, nil)
		if err != nil {
			t.Fatal(err)
		}
		made := verify.NewDatabase(d.name, d.dialect, db)
		t.Cleanup(func() { _ = made.Close() })
		out = append(out, made)
	}
	return out
}

// TestAllShapesAgree is the property that all of this is for (V8): in each of some
// hundred random organisations, and again after a change, every shape of an answer from
// either store says what the policy says when it is evaluated plainly, and that is what
// the rules say in plain Go.
func TestAllShapesAgree(t *testing.T) {
	servers := startServers(t)
	var mu sync.Mutex
	total, organisations := map[string]verify.Shape{}, 0
	t.Run("parts", func(t *testing.T) {
		for part := range parts {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				s := source(t)
				rules, general := orgtest.Compile(t, s, policy.Config{}), orgtest.Compile(t, s, plain())
				compared := &comparison{}
				r, err := verify.Run(t.Context(), verify.Config{
					Rules: rules, Oracle: both{general, reference{general}, compared}, Constants: s.Constants(),
					Stores: servers.stores(t, part), Databases: servers.databases(t, part),
					Organisations: ofEach(), Questions: asked, Seed: soak.SeedOr(t, seed+uint64(part)*apart),
				})
				if err != nil {
					t.Fatal(err)
				}
				if r.Disagreement != nil || len(r.Notes) > 0 {
					t.Errorf("\n%s%s", printed(t, r), again(t, r))
				}
				if len(compared.differ) > 0 || compared.allowed == 0 {
					t.Errorf("%d of %d differ, of %d allowed:\n%s", len(compared.differ), compared.asked, compared.allowed,
						strings.Join(compared.differ[:min(3, len(compared.differ))], "\n"))
				}
				mu.Lock()
				defer mu.Unlock()
				organisations += r.Organisations
				for _, sh := range r.Shapes {
					sum := total[sh.Name]
					total[sh.Name] = verify.Shape{Name: sh.Name, Asked: sum.Asked + sh.Asked, Answered: sum.Answered + sh.Answered,
						Compared: sum.Compared + sh.Compared, Allowed: sum.Allowed + sh.Allowed}
				}
			})
		}
	})
	if soak.Repeats() {
		return
	}
	if organisations != parts*ofEach() {
		t.Errorf("%d organisations of %d", organisations, parts*ofEach())
	}
	shapes := 0
	for _, store := range []string{"embedded", "Redis"} {
		for _, name := range []string{
			"check", "batch", "explanation", "filter, SQLite", "filter, PostgreSQL", "filter, MariaDB", "filter, UCAST",
			"resource search by 2", "resource search by 1000", "subject search by 2", "subject search by 1000",
			"action search by 2", "action search by 1000", "directory, changes", "directory, reads",
		} {
			sh := total[name+", "+store]
			t.Logf("%s: %d questions, %d compared, %d allowed", name+", "+store, sh.Asked, sh.Compared, sh.Allowed)
			if shapes++; sh.Answered != sh.Asked || sh.Allowed == 0 || sh.Allowed == sh.Compared {
				t.Errorf("%s shows nothing: %+v", name+", "+store, sh)
			}
		}
	}
	if shapes != len(total) {
		t.Errorf("there are %d shapes, not %d: %v", len(total), shapes, total)
	}
}
