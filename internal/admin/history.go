package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// Event is one committed change as it is remembered (A3).
type Event struct {
	Revision authz.Revision
	Previous authz.Revision // the zero one for the first change
	At       time.Time
	Author   Author
	Entities []EntityEvent
	// A change of very many or very large entities is told in parts: From is how many of
	// its entities come before those of this part, and Of how many it has.
	From, Of int
}

// Whole reports whether an event is all of its change.
func (e *Event) Whole() bool { return e.From == 0 && len(e.Entities) == e.Of }

// Next is where it goes on after the first entities of an event.
func (e *Event) Next(entities int) Place {
	if e.From+entities < e.Of {
		return Place{Revision: e.Previous, Entities: e.From + entities}
	}
	return After(e.Revision)
}

// Place is where changes are read from: after a revision, and after so many entities of
// the change that follows it.
type Place struct {
	authz.Revision
	Entities int
}

// After is the place after a revision.
func After(revision authz.Revision) Place { return Place{Revision: revision} }

// String writes a place as a token: that of the revision, with the entities after it.
func (p Place) String() string {
	if p.Entities == 0 {
		return p.Revision.String()
	}
	return p.Revision.String() + "+" + strconv.Itoa(p.Entities)
}

// ParsePlace reads a token that String wrote.
func ParsePlace(token string) (p Place, err error) {
	revision, entities, within := strings.Cut(token, "+")
	if p.Revision, err = authz.ParseRevision(revision); err != nil {
		return Place{}, err
	}
	if within {
		p.Entities, err = strconv.Atoi(entities)
		if err != nil || p.Entities < 1 || strconv.Itoa(p.Entities) != entities {
			return Place{}, fmt.Errorf("%q is not a place among changes; pass back what next said", token)
		}
	}
	return p, nil
}

// EntityEvent is what a change did to one entity.
type EntityEvent struct {
	Key             authz.Key
	Existed, Exists bool // before and after
	// Before and After hold the fields that differ, named as in a record; a field
	// that was not there is absent. A list holds what left it in Before and what
	// joined it in After. The care team of a patient is an object: member →
	// sources, with all sources of each member whose sources differ.
	Before, After map[string]any // string, bool, []string or map[string][]string
}

// History is a page of events.
type History struct {
	Events []Event
	// Oldest is the oldest revision that is remembered, Newest the current one.
	Oldest, Newest authz.Revision
}
