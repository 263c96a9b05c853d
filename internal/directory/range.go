package directory

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/search"
)

// The most of a range. A page ends earlier once maxAgain times an id of it was in a
// further index as well, or its facts were enough work, so that none takes long.
const (
	maxIndexes = 10_000 // and as many further ids
	maxAgain   = 1000
	maxSizes   = 1000 // of indexes that one script looks up
)

// rangeOnce reads a range by one script, one snapshot, which reads of each index
// no more than a few ids at a time and compares the next of each. It reads no more facts
// than fit into so much work, 0 for all, and those of one id at least; where that one is a member of
// very many groups, those that are left are read by further scripts at its revision.
func (d *Directory) rangeOnce(
	ctx context.Context, organisation string, r search.Range, fresh authz.Freshness, work int,
) (search.Found, error) {
	limit := clamp(r.Limit)
	if r.Facts && work > 0 {
		limit = min(limit, maxPart)
		if authz.IsLongWork(ctx) {
			limit = min(limit, longPage)
		}
	}
	names, err := indexNames(r.Kind, r.Indexes)
	if err != nil {
		return search.Found{}, err
	}
	if strings.ContainsFunc(r.After, unicode.IsControl) {
		return search.Found{}, authz.Errorf(authz.Malformed, "after", "has a control character, which no id has; pass back what the page before ended with")
	}
	further := furtherIDs(r.IDs, r.After)
	if len(further) > maxIndexes {
		return search.Found{}, tooWide()
	}
	args := append(basisArgs(r.At, r.Basis), "page", string(r.Kind), r.After, limit,
		layout.FlagOf(r.Facts), work, maxAgain, len(names))
	args = append(append(args, names...), further...)
	h, reply, err := d.readRange(ctx, organisation, args)
	if err != nil {
		return search.Found{}, err
	}
	found, unread, err := d.foundOf(organisation, r, h, reply)
	if err == nil && unread {
		found.Facts, err = d.readHeld(ctx, organisation, found.Facts)
		if errors.Is(err, admin.ErrMoved) {
			return d.rangeOnce(ctx, organisation, r, fresh, 0)
		}
	}
	if err != nil {
		return search.Found{}, err
	}
	if err := d.Includes(ctx, organisation, found.Revision, fresh.AtLeast); err != nil {
		return search.Found{}, err
	}
	return found, nil
}

// Sizes implements search.Store: one snapshot, of more than 1,000 indexes by several
// scripts at one revision. More than 10,000 indexes are TooLarge.
func (d *Directory) Sizes(
	ctx context.Context, organisation string, kind authz.Kind, indexes []search.Index,
) ([]int, authz.Revision, error) {
	if len(indexes) > maxIndexes {
		return nil, authz.Revision{}, tooWide()
	}
	var names []any
	sizes := make([]int, len(indexes))
	asked := make([]int, 0, len(indexes)) // the place of each index that is looked up
	for i, index := range indexes {
		name, err := indexName(kind, index)
		if err != nil {
			return nil, authz.Revision{}, err
		}
		if name != "" {
			asked = append(asked, i)
			names = append(names, name)
		}
	}
	var revision authz.Revision
	err := atOneRevision(ctx, func(work int) error {
		most := maxSizes
		if work == 0 {
			most = maxIndexes
		}
		var revisionOfPart *authz.Revision
		for first := 0; first == 0 || first < len(names); first += most {
			part := asked[first:min(first+most, len(asked))]
			args := append(append(basisArgs(revisionOfPart, nil), "sizes"), names[first:first+len(part)]...)
			h, reply, err := d.readRange(ctx, organisation, args)
			if err != nil {
				return err
			}
			for i, place := range part {
				size, ok := script.Item[int64](reply, i)
				if !ok {
					return script.Damaged("the reply is cut off")
				}
				sizes[place] = int(size)
			}
			revision = h.Revision
			revisionOfPart = &h.Revision
		}
		return nil
	})
	if err != nil {
		return nil, authz.Revision{}, err
	}
	return sizes, revision, nil
}

func tooWide() *authz.Error {
	return authz.Errorf(authz.TooLarge, "",
		"what is asked for is spread over more than %d groups, roles or persons; ask about fewer of them at a time", maxIndexes)
}

