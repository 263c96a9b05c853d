package machine

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// equal compares two defined values; an undefined one equals nothing.
func equal(a, b *ast.Term) bool {
	if a == nil || b == nil {
		return false
	}
	if a == b {
		return true
	}
	if x, ok := a.Value.(ast.String); ok {
		y, ok := b.Value.(ast.String)
		return ok && x == y
	}
	return ast.ValueEqual(whole(a).Value, whole(b).Value)
}

// Lookup returns source[key] of an object or a set, nil for none.
func Lookup(source, key *ast.Term) *ast.Term { return lookup(source, key) }

// IsObject reports whether a value is an object.
func IsObject(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case *draft:
		return v.kind == objectDraft
	case *Object, *table, ast.Object:
		return true
	}
	return false
}

// lookup returns source[key], nil when it is undefined. A set holds its
// elements under themselves.
func lookup(source, key *ast.Term) *ast.Term {
	if source == nil || key == nil {
		return nil
	}
	switch v := source.Value.(type) {
	case *table:
		if name, ok := textOf(key); ok {
			return v.get(name)
		}
	case *Object:
		return v.get(key)
	case *draft:
		return v.get(key)
	case *Texts:
		if text, ok := textOf(key); ok && v.Has(text) {
			return key
		}
	case ast.Object:
		return v.Get(whole(key))
	case ast.Set:
		if v.Contains(whole(key)) {
			return key
		}
	case *ast.Array:
		if n, ok := key.Value.(ast.Number); ok {
			if i, ok := n.Int(); ok && i >= 0 && i < v.Len() {
				return v.Elem(i)
			}
		}
	}
	return nil
}

// lookupData returns source[key] where source is in data. There OPA looks up by
// path, whose parts are text: a number finds the member that is named like it, and
// a text that reads as a number finds an element of an array. Nothing else finds
// anything.
func lookupData(source, key *ast.Term) *ast.Term {
	if source == nil || key == nil {
		return nil
	}
	var text string
	switch k := key.Value.(type) {
	case ast.String:
		text = string(k)
	case ast.Number:
		text = k.String()
	}
	switch v := source.Value.(type) {
	case *table:
		switch key.Value.(type) {
		case ast.String, ast.Number:
			return v.get(text)
		}
	case ast.Object:
		if _, number := key.Value.(ast.Number); number {
			key = ast.StringTerm(text)
		}
		if _, isText := key.Value.(ast.String); isText {
			return v.Get(key)
		}
	case *ast.Array:
		if i, ok := util.Atoi(text); ok && i >= 0 && i < v.Len() {
			return v.Elem(i)
		}
	default: // a value that `with` put there
		return lookup(source, key)
	}
	return nil
}

// namedByNumber reports whether key is a number and source an object of data, the
// names in which are text.
func namedByNumber(source, key *ast.Term) bool {
	if _, number := key.Value.(ast.Number); !number {
		return false
	}
	_, object := whole(source).Value.(ast.Object)
	return object
}

// numbered reports whether places in a value are named by numbers, or by text that
// reads as one.
func numbered(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case *table:
		return v.numbered
	case *ast.Array:
		return v.Len() > 0
	case ast.Object:
		return v.Until(func(key, _ *ast.Term) bool {
			name, ok := key.Value.(ast.String)
			if !ok || name == "" || (name[0] < '0' || name[0] > '9') && name[0] != '-' {
				return !ok
			}
			_, number := util.Atoi(string(name))
			return number
		})
	}
	return false
}

// member is `x in xs`: false for what is not a collection, nil for an undefined
// operand.
func member(x, xs *ast.Term) *ast.Term {
	if x == nil || xs == nil {
		return nil
	}
	return ast.InternedTerm(isMember(x, xs))
}

func isMember(x, xs *ast.Term) (found bool) {
	switch xs.Value.(type) {
	case *Object, *table:
		xs = whole(xs)
	}
	switch v := xs.Value.(type) {
	case *Texts:
		text, ok := textOf(x)
		return ok && v.Has(text)
	case *draft:
		if v.kind == setDraft {
			_, found = v.place(x)
			return found
		}
		return slices.ContainsFunc(v.elements(), func(element *ast.Term) bool { return equal(element, x) })
	case ast.Set:
		found = v.Contains(whole(x))
	case *ast.Array:
		for i := 0; i < v.Len() && !found; i++ {
			found = equal(v.Elem(i), x)
		}
	case ast.Object:
		found = v.Until(func(_, value *ast.Term) bool { return equal(value, x) })
	}
	return found
}

// longText is for the built-in function to judge.
const longText = 16 << 10

// concat joins an array of strings, nil for any other operands, and where the text would be
// long: those are for the built-in function to judge.
func concat(separator, list *ast.Term) *ast.Term {
	with, ok := separator.Value.(ast.String)
	var elements []*ast.Term
	switch v := list.Value.(type) {
	case *draft:
		if ok = ok && v.kind == arrayDraft; ok {
			elements = v.keys
		}
	case *ast.Array:
		elements = make([]*ast.Term, v.Len())
		for i := range elements {
			elements[i] = v.Elem(i)
		}
	default:
		ok = false
	}
	if !ok {
		return nil
	}
	var b strings.Builder
	for i, element := range elements {
		s, ok := element.Value.(ast.String)
		if !ok {
			return nil
		}
		if i > 0 {
			b.WriteString(string(with))
		}
		if b.WriteString(string(s)); b.Len() > longText {
			return nil
		}
	}
	return ast.StringTerm(b.String())
}

func length(t *ast.Term) (int, bool) {
	if t == nil {
		return 0, false
	}
	switch v := whole(t).Value.(type) {
	case *ast.Array:
		return v.Len(), true
	case ast.Object:
		return v.Len(), true
	case ast.Set:
		return v.Len(), true
	case ast.String:
		return len([]rune(string(v))), true
	}
	return 0, false
}

// merge joins two documents recursively. What is no object on one side is taken
// from a.
func merge(a, b *ast.Term) *ast.Term {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	a, b = whole(a), whole(b)
	objectA, okA := a.Value.(ast.Object)
	objectB, okB := b.Value.(ast.Object)
	if !okA || !okB {
		return a
	}
	out := ast.NewObject()
	objectA.Foreach(func(k, v *ast.Term) { out.Insert(k, merge(v, objectB.Get(k))) })
	objectB.Foreach(func(k, v *ast.Term) {
		if objectA.Get(k) == nil {
			out.Insert(k, v)
		}
	})
	return ast.NewTerm(out)
}

// upsert returns a copy of t in which path leads to value; objects on the way
// are copied, or made where there is none.
func upsert(t *ast.Term, path []*ast.Term, value *ast.Term) *ast.Term {
	if len(path) == 0 {
		return value
	}
	t, value = whole(t), whole(value)
	out := ast.NewObject()
	var next *ast.Term
	if t != nil {
		if object, ok := t.Value.(ast.Object); ok {
			object.Foreach(func(k, v *ast.Term) {
				out.Insert(k, v)
			})
			next = object.Get(path[0])
		}
	}
	out.Insert(path[0], upsert(next, path[1:], value))
	return ast.NewTerm(out)
}
