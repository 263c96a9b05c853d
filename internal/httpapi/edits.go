package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// edits makes many changes of any kind in one revision, or none of them.
func (a *API) edits(x *exchange, actor admin.Actor) error {
	if err := x.read(); err != nil {
		return err
	}
	edits, expect, err := x.in.edits(true)
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
		return x.unwritten(err, func(field string) string {
			if field == "" && isRefusal(authz.KindOf(err)) {
				return "edits" // as a whole
			}
			return inEdits(field, edits)
		})
	}
	x.outcome(http.StatusOK, done)
	return nil
}

// edits reads d.body as {"edits":[…]}, where each edit may have a condition if that is
// looked at.
func (d *decoding) edits(conditions bool) ([]admin.Edit, []admin.Expectation, error) {
	if err := d.begin(); err != nil {
		return nil, nil, err
	}
	var edits []admin.Edit
	var expect []admin.Expectation
	for {
		name, more, err := d.member()
		if err != nil {
			return nil, nil, err
		}
		if !more {
			break
		}
		if string(name) != "edits" {
			return nil, nil, authz.Errorf(authz.Malformed, dotted(d.tokens.StackPointer()), "is not known here; give edits alone")
		}
		if k := d.tokens.PeekKind(); k != '[' {
			return nil, nil, d.mismatch(k, "an array", "edits", "")
		}
		if err := d.token(); err != nil {
			return nil, nil, err
		}
		for d.tokens.PeekKind() != ']' {
			if len(edits) == admin.MaxEdits {
				return nil, nil, authz.Errorf(authz.TooLarge, "edits", "are more than %d; make several changes of them", admin.MaxEdits)
			}
			edit, e, err := d.edit(indexed("edits", len(edits)), conditions)
			if err != nil {
				return nil, nil, err
			}
			edits = append(edits, edit)
			if e != nil {
				expect = append(expect, *e)
			}
		}
		if err := d.token(); err != nil {
			return nil, nil, err
		}
	}
	if len(edits) == 0 {
		return nil, nil, authz.Errorf(authz.Malformed, "edits", "is required: give at least one edit")
	}
	return edits, expect, d.end()
}

// edit reads one element of edits: an object with one operation, and what the
// record must be.
func (d *decoding) edit(at string, conditions bool) (edit admin.Edit, expect *admin.Expectation, err error) {
	if err := d.open(at); err != nil {
		return edit, nil, err
	}
	for {
		raw, more, err := d.member()
		if err != nil {
			return edit, nil, err
		}
		if !more {
			break
		}
		switch name := string(raw); {
		case name == "if_match" && !conditions:
			err = authz.Errorf(authz.Malformed, at+".if_match", "is not looked at here, where nothing is changed; leave it out")
		case name == "if_match":
			expect, err = d.expectation(at + ".if_match")
		case edit.Op != "":
			err = authz.Errorf(authz.Malformed, at, "has more than one operation; give each an element of its own")
		default:
			edit, err = d.operation(admin.Op(name), at+"."+name)
		}
		if err != nil {
			return edit, nil, err
		}
	}
	if edit.Op == "" {
		return edit, nil, authz.Errorf(authz.Malformed, at, "has no operation; give put, set, link, unlink, delete, book or cancel")
	}
	if expect != nil {
		expect.Key = subjectOf(edit)
	}
	return edit, expect, nil
}

// open consumes the beginning of the object that stands at a place.
func (d *decoding) open(at string) error {
	kind := d.tokens.PeekKind()
	if kind == jsontext.KindInvalid || kind == '{' {
		return d.token()
	}
	return authz.Errorf(authz.Malformed, at, "must be an object, not %s", kindName(kind))
}

// expectation reads the version that a record must be.
func (d *decoding) expectation(at string) (*admin.Expectation, error) {
	kind := d.tokens.PeekKind()
	if kind == jsontext.KindInvalid {
		return nil, d.token()
	}
	if kind != '"' {
		return nil, authz.Errorf(authz.Malformed, at, "must be a string, not %s", kindName(kind))
	}
	b, err := d.raw()
	if err != nil {
		return nil, err
	}
	since, err := authz.ParseRevision(strings.Trim(string(b), `"`))
	if err != nil {
		return nil, authz.Errorf(authz.Malformed, at, "must be what the ETag of the record said, or 0.0 for one that must not exist yet")
	}
	return &admin.Expectation{Since: since, Field: at, IfMatch: true}, nil
}

