package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// The most that one page of a list has. A page of records ends earlier once its
// records, as Redis has them, have maxPageBytes bytes in all, unless a single one has
// more.
const (
	maxListed    = 1000
	maxPageBytes = 1 << 20
)

// Records implements admin.Store: one snapshot, read by as many scripts as it takes so
// that none takes long (readparts.go). Keys outside the
// limits on ids are not looked up. An organisation that does not exist is
// NotFound.
func (d *Directory) Records(
	ctx context.Context, organisation string, keys []authz.Key,
) ([]*admin.Stored, authz.Revision, error) {
	asked := make([]int, 0, len(keys)) // the place of each key that is looked up
	for i, key := range keys {
		if validID(key.ID) && model.Has(key.Kind) {
			asked = append(asked, i)
		}
	}
	var out []*admin.Stored
	var revision authz.Revision
	err := atOneRevision(ctx, func(work int) error {
		out, revision = make([]*admin.Stored, len(keys)), authz.Revision{}
		for rest, more := asked, true; more; more = len(rest) > 0 {
			some := firstOf(rest, work)
			args := make([]any, 0, 2+2*len(some))
			args = append(args, "get", work)
			for _, place := range some {
				args = append(args, string(keys[place].Kind), keys[place].ID)
			}
			head, reply, err := d.readRecords(ctx, organisation, args...)
			switch {
			case err != nil:
				return err
			case revision != (authz.Revision{}) && head.revision != revision:
				return admin.Moved()
			case len(reply) > len(some) || len(reply) == 0 && len(some) > 0:
				return damaged("the reply is cut off")
			}
			revision = head.revision
			for i, place := range rest[:len(reply)] {
				if out[place], err = storedOf(keys[place], reply[i]); err != nil {
					return err
				}
			}
			rest = rest[len(reply):]
		}
		return nil
	})
	if err != nil {
		return nil, authz.Revision{}, err
	}
	return out, revision, nil
}

// RecordsAndFacts implements admin.Store: one script where it is not too much for one. An
// organisation that does not exist is NotFound.
func (d *Directory) RecordsAndFacts(
	ctx context.Context, organisation string, keys, also []authz.Key,
) ([]*admin.Stored, *authz.Facts, error) {
	if !validID(organisation) {
		return nil, nil, noOrganisation()
	}
	records := make(map[authz.Key]*admin.Stored, len(keys))
	for _, key := range keys {
		records[key] = nil
	}
	facts, err := d.readAll(ctx, d.administers, organisation, askedFor(append(slices.Clip(keys), also...)),
		func(key authz.Key, hash any) (*authz.Fact, error) {
			if _, asked := records[key]; asked {
				stored, err := storedOf(key, hash)
				if err != nil {
					return nil, err
				}
				records[key] = stored
			}
			return d.parsed.factOf(organisation, key, hash)
		})
	if err != nil {
		return nil, nil, unavailable(ctx, err)
	}
	if !facts.Organisation {
		return nil, nil, noOrganisation()
	}
	out := make([]*admin.Stored, len(keys))
	for i, key := range keys {
		out[i] = records[key]
	}
	return out, facts, nil
}

// List implements admin.Store: one snapshot, read by as many scripts as it takes so that
// none takes long. A limit that is not from 1 to 1,000 is taken as 1,000. A page of very
// long records has fewer of them, one at least if there is one, and so has one during
// which the facts change. An organisation that does not exist is NotFound.
func (d *Directory) List(
	ctx context.Context, organisation string, kind authz.Kind, after string, limit int,
) (admin.Page, error) {
	if !model.Has(kind) {
		return admin.Page{}, admin.UnknownKind("kind", kind)
	}
	page := admin.Page{More: true}
	bytes := 0
	for limit = clamp(limit); page.More && len(page.Records) < limit && bytes < maxPageBytes; {
		raw, err := d.page(ctx, organisation, kind, after, limit-len(page.Records))
		if err != nil {
			return admin.Page{}, err
		}
		if page.Revision != (authz.Revision{}) && raw.revision != page.Revision {
			break
		}
		page.Revision, page.More = raw.revision, raw.more
		for _, it := range raw.items {
			record, err := storedOf(authz.Key{Kind: kind, ID: it.id}, it.hash)
			if err != nil {
				return admin.Page{}, err
			}
			if record == nil {
				return admin.Page{}, listedInVain(kind)
			}
			bytes += it.size()
			if len(page.Records) > 0 && bytes > maxPageBytes {
				page.More = true
				break
			}
			page.Records, after = append(page.Records, record), it.id
		}
		if len(raw.items) == 0 {
			break
		}
	}
	return page, nil
}

