package directory

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
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
		if admin.ValidID(key.ID) && model.Has(key.Kind) {
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
			case revision != (authz.Revision{}) && head.Revision != revision:
				return admin.Moved()
			case len(reply) > len(some) || len(reply) == 0 && len(some) > 0:
				return script.Damaged("the reply is cut off")
			}
			revision = head.Revision
			for i, place := range rest[:len(reply)] {
				if out[place], err = layout.StoredOf(keys[place], reply[i]); err != nil {
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
	if !admin.ValidID(organisation) {
		return nil, nil, script.NoOrganisation()
	}
	records := make(map[authz.Key]*admin.Stored, len(keys))
	for _, key := range keys {
		records[key] = nil
	}
	facts, err := d.readAll(ctx, d.administers, organisation, askedFor(append(slices.Clip(keys), also...)),
		func(key authz.Key, hash any) (*authz.Fact, error) {
			if _, asked := records[key]; asked {
				stored, err := layout.StoredOf(key, hash)
				if err != nil {
					return nil, err
				}
				records[key] = stored
			}
			return d.parsed.factOf(organisation, key, hash)
		})
	if err != nil {
		return nil, nil, connect.Unavailable(ctx, err)
	}
	if !facts.Organisation {
		return nil, nil, script.NoOrganisation()
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
		if page.Revision != (authz.Revision{}) && raw.Revision != page.Revision {
			break
		}
		page.Revision, page.More = raw.Revision, raw.More
		for _, it := range raw.Items {
			record, err := layout.StoredOf(authz.Key{Kind: kind, ID: it.ID}, it.Hash)
			if err != nil {
				return admin.Page{}, err
			}
			if record == nil {
				return admin.Page{}, layout.ListedInVain(kind)
			}
			bytes += it.Size()
			if len(page.Records) > 0 && bytes > maxPageBytes {
				page.More = true
				break
			}
			page.Records, after = append(page.Records, record), it.ID
		}
		if len(raw.Items) == 0 {
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
		return admin.RelatedPage{}, authz.Errorf(authz.Malformed, "relation", "is none that entities have")
	}
	_, kind := relation.Ends()
	if !admin.ValidID(to) {
		return admin.RelatedPage{}, noSuch(kind)
	}
	head, reply, err := d.readRecords(ctx, organisation, "related", index, string(kind), to, after, clamp(limit))
	if err != nil {
		return admin.RelatedPage{}, err
	}
	exists, ok := script.Item[int64](reply, 0)
	more, ok2 := script.Item[int64](reply, 1)
	if !ok || !ok2 {
		return admin.RelatedPage{}, script.Damaged("the reply is cut off")
	}
	if exists == 0 {
		return admin.RelatedPage{}, noSuch(kind)
	}
	page := admin.RelatedPage{IDs: make([]string, len(reply)-2), More: more == 1, Revision: head.Revision}
	for i := range page.IDs {
		if page.IDs[i], ok = reply[i+2].(string); !ok {
			return admin.RelatedPage{}, script.Damaged("an id is no text")
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
	return authz.Errorf(authz.NotFound, "id", "names a %s that the organisation does not have; check the id", model.Noun(kind))
}

// page reads the entities of a kind whose ids follow after, by one script: limit of
// them, or fewer, one at least if there is one, once that was enough work.
func (d *Directory) page(
	ctx context.Context, organisation string, kind authz.Kind, after string, limit int,
) (layout.Page, error) {
	head, reply, err := d.readRecords(ctx, organisation, "list", string(kind), after, limit, workOf(ctx))
	if err != nil {
		return layout.Page{}, err
	}
	more, ok := script.Item[int64](reply, 0)
	if !ok || len(reply)%2 != 1 {
		return layout.Page{}, script.Damaged("the reply is cut off")
	}
	page := layout.Page{Revision: head.Revision, More: more == 1, Items: make([]layout.Item, 0, len(reply)/2)}
	for rest := range slices.Chunk(reply[1:], 2) {
		id, ok := rest[0].(string)
		if !ok {
			return layout.Page{}, script.Damaged("an id is no text")
		}
		page.Items = append(page.Items, layout.Item{ID: id, Hash: rest[1]})
	}
	return page, nil
}

// readRecords runs the script and returns the head of an organisation that exists
// and what follows it.
func (d *Directory) readRecords(ctx context.Context, organisation string, args ...any) (script.Head, []any, error) {
	return d.readWith(ctx, d.administers, d.scripts.Records, organisation, args...)
}

// readWith does the same with any script that takes the schema first and returns the
// head first.
func (d *Directory) readWith(
	ctx context.Context, client redis.UniversalClient, text *redis.Script, organisation string, args ...any,
) (script.Head, []any, error) {
	if !admin.ValidID(organisation) {
		return script.Head{}, nil, script.NoOrganisation()
	}
	args = append([]any{script.Schemas}, args...)
	reply, err := text.RunRO(ctx, client, []string{script.HeadKey(organisation)}, args...).Slice()
	if err != nil {
		return script.Head{}, nil, connect.Unavailable(ctx, err)
	}
	if len(reply) == 0 {
		return script.Head{}, nil, script.Damaged("the reply has no head")
	}
	h, err := script.HeadOf(reply[0])
	if err != nil {
		return script.Head{}, nil, err
	}
	if !h.Exists {
		return script.Head{}, nil, script.NoOrganisation()
	}
	return h, reply[1:], nil
}
