package admin

import (
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
