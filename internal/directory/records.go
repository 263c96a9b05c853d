package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// The most that one page of a list has. A page of records ends earlier once its
// records have maxPageFields fields in all, so that none takes long.
const (
	maxListed     = 1000
	maxRelated    = 10_000
	maxPageFields = 50_000
)

// Records implements admin.Store: one script, one snapshot. Keys outside the
// limits on ids are not looked up. An organisation that does not exist is
// NotFound.
func (d *Directory) Records(
	ctx context.Context, organisation string, keys []authz.Key,
) ([]*admin.Stored, authz.Revision, error) {
	asked := make([]int, 0, len(keys)) // the place of each key that is looked up
	args := []any{"get"}
	for i, key := range keys {
		if validID(key.ID) && validKind(key.Kind) {
			asked = append(asked, i)
			args = append(args, string(key.Kind), key.ID)
		}
	}
	head, reply, err := d.readRecords(ctx, organisation, args...)
	if err != nil {
		return nil, authz.Revision{}, err
	}
	if len(reply) != len(asked) {
		return nil, authz.Revision{}, damaged("the reply is cut off")
	}
	out := make([]*admin.Stored, len(keys))
	for i, place := range asked {
		if out[place], err = storedOf(keys[place], reply[i]); err != nil {
			return nil, authz.Revision{}, err
		}
	}
	return out, head.revision, nil
}

// List implements admin.Store: one script, one snapshot. A limit that is not from
// 1 to 1,000 is taken as 1,000. A page of very long records has fewer of them, one
// at least if there is one. An organisation that does not exist is NotFound.
func (d *Directory) List(
	ctx context.Context, organisation string, kind authz.Kind, after string, limit int,
) (admin.Page, error) {
	if !validKind(kind) {
		return admin.Page{}, admin.UnknownKind("kind", kind)
	}
	raw, err := d.page(ctx, organisation, kind, after, clamp(limit, maxListed), maxPageFields)
	if err != nil {
		return admin.Page{}, err
	}
	page := admin.Page{Records: make([]*admin.Stored, len(raw.items)), More: raw.more, Revision: raw.revision}
	for i, it := range raw.items {
		if page.Records[i], err = storedOf(authz.Key{Kind: kind, ID: it.id}, it.hash); err != nil {
			return admin.Page{}, err
		}
		if page.Records[i] == nil {
			return admin.Page{}, listedInVain(kind)
		}
	}
	return page, nil
}

// Related implements admin.Store: one script, one snapshot. A limit that is not
// from 1 to 10,000 is taken as 10,000. An organisation, or an entity to, that does
// not exist is NotFound.
func (d *Directory) Related(
	ctx context.Context, organisation string, relation admin.Relation, to, after string, limit int,
) (admin.RelatedPage, error) {
	index := relationIndex(relation)
	if index == "" {
		return admin.RelatedPage{}, bad("relation", "is none that entities have")
	}
	_, kind := relation.Ends()
	if !validID(to) {
		return admin.RelatedPage{}, noSuch(kind)
	}
	head, reply, err := d.readRecords(ctx, organisation, "related", index, string(kind), to, after, clamp(limit, maxRelated))
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

// relationIndex returns the index that has the entities from which a relation
// goes, by the one to which it goes; "" if there is no such relation.
func relationIndex(relation admin.Relation) string {
	switch relation {
	case admin.RoleOf:
		return "role-members"
	case admin.InGroup:
		return "group-members"
	case admin.Access:
		return "access"
	case admin.Booking:
		return "bookable"
	case admin.InGroupOf:
		return "patients"
	case admin.CareTeam:
		return "care"
	case admin.BookingOf:
		return "bookings-of"
	case admin.BookingsWith:
		return "bookings-with"
	default:
		return ""
	}
}

func clamp(limit, most int) int {
	if limit < 1 || limit > most {
		return most
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
	stored := &admin.Stored{Record: e.record(key.Kind, key.ID), Since: e.since}
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

// page reads the entities of a kind whose ids follow after: limit of them, or
// fewer once they have as many fields as given.
func (d *Directory) page(
	ctx context.Context, organisation string, kind authz.Kind, after string, limit, fields int,
) (rawPage, error) {
	head, reply, err := d.readRecords(ctx, organisation, "list", string(kind), after, limit, fields)
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
	return d.readWith(ctx, d.records, organisation, args...)
}

// readWith does the same with any script that takes the schema first and returns the
// head first.
func (d *Directory) readWith(ctx context.Context, script *redis.Script, organisation string, args ...any) (head, []any, error) {
	if !validID(organisation) {
		return head{}, nil, noOrganisation()
	}
	args = append([]any{schema}, args...)
	reply, err := script.RunRO(ctx, d.bulk, []string{headKey(organisation)}, args...).Slice()
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
