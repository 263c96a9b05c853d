package directory

import (
	"context"
	"io"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/directory/transfer"
)

type (
	// ImportOptions say how records are imported.
	ImportOptions = transfer.Options
	// Imported is the outcome of an import.
	Imported = transfer.Imported
	// Exported is the outcome of an export.
	Exported = transfer.Exported
)

// Import creates or replaces the entities that records describe: see transfer.Import.
func (d *Directory) Import(ctx context.Context, organisation string, records io.Reader, options ImportOptions) (Imported, error) {
	return transfer.Import(ctx, d.commits(), organisation, records, options)
}

// Export writes everything that an organisation has as records: see transfer.Export.
func (d *Directory) Export(ctx context.Context, organisation string, w io.Writer) (Exported, error) {
	return transfer.Export(ctx, exportPages{d}, organisation, w, 0)
}

// exportPages is the Pages of a directory.
type exportPages struct{ *Directory }

// Page implements transfer.Pages.
func (p exportPages) Page(ctx context.Context, organisation string, kind authz.Kind, after string, limit int) (layout.Page, error) {
	return p.page(ctx, organisation, kind, after, limit)
}

// changesAtOnce is the most changes that an export reads of the stream at once, beside
// maxEventBytes.
const changesAtOnce = 50

// Changes implements transfer.Pages.
func (p exportPages) Changes(ctx context.Context, organisation string, from, to uint64) ([]layout.Change, error) {
	entries, err := p.scripts.Entries.RunRO(ctx, p.administers, []string{script.HeadKey(organisation)},
		script.StreamID(from), script.StreamID(to), changesAtOnce, maxEventBytes).Slice()
	if err != nil {
		return nil, connect.Unavailable(ctx, err)
	}
	changes := make([]layout.Change, len(entries))
	for i, raw := range entries {
		entry, ok := script.Message(raw)
		if !ok {
			return nil, layout.DamagedStream()
		}
		if changes[i], err = layout.ChangeOf(entry); err != nil {
			return nil, err
		}
	}
	return changes, nil
}
