package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// key returns the key of the entity that the path names.
func (x *exchange) key(kind authz.Kind) (authz.Key, error) {
	id, err := x.pathID("id")
	return authz.Key{Kind: kind, ID: id}, err
}

// pathID returns an id that the path names.
func (x *exchange) pathID(name string) (string, error) {
	id, one := x.param(name)
	if !one || id == "" {
		return "", authz.Errorf(authz.NotFound, "", "there is no such path; write a / inside an id as %%2F, or name it in a body by POST")
	}
	if !admin.ValidID(id) {
		return "", authz.Errorf(authz.Malformed, name, "must be 1 to %d bytes of UTF-8 without control characters", admin.MaxID)
	}
	return id, nil
}

// stateIncluded states the revision that an answer is of, which must be as late as the caller
// asks for.
func (x *exchange) stateIncluded(revision authz.Revision) error {
	fresh, err := x.freshness()
	if err != nil {
		return err
	}
	if fresh.AtLeast != (authz.Revision{}) {
		if err := x.api.cfg.Administration.Includes(x.ctx, x.organisation(), revision, fresh.AtLeast); err != nil {
			return err
		}
	}
	x.stateRevision(revision)
	return nil
}

func (x *exchange) stateRevision(revision authz.Revision) {
	x.api.outages.answered()
	x.header()["Caregate-Revision"] = []string{revision.String()}
}

// tagged answers x.out, which has an entity tag, or that it is as it was.
func (x *exchange) tagged(status int, tag string) {
	h := x.header()
	h["Etag"] = []string{tag}
	h["Cache-Control"] = []string{"private, no-cache"}
	read := x.request.Method == http.MethodGet || x.request.Method == http.MethodHead
	if read && matches(x.request.Header["If-None-Match"], tag) {
		x.send(http.StatusNotModified, nil, nil)
		return
	}
	x.send(status, x.api.fixed.jsonType, x.out)
}

// ifMatch returns the entity tag, without its quotes, that If-Match asks for, ""
// for none. One strong tag is all it may be: anything else would be passed over by
// somebody.
func (x *exchange) ifMatch() (string, error) {
	given := x.request.Header["If-Match"]
	if len(given) == 0 {
		return "", nil
	}
	tag := given[0]
	if len(given) > 1 || len(tag) < 3 || tag[0] != '"' || strings.IndexByte(tag[1:], '"') != len(tag)-2 {
		return "", authz.Errorf(authz.Malformed, "If-Match", "must be one entity tag, as ETag said it")
	}
	return tag[1 : len(tag)-1], nil
}

// target returns the key of the record that the path names, and what a write of it depends on.
func (x *exchange) target(kind authz.Kind, mayCreate bool) (key authz.Key, options admin.Options, err error) {
	if key, err = x.key(kind); err == nil {
		options, err = x.conditions(key, mayCreate)
	}
	return key, options, err
}

// conditions reads what a write of the record for key depends on: for one that may create it, also
// that it must not exist yet.
func (x *exchange) conditions(key authz.Key, mayCreate bool) (options admin.Options, err error) {
	if options, err = x.options(); err != nil {
		return options, err
	}
	tag, err := x.ifMatch()
	if err != nil {
		return options, err
	}
	if tag != "" {
		since, err := authz.ParseRevision(tag)
		if err != nil || since == (authz.Revision{}) {
			return options, authz.Errorf(authz.Malformed, "If-Match", "is no entity tag of a record; pass back what its ETag said")
		}
		options.IfMatch = []admin.Expectation{{Key: key, Since: since, IfMatch: true}}
	}
	if given := x.request.Header["If-None-Match"]; len(given) > 0 {
		if !mayCreate || tag != "" || len(given) > 1 || given[0] != "*" {
			return options, authz.Errorf(authz.Malformed, "If-None-Match",
				"must be * with PUT, for a record that does not exist yet, or not there")
		}
		options.IfMatch = []admin.Expectation{{Key: key, IfMatch: true}}
	}
	return options, nil
}

// apply commits an edit of the record that the path or the body is about.
func (x *exchange) apply(actor admin.Actor, options admin.Options, edit admin.Edit) (admin.Committed, error) {
	done, err := x.api.cfg.Administration.Apply(x.ctx, x.organisation(), actor, []admin.Edit{edit}, options)
	if err != nil {
		err = unwritten(err, wire.InOnlyEdit)
	}
	return done, err
}

// unwritten returns the error that a write is answered with. When nobody can say
// whether it was committed it says so.
func unwritten(err error, place func(field string) string) error {
	e, ok := errors.AsType[*authz.Error](wire.Placed(err, place))
	if !ok {
		e = &authz.Error{Kind: authz.KindOf(err), Err: err}
	}
	told := *e
	if e.Kind == authz.Timeout || e.Kind == authz.Unavailable {
		const uncertain = "the change may be committed and may not be: look at the record, or send it again, which changes nothing twice"
		if told.Message != "" {
			told.Message += "; "
		}
		told.Message += uncertain
	}
	return &told
}

// asIs leaves a field as it is named.
func asIs(field string) string { return field }

// outcome answers a write that has no one record to show.
func (x *exchange) outcome(status int, done admin.Committed) error {
	x.stateRevision(done.Revision)
	return x.object(status, wire.Outcome{Revision: done.Revision.String(), Changed: done.Changed})
}

// nothing answers a write that leaves nothing to show.
func (x *exchange) nothing(done admin.Committed) error {
	x.stateRevision(done.Revision)
	x.header()["Cache-Control"] = x.api.fixed.noStore
	x.send(http.StatusNoContent, nil, nil)
	return nil
}
