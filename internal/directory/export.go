package directory

import (
	"bufio"
	"context"
	"io"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// The size of a page of an export: it ends at whichever limit comes first.
const (
	maxPageRecords = 500
	maxPageFields  = 50_000
)

// Exported is the outcome of an export.
type Exported struct {
	Records  int
	Revision authz.Revision // at which all of them were true
}

// Export writes everything that an organisation has as records, in an order in
// which they can be imported: by kind, then by id. The same facts give the same
// bytes.
//
// It reads page by page. If a change is committed meanwhile it ends with an
// error of kind Conflict; then, as with any error, what was written is not whole
// and is to be thrown away. An organisation that does not exist is NotFound.
func (d *Directory) Export(ctx context.Context, organisation string, w io.Writer) (Exported, error) {
	if !validID(organisation) {
		return Exported{}, noOrganisation()
	}
	out := bufio.NewWriterSize(w, 64<<10)
	var done Exported
	var line []byte
	for _, kind := range kinds() {
		for after, more := "", true; more; {
			revision, page, err := d.page(ctx, organisation, kind, after)
			if err != nil {
				return Exported{}, err
			}
			if done.Revision == (authz.Revision{}) {
				done.Revision = revision
			}
			if revision != done.Revision {
				return Exported{}, authz.Errorf(authz.Conflict, "",
					"the facts changed during the export, which is incomplete; throw away what was written and try again")
			}
			for i := range page {
				if line, err = page[i].appendLine(line[:0]); err != nil {
					return Exported{}, err
				}
				if _, err := out.Write(line); err != nil {
					return Exported{}, writeError(err)
				}
			}
			done.Records += len(page)
			if more = len(page) > 0; more {
				after = page[len(page)-1].ID
			}
		}
	}
	if err := out.Flush(); err != nil {
		return Exported{}, writeError(err)
	}
	return done, nil
}

func noOrganisation() *authz.Error {
	return authz.Errorf(authz.NotFound, "organisation", "there is no such organisation in this Redis; check the name, or import its facts")
}

func writeError(err error) *authz.Error {
	return &authz.Error{Kind: authz.Internal, Message: "the export cannot be written and is incomplete", Err: err}
}

// page reads the records of a kind that follow the id after, some of them, and
// the revision they are of. There are none left when it returns none.
func (d *Directory) page(
	ctx context.Context, organisation string, kind authz.Kind, after string,
) (authz.Revision, []Record, error) {
	reply, err := d.exports.RunRO(ctx, d.bulk, []string{headKey(organisation)},
		schema, string(kind), after, maxPageRecords, maxPageFields).Slice()
	if err != nil {
		return authz.Revision{}, nil, unavailable(ctx, err)
	}
	if len(reply)%2 != 1 {
		return authz.Revision{}, nil, damaged("the reply is cut off")
	}
	head, err := headOf(reply[0])
	if err != nil {
		return authz.Revision{}, nil, err
	}
	if !head.exists {
		return authz.Revision{}, nil, noOrganisation()
	}
	page := make([]Record, 0, len(reply)/2)
	for rest := reply[1:]; len(rest) > 0; rest = rest[2:] {
		id, ok := rest[0].(string)
		if !ok {
			return authz.Revision{}, nil, damaged("an id is no text")
		}
		e, err := entityOf(kind, rest[1])
		if err != nil {
			return authz.Revision{}, nil, err
		}
		if e == nil {
			return authz.Revision{}, nil, damaged("a %s is listed that does not exist", kind)
		}
		page = append(page, e.record(kind, id))
	}
	return head.revision, page, nil
}

// record returns the entity as a line of an export, every list in order.
func (e *entity) record(kind authz.Kind, id string) Record {
	r := Record{
		Kind: kind, ID: id, Name: e.name, Permissions: e.permissions,
		Role: e.role, Groups: e.groups, IsProvider: e.isProvider, Access: e.access, Booking: e.booking,
		PatientGroup: e.patientGroup, CareTeam: slices.Clone(e.manual),
		Patient: e.patient, Provider: e.provider, State: e.state,
	}
	r.sortLists()
	return r
}
