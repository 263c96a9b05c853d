package commit

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/connect"
	"github.com/caregate/caregate/internal/directory/script"
)

// Committer commits changes and says what they would do.
type Committer struct {
	Script *redis.Script         // of script.Set
	Writes redis.UniversalClient // for what changes something, which is sent once
	Reads  redis.UniversalClient // for previews
	// Kept and Bytes are the most changes that the stream keeps, and the most bytes of them.
	Kept  int
	Bytes int64
}

// Commit commits a change by one script, which reads what the change is
// about, applies the edits in memory, and writes only if all of them fit. An
// organisation begins with its first change. To end what does not hold, and to
// delete what does not exist, changes nothing; to link what does not exist is
// NotFound, whichever end it is. An author that does not say how is "api".
func (c *Committer) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	args, err := c.argsOf(organisation, change)
	if err != nil {
		return admin.Committed{}, err
	}
	done, refused, err := c.run(ctx, organisation, args)
	if err != nil {
		return admin.Committed{}, err
	}
	if refused != nil {
		return admin.Committed{}, refused.ofChange(&change)
	}
	return done, nil
}

// argsOf checks a change and returns the arguments of the script for it.
func (c *Committer) argsOf(organisation string, change admin.Change) (*changeArgs, error) {
	if !admin.ValidID(organisation) {
		return nil, BadOrganisation()
	}
	if err := change.Check(); err != nil {
		return nil, err
	}
	change.Author.Via = cmp.Or(change.Author.Via, "api")
	args := c.newChangeArgs(change, admin.MaxEdits)
	for i := range change.Edits {
		if err := args.add(&change.Edits[i]); err != nil {
			return nil, fmt.Errorf("edits[%d]: %w", i, err)
		}
	}
	return args, nil
}

// BadOrganisation is the error for a name that no organisation can have.
func BadOrganisation() *authz.Error {
	return authz.Errorf(authz.Malformed, "organisation", "is not a name that an organisation can have; write 1 to %d bytes of UTF-8 without control characters", admin.MaxID)
}

// newNonce makes what tells two histories of the same length apart.
func newNonce() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// run runs the script. It returns what became of the change, or why the script
// refused it.
func (c *Committer) run(ctx context.Context, organisation string, args *changeArgs) (admin.Committed, *Refusal, error) {
	reply, err := c.Script.Run(ctx, c.Writes, []string{script.HeadKey(organisation)}, args.args...).Slice()
	if err != nil {
		return admin.Committed{}, nil, connect.Unavailable(ctx, err)
	}
	if status, _ := script.Item[string](reply, 0); status == "ok" {
		done, err := committedOf(reply)
		return done, nil, err
	}
	refused, err := args.notDone(reply)
	return admin.Committed{}, refused, err
}

// notDone reads why the script did not do what it was asked for: because it refused
// the change, or could not.
func (c *changeArgs) notDone(reply []any) (*Refusal, error) {
	status, _ := script.Item[string](reply, 0)
	switch status {
	case "schema":
		text, _ := script.Item[string](reply, 1)
		number, err := strconv.Atoi(text)
		if err != nil {
			return nil, script.Damaged("the head has no valid schema number")
		}
		return nil, script.OtherSchema(number)
	case "behind":
		return &Refusal{moved: authz.NotIncluded()}, nil
	case "moved":
		number, ok := script.Item[int64](reply, 1)
		if !ok || number < 0 || int(number) > len(c.expect) {
			return nil, StrangeRefusal()
		}
		return &Refusal{moved: movedError(c.expect, int(number))}, nil
	case "refused":
		return refusalOf(reply)
	default:
		return nil, script.Damaged("a key has not the type or the fields that Caregate gives it")
	}
}

func committedOf(reply []any) (admin.Committed, error) {
	rev, ok := script.Item[string](reply, 1)
	nonce, ok2 := script.Item[string](reply, 2)
	changed, ok3 := script.Item[int64](reply, 3)
	count, err := strconv.ParseUint(rev, 10, 64)
	if !ok || !ok2 || !ok3 || err != nil {
		return admin.Committed{}, script.Damaged("the head has no valid revision")
	}
	return admin.Committed{Revision: authz.Revision{Count: count, Nonce: nonce}, Changed: changed == 1}, nil
}

// Batch is records that are put by one change, each whether it is there or not.
type Batch struct {
	to   *Committer
	args *changeArgs
}

// Begin begins a batch of records that touch up to most entities.
func (c *Committer) Begin(author admin.Author, most int) *Batch {
	return &Batch{to: c, args: c.newChangeArgs(admin.Change{Author: author}, most)}
}

// Put adds a record, which has been checked.
func (b *Batch) Put(r *admin.Record) error {
	return b.args.add(&admin.Edit{Op: admin.Put, Record: r})
}

// Size returns how many arguments the script is given.
func (b *Batch) Size() int { return len(b.args.args) }

// Commit commits the batch, or none of it. A record that does not fit is a refusal, whose edit is
// its number, from 1.
func (b *Batch) Commit(ctx context.Context, organisation string) (admin.Committed, *Refusal, error) {
	return b.to.run(ctx, organisation, b.args)
}
