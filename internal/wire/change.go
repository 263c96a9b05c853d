package wire

import (
	"time"

	"github.com/caregate/caregate/internal/admin"
)

type (
	// change is a change without its entities.
	change struct {
		Revision string    `json:"revision"`
		Previous string    `json:"previous"`
		At       time.Time `json:"at"`
		Actor    string    `json:"actor,omitzero"`
		Via      string    `json:"via,omitzero"`
		Request  string    `json:"request,omitzero"`
	}
	entityChange struct {
		Kind   string         `json:"kind"`
		ID     string         `json:"id"`
		Change string         `json:"change"`
		Before map[string]any `json:"before,omitempty"`
		After  map[string]any `json:"after,omitempty"`
	}
	part struct {
		From int `json:"from"`
		Of   int `json:"of"`
	}
)

// AppendChange appends one change with its first entities: as many as fit before dst has
// most bytes, and one at least. Told is how many they are.
func AppendChange(dst []byte, e *admin.Event, most int) (_ []byte, told int, err error) {
	dst, err = Append(dst, change{
		e.Revision.String(), e.Previous.String(), e.At.UTC(), e.Author.Actor, e.Author.Via, e.Author.Request,
	})
	if err != nil {
		return nil, 0, err
	}
	dst = append(dst[:len(dst)-1], `,"entities":[`...)
	for i := range e.Entities {
		begin := len(dst)
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = Append(dst, entityChangeOf(&e.Entities[i])); err != nil {
			return nil, 0, err
		}
		if len(dst) > most && i > 0 {
			dst = dst[:begin]
			break
		}
		told++
	}
	dst = append(dst, ']')
	if e.From > 0 || told < e.Of {
		if dst, err = Append(appendName(dst, "part"), part{e.From, e.Of}); err != nil {
			return nil, 0, err
		}
	}
	return append(dst, '}'), told, nil
}

func entityChangeOf(e *admin.EntityEvent) entityChange {
	how := "updated"
	switch {
	case !e.Existed:
		how = "created"
	case !e.Exists:
		how = "deleted"
	}
	return entityChange{string(e.Key.Kind), e.Key.ID, how, e.Before, e.After}
}

// AppendRange appends the end of a page of changes: where it goes on, and the revisions that
// are remembered.
func AppendRange(dst []byte, next admin.Place, h admin.History) []byte {
	dst = appendString(appendName(dst, "next"), next.String())
	dst = appendString(appendName(dst, "oldest"), h.Oldest.String())
	return append(appendString(appendName(dst, "newest"), h.Newest.String()), '}')
}

// ChangesQuery asks for a page of changes.
type ChangesQuery struct {
	After NumberOrText `json:"after"`
	Limit Number       `json:"limit"`
}
