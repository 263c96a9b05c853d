package filter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// writer writes a clause in SQL. Parameters are appended in the order in which they
// stand in the text.
type writer struct {
	dialect Dialect
	first   int
	outer   *source
	text    strings.Builder
	args    []any
	names   map[*source]string // of the tables that the clause brings itself
	named   int
	inside  bool // of a query of the clause
}

// newWriter returns a writer in a dialect of SQL. Those that dialect.go has nothing of are
// refused here: it would write them as SQLite.
func newWriter(dialect Dialect, first int, outer *source) (*writer, error) {
	switch dialect {
	case PostgreSQL, MySQL, SQLite, SQLServer:
		return &writer{dialect: dialect, first: first, outer: outer, names: map[*source]string{}}, nil
	default:
		return nil, authz.Errorf(authz.Internal, "", "no SQL is written in the dialect %q", dialect)
	}
}

// clause writes a whole clause, in brackets.
func (w *writer) clause(n node) error {
	switch {
	case isTrue(n):
		w.put("(1=1)")
	case isFalse(n):
		w.put("(1=0)")
	default:
		w.put("(")
		if err := w.node(n); err != nil {
			return err
		}
		w.put(")")
	}
	return nil
}

func (w *writer) put(parts ...string) {
	for _, part := range parts {
		w.text.WriteString(part)
	}
}

func (w *writer) node(n node) error {
	switch n := n.(type) {
	case allOf:
		return w.writeNodes(n, " AND ", "(1=1)")
	case anyOf:
		return w.writeNodes(n, " OR ", "(1=0)")
	case null:
		w.put(w.column(n.column), " IS ", not(n.not), "NULL")
	case among:
		return w.among(n)
	case same:
		w.same(n)
	case truth:
		w.put(w.dialect.truth(w.column(n.column), n.not))
	case related:
		w.related(n)
	case joined:
		return w.joined(n)
	default:
		return fmt.Errorf("a filter has no %T", n)
	}
	return nil
}

func not(is bool) string {
	if is {
		return "NOT "
	}
	return ""
}

// writeNodes writes nodes one after the other, in brackets where they are of the other kind.
func (w *writer) writeNodes(nodes []node, by, none string) error {
	if len(nodes) == 0 {
		w.put(none)
	}
	for i, n := range nodes {
		if i > 0 {
			w.put(by)
		}
		var brackets bool
		switch n.(type) {
		case allOf, anyOf:
			brackets = true
		}
		if brackets {
			w.put("(")
		}
		if err := w.node(n); err != nil {
			return err
		}
		if brackets {
			w.put(")")
		}
	}
	return nil
}

// alias makes a name for a table that the clause brings. No table of the query around
// it is hidden by it, because that is asked for by another name.
func (w *writer) alias() string {
	for {
		w.named++
		name := "cg" + strconv.Itoa(w.named)
		if !strings.EqualFold(name, w.outer.table.alias) {
			return name
		}
	}
}

func (w *writer) column(c column) string {
	if c.source == w.outer {
		return w.dialect.quote(w.outer.table.alias) + "." + w.dialect.quote(c.name)
	}
	return w.names[c.source] + "." + w.dialect.quote(c.name)
}

func (w *writer) table(name []string, alias string) {
	for i, part := range name {
		if i > 0 {
			w.put(".")
		}
		w.put(w.dialect.quote(part))
	}
	w.put(" AS ", alias)
}

// parameter adds a value and returns what stands for it.
func (w *writer) parameter(v string) string {
	w.args = append(w.args, v)
	return w.dialect.placeholder(w.first + len(w.args) - 1)
}

// again returns what stands for the same value in another place.
func (w *writer) again(v, parameter string) string {
	if w.dialect.numbered() {
		return parameter
	}
	return w.parameter(v)
}

