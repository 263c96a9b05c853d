package httpapi

import (
	"maps"
	"slices"
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// appendRecord appends a record as it stands on a line of facts, with all its
// lists, and of a patient also why each is on their care team.
func appendRecord(dst []byte, r *admin.Stored) []byte {
	dst = appendKey(append(dst, '{'), r.Key())
	for _, f := range model.Fields(r.Kind) {
		if f.Text == nil || f.Always || *f.Text(&r.Record) != "" {
			dst = appendField(dst, &f, &r.Record)
		}
	}
	if r.Kind == authz.KindPatient {
		dst = appendSources(append(dst, `,"care_team_sources":`...), r.Sources)
	}
	return append(dst, '}')
}

// appendField appends a field of a record as a member of an object that has some already.
func appendField(dst []byte, f *model.Field, r *admin.Record) []byte {
	switch {
	case f.Text != nil:
		return appendText(dst, f.Name, *f.Text(r))
	case f.Flag != nil:
		return strconv.AppendBool(append(append(append(dst, `,"`...), f.Name...), `":`...), *f.Flag(r))
	default:
		return appendList(dst, f.Name, *f.List(r))
	}
}

// appendKey appends the two members that name an entity.
func appendKey(dst []byte, key authz.Key) []byte {
	dst = appendString(append(dst, `"kind":`...), string(key.Kind))
	return appendString(append(dst, `,"id":`...), key.ID)
}

// appendText appends a member of an object that has some already. Name is a
// literal.
func appendText(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendString(dst, value)
}

func appendList(dst []byte, name string, list []string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendStrings(dst, list)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// appendSources appends why each member is on a care team.
func appendSources(dst []byte, sources map[string][]string) []byte {
	dst = append(dst, '{')
	for i, member := range slices.Sorted(maps.Keys(sources)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, member), ':')
		dst = appendStrings(dst, sources[member])
	}
	return append(dst, '}')
}
