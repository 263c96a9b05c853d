package policy

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
)

// maxAnswer is how many bytes a value may have in JSON. A value may have the same part many
// times, and be far longer in JSON than it is in memory.
const maxAnswer = 16 << 20

// pauseOf returns how the writing of a long value gives way, nil where it need not.
func pauseOf(ctx context.Context) func() {
	if !authz.IsLongWork(ctx) {
		return nil
	}
	return func() { authz.GiveWay(ctx) }
}

// appendJSON appends a value in JSON: sets as sorted arrays, members sorted. It pauses now
// and then, if pause is not nil.
func appendJSON(b []byte, value ast.Value, pause func()) ([]byte, error) {
	var err error
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
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, v.Elem(i).Value, pause); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case ast.Set:
		b = append(b, '[')
		for i, t := range v.Slice() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, t.Value, pause); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case ast.Object:
		return appendObject(b, v, pause)
	}
	return b, fmt.Errorf("a %s is not JSON", ast.ValueName(value))
}

func appendObject(b []byte, object ast.Object, pause func()) ([]byte, error) {
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
		b, err = appendJSON(append(b, ':'), value.Value, pause)
		return err
	})
	return append(b, '}'), err
}
