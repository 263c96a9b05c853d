package admin

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Check reports what a change says that no change can say, as an error whose Field
// is named as edits[2].record.access[0]. What exists is for the store to know.
func (c *Change) Check() error {
	switch {
	case len(c.Edits) == 0 && c.ExpectRevision == nil:
		return bad("edits", "is empty; a change has at least one edit")
	case len(c.Edits) > MaxEdits:
		return authz.Errorf(authz.TooLarge, "edits", "has %d edits; a change has at most %d: divide it into several", len(c.Edits), MaxEdits)
	}
	for i := range c.Edits {
		if err := c.Edits[i].Check(); err != nil {
			out := *err
			out.Field = "edits[" + strconv.Itoa(i) + "]." + err.Field
			return &out
		}
	}
	for i, e := range c.Expect {
		// What has an id outside the limits does not exist, as may be expected of it.
		if !model.Has(e.Key.Kind) {
			return UnknownKind("expect["+strconv.Itoa(i)+"].key.kind", e.Key.Kind)
		}
	}
	return c.Author.Check()
}

// maxAuthor is the most bytes that each text about an author may have.
const maxAuthor = MaxID + 64

// Check reports what is wrong with an author, whose every text may be empty.
func (a *Author) Check() error {
	for _, field := range []struct{ name, text string }{{"actor", a.Actor}, {"request", a.Request}} {
		if len(field.text) > maxAuthor {
			return bad("author."+field.name, "is %d bytes long; it has at most %d", len(field.text), maxAuthor)
		}
		if !utf8.ValidString(field.text) || strings.ContainsFunc(field.text, unicode.IsControl) {
			return bad("author."+field.name, "is not UTF-8, or has a control character")
		}
	}
	if a.Via != "" && a.Via != "api" && a.Via != "import" {
		return bad("author.via", "is no way to make a change; write api or import")
	}
	return nil
}

// FieldOfEdit returns how a field of the edit with this number is named in an
// error; what the operation is about decides what it is a field of.
func FieldOfEdit(number int, op Op, field string) string {
	name := "edits[" + strconv.Itoa(number) + "]"
	switch {
	case field == "":
		return name
	case op == Put, op == Book:
		return name + ".record." + field
	case op == Set && field != "key":
		return name + ".fields." + field
	default:
		return name + "." + field
	}
}

// Check reports what an edit says that no edit can say.
func (e *Edit) Check() *authz.Error {
	switch e.Op {
	case Put, Book:
		return e.checkRecord()
	case Set:
		if err := checkKey("key", e.Key); err != nil {
			return err
		}
		return e.Fields.checkSet(e.Key.Kind)
	case Link, Unlink:
		if !e.Relation.IsLinked() {
			return bad("relation", "is none that can be made or ended; write group, access, booking or care_team")
		}
		if err := CheckID("from", e.From); err != nil {
			return err
		}
		return CheckID("to", e.To)
	case Delete:
		return checkKey("key", e.Key)
	case Cancel:
		if e.Key.Kind != authz.KindBooking {
			return bad("key.kind", "is none that can be cancelled; only bookings can")
		}
		return checkKey("key", e.Key)
	default:
		return bad("op", "is missing or no operation; write put, set, link, unlink, delete, book or cancel")
	}
}

func checkKey(field string, key authz.Key) *authz.Error {
	if !model.Has(key.Kind) {
		return UnknownKind(field+".kind", key.Kind)
	}
	return CheckID(field+".id", key.ID)
}

func (e *Edit) checkRecord() *authz.Error {
	if e.Record == nil {
		return bad("record", "is missing; write the record")
	}
	record := *e.Record
	if e.Op == Book {
		if record.Kind != authz.KindBooking {
			return bad("record.kind", "is none that can be booked; write a booking")
		}
		record.State = Booked
	}
	err := CheckRecord(&record)
	if err == nil {
		return nil
	}
	out := *err
	out.Field = "record." + err.Field
	return &out
}
