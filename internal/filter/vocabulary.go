package filter

import (
	"cmp"
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// leafField is a field of a record that the policy sees, with the kind of the record. No
// two kinds have such a field of one name.
type leafField struct {
	kind authz.Kind
	model.Field
}

// leafFields returns every field that the policy sees, in the order of their names.
func leafFields() []leafField {
	var out []leafField
	for _, kind := range model.Kinds() {
		for _, f := range model.Fields(kind) {
			if f.Leaf {
				out = append(out, leafField{kind, f})
			}
		}
	}
	slices.SortFunc(out, func(a, b leafField) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// fieldOf returns the field that a fact is, the zero one for an id and for what is none.
func fieldOf(fact string) leafField {
	for _, f := range leafFields() {
		if f.Name == fact {
			return f
		}
	}
	return leafField{Field: model.Field{Type: -1}}
}

// isSet, isText and isFlag report how a table has a field: as pairs, or as one column.
func (f *leafField) isSet() bool  { return f.Type == model.IDs }
func (f *leafField) isText() bool { return f.Type == model.ID }
func (f *leafField) isFlag() bool { return f.Type == model.Flag }

// pair returns the names of the two columns of a table with the pairs of a set: whose it
// is, and what is in it.
func (f *leafField) pair() (owner, item string) {
	from, to := f.Relation.Ends()
	return columnOf(from), columnOf(to)
}

// columnOf returns how a mapping calls the column that has the id of an entity.
func columnOf(kind authz.Kind) string {
	if kind == authz.KindTeamMember {
		return "member"
	}
	return string(kind)
}

// isOptional reports whether an entity need not have a fact that is one text.
func isOptional(fact string) bool {
	f := fieldOf(fact)
	return f.isText() && !f.Always
}

// leafNames returns the names of all facts but the id.
func leafNames() []string {
	var names []string
	for _, f := range leafFields() {
		names = append(names, f.Name)
	}
	return names
}

// columnFacts returns the names of the facts that are one column.
func columnFacts() []string {
	names := []string{authz.FactID}
	for _, f := range leafFields() {
		if !f.isSet() {
			names = append(names, f.Name)
		}
	}
	return names
}
