package filter

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Tables is the mapping of types of resources to a host's own tables. It comes from
// configuration and never from a request.
type Tables struct {
	types map[string]*table
}

// table says where a host keeps the entities of a type.
type table struct {
	path     string   // where it stands in the mapping
	name     []string // the parts of its name
	alias    string   // by which name a query that has the filter in it knows it
	resolved bool
	columns  map[string]string // by fact: the id, and those that are one column
	links    map[string]*link  // by fact: those that are sets
	// references are the columns that have the ids of other entities, by name. One
	// without a column says that no row has such a reference.
	references map[string]*reference
}

// link is a table with the pairs that a set consists of. One without a name says
// that the ids stand in the filter.
type link struct {
	name        []string
	owner, item string // its columns: whose set it is, and what is in it
}

type reference struct {
	column   string
	resolved bool
}

// ParseTables reads a mapping in JSON (see docs/filters.md). It is decoded strictly; the
// error names the field and what to do.
func ParseTables(text []byte) (*Tables, error) {
	root, err := decode(text)
	if err != nil {
		return nil, err
	}
	top, err := root.object("tables")
	if err != nil {
		return nil, err
	}
	types, given := top["tables"]
	if !given {
		return nil, bad("tables", "is missing; give an object with a table for each type")
	}
	each, err := types.object()
	if err != nil {
		return nil, err
	}
	t := &Tables{types: map[string]*table{}}
	for _, name := range slices.Sorted(maps.Keys(each)) {
		if name == "" {
			return nil, bad(types.path, "has a member without a name; name the type")
		}
		if t.types[name], err = parseTable(each[name]); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func parseTable(v value) (*table, error) {
	known := append([]string{"table", "alias", "resolved", "references", authz.FactID}, leafNames()...)
	members, err := v.object(known...)
	if err != nil {
		return nil, err
	}
	t := &table{path: v.path, columns: map[string]string{}, links: map[string]*link{}, references: map[string]*reference{}}
	if t.name, err = tableName(v.path, members); err != nil {
		return nil, err
	}
	t.alias = t.name[len(t.name)-1]
	if alias, given := members["alias"]; given {
		if t.alias, err = alias.identifier(); err != nil {
			return nil, err
		}
	}
	if resolved, given := members["resolved"]; given {
		if t.resolved, err = resolved.yes(); err != nil {
			return nil, err
		}
	}
	for _, fact := range columnFacts() {
		if column, given := members[fact]; given {
			if t.columns[fact], err = column.identifier(); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range leafFields() {
		set, given := members[f.Name]
		if !given || !f.isSet() {
			continue
		}
		if t.columns[authz.FactID] == "" {
			return nil, bad(v.path+".id", "is missing; %s goes by it", f.Name)
		}
		if t.links[f.Name], err = parseLink(set, &f); err != nil {
			return nil, err
		}
	}
	if references, given := members["references"]; given {
		each, err := references.object()
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(each)) {
			if t.references[name], err = parseReference(each[name]); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func parseLink(v value, f *leafField) (*link, error) {
	if f.Relation == model.CareTeam && v.scalar != nil {
		if v.scalar == "ids" {
			return &link{}, nil
		}
		return nil, bad(v.path, `must be "ids" or an object with table, patient and member`)
	}
	owner, item := f.pair()
	members, err := v.object("table", owner, item)
	if err != nil {
		return nil, err
	}
	l := &link{}
	if l.name, err = tableName(v.path, members); err != nil {
		return nil, err
	}
	for _, named := range []struct {
		member string
		to     *string
	}{{owner, &l.owner}, {item, &l.item}} {
		column, given := members[named.member]
		if !given {
			return nil, bad(below(v.path, named.member), "is missing; name the column")
		}
		if *named.to, err = column.identifier(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func parseReference(v value) (*reference, error) {
	if v.scalar != nil {
		if v.scalar == "none" {
			return &reference{}, nil
		}
		return nil, bad(v.path, `must be "none" or an object with column`)
	}
	members, err := v.object("column", "resolved")
	if err != nil {
		return nil, err
	}
	column, given := members["column"]
	if !given {
		return nil, bad(v.path+".column", "is missing; name the column")
	}
	r := &reference{}
	if r.column, err = column.identifier(); err != nil {
		return nil, err
	}
	if resolved, given := members["resolved"]; given {
		r.resolved, err = resolved.yes()
	}
	return r, err
}

// tableName reads the member table: one name, with dots between its parts, or an
// array of the parts.
func tableName(path string, members map[string]value) ([]string, error) {
	v, given := members["table"]
	if !given {
		return nil, bad(path+".table", `is missing; name the table, as "patients" or "clinic.patients"`)
	}
	parts := v.items
	if text, ok := v.scalar.(string); ok {
		for part := range strings.SplitSeq(text, ".") {
			parts = append(parts, value{path: v.path, scalar: part})
		}
	} else if v.kind != '[' {
		return nil, bad(v.path, "must be a name, or an array of the parts of a name")
	}
	if len(parts) < 1 || len(parts) > 3 {
		return nil, bad(v.path, "must be of one to three parts: database, schema and table; give a part with a dot in it in an array")
	}
	var name []string
	for _, part := range parts {
		n, err := part.identifier()
		if err != nil {
			return nil, err
		}
		name = append(name, n)
	}
	return name, nil
}

// maxIdentifier is how many characters an identifier may have; no dialect takes more.
const maxIdentifier = 128

// identifier reads the name of a column, or of a part of the name of a table. It is
// quoted when it is written, so that it may have any character but control characters.
func (v value) identifier() (string, error) {
	name, ok := v.scalar.(string)
	if !ok {
		return "", bad(v.path, "must be a string, the name of a column or table")
	}
	if n := utf8.RuneCountInString(name); n < 1 || n > maxIdentifier {
		return "", bad(v.path, "must have 1 to %d characters, and so must each part of it", maxIdentifier)
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return "", bad(v.path, "has a control character, which no name has; take it out")
	}
	return name, nil
}

// Check reports what of the mapping has no place in a catalogue: a type, a reference, or
// a fact that its type does not have. The mapping would not be used there.
func (t *Tables) Check(c *authz.Catalogue) error {
	if c == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(t.types)) {
		table := t.types[name]
		spec, known := c.Types[name]
		if !known {
			return bad(table.path, "is not a type of the catalogue; correct the name, or add the type to the data")
		}
		for _, reference := range slices.Sorted(maps.Keys(table.references)) {
			if _, known := spec.References[reference]; !known {
				return bad(table.path+".references."+reference, "is not a reference of the type in the catalogue; correct the name, or take it away")
			}
		}
		facts := append(slices.Sorted(maps.Keys(table.columns)), slices.Sorted(maps.Keys(table.links))...)
		for _, fact := range facts {
			if kind := fieldOf(fact).kind; kind != "" && kind != spec.Facts {
				return bad(below(table.path, fact), "is no fact of this type, only of those whose facts are %s; take it away", kind)
			}
		}
	}
	return nil
}
