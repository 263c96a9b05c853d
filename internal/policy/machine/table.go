package machine

import "github.com/open-policy-agent/opa/v1/ast"

// table is an object that is not changed, such as those of data, made for looking up and going
// through its members. It is no value for OPA's functions: whole hands them the object that it
// was made of.
type table struct {
	ast.Value // nil
	object    *ast.Term
	names     []*ast.Term // in order
	values    []*ast.Term
	numbers   map[string]int // by name, nil for a few
	numbered  bool           // a name reads as a number
}

// Table returns the same value for inputs, with objects that are looked up faster. It is no
// value for OPA's functions: Whole returns what it was made of.
func Table(t *ast.Term) *ast.Term { return tables{}.of(t) }

// tables are those that were made of terms, which may stand in several places.
type tables map[*ast.Term]*ast.Term

// of makes tables of objects, where the names are texts and all above is a table too.
func (made tables) of(t *ast.Term) *ast.Term {
	object, ok := t.Value.(ast.Object)
	if !ok {
		return t
	}
	if table := made[t]; table != nil {
		return table
	}
	out := &table{object: t, numbered: numbered(t)}
	for _, name := range object.Keys() { // in order
		if _, ok := name.Value.(ast.String); !ok {
			return t
		}
		out.names, out.values = append(out.names, name), append(out.values, made.of(object.Get(name)))
	}
	if len(out.names) > fewMembers {
		out.numbers = make(map[string]int, len(out.names))
		for i, name := range out.names {
			out.numbers[string(name.Value.(ast.String))] = i
		}
	}
	made[t] = ast.NewTerm(out)
	return made[t]
}

// get returns the member of a name, nil for none.
func (t *table) get(name string) *ast.Term {
	if t.numbers != nil {
		if i, ok := t.numbers[name]; ok {
			return t.values[i]
		}
		return nil
	}
	for i, other := range t.names {
		if string(other.Value.(ast.String)) == name {
			return t.values[i]
		}
	}
	return nil
}
