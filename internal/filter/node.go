package filter

import (
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// node is one of the types below: a condition about a row, without a dialect.
type node any

type (
	allOf []node // true when all are; without any it is true
	anyOf []node // true when one is; without any it is false
	// null asks whether a column is NULL, or is not.
	null struct {
		column column
		not    bool
	}
	// among asks whether a column that is not NULL is one of some texts, of which there
	// is one at least, or whether it is none of them.
	among struct {
		column column
		values []string
		not    bool
	}
	// same asks whether two columns that are not NULL are the same text, or are not.
	same struct {
		a, b column
		not  bool
	}
	// truth asks whether a column is true, or is not, as is NULL.
	truth struct {
		column column
		not    bool
	}
	// related asks whether a set has a row for what is in it, or has none. owner is the
	// column with the id of the entity whose set it is.
	related struct {
		of    *table // the table of the entity whose set it is
		link  *link
		owner column
		value string  // what is in it,
		in    *column // or the column that says what
		not   bool
	}
	// joined asks whether there are rows in other tables, those with the ids that some
	// columns have, of which something holds.
	joined struct {
		sources []*source
		by      []column // for each source
		holds   node
	}
)

// source is an occurrence of a table.
type source struct {
	table *table
}

// column is a column of an occurrence of a table.
type column struct {
	source *source
	name   string
}

// id is the column by which a table is joined.
func (s *source) id() column { return column{s, s.table.columns[authz.FactID]} }

func isTrue(n node) bool  { all, ok := n.(allOf); return ok && len(all) == 0 }
func isFalse(n node) bool { some, ok := n.(anyOf); return ok && len(some) == 0 }

// conjunction joins nodes by and.
func conjunction(nodes ...node) node {
	var out allOf
	for _, n := range nodes {
		if isFalse(n) {
			return anyOf{}
		}
		parts, ok := n.(allOf)
		if !ok {
			parts = allOf{n}
		}
		for _, part := range parts {
			if _, ok := part.(null); !ok || !slices.Contains(out, part) { // once is enough
				out = append(out, part)
			}
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}

// disjunction joins nodes by or.
func disjunction(nodes ...node) node {
	var out anyOf
	for _, n := range nodes {
		if isTrue(n) {
			return allOf{}
		}
		if some, ok := n.(anyOf); ok {
			out = append(out, some...)
		} else {
			out = append(out, n)
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}
