package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/authz"
)

// maxDepth is how deep arrays and objects of a body may nest.
const maxDepth = 64

// maxValues is how many values the properties and contexts of a body may have: a
// value of two bytes costs hundreds once it is read. maxRepeated is the same for
// those that stand once in a batch and count for every item.
const (
	maxValues   = 20_000
	maxRepeated = 1_000_000
)

// maxField is the longest name of a place that an error carries, in bytes.
const maxField = 256

// decoding reads one body in one pass. Every error it returns is an
// *authz.Error of kind Malformed or TooLarge that names the place; after one
// that sets broken the body is not JSON and nothing more can be read of it.
type decoding struct {
	body    []byte
	input   bytes.Buffer
	tokens  jsontext.Decoder
	scratch []byte // an unescaped name or string, until the next read
	broken  bool
	values  int    // read so far, in properties and contexts
	shared  int    // of those, the ones that belong to no item
	base    string // what stands before the places of a question: "" or "input"
	item    int    // the index in evaluations, -1 outside of it
	strict  bool   // a member that a question does not have is an error, and not passed over
	sought  part   // what is looked for and so has no id, or no name
}

// begin starts reading d.body at its one value, which must be an object.
func (d *decoding) begin() error {
	d.broken, d.base, d.item, d.values, d.shared, d.strict, d.sought = false, "", -1, 0, 0, false, none
	if bytes.HasPrefix(d.body, []byte("\xef\xbb\xbf")) {
		return authz.Errorf(authz.Malformed, "", "the body starts with a byte order mark; send UTF-8 without one")
	}
	d.input = *bytes.NewBuffer(d.body)
	d.tokens.Reset(&d.input)
	switch kind := d.tokens.PeekKind(); kind {
	case '{':
		return d.token()
	case jsontext.KindInvalid:
		err := d.token()
		if errors.Is(err, io.EOF) {
			return authz.Errorf(authz.Malformed, "", "the body is empty; send a JSON object")
		}
		return err
	default:
		return d.mismatch(kind, "a JSON object", "", "")
	}
}

// end makes sure that nothing follows the value.
func (d *decoding) end() error {
	if _, err := d.tokens.ReadToken(); errors.Is(err, io.EOF) {
		return nil
	}
	return authz.Errorf(authz.Malformed, "", "there is something after the JSON object; send one value and nothing else")
}

// token consumes one token.
func (d *decoding) token() error {
	t, err := d.tokens.ReadToken()
	if err != nil {
		return d.syntax(err)
	}
	if k := t.Kind(); (k == '{' || k == '[') && d.tokens.StackDepth() > maxDepth {
		d.broken = true
		return authz.Errorf(authz.Malformed, dotted(d.tokens.StackPointer()),
			"nested deeper than %d levels; send flatter JSON", maxDepth)
	}
	return nil
}

// skip consumes one value.
func (d *decoding) skip() error {
	return d.leave(d.tokens.StackDepth())
}

// unknown consumes the value of a member that is not known, or says which are.
func (d *decoding) unknown(known string) error {
	if !d.strict {
		return d.skip()
	}
	return authz.Errorf(authz.Malformed, dotted(d.tokens.StackPointer()), "is not known here; there are %s", known)
}

// leave consumes at least one token, and as many as it takes to be back at depth.
func (d *decoding) leave(depth int) error {
	for {
		if err := d.token(); err != nil {
			return err
		}
		if d.tokens.StackDepth() <= depth {
			return nil
		}
	}
}

// member consumes the name of an object's next member; more is false when it
// consumed the object's end instead. The name is valid until the next read.
func (d *decoding) member() (name []byte, more bool, err error) {
	if d.tokens.PeekKind() == '}' {
		return nil, false, d.token()
	}
	name, err = d.raw()
	return name, true, err
}

// raw consumes a string, which is valid until the next read.
func (d *decoding) raw() ([]byte, error) {
	v, err := d.tokens.ReadValue()
	if err != nil {
		return nil, d.syntax(err)
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1], nil
	}
	d.scratch, err = jsontext.AppendUnquote(d.scratch[:0], v)
	if err != nil {
		return nil, d.syntax(err)
	}
	return d.scratch, nil
}