// Related implements admin.Store: one script, one snapshot. A limit that is not
// from 1 to 1,000 is taken as 1,000. An organisation, or an entity to, that does
// not exist is NotFound.
func (d *Directory) Related(
	ctx context.Context, organisation string, relation admin.Relation, to, after string, limit int,
) (admin.RelatedPage, error) {
	index := relation.Index()
	if index == "" {
		return admin.RelatedPage{}, bad("relation", "is none that entities have")
	}
	_, kind := relation.Ends()
	if !validID(to) {
		return admin.RelatedPage{}, noSuch(kind)
	}
	head, reply, err := d.readRecords(ctx, organisation, "related", index, string(kind), to, after, clamp(limit))
	if err != nil {
		return admin.RelatedPage{}, err
	}
	exists, ok := at[int64](reply, 0)
	more, ok2 := at[int64](reply, 1)
	if !ok || !ok2 {
		return admin.RelatedPage{}, damaged("the reply is cut off")
	}
	if exists == 0 {
		return admin.RelatedPage{}, noSuch(kind)
	}
	page := admin.RelatedPage{IDs: make([]string, len(reply)-2), More: more == 1, Revision: head.revision}
	for i := range page.IDs {
		if page.IDs[i], ok = reply[i+2].(string); !ok {
			return admin.RelatedPage{}, damaged("an id is no text")
		}
	}
	return page, nil
}

func clamp(limit int) int {
	if limit < 1 || limit > maxListed {
		return maxListed
	}
	return limit
}

func noSuch(kind authz.Kind) *authz.Error {
	return authz.Errorf(authz.NotFound, "id", "names a %s that the organisation does not have; check the id", named(kind))
}

func listedInVain(kind authz.Kind) *authz.Error {
	return damaged("a %s is listed that does not exist", named(kind))
}

// storedOf reads the hash of an entity as a script returns it, nil when there is
// none.
func storedOf(key authz.Key, hash any) (*admin.Stored, error) {
	e, err := entityOf(key.Kind, hash)
	if err != nil || e == nil {
		return nil, err
	}
	stored := &admin.Stored{Record: e.recordOf(key.Kind, key.ID), Since: e.since}
	if len(e.careTeam) == 0 {
		return stored, nil
	}
	stored.Sources = make(map[string][]string, len(e.careTeam))
	err = eachField(hash, func(field, value string) error {
		if member, ok := strings.CutPrefix(field, "c:"); ok {
			stored.Sources[member] = strings.Split(value, "\n")
		}
		return nil
	})
	return stored, err
}

// rawPage is some entities of a kind in the order of their ids, as they are in
// Redis at one revision.
type rawPage struct {
	revision authz.Revision
	items    []rawItem
	more     bool // there are entities after it
}

// rawItem is the id and the hash of an entity, the hash as scripts return it.
type rawItem struct {
	id   string
	hash any
}

// size returns how many bytes an entity has, as Redis has it.
func (it rawItem) size() int {
	text, _ := it.hash.(string)
	return len(it.id) + len(text)
}

// page reads the entities of a kind whose ids follow after, by one script: limit of
// them, or fewer, one at least if there is one, once that was enough work.
func (d *Directory) page(
	ctx context.Context, organisation string, kind authz.Kind, after string, limit int,
) (rawPage, error) {
	head, reply, err := d.readRecords(ctx, organisation, "list", string(kind), after, limit, workOf(ctx))
	if err != nil {
		return rawPage{}, err
	}
	more, ok := at[int64](reply, 0)
	if !ok || len(reply)%2 != 1 {
		return rawPage{}, damaged("the reply is cut off")
	}
	page := rawPage{revision: head.revision, more: more == 1, items: make([]rawItem, 0, len(reply)/2)}
	for rest := range slices.Chunk(reply[1:], 2) {
		id, ok := rest[0].(string)
		if !ok {
			return rawPage{}, damaged("an id is no text")
		}
		page.items = append(page.items, rawItem{id, rest[1]})
	}
	return page, nil
}

// readRecords runs the script and returns the head of an organisation that exists
// and what follows it.
func (d *Directory) readRecords(ctx context.Context, organisation string, args ...any) (head, []any, error) {
	return d.readWith(ctx, d.administers, d.records, organisation, args...)
}

// readWith does the same with any script that takes the schema first and returns the
// head first.
func (d *Directory) readWith(
	ctx context.Context, client redis.UniversalClient, script *redis.Script, organisation string, args ...any,
) (head, []any, error) {
	if !validID(organisation) {
		return head{}, nil, noOrganisation()
	}
	args = append([]any{schema}, args...)
	reply, err := script.RunRO(ctx, client, []string{headKey(organisation)}, args...).Slice()
	if err != nil {
		return head{}, nil, unavailable(ctx, err)
	}
	if len(reply) == 0 {
		return head{}, nil, damaged("the reply has no head")
	}
	h, err := headOf(reply[0])
	if err != nil {
		return head{}, nil, err
	}
	if !h.exists {
		return head{}, nil, noOrganisation()
	}
	return h, reply[1:], nil
}

func noOrganisation() *authz.Error {
	return authz.Errorf(authz.NotFound, "organisation", "there is no such organisation in this Redis; check the name, or import its facts")
}
