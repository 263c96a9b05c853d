package wire

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// editsBody is changes that are made, or previewed, together.
type editsBody struct {
	Edits edits `json:"edits"`
}

// edits are at most admin.MaxEdits.
type edits []edit

// edit is one operation by its name, and the version that the record must be: an object with
// one or two members.
type edit struct {
	op      admin.Op
	with    operation
	ifMatch *string
}

// operation is what an operation is about. It stands at a place of the body.
type operation interface {
	edit(place string) (admin.Edit, error)
}

type (
	put struct{ Record }
	set struct{ Record }
	// link is for unlink as well.
	link struct {
		Relation admin.Relation `json:"relation"`
		From     string         `json:"from"`
		To       string         `json:"to"`
	}
	deletion struct {
		Kind    string `json:"kind"`
		ID      string `json:"id"`
		Cascade bool   `json:"cascade,omitzero"`
	}
	cancellation struct {
		ID      string `json:"id"`
		Release bool   `json:"release,omitzero"`
	}
)

// Booking is a booking that is to be made.
type Booking struct {
	ID       string `json:"id"`
	Patient  string `json:"patient"`
	Provider string `json:"provider"`
}

// DecodeEdits decodes edits with the versions that their records must be.
func DecodeEdits(body []byte) ([]admin.Edit, []admin.Expectation, error) {
	b, err := Decode[editsBody](body)
	if err != nil {
		return nil, nil, err
	}
	out, err := b.Edits.edits()
	if err != nil {
		return nil, nil, err
	}
	var expect []admin.Expectation
	for i, e := range b.Edits {
		if e.ifMatch == nil {
			continue
		}
		field := Item("edits", i) + ".if_match"
		since, err := authz.ParseRevision(strings.Trim(*e.ifMatch, `"`))
		if err != nil {
			return nil, nil, malformed(field, "must be what the ETag of the record said, or 0.0 for one that must not exist yet")
		}
		expect = append(expect, admin.Expectation{Key: changedBy(&out[i]), Since: since, Field: field, IfMatch: true})
	}
	return out, expect, nil
}

// DecodePreview decodes edits that are not made, so that a version is an error.
func DecodePreview(body []byte) ([]admin.Edit, error) {
	b, err := Decode[editsBody](body)
	if err != nil {
		return nil, err
	}
	for i, e := range b.Edits {
		if e.ifMatch != nil {
			return nil, malformed(Item("edits", i)+".if_match", "is not looked at here, where nothing is changed; leave it out")
		}
	}
	return b.Edits.edits()
}

func (all edits) edits() ([]admin.Edit, error) {
	if len(all) == 0 {
		return nil, malformed("edits", "is required: give at least one edit")
	}
	out := make([]admin.Edit, len(all))
	for i, e := range all {
		edit, err := e.with.edit(placeOf(i, e.op))
		if err != nil {
			return nil, err
		}
		edit.Op = e.op
		out[i] = edit
	}
	return out, nil
}

func placeOf(i int, op admin.Op) string { return Item("edits", i) + "." + string(op) }

// InEdits returns what names a field of one of edits, as the domain names it, as it stands in
// the body: edits[2].record.role is edits[2].put.role there.
func InEdits(edits []admin.Edit) func(field string) string {
	return func(field string) string {
		n, ok := ItemIn(field)
		rest, found := strings.CutPrefix(field, Item("edits", n))
		if !ok || !found || n >= len(edits) || strings.HasSuffix(field, ".if_match") {
			return field
		}
		return member(placeOf(n, edits[n].Op), inEdit(rest))
	}
}

// InOnlyEdit names a field of the only edit, as the domain names it, as it stands in a body
// that is what the edit is about.
func InOnlyEdit(field string) string { return inEdit(strings.TrimPrefix(field, Item("edits", 0))) }

// inEdit takes away from the name of a field what the domain has and a body has not.
func inEdit(field string) string {
	field = strings.TrimPrefix(field, ".")
	for _, part := range []string{"record", "fields", "key"} {
		if rest, ok := strings.CutPrefix(field, part); ok && (rest == "" || rest[0] == '.') {
			return strings.TrimPrefix(rest, ".")
		}
	}
	return field
}

// changedBy returns the entity whose record an edit changes.
func changedBy(e *admin.Edit) authz.Key {
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

// UnmarshalJSONFrom implements json.UnmarshalerFrom. Past the limit nothing more is decoded.
func (all *edits) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		if len(*all) == admin.MaxEdits {
			return authz.Errorf(authz.TooLarge, "edits", "are more than %d; make several changes of them", admin.MaxEdits)
		}
		var e edit
		if err := json.UnmarshalDecode(d, &e); err != nil {
			return err
		}
		if e.with == nil {
			return malformed(Item("edits", len(*all)), "has no operation; give put, set, link, unlink, delete, book or cancel")
		}
		*all = append(*all, e)
	}
	_, err := d.ReadToken()
	return err
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (e *edit) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return eachMember(d, func(name string) error {
		switch {
		case name == "if_match":
			return json.UnmarshalDecode(d, &e.ifMatch)
		case e.with != nil:
			return malformed(dotted(d.StackPointer().Parent()), "has more than one operation; give each an element of its own")
		}
		e.op = admin.Op(name)
		if e.with = operationOf(e.op); e.with == nil {
			return malformed(dotted(d.StackPointer()), "is no operation; there are put, set, link, unlink, delete, book and cancel")
		}
		return json.UnmarshalDecode(d, e.with)
	})
}

