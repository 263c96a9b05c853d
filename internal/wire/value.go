package wire

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/authz"
)

// maxDepth is how deep arrays and objects of a question may nest.
const maxDepth = 64

// maxValues is how many values the properties and contexts of a body may have: a
// value of two bytes costs hundreds once it is decoded. maxRepeated is the same for
// those that stand once in a batch and count for every item.
const (
	maxValues   = 20_000
	maxRepeated = 1_000_000
)

// Decoder decodes the bodies that ask questions, each in one pass. It is used again, by one
// caller at a time: nothing that it returns depends on the body or on what it decodes next.
// Every error is an *authz.Error of kind Malformed or TooLarge.
type Decoder struct {
	input     bytes.Buffer
	tokens    jsontext.Decoder
	unescaped []byte // a name or string, until the next one
	broken    bool   // the body is not JSON, and nothing more can be decoded of it
	values    int    // so far, in properties and contexts
	shared    int    // of those, the ones that belong to no item
	base      string // what stands before the places of a question: "" or "input"
	item      int    // the index in evaluations, -1 outside of it
	strict    bool   // a member that a question does not have is an error, and not passed over
	sought    Part   // what is looked for and so has no id, or no name
}

// begin starts decoding a body at its one value, which must be an object.
func (d *Decoder) begin(body []byte) error {
	d.broken, d.base, d.item, d.values, d.shared, d.strict, d.sought = false, "", -1, 0, 0, false, none
	d.input = *bytes.NewBuffer(body)
	d.tokens.Reset(&d.input)
	if err := startsWithObject(body, &d.tokens); err != nil {
		return err
	}
	return d.token()
}

// token consumes one token.
func (d *Decoder) token() error {
	t, err := d.tokens.ReadToken()
	if err != nil {
		return d.syntax(err)
	}
	if k := t.Kind(); (k == '{' || k == '[') && d.tokens.StackDepth() > maxDepth {
		d.broken = true
		return malformed(dotted(d.tokens.StackPointer()), "nested deeper than %d levels; send flatter JSON", maxDepth)
	}
	return nil
}

func (d *Decoder) syntax(err error) error {
	d.broken = true
	return syntax(err)
}

// skip consumes one value.
func (d *Decoder) skip() error { return d.skipTo(d.tokens.StackDepth()) }

// skipTo consumes at least one token, and as many as it takes to be back at depth.
func (d *Decoder) skipTo(depth int) error {
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
// consumed the object's end instead. The name is valid until the next one.
func (d *Decoder) member() (name []byte, more bool, err error) {
	if d.tokens.PeekKind() == '}' {
		return nil, false, d.token()
	}
	name, err = d.stringBytes()
	return name, true, err
}

// members consumes the members of an object up to its end. Decode consumes the value of
// each; its name is valid until then.
func (d *Decoder) members(decode func(name []byte) error) error {
	for {
		name, more, err := d.member()
		if err != nil || !more {
			return err
		}
		if err := decode(name); err != nil {
			return err
		}
	}
}

// object consumes the beginning of an object that is the member of a question, or an item of
// a batch where the member is "".
func (d *Decoder) object(name string) error {
	if k := d.tokens.PeekKind(); k != '{' {
		return d.mismatch(k, "an object", name, "")
	}
	return d.token()
}

// notNull consumes a null, and reports false for it.
func (d *Decoder) notNull() (bool, error) {
	if d.tokens.PeekKind() != 'n' {
		return true, nil
	}
	return false, d.token()
}

// stringBytes consumes a string, which is valid until the next one.
func (d *Decoder) stringBytes() ([]byte, error) {
	v, err := d.tokens.ReadValue()
	if err != nil {
		return nil, d.syntax(err)
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1], nil
	}
	d.unescaped, err = jsontext.AppendUnquote(d.unescaped[:0], v)
	if err != nil {
		return nil, d.syntax(err)
	}
	return d.unescaped, nil
}

// nonEmpty consumes the member child of parent, which must be a string, not empty.
func (d *Decoder) nonEmpty(parent, child string) (string, error) {
	if k := d.tokens.PeekKind(); k != '"' {
		return "", d.mismatch(k, "a string", parent, child)
	}
	b, err := d.stringBytes()
	if err != nil {
		return "", err
	}
	if len(b) == 0 {
		return "", d.malformed("must not be empty", parent, child)
	}
	return string(b), nil
}

// wholeNumber consumes the member child of parent, which must be a number from 1 to most.
func (d *Decoder) wholeNumber(parent, child string, most int) (int, error) {
	if k := d.tokens.PeekKind(); k != '0' {
		return 0, d.mismatch(k, "a number", parent, child)
	}
	v, err := d.tokens.ReadValue()
	if err != nil {
		return 0, d.syntax(err)
	}
	return Number(v).Whole(d.place(parent, child), most)
}

// optionalObject consumes the object that is the member child of parent. A null is
// no object at all.
func (d *Decoder) optionalObject(parent, child string) (map[string]any, error) {
	switch k := d.tokens.PeekKind(); k {
	case 'n':
		return nil, d.token()
	case '{':
		return d.anyObject()
	default:
		return nil, d.mismatch(k, "an object", parent, child)
	}
}

func (d *Decoder) anyObject() (map[string]any, error) {
	if err := d.token(); err != nil {
		return nil, err
	}
	m := make(map[string]any)
	for {
		b, more, err := d.member()
		if err != nil {
			return nil, err
		}
		if !more {
			return m, nil
		}
		name := string(b)
		if m[name], err = d.anyValue(); err != nil {
			return nil, err
		}
	}
}

func (d *Decoder) anyArray() ([]any, error) {
	if err := d.token(); err != nil {
		return nil, err
	}
	list := []any{}
	for d.tokens.PeekKind() != ']' {
		v, err := d.anyValue()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, d.token()
}

// anyValue consumes any value. Numbers stay as they are written.
func (d *Decoder) anyValue() (any, error) {
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
		return d.anyObject()
	case '[':
		return d.anyArray()
	case '"':
		b, err := d.stringBytes()
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
func (d *Decoder) place(parent, child string) string {
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

func (d *Decoder) malformed(message, parent, child string) error {
	return &authz.Error{Kind: authz.Malformed, Field: d.place(parent, child), Message: message}
}

// mismatch says that a member is of kind k and not what it must be. When there
// is no value at all it says what is there instead.
func (d *Decoder) mismatch(k jsontext.Kind, want, parent, child string) error {
	if k == jsontext.KindInvalid || k == '}' || k == ']' {
		if err := d.token(); err != nil {
			return err
		}
	}
	return d.malformed("must be "+want+", not "+kindName(k), parent, child)
}
