package machine

import (
	"fmt"

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
			return appendObject(b, v, pause)
		}
		return appendElements(b, len(v.keys), func(i int) *ast.Term { return v.keys[i] }, pause)
	case *Texts:
		return AppendJSON(b, v.Whole().Value, pause)
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

// members are those of an object, in order.
type members interface {
	Iter(f func(name, value *ast.Term) error) error
}

func appendObject(b []byte, object members, pause func()) ([]byte, error) {
	b = append(b, '{')
	first := true
	err := object.Iter(func(key, value *ast.Term) (err error) {
		name, ok := key.Value.(ast.String)
		if !ok {
			return fmt.Errorf("a member's name is a %s and must be a string", ast.ValueName(key.Value))
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		if pause != nil {
			pause()
		}
		if b, err = jsontext.AppendQuote(b, string(name)); err != nil {
			return err
		}
		b, err = AppendJSON(append(b, ':'), value.Value, pause)
		return err
	})
	return append(b, '}'), err
}
