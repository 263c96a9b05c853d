package search

import (
	"context"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// Index names the ids of one kind that relate to an entity: {admin.PatientGroupOf, "diabetes"}
// is the patients of that group. The zero Index is all ids of the kind.
type Index struct {
	Relation admin.Relation
	To       string
}

// Range is the part of an organisation that one page of a search is taken from.
type Range struct {
	Kind authz.Kind
	// Indexes are united: an id in any of them counts, and once. Each is of Kind. One about
	// an entity that does not exist is empty.
	Indexes []Index
	// IDs are further ids, in order, that count where an entity of Kind has them.
	IDs   []string
	After string // the id after which the page begins, "" for the first page
	Limit int    // the most ids, 1 to 1,000
	Facts bool   // read their facts too, and those of the role and groups of members
	// Basis is what has to be so still, for the range to be the one meant.
	Basis []admin.Expectation
	// At, when not nil, is the revision that the page has to be of.
	At *authz.Revision
}

// Found is a page of ids, all true at one revision.
type Found struct {
	IDs  []string // in order
	More bool     // there are ids after these
	// Facts are those of the ids where they were asked for, else nil. Its revision is that
	// of the page.
	Facts    *authz.Facts
	Revision authz.Revision
}

// Store reads the indexes of an organisation.
type Store interface {
	// Range reads one page in one snapshot, at a cost that does not depend on how many
	// ids there are before it or after. A basis that does not hold, or another revision
	// than At, is a Conflict because of admin.ErrMoved; an organisation that does not
	// exist is NotFound; facts that do not include fresh.AtLeast are Behind.
	Range(ctx context.Context, organisation string, r Range, fresh authz.Freshness) (Found, error)
	// Sizes returns how many ids each index has, all at one revision. Kind is that of
	// all of them.
	Sizes(ctx context.Context, organisation string, kind authz.Kind, indexes []Index) ([]int, authz.Revision, error)
	// Includes is admin.Store's.
	Includes(ctx context.Context, organisation string, have, want authz.Revision) error
}