// equals writes that a column is a text: in its own collation, so that an index
// serves, and then exactly.
func (w *writer) equals(column, v string) {
	p := w.parameter(v)
	w.put("(", w.dialect.column(column), " = ", p, " AND ")
	w.put(w.dialect.exact(column), " = ", w.dialect.exact(w.again(v, p)), ")")
}

func (w *writer) among(n among) error {
	c := w.column(n.column)
	if len(n.values) > manyValues {
		return w.long(n, c)
	}
	if n.not {
		w.put("NOT (", w.dialect.exact(c), " IN (")
		w.list(n.values, nil)
		w.put("))")
		return nil
	}
	if len(n.values) == 1 {
		w.equals(c, n.values[0])
		return nil
	}
	w.put("(", w.dialect.column(c), " IN (")
	parameters := make([]string, len(n.values))
	for i, v := range n.values {
		if parameters[i] = w.parameter(v); i > 0 {
			w.put(", ")
		}
		w.put(parameters[i])
	}
	w.put(") AND ", w.dialect.exact(c), " IN (")
	w.list(n.values, parameters)
	w.put("))")
	return nil
}

// list writes values to be compared exactly, some of which may be parameters already.
func (w *writer) list(values, parameters []string) {
	for i, v := range values {
		if i > 0 {
			w.put(", ")
		}
		if parameters == nil {
			w.put(w.dialect.exact(w.parameter(v)))
		} else {
			w.put(w.dialect.exact(w.again(v, parameters[i])))
		}
	}
}

// long writes a long list of values, as one parameter.
func (w *writer) long(n among, column string) error {
	list, err := array(n.values)
	if err != nil {
		return err
	}
	p := ""
	w.put(not(n.not), "(")
	if alias := w.alias(); !n.not && w.dialect.elements("", alias, false) != "" {
		p = w.parameter(list)
		w.put(w.dialect.column(column), " IN (", w.dialect.elements(p, alias, false), ") AND ")
	}
	if p == "" {
		p = w.parameter(list)
	} else {
		p = w.again(list, p)
	}
	w.put(w.dialect.exact(column), " IN (", w.dialect.elements(p, w.alias(), true), "))")
	return nil
}

func (w *writer) same(n same) {
	a, b := w.column(n.a), w.column(n.b)
	if n.not {
		w.put("NOT (", w.dialect.exact(a), " = ", w.dialect.exact(b), ")")
		return
	}
	w.alike(a, b)
}

// alike writes that two columns are the same text.
func (w *writer) alike(a, b string) {
	w.put("(", w.dialect.alike(a, b), " AND ", w.dialect.exact(a), " = ", w.dialect.exact(b), ")")
}

func (w *writer) related(n related) {
	alias := w.alias()
	w.put(not(n.not), w.dialect.exists())
	w.table(n.link.name, alias)
	w.put(" WHERE ")
	owner, item, id := alias+"."+w.dialect.quote(n.link.owner), alias+"."+w.dialect.quote(n.link.item), w.column(n.owner)
	w.alike(owner, id)
	w.put(" AND ")
	if n.in != nil {
		w.alike(item, w.column(*n.in))
	} else {
		w.equals(item, n.value)
	}
	if w.inside && n.in != nil {
		w.put(w.dialect.within())
	}
	w.put(")")
}

func (w *writer) joined(n joined) error {
	w.put(w.dialect.exists())
	for i, s := range n.sources {
		if i > 0 {
			w.put(", ")
		}
		w.names[s] = w.alias()
		w.table(s.table.name, w.names[s])
	}
	w.put(" WHERE ")
	for i, s := range n.sources {
		if i > 0 {
			w.put(" AND ")
		}
		w.same(same{a: s.id(), b: n.by[i]})
	}
	if !isTrue(n.holds) {
		w.put(" AND ")
		w.inside = true
		err := w.writeNodes([]node{n.holds}, "", "")
		w.inside = false
		if err != nil {
			return err
		}
	}
	w.put(")")
	return nil
}
