package directory

import (
	"context"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/directory/commit"
)

// Commit implements admin.Store: see package commit.
func (d *Directory) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	return d.commits().Commit(ctx, organisation, change)
}

// Preview implements admin.Store.
func (d *Directory) Preview(ctx context.Context, organisation string, change admin.Change) (admin.Previewed, error) {
	return d.commits().Preview(ctx, organisation, change)
}

func (d *Directory) commits() *commit.Committer {
	return &commit.Committer{
		Script: d.scripts.Commit, Writes: d.writes, Reads: d.administers, Kept: d.changesKept, Bytes: d.changesBytes,
	}
}
