package directory

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// Commit implements admin.Store: one script, which reads what the change is
// about, applies the edits in memory, and writes only if all of them fit. An
// organisation begins with its first change. To end what does not hold, and to
// delete what does not exist, changes nothing; to link what does not exist is
// NotFound, whichever end it is. An author that does not say how is "api".
func (d *Directory) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	args, err := d.argsOf(organisation, change)
	if err != nil {
		return admin.Committed{}, err
	}
	done, refused, err := d.change(ctx, organisation, args)
	if err != nil {
		return admin.Committed{}, err
	}
	if refused != nil {
		return admin.Committed{}, refused.ofChange(&change)
	}
	return done, nil
}

// argsOf checks a change and returns the arguments of the script for it.
func (d *Directory) argsOf(organisation string, change admin.Change) (*changeArgs, error) {
	if !validID(organisation) {
		return nil, badOrganisation()
	}
	if err := change.Check(); err != nil {
		return nil, err
	}
	change.Author.Via = cmp.Or(change.Author.Via, "api")
	args := d.newChangeArgs(change, admin.MaxEdits)
	for i := range change.Edits {
		if err := args.add(&change.Edits[i]); err != nil {
			return nil, fmt.Errorf("edits[%d]: %w", i, err)
		}
	}
	return args, nil
}

func badOrganisation() *authz.Error {
	return bad("organisation", "is not a name that an organisation can have; write 1 to %d bytes of UTF-8 without control characters", maxID)
}

// newNonce makes what tells two histories of the same length apart.
func newNonce() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// change runs the script. It returns what became of the change, or why the script
// refused it.
func (d *Directory) change(ctx context.Context, organisation string, c *changeArgs) (admin.Committed, *refusal, error) {
	reply, err := d.changes.Run(ctx, d.writes, []string{headKey(organisation)}, c.args...).Slice()
	if err != nil {
		return admin.Committed{}, nil, unavailable(ctx, err)
	}
	if status, _ := at[string](reply, 0); status == "ok" {
		done, err := committedOf(reply)
		return done, nil, err
	}
	refused, err := c.notDone(reply)
	return admin.Committed{}, refused, err
}

// notDone reads why the script did not do what it was asked for: because it refused
// the change, or could not.
func (c *changeArgs) notDone(reply []any) (*refusal, error) {
	status, _ := at[string](reply, 0)
	switch status {
	case "schema":
		text, _ := at[string](reply, 1)
		number, err := strconv.Atoi(text)
		if err != nil {
			return nil, damaged("the head has no valid schema number")
		}
		return nil, otherSchema(number)
	case "behind":
		return &refusal{moved: authz.NotIncluded()}, nil
	case "moved":
		number, ok := at[int64](reply, 1)
		if !ok || number < 0 || int(number) > len(c.expect) {
			return nil, strangeRefusal()
		}
		return &refusal{moved: movedError(c.expect, int(number))}, nil
	case "refused":
		return refusalOf(reply)
	default:
		return nil, damaged("a key has not the type or the fields that Caregate gives it")
	}
}

func committedOf(reply []any) (admin.Committed, error) {
	rev, ok := at[string](reply, 1)
	nonce, ok2 := at[string](reply, 2)
	changed, ok3 := at[int64](reply, 3)
	count, err := strconv.ParseUint(rev, 10, 64)
	if !ok || !ok2 || !ok3 || err != nil {
		return admin.Committed{}, damaged("the head has no valid revision")
	}
	return admin.Committed{Revision: authz.Revision{Count: count, Nonce: nonce}, Changed: changed == 1}, nil
}

// at returns the item with number i of a reply, if it is there and a T.
func at[T any](reply []any, i int) (T, bool) {
	var zero T
	if i >= len(reply) {
		return zero, false
	}
	value, ok := reply[i].(T)
	return value, ok
}
