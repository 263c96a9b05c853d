// Package directory keeps the facts of organisations in Redis: who works there,
// what they were granted, whose patients they see, who can book them. It
// answers authz.Directory, and moves facts in and out as JSON Lines. It is the
// only package that knows Redis.
//
// Whatever needs more than one command is one script, so that a reading is one
// snapshot and a change is all or nothing. The scripts are beside this file and
// run alike on Redis and on the embedded store.
//
// # Layout
//
// Every key of an organisation begins with cg:{E}: where E is its name,
// percent-encoded; the braces keep an organisation in one slot of a cluster. The
// id of an entity is the last part of its key and stands there as it is, so that
// no two entities share a key.
//
//	head               hash: rev, nonce, schema, and log: the bytes of images in
//	                   the stream. It exists if the organisation does
//	role:ID, group:ID  hash: name, permissions (a JSON list, sorted)
//	patient_group:ID   hash: name
//	team_member:ID     hash: name, role, provider (1 or 0), and a field for each
//	                   group (g:ID), Access (a:ID) and Booking assignment (b:ID)
//	patient:ID         hash: patient_group, and for each member of the care team
//	                   c:ID → its sources, sorted, a line each: manual, booking:ID
//	booking:ID         hash: patient, provider, state
//
// Each of these entities has a field rev as well: the revision of its last change,
// as the token count.nonce.
//
// The other side of each relationship, and the ids of each kind, are kept by the
// script that writes, in sorted sets with score 0, so that they are in order:
//
//	ids:KIND                            the ids of a kind
//	role-members:ROLE, group-members:GROUP,
//	access:GROUP, bookable:GROUP        team members
//	patients:GROUP, care:MEMBER         patients
//	bookings-of:PATIENT                 bookings
//	bookings-with:PROVIDER              bookings, whatever their state
//	user-admins                         role:ID and group:ID whose permissions have
//	                                    user:* or *:*: who has one holds user:* (A4)
//
// # Changes
//
// The stream changes has an entry for each revision (A3), with the id <rev>-0 and
// these fields:
//
//	prev, nonce   nonces of the revision before, "" for the first, and of this one
//	at            milliseconds since 1970, by the clock of Redis
//	by, via, req  who made the change, how (api or import), and in which request
//	images        every entity that changed, with \2 between them, each as
//	              kind ":" id \1 existed exists \1 before \1 after
//
// existed and exists are 0 or 1; before and after have the fields that differ, and
// all of them of what was made or deleted, each as name \0 value, with \0 between
// them, and never rev. No id, name or value has one of these characters. The entry
// is written before everything else. The oldest go when there are too many, or too
// many bytes of images; the newest one stays.
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
//
// # What is believed
//
// Only a master is, and every script looks at that itself (master.lua), so that an
// answer and the proof that it is a master's are one. Whatever else answers, a replica
// or a master that was demoted, gives no answer, and its connection is closed.
//
// # In a cluster
//
// Scripts name the head as their only key and find the others by it, all in its
// slot. That is sound at the node that has the slot: see clusterHook for a slot that
// is on its way to another one. No client follows an ASK.
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
)

// schema is the version of the layout that this build reads and writes. The
// scripts refuse every other one.
const schema = 2

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
	server       server               // for further clients
	embedded     *miniredis.Miniredis // nil with a real Redis

	scripts
	replicas int // that a master has to have for its scripts to answer
}

// Open returns a directory in the Redis that cfg names. It does not connect:
// Ready says whether it can be decided by what is there. The error of a bad URL is about the field
// "redis" and repeats nothing of the URL, which may hold a password.
func Open(cfg Config) (*Directory, error) {
	server, err := parseURL(cfg.URL)
	if err == nil {
		server, err = server.secure(cfg)
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
	options := &redis.Options{
		Addr:   "embedded",
		Dialer: func(context.Context, string, string) (net.Conn, error) { return store.Dial() },
	}
	d := newDirectory(cfg, server{single: options, within: true, conns: new(connections)})
	d.embedded = store
	return d, nil
}

func newDirectory(cfg Config, s server) *Directory {
	// go-redis writes what it returns as errors to stderr as well, in its own
	// format. The callers of this package log errors once.
	redis.SetLogger(silent{})
	d := &Directory{
		facts:        s.client(false),
		bulk:         s.client(true),
		administers:  s.client(true),
		waits:        s.feed(waitConnections),
		writes:       s.once().client(true),
		factsTimeout: cfg.FactsTimeout,
		parsed:       newParsed(),
		changesKept:  cfg.ChangesKept,
		changesBytes: cfg.ChangesBytes,
		server:       s,
	}
	d.believe(0)
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
