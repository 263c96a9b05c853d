package wire

import (
	"bytes"
	"maps"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Append appends an answer as JSON. What is not UTF-8 in it is replaced.
func Append(dst []byte, answer any) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	err := json.MarshalWrite(b, answer, written)
	return b.Bytes(), err
}

// written are the options of Append. Values of the domain that are answered as they are
// have their names from twins.
//
//nolint:gochecknoglobals // made once: it remembers what it found out about types
var written = json.JoinOptions(
	json.Deterministic(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true),
	json.WithMarshalers(twins()),
)

// appendString appends s as a JSON string. What is not UTF-8 in it is replaced.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// appendName appends the name of a member of an object that has some already. Name is a
// literal.
func appendName(dst []byte, name string) []byte {
	return append(append(append(dst, `,"`...), name...), `":`...)
}

// appendValue appends the value of a field: a string, a bool, a []string, or the sources of
// a care team.
func appendValue(dst []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case []string:
		dst = append(dst, '[')
		for i, s := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, s)
		}
		return append(dst, ']')
	case map[string][]string:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(append(appendString(dst, name), ':'), v[name])
		}
		return append(dst, '}')
	default:
		return append(dst, `null`...)
	}
}
