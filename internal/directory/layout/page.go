package layout

import (
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// Page is some entities of a kind in the order of their ids, as they are in
// Redis at one revision.
type Page struct {
	Revision authz.Revision
	Items    []Item
	More     bool // there are entities after it
}

// Item is the id and the hash of an entity, the hash as scripts return it.
type Item struct {
	ID   string
	Hash any
}

// Size returns how many bytes an entity has, as Redis has it.
func (it Item) Size() int {
	text, _ := it.Hash.(string)
	return len(it.ID) + len(text)
}

// Last returns the last id of a page, "" of an empty one.
func (p Page) Last() string {
	if len(p.Items) == 0 {
		return ""
	}
	return p.Items[len(p.Items)-1].ID
}

// ListedInVain is the error for an entity that the ids of its kind have and that does not exist.
func ListedInVain(kind authz.Kind) *authz.Error {
	return script.Damaged("a %s is listed that does not exist", model.Noun(kind))
}
