package filter

import "github.com/caregate/caregate/internal/authz"

// scope is where the conditions of one branch stand.
type scope struct {
	*builder
	references map[string]bool    // those that are given
	joins      map[string]*source // and those whose tables are joined
}

// join returns the table of what a reference names.
func (sc *scope) join(reference string) (*source, error) {
	if s := sc.joins[reference]; s != nil {
		return s, nil
	}
	t := sc.tables[reference]
	if t == nil {
		return nil, authz.Errorf(authz.NotFound, "tables."+reference,
			"is needed for what refers to it; add the table of this type to the mapping, "+
				`or "resolved": true to %s.references.%s where all in its column are known to exist`, sc.table.path, reference)
	}
	if t.columns[authz.FactID] == "" {
		return nil, missing(t, authz.FactID)
	}
	s := &source{table: t}
	sc.joins[reference] = s
	return s, nil
}

// missing is the error about a column that the rule needs and the mapping lacks.
func missing(t *table, fact string) error {
	what := "the column that has it"
	if f := fieldOf(fact); f.isSet() {
		what = "the table that has it"
	}
	return authz.Errorf(authz.NotFound, below(t.path, fact), "is needed by the rule; add %s to the mapping", what)
}

// unwritable is the error about a condition that no table can answer.
func unwritable(l authz.Leaf, why string) error {
	return authz.Errorf(authz.Unsupported, "", "the rule cannot be a filter: %s %s; use a search or batch checks", l, why)
}

// idColumn returns the column that has the id of the entity that a leaf is about.
func (sc *scope) idColumn(l authz.Leaf) (column, error) {
	if l.Reference != "" {
		if !sc.references[l.Reference] {
			return column{}, unwritable(l, "is about what is not open")
		}
		return sc.column(l.Reference), nil
	}
	id := sc.table.columns[authz.FactID]
	if id == "" {
		return column{}, missing(sc.table, authz.FactID)
	}
	return column{sc.outer, id}, nil
}

// source returns the table of the entity that a leaf is about.
func (sc *scope) source(l authz.Leaf) (*source, error) {
	if l.Reference == "" {
		return sc.outer, nil
	}
	if !sc.references[l.Reference] {
		return nil, unwritable(l, "is about what is not open")
	}
	return sc.join(l.Reference)
}

// textColumn returns the column of a leaf that is one text.
func (sc *scope) textColumn(l authz.Leaf) (column, error) {
	if l.Fact == authz.FactID {
		return sc.idColumn(l)
	}
	if f := fieldOf(l.Fact); !f.isText() {
		return column{}, unwritable(l, "is not a text")
	}
	return sc.singleColumn(l)
}

// singleColumn returns the column of a leaf that is one value.
func (sc *scope) singleColumn(l authz.Leaf) (column, error) {
	s, err := sc.source(l)
	if err != nil {
		return column{}, err
	}
	name := s.table.columns[l.Fact]
	if name == "" {
		return column{}, missing(s.table, l.Fact)
	}
	return column{s, name}, nil
}

// setTable returns the table of a leaf that is a set, and the column that has the id of
// the entity whose set it is.
func (sc *scope) setTable(l authz.Leaf) (related, error) {
	if l.Fact == authz.FactPermissions {
		return related{}, unwritable(l, "are in no column")
	}
	if f := fieldOf(l.Fact); !f.isSet() {
		return related{}, unwritable(l, "is not a set")
	}
	t := sc.table
	if l.Reference != "" {
		if t = sc.tables[l.Reference]; t == nil {
			return related{}, authz.Errorf(authz.NotFound, "tables."+l.Reference,
				"is needed by the rule, for %s; add the table of this type to the mapping", l.Fact)
		}
	}
	link := t.links[l.Fact]
	if link == nil {
		return related{}, missing(t, l.Fact)
	}
	owner, err := sc.idColumn(l)
	return related{of: t, link: link, owner: owner}, err
}

// condition writes one condition of a residual.
func (sc *scope) condition(c authz.Condition) (node, error) {
	switch c.Op {
	case authz.In:
		col, err := sc.textColumn(c.Leaf)
		if err != nil {
			return nil, err
		}
		n, err := sc.among(col, c.Values, c.Not)
		return orAbsent(n, c.Not, c.Leaf, col), err
	case authz.Has:
		return sc.has(c)
	case authz.IsTrue:
		if f := fieldOf(c.Leaf.Fact); !f.isFlag() {
			return nil, unwritable(c.Leaf, "is not true or false")
		}
		col, err := sc.singleColumn(c.Leaf)
		return truth{column: col, not: c.Not}, err
	case authz.Same:
		return sc.same(c)
	case authz.Within:
		return sc.within(c)
	}
	return nil, unwritable(c.Leaf, "is asked for something unknown")
}

// orAbsent lets a negation hold for a fact that an entity need not have.
func orAbsent(n node, not bool, l authz.Leaf, c column) node {
	if not && isOptional(l.Fact) {
		return disjunction(null{column: c}, n)
	}
	return n
}

func (sc *scope) has(c authz.Condition) (node, error) {
	r, err := sc.setTable(c.Leaf)
	if err != nil {
		return nil, err
	}
	if len(c.Values) != 1 {
		return nil, unwritable(c.Leaf, "is asked for other than one thing")
	}
	if r.link.name == nil { // the ids stand in the filter
		return sc.among(r.owner, sc.lists[c.Values[0]], c.Not)
	}
	values, err := sc.usable(c.Values, c.Not)
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return anyOf{}, nil
	}
	r.value, r.not = values[0], c.Not
	if c.Not { // nothing is said of the set of what has no id
		return conjunction(null{column: r.owner, not: true}, r), nil
	}
	return r, nil
}

func (sc *scope) same(c authz.Condition) (node, error) {
	a, err := sc.textColumn(c.Leaf)
	if err != nil {
		return nil, err
	}
	b, err := sc.textColumn(c.Other)
	if err != nil {
		return nil, err
	}
	if !c.Not {
		return same{a: a, b: b}, nil
	}
	differ := []node{same{a: a, b: b, not: true}}
	var all []node
	for _, side := range []struct {
		leaf authz.Leaf
		col  column
	}{{c.Leaf, a}, {c.Other, b}} {
		if isOptional(side.leaf.Fact) {
			differ = append(differ, null{column: side.col})
		} else {
			all = append(all, null{column: side.col, not: true})
		}
	}
	return conjunction(append(all, disjunction(differ...))...), nil
}

func (sc *scope) within(c authz.Condition) (node, error) {
	a, err := sc.textColumn(c.Leaf)
	if err != nil {
		return nil, err
	}
	r, err := sc.setTable(c.Other)
	if err != nil {
		return nil, err
	}
	if r.link.name == nil {
		return nil, authz.Errorf(authz.NotFound, below(r.of.path, authz.FactCareTeam),
			"must be a table of yours, since the rule asks whether %s is in it, which no list of ids says", c.Leaf)
	}
	if r.in, r.not = &a, c.Not; !c.Not {
		return r, nil
	}
	n := conjunction(null{column: a, not: true}, r)
	return conjunction(null{column: r.owner, not: true}, orAbsent(n, true, c.Leaf, a)), nil
}
