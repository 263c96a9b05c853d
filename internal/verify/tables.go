package verify

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/model"
)

// Column is a column of a table of a host.
type Column struct {
	Name string
	Bool bool // otherwise it is a text
}

// Table is a table of a host with its rows. The first column, RowNumber, is a number and
// in no mapping; values are int, string, bool or nil.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]any
}

// RowNumber is the column that tells rows apart.
const RowNumber = "row_number_"

// layout is the tables of a host for a catalogue, with the mapping for them.
type layout struct {
	catalogue *authz.Catalogue
	names     map[string]string // of tables, by type
}

// newLayout names a table for each type: after the type, where that is a plain word.
func newLayout(catalogue *authz.Catalogue) *layout {
	l := &layout{catalogue: catalogue, names: map[string]string{}}
	plain := regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)
	for i, typ := range slices.Sorted(maps.Keys(catalogue.Types)) {
		l.names[typ] = "host_" + typ
		if !plain.MatchString(typ) {
			l.names[typ] = "host_type_" + strconv.Itoa(i) + "_"
		}
	}
	return l
}

// link is a set of an entity, kept in a table of pairs.
type link struct{ fact, owner, item string }

// links returns the sets that the facts of a kind have; their names are those of the
// mapping, too.
func links(kind authz.Kind) []link {
	name := func(kind authz.Kind) string { return strings.TrimPrefix(string(kind), "team_") }
	var out []link
	for _, f := range model.Fields(kind) {
		if from, to := f.Relation.Ends(); f.Leaf && f.Type == model.IDs {
			out = append(out, link{f.Name, name(from), name(to)})
		}
	}
	return out
}

// singles returns the facts of a kind that are one column each.
func singles(kind authz.Kind) []model.Field {
	return slices.DeleteFunc(slices.Clone(model.Fields(kind)), func(f model.Field) bool { return !f.Leaf || f.Type == model.IDs })
}

// column is the name of the column that has the id of a reference: another one than that
// of a fact of the same name.
func column(reference int) string { return "reference_" + strconv.Itoa(reference) }

func (l *layout) linkTable(typ string, of link) string { return l.names[typ] + "_" + of.fact }

// mapping writes the mapping for the tables.
func (l *layout) mapping(h hosting) (*filter.Tables, error) {
	tables := map[string]any{}
	for typ, spec := range l.catalogue.Types {
		t := map[string]any{"table": l.names[typ], "id": "id"}
		if h.resolved {
			t["resolved"] = true
		}
		for _, f := range singles(spec.Facts) {
			t[f.Name] = f.Name
		}
		for _, of := range links(spec.Facts) {
			t[of.fact] = map[string]any{"table": l.linkTable(typ, of), of.owner: of.owner, of.item: of.item}
			if of.fact == authz.FactCareTeam && h.lists {
				t[of.fact] = "ids"
			}
		}
		references := map[string]any{}
		for i, name := range slices.Sorted(maps.Keys(spec.References)) {
			r := map[string]any{"column": column(i)}
			if h.resolved {
				r["resolved"] = true
			}
			references[name] = r
		}
		t["references"] = references
		tables[typ] = t
	}
	text, err := json.Marshal(map[string]any{"tables": tables})
	if err != nil {
		return nil, err
	}
	parsed, err := filter.ParseTables(text)
	if err != nil {
		return nil, err
	}
	return parsed, parsed.Check(l.catalogue)
}

// tables returns the tables with the rows of a scene.
func (l *layout) tables(s *scene, k factsByKey) []Table {
	var out []Table
	for _, typ := range slices.Sorted(maps.Keys(l.catalogue.Types)) {
		spec := l.catalogue.Types[typ]
		t := Table{Name: l.names[typ], Columns: []Column{{Name: RowNumber}, {Name: "id"}}}
		for _, f := range singles(spec.Facts) {
			t.Columns = append(t.Columns, Column{Name: f.Name, Bool: f.Type == model.Flag})
		}
		references := slices.Sorted(maps.Keys(spec.References))
		for i := range references {
			t.Columns = append(t.Columns, Column{Name: column(i)})
		}
		for number := range s.rows[typ] {
			r := &s.rows[typ][number]
			t.Rows = append(t.Rows, r.values(number, k, spec.Facts, references))
		}
		out = append(out, t)
		for _, of := range links(spec.Facts) {
			pairs := Table{Name: l.linkTable(typ, of), Columns: []Column{{Name: RowNumber}, {Name: of.owner}, {Name: of.item}}}
			for _, r := range s.rows[typ] {
				if f := k[authz.Key{Kind: spec.Facts, ID: r.ID}]; f != nil {
					for _, item := range f.Set(of.fact) {
						pairs.Rows = append(pairs.Rows, []any{len(pairs.Rows), r.ID, item})
					}
				}
			}
			out = append(out, pairs)
		}
	}
	return out
}

// values returns a row as a table has it.
func (r *row) values(number int, k factsByKey, kind authz.Kind, references []string) []any {
	text := func(v string, has bool) any {
		if !has {
			return nil
		}
		return v
	}
	out := []any{number, text(r.ID, r.Lacks != authz.FactID)}
	f := k[authz.Key{Kind: kind, ID: r.ID}]
	if f == nil {
		f = &authz.Fact{}
	}
	for _, single := range singles(kind) {
		value, has := f.Text(single.Name)
		switch {
		case single.Type != model.Flag:
			out = append(out, text(value, has && r.Lacks != single.Name))
		case !f.Flag(single.Name) && number%2 == 0: // not said is no
			out = append(out, nil)
		default:
			out = append(out, f.Flag(single.Name))
		}
	}
	for _, name := range references {
		id, has := r.References[name]
		out = append(out, text(id, has))
	}
	return out
}
