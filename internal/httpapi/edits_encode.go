package httpapi

import (
	"slices"
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
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
		dst = appendFields(appendKey(dst, e.Key), &e.Fields)
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

// appendPut appends the members of a record, those that it has.
func appendPut(dst []byte, r *admin.Record) []byte {
	dst = appendKey(dst, r.Key())
	known := membersOf(r.Kind)
	text := func(name, value string) {
		if value != "" && slices.Contains(known, name) {
			dst = appendText(dst, name, value)
		}
	}
	list := func(name string, values []string) {
		if len(values) > 0 && slices.Contains(known, name) {
			dst = appendList(dst, name, values)
		}
	}
	text("name", r.Name)
	list("permissions", r.Permissions)
	text("role", r.Role)
	list("groups", r.Groups)
	if r.Kind == authz.KindTeamMember {
		dst = appendTrue(dst, "provider", r.IsProvider)
	}
	list("access", r.Access)
	list("booking", r.Booking)
	text("patient_group", r.PatientGroup)
	list("care_team", r.CareTeam)
	if r.Kind == authz.KindBooking {
		text("patient", r.Patient)
		text("provider", r.Provider)
		text("state", string(r.State))
	}
	return dst
}

// appendFields appends the fields that change.
func appendFields(dst []byte, f *admin.Fields) []byte {
	if f.Name != nil {
		dst = appendText(dst, "name", *f.Name)
	}
	if f.Permissions != nil {
		dst = appendList(dst, "permissions", f.Permissions)
	}
	if f.Role != nil {
		dst = appendText(dst, "role", *f.Role)
	}
	if f.IsProvider != nil {
		dst = strconv.AppendBool(append(dst, `,"provider":`...), *f.IsProvider)
	}
	if f.PatientGroup != nil {
		dst = appendText(dst, "patient_group", *f.PatientGroup)
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
