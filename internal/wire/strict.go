package wire

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/authz"
)

// Decode decodes a body that is one JSON object, with the members of T and no others, each
// given at most once and none of them null. A T that has a method Check is asked whether it
// makes sense.
func Decode[T any](body []byte) (v T, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if err := startsWithObject(body, d); err != nil {
		return v, err
	}
	if err := json.UnmarshalDecode(d, &v, strictly); err != nil {
		return v, inOwnWords(err)
	}
	if err := endsThere(d); err != nil {
		return v, err
	}
	if checked, ok := any(&v).(interface{ Check() error }); ok {
		return v, checked.Check()
	}
	return v, nil
}

// strictly are the options of Decode.
//
//nolint:gochecknoglobals // made once: it remembers what it found out about types
var strictly = json.JoinOptions(
	json.RejectUnknownMembers(true), json.WithUnmarshalers(json.UnmarshalFromFunc(checkKind)),
)

// checkKind is asked before each value is decoded into what target points to. It refuses a
// kind of value that the target does not take, null above all, and leaves the rest to the
// library.
func checkKind(d *jsontext.Decoder, target any) error {
	kind := d.PeekKind()
	if kind == jsontext.KindInvalid || kind == '}' || kind == ']' {
		return errors.ErrUnsupported // there is no value, and the library says so
	}
	if kinds, name := taken(reflect.TypeOf(target)); !strings.ContainsRune(kinds, rune(kind)) {
		return malformed("", "must be %s, not %s", name, kindName(kind))
	}
	return errors.ErrUnsupported
}

// taken returns the kinds of value that a type takes, and what they are called.
func taken(t reflect.Type) (kinds, name string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[Number]():
		return "0", "a number"
	case t == reflect.TypeFor[NumberOrText]():
		return `"0`, "a string or a number"
	case t.Kind() == reflect.String:
		return `"`, "a string"
	case t.Kind() == reflect.Bool:
		return "tf", "true or false"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return "[", "an array of strings"
	case t.Kind() == reflect.Slice:
		return "[", "an array"
	default:
		return "{", "an object"
	}
}

// eachMember decodes an object: what follows each name is for decode.
func eachMember(d *jsontext.Decoder, decode func(name string) error) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := decode(name.String()); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

// inOwnWords returns an error of the library in the words of this API.
func inOwnWords(err error) error {
	if _, ok := errors.AsType[*jsontext.SyntacticError](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return syntax(err)
	}
	at, _ := errors.AsType[*json.SemanticError](err)
	own, isOwn := errors.AsType[*authz.Error](err)
	switch {
	case isOwn && own.Field != "":
		return own
	case isOwn && at != nil:
		return &authz.Error{Kind: own.Kind, Field: dotted(at.JSONPointer), Message: own.Message}
	case at != nil && errors.Is(at.Err, json.ErrUnknownName):
		return notKnown(dotted(at.JSONPointer), namesOf(at.GoType))
	case at != nil:
		return malformed(dotted(at.JSONPointer), "cannot be read")
	default:
		return err
	}
}

// notKnown is the error for a member that an object does not have.
func notKnown(field string, known []string) error {
	return malformed(field, "is not known here; there are %s", strings.Join(slices.Sorted(slices.Values(known)), ", "))
}

// namesOf returns the names of the members of a struct.
func namesOf(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// Number is a number as it is written, "" for none given.
type Number string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *Number) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	*n = Number(v)
	return err
}

// Whole returns a number from 1 to most, and 0 for none given. Field is where it stands.
func (n Number) Whole(field string, most int) (int, error) {
	if n == "" {
		return 0, nil
	}
	whole, err := strconv.Atoi(string(n))
	if err != nil || whole < 1 || whole > most {
		return 0, malformed(field, "must be a whole number from 1 to %d", most)
	}
	return whole, nil
}

// NumberOrText is a string, or a number as it is written.
type NumberOrText string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *NumberOrText) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '0' {
		return (*Number)(n).UnmarshalJSONFrom(d)
	}
	return json.UnmarshalDecode(d, (*string)(n))
}
