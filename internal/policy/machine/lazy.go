package machine

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Object is an object of the input whose members are made when they are asked for. It is
// no value for OPA's functions: the machine hands them Members.Whole instead.
type Object struct {
	ast.Value // nil
	Members   Members
}

// Members are what an Object consists of.
type Members interface {
	// Member returns the value of a member, nil for none: the same term each time, for one
	// evaluation.
	Member(name string) *ast.Term
	// Whole returns the object as OPA has it, with the same members.
	Whole() *ast.Term
}

// get returns a member. A key that is no text names none.
func (o *Object) get(key *ast.Term) *ast.Term {
	name, ok := key.Value.(ast.String)
	if !ok {
		return nil
	}
	return o.Members.Member(string(name))
}

// Texts is a set of texts of the input, which takes about four bytes for each beside the
// list that it is made of. It is immutable, and no value for OPA's functions, like Object.
type Texts struct {
	ast.Value // nil
	term      ast.Term
	list      []string
	places    []uint32 // for each element its hash, in order; the low bits are not compared
	order     []int32  // the element of each place, nil where the list is in that order
	whole     atomic.Pointer[ast.Term]
}

// fewTexts are found by going through all of them.
const fewTexts = 8

// Make makes t the set of the texts in list, which it keeps.
func (t *Texts) Make(list []string) {
	t.list, t.places, t.term.Value = list, make([]uint32, len(list)), t
	for i, text := range list {
		t.places[i] = hashOf(text)
	}
	if len(list) <= fewTexts {
		return
	}
	t.order = make([]int32, len(list))
	for i := range t.order {
		t.order[i] = int32(i) //nolint:gosec // as many as a record may list
	}
	slices.SortFunc(t.order, func(a, b int32) int { return cmp.Compare(t.places[a], t.places[b]) })
	slices.Sort(t.places)
}

// Term returns the set as a term, the same each time.
func (t *Texts) Term() *ast.Term { return &t.term }

// Has reports whether text is in the set.
func (t *Texts) Has(text string) bool {
	hash := hashOf(text)
	if t.order == nil {
		for i, place := range t.places {
			if place == hash && t.list[i] == text {
				return true
			}
		}
		return false
	}
	i, _ := slices.BinarySearch(t.places, hash)
	for ; i < len(t.places) && t.places[i] == hash; i++ {
		if t.list[t.order[i]] == text {
			return true
		}
	}
	return false
}

// hashOf is FNV-1a. An id that has the hash of another is only compared in vain.
func hashOf(text string) uint32 {
	h := uint32(2166136261)
	for i := range len(text) {
		h = (h ^ uint32(text[i])) * 16777619
	}
	return h
}

// Whole returns the set as OPA has it.
func (t *Texts) Whole() *ast.Term {
	if whole := t.whole.Load(); whole != nil {
		return whole
	}
	set := ast.NewSetWithCapacity(len(t.list))
	for _, text := range t.list {
		set.Add(ast.StringTerm(text))
	}
	set.Slice() // which sorts it, before others read it
	whole := ast.NewTerm(set)
	t.whole.Store(whole)
	return whole
}

// draft is a value that an evaluation makes: an array, a set of texts, or an object whose
// names are texts. It is no value for OPA's functions: finished hands them OPA's own. Its
// term stays the same then, so that who holds it sees it grow, before and after.
type draft struct {
	ast.Value // nil
	kind      draftKind
	term      ast.Term    // of this draft, or of what became of it
	keys      []*ast.Term // elements, those of a set in order; or names in order
	values    []*ast.Term // of the names
	room      [8]*ast.Term
}

type draftKind uint8

const (
	arrayDraft draftKind = iota
	setDraft
	objectDraft
)

// fewMembers is how many a set or an object has as a draft: more are OPA's at once.
const fewMembers = 16

// draft returns the term of a new draft.
func (e *Evaluation) draft(kind draftKind) *ast.Term {
	if e.used == len(e.drafts) {
		e.drafts, e.used = make([]draft, 32), 0
	}
	d := &e.drafts[e.used]
	e.used++
	d.kind, d.term.Value = kind, d
	if kind == objectDraft {
		d.keys, d.values = d.room[:0:4], d.room[4:4]
	} else {
		d.keys, d.values = d.room[:0], nil
	}
	return &d.term
}

// place returns where a text is among the keys, or where it belongs.
func (d *draft) place(key *ast.Term) (int, bool) {
	text, ok := key.Value.(ast.String)
	if !ok {
		return 0, false
	}
	for i, other := range d.keys {
		if other == key {
			return i, true
		}
		if order := strings.Compare(string(other.Value.(ast.String)), string(text)); order >= 0 {
			return i, order == 0
		}
	}
	return len(d.keys), false
}

// fits reports whether a draft can take one more key.
func (d *draft) fits(key *ast.Term) bool {
	_, ok := key.Value.(ast.String)
	return ok && len(d.keys) < fewMembers
}

// add adds an element to a set that it fits into.
func (d *draft) add(element *ast.Term) {
	if i, has := d.place(element); !has {
		d.keys = slices.Insert(d.keys, i, element)
	}
}

// insert adds a member, whose place among the others is at i.
func (d *draft) insert(i int, key, value *ast.Term) {
	d.keys, d.values = slices.Insert(d.keys, i, key), slices.Insert(d.values, i, value)
}

// get returns draft[key], nil for nothing.
func (d *draft) get(key *ast.Term) *ast.Term {
	switch d.kind {
	case arrayDraft:
		if n, ok := key.Value.(ast.Number); ok {
			if i, ok := n.Int(); ok && i >= 0 && i < len(d.keys) {
				return d.keys[i]
			}
		}
	case setDraft:
		if _, has := d.place(key); has {
			return key
		}
	case objectDraft:
		if i, has := d.place(key); has {
			return d.values[i]
		}
	}
	return nil
}

// elements are those of an array or a set, or the values of an object.
func (d *draft) elements() []*ast.Term {
	if d.kind == objectDraft {
		return d.values
	}
	return d.keys
}

// finish makes OPA's value of a draft.
func (d *draft) finish() {
	for i := range d.values {
		d.values[i] = whole(d.values[i])
	}
	switch d.kind {
	case arrayDraft:
		for i := range d.keys {
			d.keys[i] = whole(d.keys[i])
		}
		d.term.Value = ast.NewArray(slices.Clone(d.keys)...)
	case setDraft:
		d.term.Value = ast.NewSet(d.keys...)
	case objectDraft:
		pairs := make([][2]*ast.Term, len(d.keys))
		for i, key := range d.keys {
			pairs[i] = [2]*ast.Term{key, d.values[i]}
		}
		d.term.Value = ast.NewObject(pairs...)
	}
}

// whole returns a value as OPA has it, all the way down. OPA's own composite values hold
// nothing else.
func whole(t *ast.Term) *ast.Term {
	if t == nil {
		return nil
	}
	switch v := t.Value.(type) {
	case *draft:
		v.finish()
	case *Object:
		return v.Members.Whole()
	case *Texts:
		return v.Whole()
	case *table:
		return v.object
	}
	return t
}

// wholes replaces terms by whole.
func wholes(terms []*ast.Term) []*ast.Term {
	for i, t := range terms {
		terms[i] = whole(t)
	}
	return terms
}

// textOf returns the text that a value is.
func textOf(t *ast.Term) (string, bool) {
	s, ok := t.Value.(ast.String)
	return string(s), ok
}

// Whole returns a value of an input or of Peek as OPA has it.
func Whole(t *ast.Term) *ast.Term { return whole(t) }
