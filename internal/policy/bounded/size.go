package bounded

import (
	"fmt"
	"regexp"

	"github.com/open-policy-agent/opa/v1/ast"
)

// sizeOf returns about how many bytes a value has where it is written, or an error where that
// is more than a text may have. A value may have the same part many times: it is counted as
// often as it would be written, and no longer than to the limit.
func sizeOf(t *ast.Term) (int, error) {
	s := sizer{}
	s.add(t)
	if s.size > maxText {
		return s.size, tooLong(s.size)
	}
	return s.size, nil
}

type sizer struct{ size int }

func (s *sizer) add(t *ast.Term) {
	if s.size > maxText {
		return
	}
	s.size += 2
	switch v := t.Value.(type) {
	case ast.String:
		s.size += len(v)
	case ast.Number:
		s.size += len(v)
	case *ast.Array:
		v.Foreach(s.add)
	case ast.Set:
		v.Foreach(s.add)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) { s.add(key); s.add(value) })
	default:
		s.size += 5
	}
}

// replacements bounds what is made by replacing what a pattern matches.
func replacements(pattern, s, by string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil //nolint:nilerr // the function says what is wrong with it
	}
	size := len(s)
	for _, match := range re.FindAllStringIndex(s, -1) {
		size += len(by)
		for i := range len(by) {
			if by[i] == '$' {
				size += match[1] - match[0]
			}
		}
		if size > maxText {
			return fmt.Errorf("the text would have more than %d bytes", maxText)
		}
	}
	return nil
}
