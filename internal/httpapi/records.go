package httpapi

import (
	"net/http"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
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

// list answers a page of records.
func (x *exchange) list(actor admin.Actor, kind authz.Kind, p page) error {
	got, err := x.api.cfg.Administration.List(x.ctx, x.organisation(), actor, kind, p.after, p.limit)
	if err != nil {
		return err
	}
	if err := x.at(got.Revision); err != nil {
		return err
	}
	b := append(x.out[:0], `{"items":[`...)
	for i, r := range got.Records {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRecord(b, r)
	}
	b = append(b, ']')
	last := ""
	if n := len(got.Records); n > 0 {
		last = got.Records[n-1].ID
	}
	x.out = append(x.api.pages.appendNext(b, got.More, last, got.Next), '}')
	x.ok(x.out)
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

// record answers the record for key.
func (x *exchange) record(actor admin.Actor, key authz.Key) error {
	stored, revision, err := x.stored(actor, key)
	if err != nil {
		return err
	}
	if err := x.at(revision); err != nil {
		return err
	}
	x.out = appendRecord(x.out[:0], stored)
	x.tagged(http.StatusOK, recordTag(stored))
	return nil
}

// stored returns the record for key.
func (x *exchange) stored(actor admin.Actor, key authz.Key) (*admin.Stored, authz.Revision, error) {
	stored, revision, err := x.api.cfg.Administration.Get(x.ctx, x.organisation(), actor, key)
	if err == nil && stored == nil {
		err = authz.Errorf(authz.NotFound, "", "there is no such record in this organisation; check the id and the organisation")
	}
	return stored, revision, err
}

// recordTag is the entity tag of a record: when it last changed.
func recordTag(r *admin.Stored) string { return `"` + r.Since.String() + `"` }

// putRecord creates or replaces a record.
func (a *API) putRecord(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(kind)
		if err != nil {
			return err
		}
		options, err := x.conditions(key, true)
		if err != nil {
			return err
		}
		f, err := x.fields(recordShape())
		if err != nil {
			return err
		}
		record, err := f.record(key)
		if err != nil {
			return err
		}
		done, err := a.cfg.Administration.Apply(x.ctx, x.organisation(), actor, []admin.Edit{{Op: admin.Put, Record: record}}, options)
		if err != nil {
			return x.unwritten(err, inRecord)
		}
		status := http.StatusOK
		if done.Before == (authz.Revision{}) {
			status = http.StatusCreated
		}
		x.written(actor, key, done, status)
		return nil
	}
}

// patchRecord gives the fields and lists in the body new values.
func (a *API) patchRecord(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(kind)
		if err != nil {
			return err
		}
		options, err := x.conditions(key, false)
		if err != nil {
			return err
		}
		f, err := x.fields(recordShape())
		if err != nil {
			return err
		}
		patch, err := f.patch(key)
		if err != nil {
			return err
		}
		done, err := a.cfg.Administration.Change(x.ctx, x.organisation(), actor, key, patch, options)
		if err != nil {
			return x.unwritten(err, asIs)
		}
		x.written(actor, key, done, http.StatusOK)
		return nil
	}
}

// deleteRecord deletes a record, with cascade what refers to it as well.
func (a *API) deleteRecord(kind authz.Kind) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(kind)
		if err != nil {
			return err
		}
		cascade := x.echo.QueryParam("cascade")
		if cascade != "" && cascade != "true" && cascade != "false" {
			return authz.Errorf(authz.Malformed, "cascade", "must be true or false")
		}
		options, err := x.conditions(key, false)
		if err != nil {
			return err
		}
		edit := admin.Edit{Op: admin.Delete, Key: key, Cascade: cascade == "true"}
		done, err := a.cfg.Administration.Apply(x.ctx, x.organisation(), actor, []admin.Edit{edit}, options)
		if err != nil {
			return x.unwritten(err, inKey)
		}
		if !done.Changed {
			return authz.Errorf(authz.NotFound, "", "there is no such record in this organisation; check the id and the organisation")
		}
		x.nothing(done)
		return nil
	}
}

// book makes a booking (B3 to B5). The same booking again is no other one (B6).
func (a *API) book(x *exchange, actor admin.Actor) error {
	f, err := x.fields(bookShape())
	if err != nil {
		return err
	}
	record, err := f.booking()
	if err != nil {
		return err
	}
	options, err := x.options()
	if err != nil {
		return err
	}
	done, err := a.cfg.Administration.Apply(x.ctx, x.organisation(), actor, []admin.Edit{{Op: admin.Book, Record: record}}, options)
	if err != nil {
		return x.unwritten(err, inRecord)
	}
	status := http.StatusOK
	if done.Changed {
		status = http.StatusCreated
	}
	x.written(actor, record.Key(), done, status)
	return nil
}

// cancel ends a booking (B6).
func (a *API) cancel(x *exchange, actor admin.Actor) error {
	key, err := x.key(authz.KindBooking)
	if err != nil {
		return err
	}
	options, err := x.conditions(key, false)
	if err != nil {
		return err
	}
	f, err := x.fields(map[string]want{"release": wantFlag})
	if err != nil {
		return err
	}
	edit := admin.Edit{Op: admin.Cancel, Key: key, Release: f.flags["release"]}
	done, err := a.cfg.Administration.Apply(x.ctx, x.organisation(), actor, []admin.Edit{edit}, options)
	if err != nil {
		return x.unwritten(err, inKey)
	}
	x.written(actor, key, done, http.StatusOK)
	return nil
}

// written answers a write with the record as it left it, at the revision of the write.
// The write is committed: when the record cannot be read now, has changed again, is gone,
// or may not be read by who wrote it, the answer says that much and no more.
func (x *exchange) written(actor admin.Actor, key authz.Key, done admin.Committed, status int) {
	since := done.Before
	if done.Changed {
		since = done.Revision
	}
	stored, _, err := x.stored(actor, key)
	if err != nil || stored.Since != since {
		x.outcome(status, done)
		return
	}
	x.stateRevision(done.Revision)
	x.out = appendRecord(x.out[:0], stored)
	x.tagged(status, recordTag(stored))
}

// recordByBody answers one record, whose id has no business in a URL.
func (a *API) recordByBody(x *exchange, actor admin.Actor) error {
	f, err := x.fields(map[string]want{"kind": wantText, "id": wantText})
	if err != nil {
		return err
	}
	key, err := f.key()
	if err != nil {
		return err
	}
	return x.record(actor, key)
}

// listByBody answers a page of records: where it goes on is made of an id.
func (a *API) listByBody(x *exchange, actor admin.Actor) error {
	f, err := x.fields(map[string]want{"kind": wantText, "limit": wantNumber, "after": wantText})
	if err != nil {
		return err
	}
	kind, err := f.kind()
	if err != nil {
		return err
	}
	p, err := a.pages.read(f.numbers["limit"], f.texts["after"])
	if err != nil {
		return err
	}
	return x.list(actor, kind, p)
}
