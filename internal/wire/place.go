package wire

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/authz"
)

// maxField is the longest name of a place that an error carries, in bytes.
const maxField = 256

// Item names an item of the list that stands at a place: edits[2].
func Item(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// ItemIn returns the number of the list's item that a field stands in: 2 of
// edits[2].record.role.
func ItemIn(field string) (int, bool) {
	_, rest, _ := strings.Cut(field, "[")
	number, _, ok := strings.Cut(rest, "]")
	n, err := strconv.Atoi(number)
	return n, ok && err == nil && n >= 0
}

// Placed returns an error with its field named as it stands in the body.
func Placed(err error, place func(field string) string) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok {
		return err
	}
	told := *e
	if e.Kind != authz.Behind { // which is about a header
		told.Field = place(e.Field)
	}
	return &told
}

// member names a member of the object that stands at a place.
func member(place, name string) string {
	if place == "" || name == "" {
		return place + name
	}
	return place + "." + name
}

func malformed(field, format string, args ...any) *authz.Error {
	return authz.Errorf(authz.Malformed, field, format, args...)
}

// startsWithObject reports why a body cannot be a JSON object, before it is decoded.
func startsWithObject(body []byte, d *jsontext.Decoder) error {
	if strings.HasPrefix(string(body[:min(len(body), 3)]), "\xef\xbb\xbf") {
		return malformed("", "the body starts with a byte order mark; send UTF-8 without one")
	}
	switch kind := d.PeekKind(); kind {
	case '{':
		return nil
	case jsontext.KindInvalid, '}', ']':
		_, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return malformed("", "the body is empty; send a JSON object")
		}
		return syntax(err)
	default:
		return malformed("", "must be a JSON object, not %s", kindName(kind))
	}
}

// endsThere makes sure that nothing follows the value.
func endsThere(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
		return nil
	}
	return malformed("", "there is something after the JSON object; send one value and nothing else")
}

// syntax says where and why a body is not JSON.
func syntax(err error) error {
	if errors.Is(err, io.EOF) {
		return &authz.Error{Kind: authz.Malformed, Message: "the body ends too early", Err: io.EOF}
	}
	e, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return &authz.Error{Kind: authz.Malformed, Message: "the body is not JSON"}
	}
	field := dotted(e.JSONPointer)
	switch {
	case errors.Is(e.Err, jsontext.ErrDuplicateName):
		return malformed(field, "given more than once; give each member once")
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return malformed(field, "the body ends too early, at byte %d", e.ByteOffset)
	default:
		return malformed(field, "the body is not JSON: %v at byte %d", e.Err, e.ByteOffset)
	}
}

// kindName returns what a kind of value is called.
func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '[':
		return "an array"
	default:
		return "an object"
	}
}

// dotted turns a JSON pointer into the form of a problem's field:
// /evaluations/3/subject/id is evaluations[3].subject.id. A name that does not
// read as one stands in brackets.
func dotted(p jsontext.Pointer) string {
	var b strings.Builder
	for name := range p.Tokens() {
		switch {
		case isIndex(name):
			b.WriteString("[" + name + "]")
		case isPlain(name):
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(name)
		default:
			b.WriteString("[" + string(appendString(nil, name)) + "]")
		}
		if b.Len() > maxField {
			return strings.ToValidUTF8(b.String()[:maxField], "") + "…"
		}
	}
	return b.String()
}

func isIndex(name string) bool {
	_, err := strconv.ParseUint(name, 10, 32)
	return err == nil
}

func isPlain(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return name != ""
}
