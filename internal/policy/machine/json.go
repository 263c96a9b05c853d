package machine

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"
)

// maxAnswer is how many bytes a value may have in JSON. A value may have the same part many
// times, and be far longer in JSON than it is in memory.
const maxAnswer = 16 << 20

// AppendJSON appends a value in JSON: sets as sorted arrays, members sorted. It pauses now
// and then, if pause is not nil.
func AppendJSON(b []byte, value ast.Value, pause func()) ([]byte, error) {
	if len(b) > maxAnswer {
		return b, fmt.Errorf("it has more than %d bytes in JSON", maxAnswer)
	}
	switch v := value.(type) {
	case ast.Null:
		return append(b, "null"...), nil
	case ast.Boolean:
		if v {
			return append(b, "true"...), nil
		}
		return append(b, "false"...), nil
	case ast.Number:
		return append(b, v...), nil
	case ast.String:
		return jsontext.AppendQuote(b, string(v))
	case *ast.Array:
		return appendElements(b, v.Len(), v.Elem, pause)
	case ast.Set:
		elements := v.Slice()
		return appendElements(b, len(elements), func(i int) *ast.Term { return elements[i] }, pause)
	case *draft:
		if v.kind == objectDraft {
			return appendMembers(b, v.keys, v.values, pause)
		}
		return appendElements(b, len(v.keys), func(i int) *ast.Term { return v.keys[i] }, pause)
	case *Texts:
		return AppendJSON(b, v.Whole().Value, pause)
	case *table:
		return appendMembers(b, v.names, v.values, pause)
	case *Object:
		return AppendJSON(b, v.Members.Whole().Value, pause)
	case ast.Object:
		return appendObject(b, v, pause)
	}
	return b, fmt.Errorf("a %s is not JSON", ast.ValueName(value))
}

func appendElements(b []byte, n int, element func(int) *ast.Term, pause func()) (_ []byte, err error) {
	b = append(b, '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = AppendJSON(b, element(i).Value, pause); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, object ast.Object, pause func()) ([]byte, error) {
	b = append(b, '{')
	err := object.Iter(func(name, value *ast.Term) (err error) {
		b, err = appendMember(b, name, value, pause)
		return err
	})
	return append(b, '}'), err
}

func appendMembers(b []byte, names, values []*ast.Term, pause func()) (_ []byte, err error) {
	b = append(b, '{')
	for i, name := range names {
		if b, err = appendMember(b, name, values[i], pause); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// appendMember appends a member of an object, after the others.
func appendMember(b []byte, name, value *ast.Term, pause func()) ([]byte, error) {
	text, ok := name.Value.(ast.String)
	if !ok {
		return b, fmt.Errorf("a member's name is a %s and must be a string", ast.ValueName(name.Value))
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	if pause != nil {
		pause()
	}
	b, err := jsontext.AppendQuote(b, string(text))
	if err != nil {
		return b, err
	}
	return AppendJSON(append(b, ':'), value.Value, pause)
}

// JSON returns a value of Peek in JSON, like AppendJSON.
func (e *Evaluation) JSON(value *ast.Term) (_ []byte, err error) {
	if e.text, err = AppendJSON(e.text[:0], value.Value, nil); err != nil {
		return nil, err
	}
	return slices.Clone(e.text), nil
}