// operationOf returns what an operation is to be decoded into, nil for one that there is not.
func operationOf(op admin.Op) operation {
	switch op {
	case admin.Put:
		return new(put)
	case admin.Set:
		return new(set)
	case admin.Link, admin.Unlink:
		return new(link)
	case admin.Delete:
		return new(deletion)
	case admin.Book:
		return new(Booking)
	case admin.Cancel:
		return new(cancellation)
	default:
		return nil
	}
}

func (p *put) edit(place string) (e admin.Edit, err error) {
	key, err := keyOf(place, p.kind, p.id)
	if err == nil {
		e.Record, _, err = p.For(key)
	}
	return e, err
}

// edit refuses lists of ids: they are changed by link and unlink.
func (s *set) edit(place string) (e admin.Edit, err error) {
	if e.Key, err = keyOf(place, s.kind, s.id); err != nil {
		return e, err
	}
	for _, g := range s.given {
		if f := model.FieldOf(e.Key.Kind, g.name); f != nil && (f.Type == model.IDs || e.Key.Kind == authz.KindBooking) {
			return e, malformed(member(place, g.name), "cannot be set; put the whole record, or link, unlink, book and cancel")
		}
	}
	e.Fields, err = s.Fields(e.Key)
	return e, err
}

func (l *link) edit(place string) (e admin.Edit, err error) {
	e.Relation, e.From, e.To = l.Relation, l.From, l.To
	if err := required(place, "relation", string(l.Relation), "from", l.From, "to", l.To); err != nil {
		return e, err
	}
	if !l.Relation.IsLinked() {
		return e, malformed(member(place, "relation"), "must be group, access, booking or care_team; "+
			"roles and patient groups are set, and bookings made and cancelled")
	}
	return e, nil
}

func (d *deletion) edit(place string) (e admin.Edit, err error) {
	e.Cascade = d.Cascade
	e.Key, err = keyOf(place, d.Kind, d.ID)
	return e, err
}

func (b *Booking) edit(place string) (admin.Edit, error) { return b.Edit(), b.check(place) }

func (b *Booking) check(place string) error {
	return required(place, "id", b.ID, "patient", b.Patient, "provider", b.Provider)
}

// Check makes sure that the booking is complete.
func (b *Booking) Check() error { return b.check("") }

// Edit returns the edit that makes the booking.
func (b *Booking) Edit() admin.Edit {
	record := &admin.Record{Kind: authz.KindBooking, ID: b.ID, Patient: b.Patient, Provider: b.Provider, State: admin.Booked}
	return admin.Edit{Op: admin.Book, Record: record}
}

func (c *cancellation) edit(place string) (e admin.Edit, err error) {
	e.Key, e.Release = authz.Key{Kind: authz.KindBooking, ID: c.ID}, c.Release
	return e, required(place, "id", c.ID)
}

// required makes sure that members are given and not empty. They are pairs of a name and a
// value.
func required(place string, members ...string) error {
	for i := 0; i < len(members); i += 2 {
		if members[i+1] == "" {
			return malformed(member(place, members[i]), "is required, and must not be empty")
		}
	}
	return nil
}

// appendEdit appends an edit as an element of edits: it is decoded as the same.
func appendEdit(dst []byte, e *admin.Edit) ([]byte, error) {
	var with any
	switch e.Op {
	case admin.Put:
		b := appendKey([]byte{'{'}, e.Record.Key())
		for _, f := range model.Fields(e.Record.Kind) {
			if f.Text != nil && *f.Text(e.Record) != "" || f.Flag != nil && *f.Flag(e.Record) || f.List != nil && len(*f.List(e.Record)) > 0 {
				b = appendField(b, &f, e.Record)
			}
		}
		with = jsontext.Value(append(b, '}'))
	case admin.Set:
		values, b := e.Fields.Applied(&admin.Record{Kind: e.Key.Kind}), appendKey([]byte{'{'}, e.Key)
		for _, name := range e.Fields.Names(e.Key.Kind) {
			if f := model.FieldOf(e.Key.Kind, name); f != nil {
				b = appendField(b, f, values)
			}
		}
		with = jsontext.Value(append(b, '}'))
	case admin.Link, admin.Unlink:
		with = link{e.Relation, e.From, e.To}
	case admin.Delete:
		with = deletion{string(e.Key.Kind), e.Key.ID, e.Cascade}
	case admin.Book:
		with = Booking{e.Record.ID, e.Record.Patient, e.Record.Provider}
	case admin.Cancel:
		with = cancellation{e.Key.ID, e.Release}
	}
	return Append(dst, map[admin.Op]any{e.Op: with})
}
