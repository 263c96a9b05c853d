package admin

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
)

// Store holds records and commits changes.
type Store interface {
	// Commit makes a change: all edits in order, each on what the ones before it
	// left, or none of them. Errors:
	//
	//	Malformed  an edit names what does not exist, or breaks a rule; Field says
	//	           which, as edits[2].record.role
	//	NotFound   Set, Cancel or Link of an entity that does not exist
	//	Conflict   Delete of what is in use, with InUse; Book of a booking that exists
	//	           otherwise; the last holder of user:* (A4); an expectation
	//	           about what the policy looked at that does not hold (ErrMoved)
	//	Changed    an expectation marked IfMatch does not hold
	//	Behind     the organisation does not include AtLeast
	//	TooLarge   more than MaxEdits entities
	//	Unavailable, Timeout   it may be committed and may not be
	Commit(ctx context.Context, organisation string, change Change) (Committed, error)

	// Preview says what Commit would make of the entities that a change touches, and
	// changes nothing. Its errors are those of Commit.
	Preview(ctx context.Context, organisation string, change Change) (Previewed, error)

	// Records returns the records for keys at one revision, and nil in the place
	// of one that does not exist.
	Records(ctx context.Context, organisation string, keys []authz.Key) ([]*Stored, authz.Revision, error)

	// RecordsAndFacts returns what Records does, and the facts about keys and about also, with the
	// roles and groups of the team members among them, all at the revision of the facts.
	RecordsAndFacts(ctx context.Context, organisation string, keys, also []authz.Key) ([]*Stored, *authz.Facts, error)

	// List returns a page of records of a kind in the order of their ids, those
	// after the id after, limit at most, and whether there are more.
	List(ctx context.Context, organisation string, kind authz.Kind, after string, limit int) (Page, error)

	// Related returns a page of the ids of the entities that relate to the entity
	// to: for Access and a patient group, the team members who have it. The other
	// direction stands in the record. An entity to that does not exist is NotFound.
	Related(ctx context.Context, organisation string, relation Relation, to string, after string, limit int) (RelatedPage, error)

	// Includes returns nil if facts at the revision have, which were read a moment ago,
	// include the changes up to want: one of the same history, and not a later one. The
	// zero revision is included in every other. Otherwise the error is of kind Behind.
	Includes(ctx context.Context, organisation string, have, want authz.Revision) error

	// History returns up to limit events after a place, oldest first. A
	// revision that is not remembered any more, or is of another history, is Behind.
	// The zero revision asks from the oldest that is remembered on. There may be
	// fewer than limit before the newest, when they are large; one that is large by
	// itself is given in part, as the first of them.
	History(ctx context.Context, organisation string, after Place, limit int) (History, error)

	// Wait returns nil as soon as the organisation may have another revision than
	// after, at once if it has; what is there is for History to say. When ctx ends
	// before that it returns an error of kind Timeout.
	Wait(ctx context.Context, organisation string, after authz.Revision) error
}

// Previewed is what a change would do at Revision. It is empty for one that would find
// everything as it asks for.
type Previewed struct {
	Altered  []Altered
	Revision authz.Revision
}

// Altered is one entity that a change would touch, as it is and as it would be; nil
// for one that does not, or would not, exist.
type Altered struct {
	Before, After *Stored
}

// Page is a part of a list.
type Page struct {
	Records []*Stored
	// More says that there may be more after the page, even after an empty one.
	More bool
	// Next is what the next page comes after, when that is not the last record of
	// this one: a Service sets it when it stopped among records that the actor does
	// not see. It is then the id of one of those, and not to be shown as it is.
	Next     string
	Revision authz.Revision
}

// RelatedPage is a part of the ids that relate to an entity.
type RelatedPage struct {
	IDs      []string
	More     bool   // as in a Page
	Next     string // as in a Page
	Revision authz.Revision
}

// ErrMoved is the cause of a Conflict about facts that changed between the
// policy's look and the commit: deciding again is the remedy.
var ErrMoved = moved{}

// Moved is a Conflict because of ErrMoved.
func Moved() error {
	return &authz.Error{Kind: authz.Conflict, Message: "the facts changed meanwhile; try again", Err: ErrMoved}
}

type moved struct{}

func (moved) Error() string { return "what the decision was made from has changed" }
