package httpapi

import (
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// appendEdit appends an edit as an element of edits: it reads back as the same.
func appendEdit(dst []byte, e *admin.Edit) []byte {
	dst = append(appendString(append(dst, '{'), string(e.Op)), ':', '{')
	switch e.Op {
	case admin.Put:
		dst = appendPut(dst, e.Record)
	case admin.Book:
		dst = appendString(append(dst, `"id":`...), e.Record.ID)
		dst = appendText(dst, "patient", e.Record.Patient)
		dst = appendText(dst, "provider", e.Record.Provider)
	case admin.Set:
		dst = appendFields(appendKey(dst, e.Key), e.Key.Kind, e.Fields)
	case admin.Link, admin.Unlink:
		dst = appendString(append(dst, `"relation":`...), string(e.Relation))
		dst = appendText(dst, "from", e.From)
		dst = appendText(dst, "to", e.To)
	case admin.Delete:
		dst = appendTrue(appendKey(dst, e.Key), "cascade", e.Cascade)
	case admin.Cancel:
		dst = appendString(append(dst, `"id":`...), e.Key.ID)
		dst = appendTrue(dst, "release", e.Release)
	}
	return append(dst, '}', '}')
}

// appendPut appends the members of a record, those that are not empty.
func appendPut(dst []byte, r *admin.Record) []byte {
	dst = appendKey(dst, r.Key())
	for _, f := range model.Fields(r.Kind) {
		if f.Text != nil && *f.Text(r) != "" || f.Flag != nil && *f.Flag(r) || f.List != nil && len(*f.List(r)) > 0 {
			dst = appendField(dst, &f, r)
		}
	}
	return dst
}

// appendFields appends the fields that change.
func appendFields(dst []byte, kind authz.Kind, fields admin.Fields) []byte {
	values := fields.Applied(&admin.Record{Kind: kind})
	for _, name := range fields.Names(kind) {
		if f := model.FieldOf(kind, name); f != nil {
			dst = appendField(dst, f, values)
		}
	}
	return dst
}

// appendTrue appends a member where it is true.
func appendTrue(dst []byte, name string, value bool) []byte {
	if !value {
		return dst
	}
	return append(append(append(dst, `,"`...), name...), `":true`...)
}
