package directory

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/script"
)

// maxWork is the work after which a script that reads ends, by the measure of work_of
// (text.lua), some three milliseconds: Redis answers nobody else meanwhile. Only one
// record that has more by itself takes longer. What has more is read by several scripts,
// each of which says the revision; if that moves between two of them the reading begins
// anew.
const maxWork = 5000

// longWork is maxWork for what gives way to decisions, which may wait for Redis, and
// longPage the most ids of a page with facts: finding them is work too.
const (
	longWork = 500
	longPage = 50
)

// workOf returns the work after which a script that reads for ctx ends.
func workOf(ctx context.Context) int {
	if authz.IsLongWork(ctx) {
		return longWork
	}
	return maxWork
}

// keyWork is the least work that a key is: a script which ends after some work is not
// asked for more keys than fit.
const keyWork = 10

// readAttempts is how often a reading is begun in parts. While the facts change faster
// than that, as they do during an import, it is then one script over all, so that
// nobody's question waits for the end of somebody else's work.
const readAttempts = 3

// atOneRevision lets read read in parts until the revision stood still meanwhile, or
// else whole, with no bound on the work of a script.
func atOneRevision(ctx context.Context, read func(work int) error) error {
	for range readAttempts {
		if err := read(workOf(ctx)); !errors.Is(err, admin.ErrMoved) {
			return err
		}
	}
	return read(0)
}

// firstOf returns as many of what is to be read as a script is asked for that ends after
// so much work.
func firstOf[T any](rest []T, work int) []T {
	if work == 0 {
		return rest
	}
	return rest[:min(len(rest), work/keyWork)]
}

// readAll reads keys, each once, and the role and groups of every team member among
// them.
func (d *Directory) readAll(
	ctx context.Context, client redis.Scripter, organisation string, keys []authz.Key,
	take func(authz.Key, any) (*authz.Fact, error),
) (facts *authz.Facts, err error) {
	err = atOneRevision(ctx, func(work int) error {
		r := reading{take: take, rest: keys}
		for more := true; more; {
			asked := firstOf(r.rest, work)
			reply, err := d.scripts.Read.RunRO(ctx, client, []string{script.HeadKey(organisation)}, readArgs(asked, work)...).Slice()
			if err != nil {
				return err
			}
			if more, err = r.part(asked, reply); err != nil {
				return err
			}
		}
		facts = r.facts
		return nil
	})
	if errors.Is(err, admin.ErrMoved) { // one script that reads all cannot
		err = script.Damaged("the reply is cut off")
	}
	return facts, err
}

// reading is what one script reads, or several at one revision.
type reading struct {
	take func(authz.Key, any) (*authz.Fact, error)

	rest  []authz.Key        // still to be read
	roles bool               // rest is the roles and groups that members have
	facts *authz.Facts       // all of them in the end, before that those of the last part
	all   []*authz.Fact      // of all parts, each once
	known map[authz.Key]bool // the keys that were read
}

// part takes the reply of a script that was asked for the first of the rest, and reports
// whether there is more to read. It is admin.ErrMoved if the revision is another one than
// that of the part before.
func (r *reading) part(asked []authz.Key, reply []any) (more bool, err error) {
	ended := len(asked) < len(r.rest)
	if list, is := script.Item[[]any](reply, 1); is {
		n, ok := script.Item[int64](list, 0)
		if !ok || n < 1 || n > int64(len(asked)) {
			return false, script.Damaged("the reply is cut off")
		}
		asked, ended = asked[:n], true
		reply = append(reply[:1:1], reply[2:]...)
	}
	before := r.facts
	if r.facts, err = factsFrom(reply, asked, r.take); err != nil || !ended && before == nil {
		return false, err
	}
	if !r.facts.Organisation && before == nil {
		return false, nil
	}
	if before != nil && r.facts.Revision != before.Revision {
		return false, admin.Moved()
	}
	if err := r.keep(asked); err != nil {
		return false, err
	}
	if r.rest = r.rest[len(asked):]; len(r.rest) == 0 && !r.roles {
		r.rest, r.roles = r.unread(), true
	}
	if len(r.rest) > 0 {
		return true, nil
	}
	r.facts = authz.NewFacts(true, r.facts.Revision, r.all...)
	return false, nil
}

// keep keeps the facts of the last part, in which keys were asked for.
func (r *reading) keep(asked []authz.Key) error {
	if r.known == nil {
		r.known = make(map[authz.Key]bool, len(r.rest))
	}
	for _, fact := range r.facts.All() {
		if !r.known[fact.Key] {
			r.known[fact.Key] = true
			r.all = append(r.all, fact)
		}
	}
	for _, key := range asked {
		if r.roles && !r.known[key] {
			return roleLost(key.Kind)
		}
		r.known[key] = true
	}
	return nil
}

// unread returns the roles and groups of members that were not read with them.
func (r *reading) unread() (keys []authz.Key) {
	for _, fact := range r.all {
		for key := range fact.Sources() {
			if !r.known[key] {
				r.known[key] = true
				keys = append(keys, key)
			}
		}
	}
	for _, key := range keys {
		delete(r.known, key)
	}
	return keys
}

func roleLost(kind authz.Kind) *authz.Error {
	return script.Damaged("a team member has a %s that does not exist", kind)
}

// readHeld reads the roles and groups that members have and that are not among facts, at
// their revision: admin.ErrMoved says that it is over.
func (d *Directory) readHeld(ctx context.Context, organisation string, facts *authz.Facts) (*authz.Facts, error) {
	r := reading{roles: true, facts: facts, all: slices.Clip(facts.All()), known: map[authz.Key]bool{}}
	r.take = func(key authz.Key, hash any) (*authz.Fact, error) { return d.parsed.factOf(organisation, key, hash) }
	for _, fact := range r.all {
		r.known[fact.Key] = true
	}
	r.rest = r.unread()
	work := workOf(ctx)
	for more := len(r.rest) > 0; more; {
		asked := firstOf(r.rest, work)
		reply, err := d.scripts.Read.RunRO(ctx, d.bulk, []string{script.HeadKey(organisation)}, readArgs(asked, work)...).Slice()
		if err != nil {
			return nil, connect.Unavailable(ctx, err)
		}
		if more, err = r.part(asked, reply); err != nil {
			return nil, err
		}
	}
	return r.facts, nil
}