// text consumes the member child of parent, which must be a string, not empty.
func (d *decoding) text(parent, child string) (string, error) {
	if k := d.tokens.PeekKind(); k != '"' {
		return "", d.mismatch(k, "a string", parent, child)
	}
	b, err := d.raw()
	if err != nil {
		return "", err
	}
	if len(b) == 0 {
		return "", d.malformed("must not be empty", parent, child)
	}
	return string(b), nil
}

// optional consumes the object that is the member child of parent. A null is
// no object at all.
func (d *decoding) optional(parent, child string) (map[string]any, error) {
	switch k := d.tokens.PeekKind(); k {
	case 'n':
		return nil, d.token()
	case '{':
		return d.object()
	default:
		return nil, d.mismatch(k, "an object", parent, child)
	}
}

// object consumes an object.
func (d *decoding) object() (map[string]any, error) {
	if err := d.token(); err != nil {
		return nil, err
	}
	m := make(map[string]any)
	for {
		raw, more, err := d.member()
		if err != nil {
			return nil, err
		}
		if !more {
			return m, nil
		}
		name := string(raw)
		if m[name], err = d.value(); err != nil {
			return nil, err
		}
	}
}

// array consumes an array.
func (d *decoding) array() ([]any, error) {
	if err := d.token(); err != nil {
		return nil, err
	}
	list := []any{}
	for d.tokens.PeekKind() != ']' {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, d.token()
}

// value consumes any value. Numbers stay as they are written.
func (d *decoding) value() (any, error) {
	if d.values++; d.values > maxValues {
		d.broken = true
		return nil, authz.Errorf(authz.TooLarge, dotted(d.tokens.StackPointer()),
			"more than %d values in properties and contexts; send fewer at once", maxValues)
	}
	if d.item < 0 {
		d.shared++
	}
	switch d.tokens.PeekKind() {
	case '{':
		return d.object()
	case '[':
		return d.array()
	case '"':
		b, err := d.raw()
		return string(b), err
	case '0':
		v, err := d.tokens.ReadValue()
		if err != nil {
			return nil, d.syntax(err)
		}
		return json.Number(v), nil
	case 't':
		return true, d.token()
	case 'f':
		return false, d.token()
	default: // null, or no value at all
		return nil, d.token()
	}
}

// place names a member of a question in the body. What child is "" names parent.
func (d *decoding) place(parent, child string) string {
	b := make([]byte, 0, 64)
	b = append(b, d.base...)
	if d.item >= 0 {
		if len(b) > 0 {
			b = append(b, '.')
		}
		b = append(b, "evaluations["...)
		b = strconv.AppendInt(b, int64(d.item), 10)
		b = append(b, ']')
	}
	for _, part := range [2]string{parent, child} {
		if part == "" {
			continue
		}
		if len(b) > 0 {
			b = append(b, '.')
		}
		b = append(b, part...)
	}
	return string(b)
}

func (d *decoding) malformed(message, parent, child string) error {
	return &authz.Error{Kind: authz.Malformed, Field: d.place(parent, child), Message: message}
}

// mismatch says that a member is of kind k and not what it must be. When there
// is no value at all it says what is there instead.
func (d *decoding) mismatch(k jsontext.Kind, want, parent, child string) error {
	if k == jsontext.KindInvalid || k == '}' || k == ']' {
		if err := d.token(); err != nil {
			return err
		}
	}
	return d.malformed("must be "+want+", not "+kindName(k), parent, child)
}

// syntax says where and why the body is not JSON.
func (d *decoding) syntax(err error) error {
	d.broken = true
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
		return authz.Errorf(authz.Malformed, field, "given more than once; give each member once")
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return authz.Errorf(authz.Malformed, field, "the body ends too early, at byte %d", e.ByteOffset)
	default:
		return authz.Errorf(authz.Malformed, field, "the body is not JSON: %v at byte %d", e.Err, e.ByteOffset)
	}
}

// kindName says what a kind of value is called.
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
		case index(name):
			b.WriteString("[" + name + "]")
		case plain(name):
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

func index(name string) bool {
	_, err := strconv.ParseUint(name, 10, 32)
	return err == nil
}

func plain(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return name != ""
}