// subjectOf returns the entity whose record an edit changes.
func subjectOf(e admin.Edit) authz.Key {
	switch e.Op {
	case admin.Put, admin.Book:
		return e.Record.Key()
	case admin.Link, admin.Unlink:
		from, _ := e.Relation.Ends()
		return authz.Key{Kind: from, ID: e.From}
	default:
		return e.Key
	}
}

// operation reads what one operation is about.
func (d *decoding) operation(op admin.Op, at string) (admin.Edit, error) {
	shape, known := shapeOf(op)
	if !known {
		return admin.Edit{}, authz.Errorf(authz.Malformed, dotted(d.tokens.StackPointer()),
			"is no operation; there are put, set, link, unlink, delete, book and cancel")
	}
	if err := d.open(at); err != nil {
		return admin.Edit{}, err
	}
	f, err := d.fields(shape)
	if err != nil {
		return admin.Edit{}, err
	}
	return f.edit(op)
}

// shapeOf returns the members of an operation.
func shapeOf(op admin.Op) (map[string]want, bool) {
	switch op {
	case admin.Put:
		return recordShape(), true
	case admin.Set:
		return setShape(), true
	case admin.Link, admin.Unlink:
		return map[string]want{"relation": wantText, "from": wantText, "to": wantText}, true
	case admin.Delete:
		return map[string]want{"kind": wantText, "id": wantText, "cascade": wantFlag}, true
	case admin.Book:
		return bookShape(), true
	case admin.Cancel:
		return map[string]want{"id": wantText, "release": wantFlag}, true
	default:
		return nil, false
	}
}

// setShape is every member that can be set: what is no list of ids, of records that are
// changed field by field.
func setShape() map[string]want {
	shape := map[string]want{"kind": wantText, "id": wantText}
	for _, kind := range model.Kinds() {
		for _, f := range model.Fields(kind) {
			if kind != authz.KindBooking && f.Type != model.IDs {
				shape[f.Name] |= wantOf(&f)
			}
		}
	}
	return shape
}

// edit returns the object as an edit.
func (f *fields) edit(op admin.Op) (e admin.Edit, err error) {
	e.Op = op
	switch op {
	case admin.Put, admin.Set, admin.Delete:
		e.Key, err = f.key()
	case admin.Cancel:
		e.Key, err = authz.Key{Kind: authz.KindBooking, ID: f.texts["id"]}, f.needs("id")
	case admin.Link, admin.Unlink:
		e.Relation, e.From, e.To = admin.Relation(f.texts["relation"]), f.texts["from"], f.texts["to"]
		if err = f.needs("relation", "from", "to"); err == nil {
			err = f.linkable(e.Relation)
		}
	}
	if err != nil {
		return e, err
	}
	switch op {
	case admin.Put:
		e.Record, err = f.record(e.Key)
		e.Key = authz.Key{}
	case admin.Set:
		e.Fields, err = f.values(e.Key.Kind), f.about(e.Key)
	case admin.Book:
		e.Record, err = f.booking()
	}
	e.Cascade, e.Release = f.flags["cascade"], f.flags["release"]
	return e, err
}

// linkable makes sure that a relation is one that is made and ended as such.
func (f *fields) linkable(relation admin.Relation) error {
	if relation.IsLinked() {
		return nil
	}
	return authz.Errorf(authz.Malformed, f.place("relation"), "must be group, access, booking or care_team; "+
		"roles and patient groups are set, and bookings made and cancelled")
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

// indexIn returns the number of the list's item that a field stands in: 2 of
// edits[2].record.role.
func indexIn(field string) (int, bool) {
	_, rest, _ := strings.Cut(field, "[")
	number, _, ok := strings.Cut(rest, "]")
	n, err := strconv.Atoi(number)
	return n, ok && err == nil && n >= 0
}

// inEdits names a field of an edit as it stands in the body: edits[2].record.role
// is edits[2].put.role there.
func inEdits(field string, edits []admin.Edit) string {
	n, ok := indexIn(field)
	prefix := indexed("edits", n)
	if !ok || n >= len(edits) || !strings.HasPrefix(field, prefix) || strings.HasSuffix(field, ".if_match") {
		return field
	}
	rest := strings.TrimPrefix(field[len(prefix):], ".")
	for _, part := range []string{"record", "fields", "key"} {
		if rest == part || strings.HasPrefix(rest, part+".") {
			rest = strings.TrimPrefix(rest[len(part):], ".")
			break
		}
	}
	at := prefix + "." + string(edits[n].Op)
	if rest == "" {
		return at
	}
	return at + "." + rest
}
