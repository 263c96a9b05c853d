// Package audit looks whether everything holds in the facts of an organisation that must: both
// sides of every relationship, each entity by itself, and the stream of changes, with which the
// facts have to agree. Its door is Run.
//
// It keeps that every finding is of one snapshot: each key is compared with its other sides in one
// script (audit.lua), and what was found is looked at again if the revision moved.
package audit
