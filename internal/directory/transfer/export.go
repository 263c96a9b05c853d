package transfer

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/model"
)

// maxPageRecords is the most records on a page of an export. It ends earlier once
// reading them was enough work.
const maxPageRecords = 500

// pages is that of which an export is made.
type pages interface {
	// Page returns up to limit entities of a kind whose ids follow after, as one snapshot: fewer, one at
	// least if there is one, where reading them is much work. An organisation that does not exist is
	// NotFound.
	Page(ctx context.Context, organisation string, kind authz.Kind, after string, limit int) (layout.Page, error)
	// Changes returns changes from a count up to another, oldest first: as many as are read at once. None
	// says that the stream has none of these.
	Changes(ctx context.Context, organisation string, from, to uint64) ([]layout.Change, error)
}

// Exported is the outcome of an export.
type Exported struct {
	Records  int
	Revision authz.Revision // at which all of them were true
}

// Export writes everything that an organisation has as records, in an order in
// which they can be imported: by kind, then by id. All of them are as they were at
// one revision, the one at which the export began, and the same facts give the
// same bytes.
//
// It reads page by page while others write, and takes each page back to its first
// revision with what the stream of changes remembers; see rewind. In memory are a
// page and what of the changed entities is still to come, not the organisation.
// When the stream does not remember enough, or the facts were replaced by others,
// it ends with an error of kind Conflict; then, as with any error, what was written
// is not whole and is to be thrown away. An organisation that does not exist is
// NotFound. pageRecords is the most records of a page, 0 for 500.
func Export(ctx context.Context, from pages, organisation string, w io.Writer, pageRecords int) (Exported, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	pageRecords = cmp.Or(pageRecords, maxPageRecords)
	past := newRewind(from, organisation)
	records := 0
	var line []byte
	for _, kind := range model.Kinds() {
		for after, more := "", true; more; {
			page, err := from.Page(ctx, organisation, kind, after, pageRecords)
			if err != nil {
				return Exported{}, past.explain(err)
			}
			if err := past.follow(ctx, page.Revision); err != nil {
				return Exported{}, err
			}
			for _, it := range past.restore(kind, page) {
				if line, err = appendItem(line[:0], kind, it); err != nil {
					return Exported{}, err
				}
				if _, err := out.Write(line); err != nil {
					return Exported{}, writeError(err)
				}
				records++
			}
			if more = page.More; more {
				after = page.Last()
			}
		}
	}
	if err := out.Flush(); err != nil {
		return Exported{}, writeError(err)
	}
	return Exported{Records: records, Revision: past.start}, nil
}

func writeError(err error) *authz.Error {
	return &authz.Error{Kind: authz.Internal, Message: "the export cannot be written and is incomplete", Err: err}
}

// appendItem appends the entity as a line of an export.
func appendItem(b []byte, kind authz.Kind, it layout.Item) ([]byte, error) {
	e, err := layout.EntityOf(kind, it.Hash)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, layout.ListedInVain(kind)
	}
	r := e.RecordOf(kind, it.ID)
	return AppendLine(b, &r)
}

// place is a place in the order of an export: all up to an id of a kind, or with
// all of that kind.
type place struct {
	kind  int // its number in model.Kinds()
	after string
	whole bool
}

// has reports whether the place has passed an entity.
func (p place) has(key authz.Key) bool {
	return cmp.Or(cmp.Compare(slices.Index(model.Kinds(), key.Kind), p.kind), p.compareID(key.ID)) <= 0
}

func (p place) compareID(id string) int {
	if p.whole {
		return 0
	}
	return cmp.Compare(id, p.after)
}
