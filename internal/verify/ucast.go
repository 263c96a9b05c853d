package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// condition is a condition of UCAST.
type condition struct {
	Type     string          `json:"type"`
	Operator string          `json:"operator"`
	Field    string          `json:"field"`
	Value    json.RawMessage `json:"value"`
}

// truth is what a condition can be. What is said of NULL is unknown in a database, and
// plainly false or true in an interpreter; a condition that is right is so in both.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// interpreter reads UCAST over the tables of a host, as an ORM does that knows which
// table each reference is joined with.
type interpreter struct {
	*layout
	tables map[string]*Table
	nulls  bool // what is said of NULL is unknown
}

func newInterpreter(l *layout, tables []Table, nulls bool) *interpreter {
	in := &interpreter{layout: l, tables: map[string]*Table{}, nulls: nulls}
	for i := range tables {
		in.tables[tables[i].Name] = &tables[i]
	}
	return in
}

// joined is a row with the rows that it refers to, by the name of the table: values by
// column.
type joined struct {
	rows   map[string]map[string]any
	owners map[string]any // the id by which the sets of a table are found
}

// rows returns the numbers of the rows of the table of a type for which a condition
// holds.
func (in *interpreter) rows(typ string, text json.RawMessage) ([]int, error) {
	var c condition
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	var out []int
	t := in.tables[in.names[typ]]
	for number := range t.Rows {
		j := in.join(typ, t, number)
		holds, err := in.holds(&c, j)
		if err != nil {
			return nil, err
		}
		if holds == yes {
			out = append(out, number)
		}
	}
	return out, nil
}

func (t *Table) values(number int) map[string]any {
	out := make(map[string]any, len(t.Columns))
	for i, c := range t.Columns {
		out[c.Name] = t.Rows[number][i]
	}
	return out
}

// join finds what a row refers to.
func (in *interpreter) join(typ string, t *Table, number int) *joined {
	own := t.values(number)
	j := &joined{rows: map[string]map[string]any{}, owners: map[string]any{}}
	for i, name := range slices.Sorted(maps.Keys(in.catalogue.Types[typ].References)) {
		of, id := in.tables[in.names[name]], own[column(i)]
		j.owners[of.Name] = id
		for n := range of.Rows {
			if id != nil && of.Rows[n][1] == id { // its second column is the id
				j.rows[of.Name] = of.values(n)
			}
		}
	}
	j.rows[t.Name], j.owners[t.Name] = own, own[authz.FactID]
	return j
}

func (in *interpreter) holds(c *condition, j *joined) (truth, error) {
	switch c.Operator {
	case "and", "or":
		return in.several(c, j)
	case "not":
		inner, err := in.parts(c, j)
		if err == nil && len(inner) != 1 {
			err = fmt.Errorf("not is about %d conditions", len(inner))
		}
		if err != nil {
			return no, err
		}
		return yes - inner[0], nil
	case "elemMatch":
		return in.elements(c, j)
	}
	value, err := j.value(c.Field)
	if err != nil {
		return no, err
	}
	return in.compare(c, value, j.value)
}

// parts are the answers of what a condition is made of.
func (in *interpreter) parts(c *condition, j *joined) ([]truth, error) {
	var of []condition
	if err := json.Unmarshal(c.Value, &of); err != nil {
		return nil, err
	}
	out := make([]truth, len(of))
	for i := range of {
		var err error
		if out[i], err = in.holds(&of[i], j); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (in *interpreter) several(c *condition, j *joined) (truth, error) {
	of, err := in.parts(c, j)
	if err != nil {
		return no, err
	}
	if c.Operator == "and" {
		return slices.Min(append(of, yes)), nil
	}
	return slices.Max(append(of, no)), nil
}

// elements answers whether a set has an element of which a condition holds.
func (in *interpreter) elements(c *condition, j *joined) (truth, error) {
	of, name, _ := strings.Cut(c.Field, ".")
	pairs := in.tables[name]
	owner, has := j.owners[of]
	var inner condition
	if err := json.Unmarshal(c.Value, &inner); err != nil {
		return no, err
	}
	if pairs == nil || !has {
		return no, fmt.Errorf("there is no relation %q of %q", name, of)
	}
	for n := range pairs.Rows {
		if owner == nil || pairs.Rows[n][1] != owner {
			continue
		}
		element := pairs.values(n)
		value, has := element[inner.Field]
		if !has {
			return no, fmt.Errorf("there is no field %q in %q", inner.Field, name)
		}
		holds, err := in.compare(&inner, value, j.value)
		if err != nil || holds == yes {
			return holds, err
		}
	}
	return no, nil
}

// value returns the value of a field; what is not there has NULL.
func (j *joined) value(field string) (any, error) {
	table, name, _ := strings.Cut(field, ".")
	if _, known := j.owners[table]; !known {
		return nil, fmt.Errorf("there is no table %q", table)
	}
	if j.rows[table] == nil {
		return nil, nil //nolint:nilnil // NULL
	}
	v, known := j.rows[table][name]
	if !known {
		return nil, fmt.Errorf("there is no field %q", field)
	}
	return v, nil
}

func (in *interpreter) compare(c *condition, value any, field func(string) (any, error)) (truth, error) {
	var with any
	if err := json.Unmarshal(c.Value, &with); err != nil {
		return no, err
	}
	if other, is := with.(map[string]any); is {
		name, _ := other["field"].(string)
		var err error
		if with, err = field(name); err != nil {
			return no, err
		}
		if in.nulls && with == nil {
			return unknown, nil
		}
	}
	among, many := with.([]any)
	if !many {
		among = []any{with}
	}
	switch {
	case in.nulls && value == nil && (many || with != nil):
		return unknown, nil
	case c.Operator == "eq" && !many, c.Operator == "in" && many:
		return truthOf(slices.Contains(among, value)), nil
	case c.Operator == "ne" && !many, c.Operator == "nin" && many:
		return truthOf(!slices.Contains(among, value)), nil
	}
	return no, fmt.Errorf("there is no operator %q of %T", c.Operator, with)
}
