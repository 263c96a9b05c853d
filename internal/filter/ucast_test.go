package filter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/filter"
)

// agreesUCAST interprets the filter in UCAST as an ORM does, and compares it as well.
func (c *compared) agreesUCAST(t *testing.T, want []int) {
	t.Helper()
	f := c.filter(t, filter.UCAST)
	if f.Where != "" || f.Args == nil || len(f.Args) > 0 {
		t.Errorf("UCAST with %q and %q", f.Where, f.Args)
	}
	var condition map[string]any
	d := json.NewDecoder(bytes.NewReader(f.UCAST))
	if err := d.Decode(&condition); err != nil {
		t.Fatalf("%v: %s", err, f.UCAST)
	}
	var got []int
	for n, r := range c.world.rows[c.typ] {
		o := &orm{compared: c, row: r, cells: map[string]any{}}
		o.load(c.typ, r)
		for name, id := range r.references {
			if id == nil {
				continue
			}
			for _, to := range c.world.rows[name] {
				if to.id != nil && *to.id == *id {
					o.load(name, to)
				}
			}
		}
		if o.holds(condition, "", nil) {
			got = append(got, n)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("UCAST shows rows %v; checks allow %v\n%s\n%s", got, want, f.UCAST, c.describe())
	}
}

// orm interprets UCAST over one row and what it refers to, with SQL's NULL.
type orm struct {
	*compared
	row   *row
	cells map[string]any // by table and column
	of    []relation
}

// relation is a set of an entity.
type relation struct {
	name  string
	items []string
}

func (o *orm) load(typ string, r *row) {
	cell := func(column string, v any) { o.cells[o.tables[typ]+"."+o.columns[column]] = v }
	set := func(name string, items []string) {
		o.of = append(o.of, relation{o.tables[typ] + "." + o.tables[name], items})
	}
	if cell("id", text(r.id)); r.id == nil {
		return
	}
	for name, id := range r.references {
		cell("r_"+name, text(id))
	}
	switch typ {
	case "patient":
		if !r.noGroup {
			cell("patient_group", r.fact.PatientGroup)
		}
		set("care_team", r.fact.CareTeam)
	case "provider", "team_member":
		if r.fact.Role != "" {
			cell("role", r.fact.Role)
		}
		cell("provider", r.fact.Provider)
		set("groups", r.fact.Groups)
		set("access", r.fact.Access)
		set("booking", r.fact.Booking)
	}
}

// holds says whether a condition is true, and neither false nor NULL. Negations are
// only of what is never NULL.
func (o *orm) holds(c map[string]any, within string, item any) bool {
	operator := c["operator"].(string)
	if list, is := c["value"].([]any); is && len(list) == 0 {
		panic(operator + " of nothing, which a library may leave out")
	}
	if c["type"] == "compound" {
		for _, part := range c["value"].([]any) {
			switch is := o.holds(part.(map[string]any), within, item); {
			case operator == "not":
				return !is
			case operator == "and" && !is:
				return false
			case operator == "or" && is:
				return true
			}
		}
		return operator == "and"
	}
	name, value := c["field"].(string), c["value"]
	if other, is := value.(map[string]any); is && operator != "elemMatch" {
		if value = o.cells[other["field"].(string)]; value == nil {
			return false // whatever it is compared with
		}
	}
	cell := o.cells[name]
	if within != "" {
		if cell = item; name != o.columns["item"] {
			panic(within + " has no field " + name)
		}
	}
	switch operator {
	case "eq":
		return cell == value
	case "ne":
		return cell != value && (cell != nil || value == nil)
	case "in":
		return cell != nil && slices.Contains(value.([]any), cell)
	case "nin":
		return cell != nil && !slices.Contains(value.([]any), cell)
	case "elemMatch":
		for _, r := range o.of {
			if r.name == name {
				for _, i := range r.items {
					if o.holds(value.(map[string]any), name, i) {
						return true
					}
				}
			}
		}
		return false
	}
	panic(fmt.Sprintf("%s is no operator of UCAST (%s)", operator, strings.TrimSpace(name)))
}
