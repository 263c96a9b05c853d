package wire

import (
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// The bodies of the Directory API that are no records.
type (
	// Key names a record.
	Key struct {
		Kind string `json:"kind"`
		ID   string `json:"id"`
	}
	// ListQuery asks for a page of the records of a kind.
	ListQuery struct {
		Kind  string `json:"kind"`
		Limit Number `json:"limit"`
		After string `json:"after"`
	}
	// RelationQuery asks for a page of those at the other end of a relation: of From, or of To.
	RelationQuery struct {
		Relation admin.Relation `json:"relation"`
		From     string         `json:"from"`
		To       string         `json:"to"`
		Limit    Number         `json:"limit"`
		After    string         `json:"after"`
	}
	// Cancelling says how a booking is cancelled.
	Cancelling struct {
		Release bool `json:"release"`
	}
	// Set is a whole set of ids. Nil is none given.
	Set struct {
		IDs []string `json:"ids"`
	}
	// Additions are what is added to a set of which nothing is removed.
	Additions struct {
		Add []string `json:"add"`
	}
	// SetChange is what is added to a set and removed from it.
	SetChange struct {
		Add    []string `json:"add"`
		Remove []string `json:"remove"`
	}
)

// Key returns the key that is named.
func (k Key) Key() (authz.Key, error) { return keyOf("", k.Kind, k.ID) }

// Check makes sure that the kind is one.
func (q ListQuery) Check() error {
	if kind := authz.Kind(q.Kind); !model.Has(kind) {
		return admin.UnknownKind("kind", kind)
	}
	return nil
}

// Check makes sure that the relation is one and that one end is named.
func (q RelationQuery) Check() error {
	end, id := "to", q.To
	if q.From != "" {
		end, id = "from", q.From
	}
	if from, _ := q.Relation.Ends(); from == "" {
		return malformed("relation", "must be one of role, group, access, booking, patient_group, care_team, patient and provider")
	}
	if q.From != "" && q.To != "" {
		return malformed("to", "given beside from; give the end that you know")
	}
	if err := admin.CheckID(end, id); err != nil {
		return err
	}
	return nil
}

// Check makes sure that ids are given, each once.
func (s Set) Check() error {
	if s.IDs == nil {
		return malformed("ids", "is required: give all ids of the set, or an empty list")
	}
	return distinct("ids", s.IDs)
}

// Check makes sure that ids are given, each once and for one thing.
func (s SetChange) Check() error {
	if err := distinct("add", s.Add); err != nil {
		return err
	}
	if err := distinct("remove", s.Remove); err != nil {
		return err
	}
	added := make(map[string]bool, len(s.Add))
	for _, id := range s.Add {
		added[id] = true
	}
	for i, id := range s.Remove {
		if added[id] {
			return malformed(Item("remove", i), "is in add as well; keep one")
		}
	}
	if len(s.Add)+len(s.Remove) == 0 {
		return malformed("add", "is required: give at least one id to add or remove")
	}
	return nil
}

// Check makes sure that ids are given, each once.
func (a Additions) Check() error { return a.SetChange().Check() }

// SetChange returns the additions as a change of a set.
func (a Additions) SetChange() SetChange { return SetChange{Add: a.Add} }

// Place names a field of the edits that a change of a set comes down to, additions first, as
// it stands in the body.
func (s SetChange) Place(field string) string {
	switch n, ok := ItemIn(field); {
	case field == "edits" && len(s.Remove) > len(s.Add): // too many of them
		return "remove"
	case field == "edits":
		return "add"
	case !ok:
		return field
	case n < len(s.Add):
		return Item("add", n)
	default:
		return Item("remove", n-len(s.Add))
	}
}

// distinct makes sure that every item of a list is an id, and stands there once.
func distinct(field string, ids []string) error {
	seen := make(map[string]bool, len(ids))
	for i, id := range ids {
		if err := admin.CheckID(Item(field, i), id); err != nil {
			return err
		}
		if seen[id] {
			return malformed(Item(field, i), "stands in the list twice; keep one")
		}
		seen[id] = true
	}
	return nil
}