// indexName returns the name of an index without the organisation's prefix, "" for
// one about what cannot exist.
func indexName(kind authz.Kind, index search.Index) (string, error) {
	if index == (search.Index{}) {
		if !model.Has(kind) {
			return "", admin.UnknownKind("kind", kind)
		}
		return "ids:" + string(kind), nil
	}
	name := index.Relation.Index()
	if from, _ := index.Relation.Ends(); name == "" || from != kind {
		return "", authz.Errorf(authz.Malformed, "relation", "is none that a %s has", model.Noun(kind))
	}
	if !admin.ValidID(index.To) {
		return "", nil
	}
	return name + ":" + index.To, nil
}

// indexNames returns the names of indexes as arguments of the script, each once.
func indexNames(kind authz.Kind, indexes []search.Index) ([]any, error) {
	if !model.Has(kind) {
		return nil, admin.UnknownKind("kind", kind)
	}
	if len(indexes) > maxIndexes {
		return nil, tooWide()
	}
	names := make([]any, 0, len(indexes))
	seen := make(map[string]bool, len(indexes))
	for _, index := range indexes {
		name, err := indexName(kind, index)
		if err != nil {
			return nil, err
		}
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// furtherIDs returns those of ids that can exist and come after one, in order, each
// once.
func furtherIDs(ids []string, after string) []any {
	if !slices.IsSorted(ids) {
		ids = slices.Sorted(slices.Values(ids))
	}
	first, found := slices.BinarySearch(ids, after)
	for found && first < len(ids) && ids[first] == after {
		first++
	}
	out := make([]any, 0, len(ids)-first)
	for i, id := range ids[first:] {
		if admin.ValidID(id) && (i == 0 || id != ids[first+i-1]) {
			out = append(out, id)
		}
	}
	return out
}

// basisArgs begins the arguments of the script with what has to be so.
func basisArgs(revision *authz.Revision, basis []admin.Expectation) []any {
	is := ""
	if revision != nil {
		is = revision.String()
	}
	args := []any{is, len(basis)}
	for _, e := range basis {
		since := ""
		if e.Since != (authz.Revision{}) {
			since = e.Since.String()
		}
		args = append(args, string(e.Key.Kind), e.Key.ID, since)
	}
	return args
}

// readRange runs the script and returns the head of an organisation that exists and
// what follows it.
func (d *Directory) readRange(ctx context.Context, organisation string, args []any) (script.Head, []any, error) {
	h, reply, err := d.readWith(ctx, d.bulk, d.scripts.Range, organisation, args...)
	if err != nil {
		return script.Head{}, nil, err
	}
	if said, _ := script.Item[string](reply, 0); said == "moved" {
		return script.Head{}, nil, &authz.Error{
			Kind: authz.Conflict, Err: admin.ErrMoved,
			Message: "the facts that the question was taken apart with have changed in the meantime; try again",
		}
	}
	return h, reply, nil
}

// foundOf reads the reply of the script to a question about a page, and reports whether
// facts of roles and groups are still to be read.
func (d *Directory) foundOf(
	organisation string, r search.Range, h script.Head, reply []any,
) (found search.Found, unread bool, err error) {
	more, ok := script.Item[int64](reply, 0)
	count, ok2 := script.Item[int64](reply, 1)
	if !ok || !ok2 || count < 0 || int64(len(reply)-2) < count {
		return search.Found{}, false, script.Damaged("the reply is cut off")
	}
	found = search.Found{IDs: make([]string, count), More: more&1 == 1, Revision: h.Revision}
	keys := make([]authz.Key, count)
	for i := range found.IDs {
		if found.IDs[i], ok = reply[2+i].(string); !ok {
			return search.Found{}, false, script.Damaged("an id is no text")
		}
		keys[i] = authz.Key{Kind: r.Kind, ID: found.IDs[i]}
	}
	if !r.Facts {
		return found, false, nil
	}
	facts, err := factsAt(h, reply[2+count:], keys, func(key authz.Key, hash any) (*authz.Fact, error) {
		fact, err := d.parsed.factOf(organisation, key, hash)
		if err == nil && fact == nil {
			err = layout.ListedInVain(key.Kind)
		}
		return fact, err
	})
	if err != nil {
		return search.Found{}, false, err
	}
	found.Facts = facts
	return found, more&2 == 2, nil
}
