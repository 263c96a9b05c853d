package directory

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/script"
)

// How Wait waits.
const (
	maxWait   = time.Second     // until the head is looked at again, for a history that was replaced
	waitSlack = 2 * time.Second // for Redis to answer after that
	// waitConnections bounds how many wait at a time, for each has a connection.
	waitConnections = 100
)

// Wait implements admin.Store. It holds a connection of its own while it waits,
// and returns up to a second after ctx is cancelled, for go-redis does not look. An
// organisation that does not exist has the zero revision.
func (d *Directory) Wait(ctx context.Context, organisation string, after authz.Revision) error {
	if !admin.ValidID(organisation) {
		return script.NoOrganisation()
	}
	for {
		newer, err := d.hasOther(ctx, organisation, after)
		if newer || err != nil {
			return err
		}
		wait := maxWait
		if deadline, ok := ctx.Deadline(); ok {
			wait = max(min(wait, time.Until(deadline)), time.Millisecond) // 0 would be forever
		}
		bounded, cancel := context.WithTimeout(ctx, wait+waitSlack)
		_, err = d.scripts.ReadStream(bounded, d.waits, organisation, &redis.XReadArgs{
			Streams: []string{script.StreamID(after.Count)}, Count: 1, Block: wait,
		})
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil, !errors.Is(err, redis.Nil):
			return connect.Unavailable(ctx, err)
		}
	}
}

// hasOther reports whether the organisation has another revision.
func (d *Directory) hasOther(ctx context.Context, organisation string, than authz.Revision) (bool, error) {
	if ctx.Err() != nil {
		return false, connect.Unavailable(ctx, ctx.Err())
	}
	bounded, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	h, err := d.scripts.ReadHead(bounded, d.waits, organisation)
	if err != nil {
		return false, err
	}
	return h.Revision != than, nil
}
