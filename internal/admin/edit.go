package admin

import "github.com/caregate/caregate/internal/authz"

// Op is what an Edit does.
type Op string

// The operations.
const (
	Put    Op = "put"    // create or replace Record
	Set    Op = "set"    // give fields of the entity Key new values
	Link   Op = "link"   // make Relation hold From → To
	Unlink Op = "unlink" // and end it
	Delete Op = "delete" // remove the entity Key
	Book   Op = "book"   // make the booking Record (B5)
	Cancel Op = "cancel" // end the booking Key (B6)
)

// Edit is one operation. Which fields count depends on Op. The zero Edit is
// refused.
type Edit struct {
	Op Op

	Record *Record   // Put, Book; Book ignores its State
	Key    authz.Key // Set, Delete, Cancel

	// Set: the fields that change. Lists are changed by Link and Unlink, or as a
	// whole by Put.
	Fields Fields

	// Link, Unlink: MemberOfGroup, Access, Booking or CareTeam, whose From is the team
	// member and, for CareTeam, the patient. A manual place on a care team alone
	// is made or ended (B6). What holds already, or no longer, changes nothing.
	Relation Relation
	From, To string

	// written has what of Record somebody wrote, for a Put of the rest as it was; nil for
	// all of it. It is what they are judged by.
	written Fields

	Cascade bool // Delete: and what refers to it, or end their reference
	Release bool // Cancel: and give up the place on the care team
}

// Expectation is what an entity must be at the moment of the change: unchanged
// since a revision, or not there.
type Expectation struct {
	Key   authz.Key
	Since authz.Revision // the zero revision: the entity does not exist
	Field string         // where the caller wrote it, for an error, "" for nowhere
	// IfMatch marks what the caller asked for, not the policy: an error then is
	// theirs to resolve.
	IfMatch bool
}

// Change is edits that are committed together, or not at all.
type Change struct {
	// Edits may be none where ExpectRevision is given: then the change says only that what
	// is expected holds, and at which revision.
	Edits  []Edit
	Expect []Expectation
	// ExpectRevision, when not nil, is the organisation's revision at the moment
	// of the change.
	ExpectRevision *authz.Revision
	// AtLeast, when not zero, is what the organisation has to include at the moment of the
	// change.
	AtLeast authz.Revision
	Author  Author
}

// Author is who made a change (A3).
type Author struct {
	Actor   string // who, such as team_member:mark; "" when nobody was named
	Via     string // how: "api" or "import"
	Request string // the id of the request, "" for none
}

// Committed is the outcome of a change.
type Committed struct {
	Revision authz.Revision
	// Changed is false for a change that found everything as it asks for; it is
	// not a revision of its own.
	Changed bool
	// Before is set by a Service for a change with a single edit: the revision at which the
	// record that the edit is about last changed before this change. The zero revision
	// is that of one that did not exist.
	Before authz.Revision
}

// MaxEdits is the most edits of one change, and the most entities that it may
// touch; a cascade counts with all that it reaches.
const MaxEdits = 1000
