package filter

import (
	"strings"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/authz"
)

// builder turns a plan into a condition about a row of the table asked about.
type builder struct {
	*plan
	lists  map[string][]string // ids of the patients of care teams, by member
	outer  *source
	values int // how many there are up to now
}

// clause returns the condition for a row to be shown.
func (b *builder) clause() (node, error) {
	if len(b.branches) == 0 {
		return anyOf{}, nil
	}
	own, err := b.exists(b.outer, b.request.Resource.Type)
	if err != nil {
		return nil, err
	}
	all := []node{own}
	for _, name := range b.given {
		id, _ := b.request.Resource.Properties[name].(string) // looked at when the question was opened
		among, err := b.among(b.column(name), []string{id}, false)
		if err != nil {
			return nil, err
		}
		all = append(all, among)
	}
	for _, name := range b.indifferent {
		if b.table.references[name].resolved {
			continue
		}
		n, err := b.refers(branch{given: []string{name}, residual: &authz.Residual{Any: [][]authz.Condition{{}}}}, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, disjunction(null{column: b.column(name)}, n))
	}
	var some []node
	for _, branch := range b.branches {
		n, err := b.refers(branch, b.required)
		if err != nil {
			return nil, err
		}
		some = append(some, n)
	}
	return conjunction(append(all, disjunction(some...))...), nil
}

// exists returns what makes a row one of an entity that is in the directory, aside
// from its id in a table that is joined by it.
func (b *builder) exists(s *source, typ string) (node, error) {
	spec := b.types[typ]
	if s.table.resolved || spec.Facts == "" {
		return allOf{}, nil
	}
	var all []node
	if id := s.table.columns[authz.FactID]; id != "" && s == b.outer {
		all = append(all, null{column: column{s, id}, not: true})
	}
	for _, f := range leafFields() {
		if name := s.table.columns[f.Name]; name != "" && f.isText() && f.Always {
			all = append(all, null{column: column{s, name}, not: true})
		}
	}
	if spec.RequireProvider {
		provider := s.table.columns[authz.FactProvider]
		if provider == "" {
			return nil, authz.Errorf(authz.NotFound, s.table.path+".provider",
				`is needed, since this type is of providers alone; add the column that says who is one, or "resolved": true where all rows are`)
		}
		all = append(all, truth{column: column{s, provider}})
	}
	return conjunction(all...), nil
}

// column returns the column of the table asked about that has the id of a reference.
func (b *builder) column(reference string) column {
	return column{b.outer, b.table.references[reference].column}
}

// refers returns the condition for the rows of a branch: that what they refer to
// exists, and that an alternative of the residual holds. One join of everything that
// is referred to serves all alternatives.
func (b *builder) refers(br branch, required []string) (node, error) {
	sc := &scope{builder: b, references: map[string]bool{}, joins: map[string]*source{}}
	given := append(append([]string{}, required...), br.given...)
	for _, name := range given {
		sc.references[name] = true
		if !b.table.references[name].resolved {
			if _, err := sc.join(name); err != nil {
				return nil, err
			}
		}
	}
	var some []node
	for _, conditions := range br.residual.Any {
		all := make([]node, 0, len(conditions))
		for _, c := range conditions {
			n, err := sc.condition(c)
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
		some = append(some, conjunction(all...))
	}
	holds := disjunction(some...)
	if isFalse(holds) {
		return holds, nil
	}
	var outer, inner []node
	for _, name := range br.absent {
		outer = append(outer, null{column: b.column(name)})
	}
	j := joined{}
	for _, name := range given {
		s := sc.joins[name]
		if s == nil {
			outer = append(outer, null{column: b.column(name), not: true})
			continue
		}
		exists, err := b.exists(s, name)
		if err != nil {
			return nil, err
		}
		j.sources, j.by = append(j.sources, s), append(j.by, b.column(name))
		inner = append(inner, exists)
	}
	if len(j.sources) == 0 {
		return conjunction(append(outer, holds)...), nil
	}
	j.holds = conjunction(append(inner, holds)...)
	return conjunction(append(outer, j)...), nil
}

// usable returns the values that an id can be. What is longer, has a NUL, or is not
// UTF-8 is none; that something is none of these cannot be said of a database that has
// them nevertheless.
func (b *builder) usable(values []string, not bool) ([]string, error) {
	out := make([]string, 0, len(values))
	for _, v := range values {
		if len(v) <= maxValue && utf8.ValidString(v) && !strings.ContainsRune(v, 0) {
			out = append(out, v)
		} else if not {
			return nil, authz.Errorf(authz.Malformed, "", "the rule excludes a text of the question that is no id: one of more than %d bytes, "+
				"with a NUL, or not in UTF-8; leave it out", maxValue)
		}
	}
	b.values += len(out)
	if b.values > MaxValues {
		return nil, authz.Errorf(authz.TooLarge, "", "the filter would have more than %d values; "+
			"map the facts to tables of yours, or use a search", MaxValues)
	}
	return out, nil
}

// among returns the condition that a column is one of some values, or that it is not
// NULL and none of them.
func (b *builder) among(c column, values []string, not bool) (node, error) {
	values, err := b.usable(values, not)
	switch {
	case err != nil:
		return nil, err
	case not && len(values) == 0:
		return null{column: c, not: true}, nil
	case not:
		return allOf{null{column: c, not: true}, among{column: c, values: values, not: true}}, nil
	case len(values) == 0:
		return anyOf{}, nil
	}
	return among{column: c, values: values}, nil
}
