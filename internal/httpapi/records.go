package httpapi

import (
	"net/http"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// listRecords answers a page of the records of a kind.
func (a *API) listRecords(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		p, err := x.page()
		if err != nil {
			return err
		}
		return x.list(actor, kind, p)
	}
}

// listByBody answers a page of records: where it goes on is made of an id.
func (a *API) listByBody(x *exchange, actor admin.Actor) error {
	query, err := body[wire.ListQuery](x)
	if err != nil {
		return err
	}
	p, err := a.pages.pageOf(query.Limit, query.After)
	if err != nil {
		return err
	}
	return x.list(actor, authz.Kind(query.Kind), p)
}

// list answers a page of records.
func (x *exchange) list(actor admin.Actor, kind authz.Kind, p page) error {
	got, err := x.api.cfg.Administration.List(x.ctx, x.organisation(), actor, kind, p.after, p.limit)
	if err != nil {
		return err
	}
	if err := x.stateIncluded(got.Revision); err != nil {
		return err
	}
	last := ""
	if n := len(got.Records); n > 0 {
		last = got.Records[n-1].ID
	}
	x.out = wire.AppendRecords(x.out[:0], got.Records, x.api.pages.next(got.More, last, got.Next))
	x.uncached(http.StatusOK)
	return nil
}

// getRecord answers one record.
func (a *API) getRecord(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(kind)
		if err != nil {
			return err
		}
		return x.record(actor, key)
	}
}

// recordByBody answers one record, whose id has no business in a URL.
func (a *API) recordByBody(x *exchange, actor admin.Actor) error {
	named, err := body[wire.Key](x)
	if err != nil {
		return err
	}
	key, err := named.Key()
	if err != nil {
		return err
	}
	return x.record(actor, key)
}

// record answers the record for key.
func (x *exchange) record(actor admin.Actor, key authz.Key) error {
	stored, revision, err := x.stored(actor, key)
	if err != nil {
		return err
	}
	if err := x.stateIncluded(revision); err != nil {
		return err
	}
	x.show(http.StatusOK, stored)
	return nil
}

// stored returns the record for key.
func (x *exchange) stored(actor admin.Actor, key authz.Key) (*admin.Stored, authz.Revision, error) {
	stored, revision, err := x.api.cfg.Administration.Get(x.ctx, x.organisation(), actor, key)
	if err == nil && stored == nil {
		err = noRecord()
	}
	return stored, revision, err
}

func noRecord() error {
	return authz.Errorf(authz.NotFound, "", "there is no such record in this organisation; check the id and the organisation")
}

// show answers a record, whose entity tag says when it last changed.
func (x *exchange) show(status int, r *admin.Stored) {
	x.out = wire.AppendRecord(x.out[:0], r)
	x.tagged(status, `"`+r.Since.String()+`"`)
}

// putRecord creates or replaces a record.
func (a *API) putRecord(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, options, given, err := x.givenRecord(kind, true)
		if err != nil {
			return err
		}
		record, _, err := given.For(key)
		if err != nil {
			return err
		}
		done, err := x.apply(actor, options, admin.Edit{Op: admin.Put, Record: record})
		if err != nil {
			return err
		}
		return x.written(actor, key, done, statusOf(done.Before == (authz.Revision{})))
	}
}

// patchRecord gives the fields and lists in the body new values.
func (a *API) patchRecord(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, options, given, err := x.givenRecord(kind, false)
		if err != nil {
			return err
		}
		patch, err := given.Fields(key)
		if err != nil {
			return err
		}
		done, err := a.cfg.Administration.Change(x.ctx, x.organisation(), actor, key, patch, options)
		if err != nil {
			return unwritten(err, asIs)
		}
		return x.written(actor, key, done, http.StatusOK)
	}
}

// givenRecord returns which record a write is of, what it depends on, and what the body says
// of the record.
func (x *exchange) givenRecord(kind authz.Kind, mayCreate bool) (key authz.Key, options admin.Options, r wire.Record, err error) {
	if key, options, err = x.target(kind, mayCreate); err == nil {
		r, err = body[wire.Record](x)
	}
	return key, options, r, err
}

// deleteRecord deletes a record, with cascade what refers to it as well.
func (a *API) deleteRecord(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		cascade := x.echo.QueryParam("cascade")
		if cascade != "" && cascade != "true" && cascade != "false" {
			return authz.Errorf(authz.Malformed, "cascade", "must be true or false")
		}
		key, options, err := x.target(kind, false)
		if err != nil {
			return err
		}
		done, err := x.apply(actor, options, admin.Edit{Op: admin.Delete, Key: key, Cascade: cascade == "true"})
		if err == nil && !done.Changed {
			err = noRecord()
		}
		if err != nil {
			return err
		}
		return x.nothing(done)
	}
}

// book makes a booking (B3 to B5). The same booking again is no other one (B6).
func (a *API) book(x *exchange, actor admin.Actor) error {
	booking, err := body[wire.Booking](x)
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	edit := booking.Edit()
	done, err := x.apply(actor, options, edit)
	if err != nil {
		return err
	}
	return x.written(actor, edit.Record.Key(), done, statusOf(done.Changed))
}

// cancel ends a booking (B6).
func (a *API) cancel(x *exchange, actor admin.Actor) error {
	key, options, err := x.target(authz.KindBooking, false)
	if err != nil {
		return err
	}
	how, err := body[wire.Cancelling](x)
	if err != nil {
		return err
	}
	done, err := x.apply(actor, options, admin.Edit{Op: admin.Cancel, Key: key, Release: how.Release})
	if err != nil {
		return err
	}
	return x.written(actor, key, done, http.StatusOK)
}

// statusOf returns the status of a write that may have made a record.
func statusOf(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}

// written answers a write with the record as it left it, at the revision of the write.
// The write is committed: when the record cannot be read now, has changed again, is gone,
// or may not be read by who wrote it, the answer says that much and no more.
func (x *exchange) written(actor admin.Actor, key authz.Key, done admin.Committed, status int) error {
	since := done.Before
	if done.Changed {
		since = done.Revision
	}
	stored, _, err := x.stored(actor, key)
	if err != nil || stored.Since != since {
		return x.outcome(status, done)
	}
	x.stateRevision(done.Revision)
	x.show(status, stored)
	return nil
}

// edits makes many changes of any kind in one revision, or none of them.
func (a *API) edits(x *exchange, actor admin.Actor) error {
	if err := x.receive(); err != nil {
		return err
	}
	edits, expect, err := wire.DecodeEdits(x.body)
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	options.IfMatch = expect
	done, err := a.cfg.Administration.Apply(x.ctx, x.organisation(), actor, edits, options)
	if err != nil {
		return unwritten(err, func(field string) string {
			if field == "" && isRefusal(authz.KindOf(err)) {
				return "edits" // as a whole
			}
			return wire.InEdits(edits)(field)
		})
	}
	return x.outcome(http.StatusOK, done)
}

// isRefusal reports whether an error is an answer to what was asked, and not about what is
// beside it.
func isRefusal(kind authz.ErrorKind) bool {
	switch kind {
	case authz.Malformed, authz.Forbidden, authz.NotFound, authz.Conflict, authz.Changed, authz.TooLarge:
		return true
	default:
		return false
	}
}
