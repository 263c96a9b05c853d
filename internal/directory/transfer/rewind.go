package transfer

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// The limits on what an export reads of the stream at once, beside maxEventBytes, and on
// what it keeps of it.
const (
	maxRewind     = 128 << 20 // bytes, about
	stateOverhead = 150       // bytes of a state besides its texts and fields, about
	fieldOverhead = 60        // and of a field besides its texts
)

// rewind takes the pages of an export back to the revision at which it began.
//
// A page is a snapshot at some later revision. Before it is written, the changes
// up to that revision are read, and of each entity that they touch the state before
// the first of them is kept: the first change that names a field says what it was
// at the beginning. On the page, the fields that changed get their values of then,
// what was created since is left out, and what was deleted since is put back. What
// the export has passed is forgotten.
type rewind struct {
	pages
	organisation string

	start authz.Revision // to which pages are taken back; the zero one before the first page
	known authz.Revision // the changes up to this one are read
	at    place          // what is written already

	states map[authz.Key]*state
	gone   map[authz.Key]bool // the keys of states that do not exist at known
	size   int                // bytes of states, about
}

// state is what is known of an entity at the beginning.
type state struct {
	existed bool
	fields  []stateField // those that changed since, each once
	size    int
}

type stateField struct {
	name, value string
	there       bool // else value is nothing
}

func newRewind(from pages, organisation string) *rewind {
	return &rewind{pages: from, organisation: organisation, states: map[authz.Key]*state{}, gone: map[authz.Key]bool{}}
}

// explain returns the error of a page: an organisation that was there at the first
// one and is not any more did not just lack its name.
func (r *rewind) explain(err error) error {
	if r.start != (authz.Revision{}) && authz.KindOf(err) == authz.NotFound {
		return replaced()
	}
	return err
}

func replaced() *authz.Error {
	return authz.Errorf(authz.Conflict, "",
		"the facts were removed or replaced by another history during the export, which is incomplete; throw away what was written and try again")
}

func forgotten() *authz.Error {
	return authz.Errorf(authz.Conflict, "",
		"the stream no longer holds all changes that were made during the export, which is incomplete; "+
			"throw away what was written and try again when there are fewer changes, or have whoever writes keep more of them")
}

// follow reads the changes up to a revision, at which a page was read. Each has to
// follow on the one before it: one that is missing was removed from the stream, and
// one that names another one before it is of another history.
func (r *rewind) follow(ctx context.Context, to authz.Revision) error {
	if r.start == (authz.Revision{}) {
		r.start, r.known = to, to
	}
	if to.Count < r.known.Count {
		return replaced()
	}
	for r.known.Count < to.Count {
		changes, err := r.Changes(ctx, r.organisation, r.known.Count+1, to.Count)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			return forgotten()
		}
		for _, c := range changes {
			switch {
			case c.Revision.Count != r.known.Count+1:
				return forgotten()
			case c.Previous != r.known:
				return replaced()
			}
			for _, i := range c.Images {
				r.remember(i)
			}
			r.known = c.Revision
		}
		if r.size > maxRewind {
			return authz.Errorf(authz.Conflict, "",
				"too much changed during the export to keep it in memory; throw away what was written and try again when there are fewer changes")
		}
	}
	if r.known != to {
		return replaced()
	}
	return nil
}

// remember keeps what an image says about the beginning that no earlier one said.
func (r *rewind) remember(i layout.Image) {
	if r.at.has(i.Key) {
		return
	}
	s := r.states[i.Key]
	if s == nil {
		// Texts are copied: as parts of the change they would keep all of it in memory.
		i.Key.ID = strings.Clone(i.Key.ID)
		s = &state{existed: i.Existed, size: stateOverhead + len(i.Key.ID)}
		r.states[i.Key] = s
		r.size += s.size
	}
	if i.Exists {
		delete(r.gone, i.Key)
	} else {
		i.Key.ID = strings.Clone(i.Key.ID)
		r.gone[i.Key] = true
	}
	if s.existed {
		r.size += s.keep(i)
	}
}

// keep keeps the fields of an image that are not known yet and returns their size.
func (s *state) keep(i layout.Image) int {
	known := make(map[string]bool, len(s.fields))
	for _, field := range s.fields {
		known[field.name] = true
	}
	size := 0
	keep := func(name, value string, there bool) {
		if !known[name] {
			known[name] = true
			s.fields = append(s.fields, stateField{strings.Clone(name), strings.Clone(value), there})
			size += len(name) + len(value) + fieldOverhead
		}
	}
	for field := range slices.Chunk(i.Before, 2) {
		keep(field[0], field[1], true)
	}
	for field := range slices.Chunk(i.After, 2) { // was not there, unless it is in before
		keep(field[0], "", false)
	}
	s.size += size
	return size
}

// restore returns a page, which follow has followed up to, as it was at the
// beginning, and forgets what was known about it.
func (r *rewind) restore(kind authz.Kind, page layout.Page) []layout.Item {
	r.at = place{kind: slices.Index(model.Kinds(), kind), after: page.Last(), whole: !page.More}
	out := make([]layout.Item, 0, len(page.Items))
	for _, it := range page.Items {
		key := authz.Key{Kind: kind, ID: it.ID}
		s := r.states[key]
		r.forget(key)
		switch {
		case s == nil:
			out = append(out, it)
		case s.existed:
			out = append(out, layout.Item{ID: it.ID, Hash: s.before(it.Hash)})
		}
	}
	returned := false
	for key := range r.gone {
		if !r.at.has(key) {
			continue
		}
		if s := r.states[key]; s.existed {
			out = append(out, layout.Item{ID: key.ID, Hash: s.before(script.HashText("rev", r.start.String()))})
			returned = true
		}
		r.forget(key)
	}
	if returned {
		slices.SortFunc(out, func(a, b layout.Item) int { return cmp.Compare(a.ID, b.ID) })
	}
	return out
}

func (r *rewind) forget(key authz.Key) {
	if s := r.states[key]; s != nil {
		r.size -= s.size
		delete(r.states, key)
		delete(r.gone, key)
	}
}

// before returns a hash of now, as a script returns it, with the fields of then. A
// damaged one is returned as it is, for whoever reads it to say so.
func (s *state) before(hash any) any {
	changed := make(map[string]bool, len(s.fields))
	for _, field := range s.fields {
		changed[field.name] = true
	}
	var fields []string
	if err := script.EachField(hash, func(field, value string) error {
		if !changed[field] {
			fields = append(fields, field, value)
		}
		return nil
	}); err != nil {
		return hash
	}
	for _, field := range s.fields {
		if field.there {
			fields = append(fields, field.name, field.value)
		}
	}
	return script.HashText(fields...)
}
