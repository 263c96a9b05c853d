package cache

import (
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// load is one reading that may become part of the cache.
type load struct {
	generation uint64
	from       uint64 // A's count when it began: what a change after it touches is noted
	revision   authz.Revision
	facts      []*authz.Fact // nil until they are read
}

// maxWaiting bounds the loads that wait for the feed. Their answers were given;
// to wait is for the cache alone.
const maxWaiting = 256

// loads are the readings of one follower that are not done with, and what was
// touched since the first of them began. The zero value has none.
type loads struct {
	begun   []*load // in the order in which they began, and so of from
	waiting []*load // those that read ahead of A
	dirty   map[authz.Key]uint64
	touched []touch // what dirty has, in order
}

// touch is one key that a change touched.
type touch struct {
	key authz.Key
	at  uint64
}

func (l *loads) begin(generation, from uint64) *load {
	begun := &load{generation: generation, from: from}
	l.begun = append(l.begun, begun)
	return begun
}

// touch notes that the change with this count touched a key, if anybody has to
// know.
func (l *loads) touch(key authz.Key, count uint64) {
	if len(l.begun) == 0 {
		return
	}
	if l.dirty == nil {
		l.dirty = map[authz.Key]uint64{}
	}
	l.dirty[key] = count
	l.touched = append(l.touched, touch{key, count})
}

// wait keeps a load until A comes to its revision. The oldest gives way when there
// are too many.
func (l *loads) wait(ahead *load) {
	if len(l.waiting) >= maxWaiting {
		l.end(l.waiting[0])
	}
	l.waiting = append(l.waiting, ahead)
}

// due returns the loads that wait for a count up to this one.
func (l *loads) due(count uint64) []*load {
	var due []*load
	l.waiting = slices.DeleteFunc(l.waiting, func(w *load) bool {
		if w.revision.Count > count {
			return false
		}
		due = append(due, w)
		return true
	})
	return due
}

// end is done with a load, and forgets what only it had to know. Ending one that
// has ended changes nothing.
func (l *loads) end(old *load) {
	isOld := func(x *load) bool { return x == old }
	l.waiting = slices.DeleteFunc(l.waiting, isOld)
	l.begun = slices.DeleteFunc(l.begun, isOld)
	if len(l.begun) == 0 {
		l.dirty, l.touched = nil, nil
		return
	}
	for len(l.touched) > 0 && l.touched[0].at <= l.begun[0].from {
		if t := l.touched[0]; l.dirty[t.key] == t.at {
			delete(l.dirty, t.key)
		}
		l.touched = l.touched[1:]
	}
}

// maxHistory bounds how many revisions a follower remembers the nonces of.
const maxHistory = 4096

// history is the nonces of revisions that A came through, the zero value none.
type history struct {
	nonces map[uint64]string
	first  uint64            // the lowest count that nonces has; they have no gap
	older  map[uint64]string // nonces of some from before first, of which Redis said that they are included
}

// relation is how a revision relates to a history.
type relation int

const (
	unknown  relation = iota // too old to be remembered, or still to come
	included                 // it is in the history
	lost                     // another one has its place
)

func (h *history) add(r authz.Revision) {
	if h.nonces == nil {
		h.nonces, h.first = map[uint64]string{}, r.Count
	}
	h.nonces[r.Count] = r.Nonce
	for len(h.nonces) > maxHistory {
		delete(h.nonces, h.first)
		h.first++
	}
}

// note remembers a revision from before the others that is in the history.
func (h *history) note(r authz.Revision) {
	if r.Count >= h.first {
		return
	}
	if h.older == nil || len(h.older) >= maxHistory {
		h.older = map[uint64]string{}
	}
	h.older[r.Count] = r.Nonce
}

func (h *history) compare(r authz.Revision) relation {
	nonce, known := h.nonces[r.Count]
	if !known && r.Count < h.first {
		nonce, known = h.older[r.Count]
	}
	switch {
	case !known:
		return unknown
	case nonce == r.Nonce:
		return included
	default:
		return lost
	}
}
