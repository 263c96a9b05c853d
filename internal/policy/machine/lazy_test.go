package machine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/policy/machine"
)

// lazily returns the same value with objects and sets of texts that are made when they are
// asked for, wherever it can have them.
func lazily(t *ast.Term) *ast.Term {
	switch v := t.Value.(type) {
	case ast.Object:
		m := members{whole: t, named: map[string]*ast.Term{}}
		for _, key := range v.Keys() {
			name, ok := key.Value.(ast.String)
			if !ok {
				return t
			}
			m.named[string(name)] = lazily(v.Get(key))
		}
		return ast.NewTerm(&machine.Object{Members: m})
	case ast.Set:
		var list []string
		for _, element := range v.Slice() {
			text, ok := element.Value.(ast.String)
			if !ok {
				return t
			}
			list = append(list, string(text))
		}
		slices.Reverse(list)
		texts := &machine.Texts{}
		texts.Make(list)
		return texts.Term()
	}
	return t
}

type members struct {
	whole *ast.Term
	named map[string]*ast.Term
}

func (m members) Member(name string) *ast.Term { return m.named[name] }
func (m members) Whole() *ast.Term             { return m.whole }

// A set has the texts that it was made of, whatever its size.
func TestTexts(t *testing.T) {
	for _, size := range []int{0, 1, 7, 8, 9, 100, 5000} {
		list := make([]string, size)
		for i := range list {
			list[i] = fmt.Sprint("population-", i*7919%10007)
		}
		texts := &machine.Texts{}
		texts.Make(list)
		for _, text := range append(list, "", "population-", "population-00", "nobody") {
			if texts.Has(text) != slices.Contains(list, text) {
				t.Fatalf("of %d: %q is in it: %v", size, text, texts.Has(text))
			}
		}
		if whole, ok := texts.Whole().Value.(ast.Set); !ok || whole.Len() != size {
			t.Fatalf("of %d OPA has %v", size, whole)
		}
	}
}
