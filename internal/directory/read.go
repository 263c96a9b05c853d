package directory

import (
	"context"
	"errors"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// manyKeys is the number of keys from which on a reading may take Redis longer
// than the read timeout of a decision.
const manyKeys = 1000

// Read implements authz.Directory: one script, one round trip, one snapshot, and for
// hundreds of keys several scripts at one revision (readparts.go). It takes at most
// the facts timeout, which is what limits their number: Redis reads some 200 keys in a
// millisecond, the embedded store some 60. Keys outside the limits on ids are not
// looked up. Facts that no script of Caregate can have written are an error: a fact is
// read whole or not at all.
func (d *Directory) Read(
	ctx context.Context, organisation string, keys []authz.Key, fresh authz.Freshness,
) (*authz.Facts, error) {
	facts, err := d.readNow(ctx, organisation, keys)
	if err != nil {
		return nil, err
	}
	if err := d.Includes(ctx, organisation, facts.Revision, fresh.AtLeast); err != nil {
		return nil, err
	}
	return facts, nil
}

// readNow reads, whatever revision there is.
func (d *Directory) readNow(ctx context.Context, organisation string, keys []authz.Key) (*authz.Facts, error) {
	if !admin.ValidID(organisation) {
		return authz.NewFacts(false, authz.Revision{}), nil
	}
	asked := askedFor(keys)
	bounded, cancel := context.WithTimeout(ctx, d.factsTimeout)
	defer cancel()
	client := d.facts
	if len(asked) > manyKeys {
		client = d.bulk
	}
	facts, err := d.readAll(bounded, client, organisation, asked, func(key authz.Key, reply any) (*authz.Fact, error) {
		return d.parsed.factOf(organisation, key, reply)
	})
	if _, ours := errors.AsType[*authz.Error](err); err != nil && !ours {
		err = connect.Unavailable(ctx, err)
	}
	return facts, err
}

// askedFor returns the keys that are looked up: those within the limits on ids, each
// once.
func askedFor(keys []authz.Key) []authz.Key {
	asked := make([]authz.Key, 0, len(keys))
	var seen map[authz.Key]bool
	if len(keys) > 8 {
		seen = make(map[authz.Key]bool, len(keys))
	}
	for _, key := range keys {
		if !admin.ValidID(key.ID) || !model.Has(key.Kind) || isAmong(asked, seen, key) {
			continue
		}
		asked = append(asked, key)
	}
	return asked
}

// readArgs returns the arguments of the script that reads keys until it has done so
// much work, 0 for all.
func readArgs(keys []authz.Key, work int) []any {
	args := make([]any, 2, 2+2*len(keys))
	args[0], args[1] = script.Schemas, work
	for _, key := range keys {
		args = append(args, string(key.Kind), key.ID)
	}
	return args
}

// isAmong reports whether key is one of those asked for already, and remembers
// it. A question has few keys, for which a scan is cheaper than a map.
func isAmong(asked []authz.Key, seen map[authz.Key]bool, key authz.Key) bool {
	if seen != nil {
		if seen[key] {
			return true
		}
		seen[key] = true
		return false
	}
	for _, k := range asked {
		if k == key {
			return true
		}
	}
	return false
}

// factsOf reads the reply of the script to a question about the keys asked.
func factsOf(reply []any, asked []authz.Key) (*authz.Facts, error) {
	return factsFrom(reply, asked, layout.FactOf)
}

// factsFrom reads the same, each hash with read.
func factsFrom(
	reply []any, asked []authz.Key, read func(authz.Key, any) (*authz.Fact, error),
) (*authz.Facts, error) {
	if len(reply) == 0 {
		return nil, script.Damaged("the reply has no head")
	}
	head, err := script.HeadOf(reply[0])
	if err != nil {
		return nil, err
	}
	if !head.Exists {
		return authz.NewFacts(false, authz.Revision{}), nil
	}
	return factsAt(head, reply[1:], asked, read)
}

// factsAt reads what follows the head.
func factsAt(
	head script.Head, reply []any, asked []authz.Key, read func(authz.Key, any) (*authz.Fact, error),
) (*authz.Facts, error) {
	if len(reply) < len(asked) || (len(reply)-len(asked))%3 != 0 {
		return nil, script.Damaged("the reply is cut off")
	}
	facts := make([]*authz.Fact, 0, len(asked)+(len(reply)-len(asked))/3)
	for i, key := range asked {
		fact, err := read(key, reply[i])
		if err != nil {
			return nil, err
		}
		if fact != nil {
			facts = append(facts, fact)
		}
	}
	for rest := reply[len(asked):]; len(rest) > 0; rest = rest[3:] {
		kind, isKind := rest[0].(string)
		id, isID := rest[1].(string)
		if !isKind || !isID || !model.Has(authz.Kind(kind)) {
			return nil, script.Damaged("the reply names no role or group")
		}
		fact, err := read(authz.Key{Kind: authz.Kind(kind), ID: id}, rest[2])
		if err != nil {
			return nil, err
		}
		if fact == nil {
			return nil, roleLost(authz.Kind(kind))
		}
		facts = append(facts, fact)
	}
	return authz.NewFacts(true, head.Revision, facts...), nil
}

// Includes implements admin.Store: both revisions have to be in the stream of one
// history.
func (d *Directory) Includes(ctx context.Context, organisation string, have, want authz.Revision) error {
	if want.Count == 0 || have == want {
		return nil
	}
	if have.Count <= want.Count {
		return authz.NotIncluded()
	}
	bounded, cancel := context.WithTimeout(ctx, d.factsTimeout)
	defer cancel()
	nonces, err := d.scripts.Nonces.RunRO(bounded, d.facts, []string{script.HeadKey(organisation)},
		have.Count, want.Count).StringSlice()
	if err != nil {
		return connect.Unavailable(ctx, err)
	}
	if len(nonces) != 2 || nonces[0] != have.Nonce || nonces[1] != want.Nonce {
		return authz.NotIncluded()
	}
	return nil
}
