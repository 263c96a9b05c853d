// Package directory keeps the facts of organisations in Redis: who works there,
// what they were granted, whose patients they see, who can book them. It
// answers authz.Directory, and moves facts in and out as JSON Lines. It is the
// only package that knows Redis.
//
// Whatever needs more than one command is one script, so that a reading is one
// snapshot and a change is all or nothing. The scripts are beside this file and
// run alike on Redis and on the embedded store.
//
// # Rooms
//
// This package opens connections and offers what is made of the rooms: reads, ranges, lists and
// histories are its own, and everything else is a door to one of them.
//
//	connect   clients of one server, a cluster or Sentinels, the bounds of replies, and why
//	          there is no answer
//	script    the texts in Lua, the keys, the head, and how a reply is read
//	layout    what a hash and an entry of the stream say, as records, facts and changes
//	commit    a change: its arguments, its refusals, its preview
//	transfer  import and export
//	audit     whether everything holds that must
//	cache     facts that are kept, and the one life of each organisation that is followed
//
// Imports go upwards in this list only. "How a decision is exact" in docs/architecture.md has the
// rules: write is kept by script and commit, all others by cache.
//
// # Who may do what
//
// The exact rules for Redis users are in docs/operating.md, and the tests run with
// them. A sidecar that decides needs HGETALL, ZSCORE, XRANGE and INFO replication
// inside EVALSHA_RO and EVAL_RO, and XREAD to follow the changes: read permission on
// cg:* and no command that writes. Searches take ZRANGEBYLEX, ZCARD, HGET and EXISTS
// as well, previews of changes those but the first, HMGET, ZRANGE and TYPE. EVALSHA_RO
// needs Redis 7 or later. An audit takes SCAN, which shows the names of all keys of a
// database, those of others too.
package directory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/script"
)

// defaultFactsTimeout bounds a read when Config does not say.
const defaultFactsTimeout = 250 * time.Millisecond

// What the stream of changes keeps when Config does not say.
const (
	DefaultChangesKept  = 100_000
	DefaultChangesBytes = 64 << 20
)

// Config says where the facts are.
type Config struct {
	// URL of Redis: redis://, rediss:// (TLS) or unix:// for one server,
	// redis+cluster://, rediss+cluster://, redis+sentinel:// or
	// rediss+sentinel:// for more. Further addresses and the name of a Sentinel's
	// master are given in its query (addr, master_name), and so is every other
	// option of go-redis's URLs. OpenEmbedded ignores it.
	URL string
	// CA names a file of the certificates, in PEM, that may have signed those of
	// Redis and of its Sentinels; "" means those that the system trusts. Cert and Key
	// name the files of a certificate that is shown to them, "" none. They need an
	// encrypted scheme, and an error about one has the name of its flag as its field:
	// redis-ca, redis-cert or redis-key. CA is read by Open, the others for each
	// connection. OpenEmbedded ignores them.
	CA, Cert, Key string
	// FactsTimeout bounds one reading, within the deadline of its caller; 0
	// means 250 ms.
	FactsTimeout time.Duration
	// ChangesKept is the most changes of an organisation that are remembered, and
	// ChangesBytes the most bytes that they may take, whichever is less; the newest
	// change always is. Whoever writes decides. 0 means DefaultChangesKept and
	// DefaultChangesBytes.
	ChangesKept  int
	ChangesBytes int64
}

// Directory holds the facts of organisations. It is safe for concurrent use.
type Directory struct {
	// facts answers questions and gives up soon. bulk is for long scripts; its
	// calls are bounded by their contexts and by a read timeout of seconds. It
	// connects when it is first used. administers is the same for whoever administers: their
	// lists, previews, histories, exports and audits take no connection of a search or a
	// batch. waits is for calls that wait for a change.
	// writes is for what changes something, which is sent once.
	facts, bulk, administers, waits, writes redis.UniversalClient

	factsTimeout time.Duration
	changesKept  int
	changesBytes int64
	parsed       parsed
	server       connect.Server       // for further clients
	embedded     *miniredis.Miniredis // nil with a real Redis

	scripts  script.Set
	replicas int // that a master has to have for its scripts to answer
}

// Open returns a directory in the Redis that cfg names. It does not connect:
// Ready says whether it can be decided by what is there. The error of a bad URL is about the field
// "redis" and repeats nothing of the URL, which may hold a password.
func Open(cfg Config) (*Directory, error) {
	server, err := connect.Parse(cfg.URL)
	if err == nil {
		server, err = server.Secure(connect.Certificates{CA: cfg.CA, Cert: cfg.Cert, Key: cfg.Key})
	}
	if err != nil {
		return nil, err
	}
	return newDirectory(cfg, server), nil
}

// OpenEmbedded returns a directory in a store of its own inside this process. It
// starts empty, opens no port, and nothing of it is kept after Close.
func OpenEmbedded(cfg Config) (*Directory, error) {
	store := miniredis.NewMiniRedis()
	d := newDirectory(cfg, connect.Within(func(context.Context, string, string) (net.Conn, error) { return store.Dial() }))
	d.embedded = store
	return d, nil
}

func newDirectory(cfg Config, s connect.Server) *Directory {
	// go-redis writes what it returns as errors to stderr as well, in its own
	// format. The callers of this package log errors once.
	redis.SetLogger(silent{})
	d := &Directory{
		facts:        s.Client(false),
		bulk:         s.Client(true),
		administers:  s.Client(true),
		waits:        s.Feed(waitConnections),
		writes:       s.Once().Client(true),
		factsTimeout: cfg.FactsTimeout,
		parsed:       newParsed(),
		changesKept:  cfg.ChangesKept,
		changesBytes: cfg.ChangesBytes,
		server:       s,
		scripts:      script.NewSet(s.IsWithin(), 0),
	}
	if d.factsTimeout <= 0 {
		d.factsTimeout = defaultFactsTimeout
	}
	if d.changesKept <= 0 {
		d.changesKept = DefaultChangesKept
	}
	if d.changesBytes <= 0 {
		d.changesBytes = DefaultChangesBytes
	}
	return d
}

// believe lets only a master answer that has so many replicas in good state. Nobody may be
// reading.
func (d *Directory) believe(replicas int) {
	if d.replicas != replicas {
		d.replicas, d.scripts = replicas, script.NewSet(d.server.IsWithin(), replicas)
	}
}

// silent is a logger that drops everything.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Ready returns nil if decisions of an organisation can be made now, by reading what
// they read; one that does not exist is decided about as well (V9). Else it returns
// the error that they would have.
func (d *Directory) Ready(ctx context.Context, organisation string) error {
	_, err := d.Read(ctx, organisation, probe(), authz.Freshness{})
	return err
}

// probe is what readiness reads: a question about whom no organisation has.
func probe() []authz.Key {
	return []authz.Key{{Kind: authz.KindTeamMember, ID: "caregate:ready"}, {Kind: authz.KindPatient, ID: "caregate:ready"}}
}

// Close ends all connections, and with an embedded store everything in it.
func (d *Directory) Close() error {
	err := errors.Join(d.facts.Close(), d.bulk.Close(), d.administers.Close(), d.waits.Close(), d.writes.Close())
	if d.embedded != nil {
		d.embedded.Close()
	}
	if err != nil {
		return fmt.Errorf("close the connections to Redis: %w", err)
	}
	return nil
}
