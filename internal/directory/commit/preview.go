package commit

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// previewedOf reads what the script says of a change that it did not write.
func previewedOf(reply []any) (admin.Previewed, error) {
	now, err := committedOf(reply)
	if err != nil || len(reply)%4 != 0 {
		return admin.Previewed{}, script.Damaged("the reply is cut off")
	}
	out := admin.Previewed{Revision: now.Revision}
	for part := range slices.Chunk(reply[4:], 4) {
		kind, ok := script.Item[string](part, 0)
		id, ok2 := script.Item[string](part, 1)
		if !ok || !ok2 {
			return admin.Previewed{}, script.Damaged("the reply names no entity")
		}
		key := authz.Key{Kind: authz.Kind(kind), ID: id}
		var altered admin.Altered
		if altered.Before, err = layout.StoredOf(key, part[2]); err != nil {
			return admin.Previewed{}, err
		}
		if altered.After, err = layout.StoredOf(key, part[3]); err != nil {
			return admin.Previewed{}, err
		}
		if altered.After != nil && altered.Before == nil {
			altered.After.Since = authz.Revision{}
		}
		out.Altered = append(out.Altered, altered)
	}
	return out, nil
}

// Preview says what commit would make of a change: the script that commits is sent so that Redis lets it
// write nothing, which stops before it would. An organisation that does not exist is
// NotFound: what would be its first change is all there is. What a record cannot be
// read from is an error, where to put it anew would repair it.
func (c *Committer) Preview(ctx context.Context, organisation string, change admin.Change) (admin.Previewed, error) {
	args, err := c.argsOf(organisation, change)
	if err != nil {
		return admin.Previewed{}, err
	}
	args.dry()
	reply, err := c.Script.RunRO(ctx, c.Reads, []string{script.HeadKey(organisation)}, args.args...).Slice()
	if err != nil {
		return admin.Previewed{}, connect.Unavailable(ctx, err)
	}
	switch status, _ := script.Item[string](reply, 0); status {
	case "altered":
		return previewedOf(reply)
	case "nowhere":
		return admin.Previewed{}, script.NoOrganisation()
	}
	refused, err := args.notDone(reply)
	if err == nil {
		err = refused.ofChange(&change)
	}
	return admin.Previewed{}, err
}
