package filter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// condition is a condition of UCAST: one about a field, or one made of others.
type condition struct {
	Type     string `json:"type"`
	Operator string `json:"operator"`
	Field    string `json:"field,omitempty"`
	Value    any    `json:"value"`
}

// other is the value of a comparison with another field.
type other struct {
	Field string `json:"field"`
}

// writeUCAST writes a clause as UCAST. What always or never holds is said of a column. A
// condition without parts means one thing to one library and another to the next, and some
// leave it out: with it would go what is not to be shown.
func writeUCAST(n node, outer *source) (json.RawMessage, error) {
	f := &fieldComparison{names: map[string]*source{outer.table.alias: outer}}
	write := f.ucast
	if isTrue(n) || isFalse(n) {
		write = func(n node) (condition, error) { return constant(isTrue(n), outer) }
	}
	c, err := write(n)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// constant writes what holds for every row, or for none: that a column is NULL or is not, or
// that it is both.
func constant(holds bool, outer *source) (condition, error) {
	t := outer.table
	var names []string
	for _, fact := range columnFacts() {
		names = append(names, t.columns[fact])
	}
	for _, name := range slices.Sorted(maps.Keys(t.references)) {
		names = append(names, t.references[name].column)
	}
	i := slices.IndexFunc(names, func(name string) bool { return name != "" })
	if i < 0 {
		return condition{}, missing(t, authz.FactID)
	}
	name := label(column{outer, names[i]})
	return compound(either(holds, "or", "and"), field("eq", name, nil), field("ne", name, nil)), nil
}

func compound(operator string, value ...any) condition {
	return condition{Type: "compound", Operator: operator, Value: value}
}

func field(operator, name string, value any) condition {
	return condition{Type: "field", Operator: operator, Field: name, Value: value}
}

// fieldComparison writes clauses with the names of fields, each the name of its table and its own.
type fieldComparison struct {
	names map[string]*source // who has the name of a table
}

func (f *fieldComparison) ucast(n node) (condition, error) {
	switch n := n.(type) {
	case allOf:
		return f.several("and", n)
	case anyOf:
		return f.several("or", n)
	case null:
		return field(either(n.not, "ne", "eq"), label(n.column), nil), nil
	case among:
		if len(n.values) == 1 {
			return field(either(n.not, "ne", "eq"), label(n.column), n.values[0]), nil
		}
		return field(either(n.not, "nin", "in"), label(n.column), n.values), nil
	case same:
		return field(either(n.not, "ne", "eq"), label(n.a), other{label(n.b)}), nil
	case truth:
		if n.not {
			return compound("or", field("eq", label(n.column), nil), field("eq", label(n.column), false)), nil
		}
		return field("eq", label(n.column), true), nil
	case related:
		return matched(n), nil
	case joined:
		return f.joined(n)
	}
	return condition{}, fmt.Errorf("a filter has no %T", n)
}

// several writes nodes that there are: what has none is written by constant.
func (f *fieldComparison) several(operator string, nodes []node) (condition, error) {
	value := make([]any, len(nodes))
	for i, n := range nodes {
		var err error
		if value[i], err = f.ucast(n); err != nil {
			return condition{}, err
		}
	}
	return compound(operator, value...), nil
}

// matched writes that a row of a relation has something. The relation has the name of
// its table, and within it fields have no other name than their own.
func matched(n related) condition {
	var value any = n.value
	if n.in != nil {
		value = other{label(*n.in)}
	}
	c := field("elemMatch", n.of.alias+"."+n.link.name[len(n.link.name)-1], field("eq", n.link.item, value))
	if n.not {
		return compound("not", c)
	}
	return c
}

// joined writes a condition about what is referred to. How its table is joined is known
// to the ORM; that there is a row is said.
func (f *fieldComparison) joined(n joined) (condition, error) {
	var value []any
	for _, s := range n.sources {
		if before := f.names[s.table.alias]; before != nil && before.table != s.table {
			return condition{}, authz.Errorf(authz.NotFound, s.table.path+".alias",
				"is needed, for a name by which UCAST tells this table from another; add one to the mapping")
		}
		if f.names[s.table.alias] = s; s.table == n.by[0].source.table {
			return condition{}, authz.Errorf(authz.Unsupported, "dialect",
				"cannot be ucast, which cannot tell a row from one of the same table that it refers to; use SQL")
		}
		value = append(value, field("ne", label(s.id()), nil))
	}
	all, ok := n.holds.(allOf)
	if !ok {
		all = allOf{n.holds}
	}
	for _, part := range all {
		holds, err := f.ucast(part)
		if err != nil {
			return condition{}, err
		}
		value = append(value, holds)
	}
	if len(value) == 1 {
		return value[0].(condition), nil //nolint:forcetypeassert // conditions are all that was appended
	}
	return compound("and", value...), nil
}

func label(c column) string { return c.source.table.alias + "." + c.name }

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
