// Package layout is what the facts look like in Redis: hashes as records and as facts, records as
// the values of hashes, entries of the stream as changes. All of it follows the table of package
// model. It asks Redis nothing.
//
// It keeps that a fact is read whole or not at all: a field that is missing, unknown or invalid is
// an error and no fact.
//
// # Layout
//
// Every key of an organisation begins with cg:{E}: where E is its name,
// percent-encoded; the braces keep an organisation in one slot of a cluster. The
// id of an entity is the last part of its key and stands there as it is, so that
// no two entities share a key.
//
//	head               hash: rev, nonce, schema, and log: the bytes of images in
//	                   the stream. It exists if the organisation does
//	role:ID, group:ID  hash: name, permissions (a JSON list, sorted)
//	patient_group:ID   hash: name
//	team_member:ID     hash: name, role, provider (1 or 0), and a field for each
//	                   group (g:ID), Access (a:ID) and Booking assignment (b:ID)
//	patient:ID         hash: patient_group, and for each member of the care team
//	                   c:ID → its sources, sorted, a line each: manual, booking:ID
//	booking:ID         hash: patient, provider, state
//
// Each of these entities has a field rev as well: the revision of its last change,
// as the token count.nonce.
//
// The other side of each relationship, and the ids of each kind, are kept by the
// script that writes, in sorted sets with score 0, so that they are in order:
//
//	ids:KIND                            the ids of a kind
//	role-members:ROLE, group-members:GROUP,
//	access:GROUP, bookable:GROUP        team members
//	patients:GROUP, care:MEMBER         patients
//	bookings-of:PATIENT                 bookings
//	bookings-with:PROVIDER              bookings, whatever their state
//	user-admins                         role:ID and group:ID whose permissions have
//	                                    user:* or *:*: who has one holds user:* (A4)
//
// # Changes
//
// The stream changes has an entry for each revision (A3), with the id <rev>-0 and
// these fields:
//
//	prev, nonce   nonces of the revision before, "" for the first, and of this one
//	at            milliseconds since 1970, by the clock of Redis
//	by, via, req  who made the change, how (api or import), and in which request
//	images        every entity that changed, with \2 between them, each as
//	              kind ":" id \1 existed exists \1 before \1 after
//
// existed and exists are 0 or 1; before and after have the fields that differ, and
// all of them of what was made or deleted, each as name \0 value, with \0 between
// them, and never rev. No id, name or value has one of these characters. The entry
// is written before everything else. The oldest go when there are too many, or too
// many bytes of images; the newest one stays.
package layout
