package search

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
)

// mostLookedAt is how many candidates are looked at for one page, about: the ones
// that were read with the last of them are looked at too.
const mostLookedAt = 10_000

// batch is candidates that were looked at together, at one revision.
type batch struct {
	ids      []string // in order
	results  []bool   // which of ids are results, nil for all
	more     bool     // there are candidates after these
	revision authz.Revision
}

// source gives candidates: the first ones after an id, up to size. With at not nil
// that is the revision to look at; if it is over, or anything else that was taken
// for granted is, the error is one of which moved says so.
type source func(ctx context.Context, after string, size int, at *authz.Revision) (batch, error)

// page reads candidates until the page is full, and one result further where that
// is in reach, so that the last page is seldom empty. Everything in it is true at
// the revision of its first candidates; where that is over, the page ends.
func (a *asked) page(ctx context.Context, next source, size int) (*Result, authz.Revision, error) {
	out := &Result{Type: a.typ(), IDs: []string{}}
	var revision authz.Revision
	var at *authz.Revision
	after, hidden := "", true // hidden until it is seen to be a result
	if a.from != nil {
		after, hidden = a.from.After, a.from.Hidden
	}
	for looked := 0; ; size = min(2*size, MaxLimit) {
		b, err := next(ctx, after, size, at)
		if at != nil && moved(err) {
			out.Next = a.cursor(after, hidden, revision)
			return out, revision, nil
		}
		if err != nil {
			return nil, revision, err
		}
		revision, at = b.revision, &b.revision
		for i, id := range b.ids {
			if hidden = b.results != nil && !b.results[i]; hidden {
				continue
			}
			if len(out.IDs) == a.limit {
				out.Next = a.cursor(out.IDs[a.limit-1], false, revision)
				return out, revision, nil
			}
			out.IDs = append(out.IDs, id)
		}
		if !b.more {
			return out, revision, nil
		}
		if len(b.ids) == 0 {
			return nil, revision, authz.Errorf(authz.Internal, "", "the store says that there are more ids, and gives none")
		}
		after = b.ids[len(b.ids)-1]
		if looked += len(b.ids); len(out.IDs) == a.limit || looked >= mostLookedAt {
			out.Next = a.cursor(after, hidden, revision)
			return out, revision, nil
		}
	}
}

// sizeFor is how many candidates are read first: as many as fill the page, and one
// more if it takes that one to know whether there is another result.
func (a *asked) sizeFor(exact bool) int {
	if exact {
		return a.limit
	}
	return min(a.limit+1, MaxLimit)
}
