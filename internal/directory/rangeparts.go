package directory

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/search"
)

// maxPart is the most indexes, further ids and expectations, of each, that one script
// looks at: Redis answers nobody else meanwhile. What has more is read by several
// scripts, at one revision.
const maxPart = 250

// partAttempts is how often what is read in parts is begun while the facts change.
const partAttempts = 8

// Range implements search.Store: one script, or several at one revision, each of which
// proves that nothing moved. A limit that is not from 1 to 1,000 is taken as 1,000. A
// page may have fewer ids, one at least if there is one, where their facts are very long,
// they are in very many of the indexes, or the facts change meanwhile:
// More says whether there are others. Ids outside the limits on ids are those of
// nothing. More than 10,000 indexes or further ids are TooLarge.
func (d *Directory) Range(
	ctx context.Context, organisation string, r search.Range, fresh authz.Freshness,
) (found search.Found, err error) {
	if len(r.Indexes) <= maxPart && len(r.IDs) <= maxPart && len(r.Basis) <= maxPart {
		return d.rangeOfFew(ctx, organisation, r, fresh)
	}
	further := furtherIDs(r.IDs, r.After)
	if len(r.Indexes) > maxIndexes || len(further) > maxIndexes {
		return search.Found{}, tooWide()
	}
	r.IDs = make([]string, len(further))
	for i := range further {
		r.IDs[i], _ = further[i].(string)
	}
	for range partAttempts {
		found, err = d.rangeInParts(ctx, organisation, r, fresh)
		if r.At != nil || !errors.Is(err, admin.ErrMoved) {
			break
		}
	}
	return found, err
}

// rangeOfFew reads a range over few indexes: the page as far as one script comes, and
// with facts by further ones what follows, for as long as the revision stays.
func (d *Directory) rangeOfFew(
	ctx context.Context, organisation string, r search.Range, fresh authz.Freshness,
) (search.Found, error) {
	limit := clamp(r.Limit)
	found, err := d.rangeOnce(ctx, organisation, r, fresh, workOf(ctx))
	if err != nil || !r.Facts {
		return found, err
	}
	size := sizeOf(found.Facts)
	var facts []*authz.Fact
	r.Basis, r.At = nil, &found.Revision
	for n := len(found.IDs); n > 0 && found.More && n < limit && size < maxPageBytes; n = len(found.IDs) {
		authz.GiveWay(ctx)
		r.After, r.Limit = found.IDs[n-1], limit-n
		next, err := d.rangeOnce(ctx, organisation, r, fresh, workOf(ctx))
		if errors.Is(err, admin.ErrMoved) {
			break
		}
		if err != nil {
			return search.Found{}, err
		}
		size += sizeOf(next.Facts)
		facts = append(facts, next.Facts.All()...)
		found.IDs, found.More = append(found.IDs, next.IDs...), next.More
		if len(next.IDs) == 0 {
			break
		}
	}
	if facts != nil {
		found.Facts = authz.NewFacts(true, found.Revision, distinct(append(slices.Clip(found.Facts.All()), facts...))...)
	}
	return found, nil
}

// sizeOf returns about how many bytes the hashes of facts have.
func sizeOf(facts *authz.Facts) (size int) {
	for _, f := range facts.All() {
		items, bytes := f.Size()
		size += len(f.ID) + 3*items + bytes
	}
	return size
}

// partsOf takes a range apart, whose further ids are in order.
func partsOf(r search.Range) []search.Range {
	var parts []search.Range
	for indexes := range slices.Chunk(r.Indexes, maxPart) {
		parts = append(parts, search.Range{Indexes: indexes})
	}
	for ids := range slices.Chunk(r.IDs, maxPart) {
		parts = append(parts, search.Range{IDs: ids})
	}
	i := 0
	for basis := range slices.Chunk(r.Basis, maxPart) {
		if i == len(parts) {
			parts = append(parts, search.Range{})
		}
		parts[i].Basis = basis
		i++
	}
	if len(parts) == 0 {
		parts = append(parts, search.Range{})
	}
	return parts
}

// rangeInParts reads the parts of a range at the revision of the first, and then the
// facts of what is on the page.
func (d *Directory) rangeInParts(
	ctx context.Context, organisation string, r search.Range, fresh authz.Freshness,
) (search.Found, error) {
	at, limit := r.At, clamp(r.Limit)
	var out search.Found
	last, cut := "", false // the ids up to last are known of all parts
	for _, part := range partsOf(r) {
		part.Kind, part.After, part.Limit, part.At = r.Kind, r.After, limit, at
		found, err := d.rangeOnce(ctx, organisation, part, fresh, workOf(ctx))
		if err != nil {
			return search.Found{}, err
		}
		out.Revision, at = found.Revision, &found.Revision
		out.IDs = append(out.IDs, found.IDs...)
		if n := len(found.IDs); found.More && n > 0 && (!cut || found.IDs[n-1] < last) {
			last, cut = found.IDs[n-1], true
		}
	}
	slices.Sort(out.IDs)
	out.IDs = slices.Compact(out.IDs)
	if cut {
		end, _ := slices.BinarySearchFunc(out.IDs, last, func(id, last string) int { return cmp.Or(cmp.Compare(id, last), -1) })
		out.IDs, out.More = out.IDs[:end], true
	}
	if len(out.IDs) > limit {
		out.IDs, out.More = out.IDs[:limit], true
	}
	if !r.Facts {
		return out, nil
	}
	out.Facts = authz.NewFacts(true, out.Revision)
	var facts []*authz.Fact
	size := 0
	for rest := out.IDs; len(rest) > 0; {
		ids := rest[:min(len(rest), maxPart)]
		found, err := d.rangeOnce(ctx, organisation,
			search.Range{Kind: r.Kind, IDs: ids, At: at, Limit: len(ids), Facts: true}, fresh, workOf(ctx))
		if err != nil {
			return search.Found{}, err
		}
		n := len(found.IDs)
		if n == 0 || n < len(ids) && !found.More {
			return search.Found{}, layout.ListedInVain(r.Kind)
		}
		facts, size, rest = append(facts, found.Facts.All()...), size+sizeOf(found.Facts), rest[n:]
		if len(rest) > 0 && size >= maxPageBytes {
			out.IDs, out.More = out.IDs[:len(out.IDs)-len(rest)], true
			break
		}
	}
	out.Facts = authz.NewFacts(true, out.Revision, distinct(facts)...)
	return out, nil
}

// distinct returns facts of one revision, each key once.
func distinct(facts []*authz.Fact) []*authz.Fact {
	seen := make(map[authz.Key]bool, len(facts))
	return slices.DeleteFunc(facts, func(f *authz.Fact) bool {
		again := seen[f.Key]
		seen[f.Key] = true
		return again
	})
}
