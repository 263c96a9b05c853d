package directory

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/authz"
)

// A batch is one change. It ends at whichever limit comes first; the second one
// keeps the script short when records are long.
const (
	maxBatchRecords = 1000
	maxBatchArgs    = 100_000
)

// Imported is the outcome of an import.
type Imported struct {
	Records  int            // committed, those that changed nothing included
	Revision authz.Revision // after the last batch
}

// Import creates or replaces the entities that records describe. It commits
// them in batches of up to 1,000, each of them one change, or none if it changes
// nothing; progress, if not nil, is told after each batch how many records are
// committed.
//
// A record refers to what the organisation has and to earlier records. The first
// one that does not fit ends the import: nothing of its batch is written, the
// batches before it stay, and the error, of kind Malformed, TooLarge or
// Conflict, names its line and says so. Importing the same again is safe.
func (d *Directory) Import(
	ctx context.Context, organisation string, records io.Reader, progress func(done int),
) (Imported, error) {
	if !validID(organisation) {
		return Imported{}, badOrganisation()
	}
	var done Imported
	reader := NewRecordReader(records)
	for ended := false; !ended; {
		b := newBatch()
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
		if len(b.lines) == 0 && done.Records > 0 {
			break
		}
		revision, err := d.commit(ctx, organisation, b)
		if err != nil {
			return done, done.explain(err)
		}
		done.Records += len(b.lines)
		done.Revision = revision
		if progress != nil {
			progress(done.Records)
		}
	}
	return done, nil
}

func badOrganisation() *authz.Error {
	return bad("organisation", "is not a name that an organisation can have; write 1 to %d bytes of UTF-8 without control characters", maxID)
}

// explain adds to err what became of the records before it.
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

// batch is the arguments of one run of the import script.
type batch struct {
	args  []any
	lines []int // the line of each record
}

func newBatch() *batch { return &batch{args: []any{schema, newNonce()}} }

// newNonce makes what tells two histories of the same length apart.
func newNonce() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (b *batch) full() bool { return len(b.lines) >= maxBatchRecords || len(b.args) >= maxBatchArgs }

func (b *batch) text(values ...string) {
	for _, v := range values {
		b.args = append(b.args, v)
	}
}

func (b *batch) list(values []string) {
	b.args = append(b.args, len(values))
	b.text(values...)
}

// add appends a record in the form that the script takes apart.
func (b *batch) add(r *Record, line int) error {
	b.lines = append(b.lines, line)
	b.text(string(r.Kind), r.ID)
	switch r.Kind {
	case authz.KindRole, authz.KindGroup:
		permissions := append([]string{}, r.Permissions...) // never null
		slices.Sort(permissions)
		text, err := json.Marshal(permissions)
		if err != nil {
			return fmt.Errorf("line %d: write the permissions: %w", line, err)
		}
		b.text(r.Name, string(text))
	case authz.KindPatientGroup:
		b.text(r.Name)
	case authz.KindTeamMember:
		provider := "0"
		if r.IsProvider {
			provider = "1"
		}
		b.text(r.Name, r.Role, provider)
		b.list(r.Groups)
		b.list(r.Access)
		b.list(r.Booking)
	case authz.KindPatient:
		b.text(r.PatientGroup)
		b.list(r.CareTeam)
	case authz.KindBooking:
		b.text(r.Patient, r.Provider, r.State)
	}
	return nil
}

// commit runs the script over a batch and returns the revision that it made, or
// found if the batch changes nothing.
func (d *Directory) commit(ctx context.Context, organisation string, b *batch) (authz.Revision, error) {
	reply, err := d.imports.Run(ctx, d.bulk, []string{headKey(organisation)}, b.args...).Slice()
	if err != nil {
		return authz.Revision{}, unavailable(ctx, err)
	}
	status, _ := at[string](reply, 0)
	switch status {
	case "ok":
		rev, ok := at[string](reply, 1)
		nonce, ok2 := at[string](reply, 2)
		count, err := strconv.ParseUint(rev, 10, 64)
		if !ok || !ok2 || err != nil {
			return authz.Revision{}, damaged("the head has no valid revision")
		}
		return authz.Revision{Count: count, Nonce: nonce}, nil
	case "schema":
		text, _ := at[string](reply, 1)
		number, err := strconv.Atoi(text)
		if err != nil {
			return authz.Revision{}, damaged("the head has no valid schema number")
		}
		return authz.Revision{}, newerSchema(number)
	case "refused":
		return authz.Revision{}, b.refused(reply)
	default:
		return authz.Revision{}, damaged("a key has not the type or the fields that Caregate gives it")
	}
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

// refused says which record does not fit and what to do about it.
func (b *batch) refused(reply []any) error {
	number, ok := at[int64](reply, 1)
	reason, ok2 := at[string](reply, 2)
	field, ok3 := at[string](reply, 3)
	item, ok4 := at[int64](reply, 4)
	if !ok || !ok2 || !ok3 || !ok4 || number < 1 || int(number) > len(b.lines) {
		return authz.Errorf(authz.Internal, "", "the import script refused a record and did not say which")
	}
	if item >= 0 {
		field = fmt.Sprintf("%s[%d]", field, item)
	}
	return atLine(b.lines[number-1], refusal(reason, field))
}

func refusal(reason, field string) *authz.Error {
	unknown := func(what string) *authz.Error {
		return bad(field, "names a %s that the organisation does not have; put its record on an earlier line, or correct the id", what)
	}
	switch reason {
	case "unknown_role":
		return unknown("role")
	case "unknown_group":
		return unknown("group")
	case "unknown_patient_group":
		return unknown("patient group")
	case "unknown_team_member":
		return unknown("team member")
	case "unknown_patient":
		return unknown("patient")
	case "rebooked":
		return authz.Errorf(authz.Conflict, field,
			"is another one than that of the booking with this id; a booking keeps its patient and its provider: release it and make a new one")
	default:
		return authz.Errorf(authz.Internal, field, "the import script refused the record for a reason that this build does not know")
	}
}
