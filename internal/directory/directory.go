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
//	head               hash: rev, nonce, schema. It exists if the organisation does
//	role:ID, group:ID  hash: name, permissions (a JSON list, sorted)
//	patient_group:ID   hash: name
//	team_member:ID     hash: name, role, provider (1 or 0), and a field for each
//	                   group (g:ID), Access (a:ID) and Booking assignment (b:ID)
//	patient:ID         hash: patient_group, and for each member of the care team
//	                   c:ID → its sources, sorted, a line each: manual, booking:ID
//	booking:ID         hash: patient, provider, state
//
// The other side of each relationship, and the ids of each kind, are kept by the
// script that writes:
//
//	ids:KIND           sorted set, all with score 0: the ids of a kind in order
//	role-members:ROLE, group-members:GROUP,
//	access:GROUP, bookable:GROUP        sets of team members
//	patients:GROUP, care:MEMBER         sorted sets of patients, score 0
//	bookings-of:PATIENT                 set of bookings
//
// # Who may do what
//
// Reading takes HGETALL, ZSCORE and ZRANGEBYLEX inside EVALSHA_RO and EVAL_RO,
// and PING: a Redis user with read permission on cg:* and no write command is
// enough for a sidecar. EVALSHA_RO needs Redis 7 or later. An audit reads as well
// and takes SCAN, and TYPE, HGET, HMGET, HEXISTS, HLEN, ZSCAN, SISMEMBER and SSCAN
// inside its script. SCAN shows the names of all keys of a database, those of
// others too. Writing takes EVALSHA
// and EVAL with HGETALL, HMGET, HGET, HSET, HDEL, HINCRBY, EXISTS, TYPE, SADD,
// SREM, ZADD and ZREM.
package directory

import (
	"context"
	_ "embed"
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
const schema = 1

// defaultFactsTimeout bounds a read when Config does not say.
const defaultFactsTimeout = 250 * time.Millisecond

// The scripts. Each takes the key of the head as its only key and finds the
// prefix of all others in it.
var (
	//go:embed read.lua
	readScript string
	//go:embed import.lua
	importScript string
	//go:embed export.lua
	exportScript string
	//go:embed audit.lua
	auditScript string
)

// Config says where the facts are.
type Config struct {
	// URL of Redis: redis://, rediss:// (TLS) or unix:// for one server,
	// redis+cluster://, rediss+cluster://, redis+sentinel:// or
	// rediss+sentinel:// for more. Further addresses and the name of a Sentinel's
	// master are given in its query (addr, master_name), and so is every other
	// option of go-redis's URLs. OpenEmbedded ignores it.
	URL string
	// FactsTimeout bounds one reading, within the deadline of its caller; 0
	// means 250 ms.
	FactsTimeout time.Duration
}

// Directory holds the facts of organisations. It is safe for concurrent use.
type Directory struct {
	// facts answers questions and gives up soon. bulk is for long scripts; its
	// calls are bounded by their contexts and by a read timeout of seconds. It
	// connects when it is first used.
	facts, bulk  redis.UniversalClient
	factsTimeout time.Duration
	embedded     *miniredis.Miniredis // nil with a real Redis

	read, imports, exports, audits *redis.Script
}

// Open returns a directory in the Redis that cfg names. It does not connect:
// Ready says whether Redis answers. The error of a bad URL is about the field
// "redis" and repeats nothing of the URL, which may hold a password.
func Open(cfg Config) (*Directory, error) {
	server, err := parseURL(cfg.URL)
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
	d := newDirectory(cfg, server{single: options})
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
		factsTimeout: cfg.FactsTimeout,
		read:         redis.NewScript(readScript),
		imports:      redis.NewScript(importScript),
		exports:      redis.NewScript(exportScript),
		audits:       redis.NewScript(auditScript),
	}
	if d.factsTimeout <= 0 {
		d.factsTimeout = defaultFactsTimeout
	}
	return d
}

// silent is a logger that drops everything.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Ready returns nil if the store answers within the facts timeout, else an
// error of kind Unavailable or Timeout.
func (d *Directory) Ready(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, d.factsTimeout)
	defer cancel()
	if err := d.facts.Ping(bounded).Err(); err != nil {
		return unavailable(ctx, err)
	}
	return nil
}

// Close ends all connections, and with an embedded store everything in it.
func (d *Directory) Close() error {
	err := d.facts.Close()
	if bulkErr := d.bulk.Close(); err == nil {
		err = bulkErr
	}
	if d.embedded != nil {
		d.embedded.Close()
	}
	if err != nil {
		return fmt.Errorf("close the connections to Redis: %w", err)
	}
	return nil
}

// unavailable classes an error of Redis: it is a Timeout if ctx, the caller's,
// is over, and otherwise says that nothing is known now.
func unavailable(ctx context.Context, err error) *authz.Error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return &authz.Error{Kind: authz.Timeout, Message: "cancelled while waiting for Redis", Err: err}
	}
	// The socket's deadline is that of ctx and may be noticed first.
	deadline, ok := ctx.Deadline()
	if ctx.Err() != nil || ok && !time.Now().Before(deadline) {
		return &authz.Error{Kind: authz.Timeout, Message: "the time allowed ran out while waiting for Redis", Err: err}
	}
	return &authz.Error{Kind: authz.Unavailable, Message: "Redis did not give an answer; try again, and check that it runs and is reachable", Err: err}
}

// damaged makes the error for facts that no script of Caregate wrote.
func damaged(format string, args ...any) *authz.Error {
	return authz.Errorf(authz.Unavailable, "",
		"the facts of this organisation are damaged: %s; only Caregate may write its keys, restore them from an export",
		fmt.Sprintf(format, args...))
}
