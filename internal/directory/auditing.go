package directory

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// Audit looks at every key of an organisation and reports each breach of what must always hold:
// see package audit. An organisation of which there is no key is NotFound. It uses one connection,
// for a cursor means nothing to another server: if that is lost the audit ends with an error, of
// kind Unavailable or Timeout.
func (d *Directory) Audit(ctx context.Context, organisation string, c audit.Config) (audit.Result, error) {
	if !admin.ValidID(organisation) {
		return audit.Result{}, script.NoOrganisation()
	}
	conn, err := d.connection(ctx, script.HeadKey(organisation))
	if err != nil {
		return audit.Result{}, connect.Unavailable(ctx, err)
	}
	defer func() { _ = conn.Close() }() // gives it back
	return audit.Run(ctx, organisation, audit.Source{Scripts: d.scripts, Conn: conn, ReadFacts: func(ctx context.Context, keys []authz.Key) (*authz.Facts, error) {
		return d.readAll(ctx, conn, organisation, askedFor(keys), layout.FactOf)
	}}, c)
}

// connection returns one connection to the server that has the key.
func (d *Directory) connection(ctx context.Context, key string) (*redis.Conn, error) {
	switch c := d.administers.(type) {
	case *redis.Client:
		return c.Conn(), nil
	case *redis.ClusterClient:
		node, err := c.MasterForKey(ctx, key)
		if err != nil {
			return nil, err
		}
		return node.Conn(), nil
	default:
		return nil, fmt.Errorf("a client of type %T has no connections", c)
	}
}
