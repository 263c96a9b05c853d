package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/commit"
)

// A batch is one change. It ends at whichever limit comes first; the second one
// keeps the script short when records are long.
const (
	maxBatchRecords = 1000
	maxBatchArgs    = 100_000
	// A booking touches its patient too.
	maxBatchTouched = 2 * maxBatchRecords
)

// Options say how records are imported.
type Options struct {
	// Author is who imports (A3). Via is always "import".
	Author admin.Author
	// FromLine is the number of the first line that is read, to resume an import;
	// the lines before it are not looked at. 0 and 1 mean the first.
	FromLine int
	// Progress, if not nil, is told after each batch how many records are committed.
	Progress func(done int)
}

// Imported is the outcome of an import.
type Imported struct {
	Records  int            // committed, those that changed nothing included
	Revision authz.Revision // after the last batch
	NextLine int            // the line after the last one that is committed: go on from there
}

// Import creates or replaces the entities that records describe. It commits
// them in batches of up to 1,000, each of them one change, or none if it changes
// nothing.
//
// A record refers to what the organisation has and to earlier records. The first
// one that does not fit ends the import: nothing of its batch is written, the
// batches before it stay, and the error, of kind Malformed, TooLarge or
// Conflict, names its line and says so. However an import ends, importing the same
// again is safe, and so is importing it from NextLine on.
func Import(
	ctx context.Context, to *commit.Committer, organisation string, records io.Reader, options Options,
) (Imported, error) {
	if !admin.ValidID(organisation) {
		return Imported{}, commit.BadOrganisation()
	}
	done := Imported{NextLine: max(options.FromLine, 1)}
	author := options.Author
	author.Via = "import"
	if err := author.Check(); err != nil {
		return done, err
	}
	reader := NewRecordReader(records)
	reader.skipTo(done.NextLine)
	for ended := false; !ended; {
		b := lines{Batch: to.Begin(author, maxBatchTouched)}
		for !b.full() && !ended {
			record, err := reader.Read()
			if errors.Is(err, io.EOF) {
				ended = true
			} else if err != nil {
				return done, done.explain(err)
			} else if err := b.add(record, reader.Line()); err != nil {
				return done, err
			}
		}
		if len(b.numbers) == 0 && done.Records > 0 {
			break
		}
		committed, refused, err := b.Commit(ctx, organisation)
		if refused != nil {
			err = b.refused(refused)
		}
		if err != nil {
			return done, done.explain(err)
		}
		done.Records += len(b.numbers)
		done.Revision = committed.Revision
		if len(b.numbers) > 0 {
			done.NextLine = b.numbers[len(b.numbers)-1] + 1
		}
		if options.Progress != nil {
			options.Progress(done.Records)
		}
	}
	return done, nil
}

// explain adds to err what became of the records before it. It is for whoever
// knows NextLine to say how an import is resumed.
func (i Imported) explain(err error) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok {
		return err
	}
	out := *e
	switch {
	case e.Err != nil && (e.Kind == authz.Unavailable || e.Kind == authz.Timeout): // Redis may have run the script all the same
		out.Message += fmt.Sprintf(" (%d records are committed and the batch after them may be; importing all again is safe)", i.Records)
	case i.Records == 0:
		out.Message += " (nothing is imported)"
	default:
		out.Message += fmt.Sprintf(" (the %d records of earlier batches are committed, nothing after them is; importing all again is safe)", i.Records)
	}
	return &out
}

// lines is records that are put in one change.
type lines struct {
	*commit.Batch
	numbers []int // the line of each record
}

func (b *lines) full() bool { return len(b.numbers) >= maxBatchRecords || b.Size() >= maxBatchArgs }

func (b *lines) add(r *admin.Record, line int) error {
	b.numbers = append(b.numbers, line)
	if err := b.Put(r); err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	return nil
}

// refused says which record does not fit and what to do about it.
func (b *lines) refused(r *commit.Refusal) error {
	if r.Edit == 0 {
		return r.Explain("")
	}
	if r.Edit > len(b.numbers) {
		return commit.StrangeRefusal()
	}
	return atLine(b.numbers[r.Edit-1], r.Explain("put its record on an earlier line, or correct the id"))
}
