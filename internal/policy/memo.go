package policy

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/caregate/caregate/internal/authz"
)

// DefaultMemoBytes is how much the decisions that are remembered may take when a
// Config says nothing of it.
const DefaultMemoBytes = 16 << 20

// What one remembered decision may be made of. Larger ones are evaluated each
// time.
const (
	memoQuestion = 512  // bytes of the question
	memoFacts    = 32   // facts that it depends on
	memoContext  = 2048 // bytes of the account
)

// memoWays is how many places there are for one question.
const memoWays = 4

// identity stands for one fact in what is remembered: two facts have the same one,
// by its address, only if they are the same pointer. Whoever keeps it keeps eight
// bytes alive, and not the fact.
type identity struct {
	place uint64 // random; where to look for what was made of the fact
}

func newIdentity() *identity { return &identity{rand.Uint64()} }

// memo remembers decisions. A decision is a function of the policy, of the facts
// that the question depends on, and of the question; the memo is of one policy, and
// gives an answer only to the same question over the very same facts. A fact that
// changes is another fact, so what was made of the old one is never given again.
// Facts that are read anew for each question are never the same, and nothing is
// remembered of them.
//
// It is a table of fixed size without locks, each place of which holds a decision
// that is never changed. A question is remembered when it is asked for the second
// time, so that those that do not repeat cost little and drop nothing.
type memo struct {
	seed   maphash.Seed
	seen   []atomic.Uint32 // what was asked once: half of each hash
	absent *identity       // of all that does not exist
	places []atomic.Pointer[remembered]
	marks  []atomic.Uint32 // of what is in each place: half of its hash
	limit  int64           // of bytes
	bytes  atomic.Int64
	hand   atomic.Uint64 // the next place to be emptied when there is too much
	keys   sync.Pool     // of *memoKey
	// classes are the questions that were asked once but for the resource, like seen.
	classes []atomic.Uint32
	prepare *preparer
}

// memoKey is what a decision is a function of, beside the policy.
type memoKey struct {
	question []byte
	class    int    // bytes of the question that do not name the resource
	hash     uint64 // of question and of who the subject is
	classed  uint64 // of the class and of who the subject is
	facts    []*identity
	subject  int // how many of the facts are about the subject
}

// remembered is one decision with its key.
type remembered struct {
	question string
	facts    []*identity
	decision authz.Decision
	again    atomic.Bool // it was given since it last had to make room
}

// memoEntry is about what an entry takes beside its texts and identities, and
// memoUsual what all of it usually takes.
const (
	memoEntry = 192
	memoUsual = 512
)

// newMemo returns a memo that takes limit bytes, nil for none.
func newMemo(limit int64, prepare *preparer) *memo {
	if limit < memoWays*memoUsual {
		return nil
	}
	n := 1 << (bits.Len64(uint64(limit/memoUsual)) - 1)
	m := &memo{
		seed:   maphash.MakeSeed(),
		seen:   make([]atomic.Uint32, 4*n),
		absent: new(identity),
		places: make([]atomic.Pointer[remembered], n),
		marks:  make([]atomic.Uint32, n),
		limit:  limit,

		classes: make([]atomic.Uint32, n),
		prepare: prepare,
	}
	m.keys.New = func() any {
		return &memoKey{question: make([]byte, 0, memoQuestion), facts: make([]*identity, 0, memoFacts)}
	}
	return m
}

// key returns the key of a question, which goes back to m.keys. False means that
// the question is not to be remembered.
func (m *memo) key(a *asked) (*memoKey, bool) {
	a.sortReferences()
	k := m.keys.Get().(*memoKey)
	var ok, few bool
	k.question, k.class, ok = appendQuestion(k.question[:0], a)
	k.facts, k.subject, few = m.appendFacts(k.facts[:0], a)
	if ok = ok && few; ok {
		m.hash(k)
	}
	return k, ok
}

// hash sets where to look for a key. In another organisation the same question
// is about another subject, and stands elsewhere.
func (m *memo) hash(k *memoKey) {
	k.classed = maphash.Bytes(m.seed, k.question[:k.class])
	if subject := k.facts[0]; subject != nil {
		k.classed ^= subject.place
	}
	const odd = 0x9e3779b97f4a7c15
	k.hash = k.classed*odd ^ maphash.Bytes(m.seed, k.question[k.class:])
}

// ways returns the first of the places for a question.
func (m *memo) ways(k *memoKey) int { return int(k.hash&uint64(len(m.places)-1)) &^ (memoWays - 1) }

// repeats reports whether a question was asked before, as far as is known.
func (m *memo) repeats(k *memoKey) bool { return repeats(m.seen, k.hash) }

// repeatsClass reports whether a question was asked before about whatever resource.
func (m *memo) repeatsClass(k *memoKey) bool { return repeats(m.classes, k.classed) }

// repeats reports whether a hash is among those that were seen, and makes it one.
func repeats(hashes []atomic.Uint32, hash uint64) bool {
	seen, mark := &hashes[hash&uint64(len(hashes)-1)], uint32(hash>>32)
	if seen.Load() == mark {
		return true
	}
	seen.Store(mark)
	return false
}

// get returns what was decided.
func (m *memo) get(k *memoKey) (authz.Decision, bool) {
	for i := m.ways(k); i < len(m.places) && i < m.ways(k)+memoWays; i++ {
		if m.marks[i].Load() != uint32(k.hash>>32) {
			continue
		}
		r := m.places[i].Load()
		if r == nil || r.question != string(k.question) || !slices.Equal(r.facts, k.facts) {
			continue
		}
		if !r.again.Load() { // it is written once, so that readers do not take it from each other
			r.again.Store(true)
		}
		return r.decision, true
	}
	return authz.Decision{}, false
}

// put remembers a decision, if its question was asked before.
func (m *memo) put(k *memoKey, d authz.Decision) {
	if len(d.Context) > memoContext || !m.repeats(k) {
		return
	}
	r := &remembered{question: string(k.question), facts: slices.Clone(k.facts), decision: d}
	first := m.ways(k)
	i := first + m.victim(m.places[first:first+memoWays], r.question)
	m.bytes.Add(r.size() - m.places[i].Swap(r).size())
	m.marks[i].Store(uint32(k.hash >> 32))
	m.trim()
}

// trim makes room until what is remembered is within the limit: of what was given
// to nobody since trim came by the last time.
func (m *memo) trim() {
	for n := 2 * len(m.places); m.bytes.Load() > m.limit && n > 0; n-- {
		place := &m.places[(m.hand.Add(1)-1)&uint64(len(m.places)-1)]
		r := place.Load()
		if r == nil || r.again.Swap(false) {
			continue
		}
		if place.CompareAndSwap(r, nil) {
			m.bytes.Add(-r.size())
		}
	}
}

// victim chooses the place for a question: the one that it has already, an empty
// one, or one whose decision was given to nobody lately.
func (m *memo) victim(ways []atomic.Pointer[remembered], question string) int {
	free, unused := -1, -1
	for i := range ways {
		switch r := ways[i].Load(); {
		case r == nil:
			free = i
		case r.question == question:
			return i
		case !r.again.Load():
			unused = i
		}
	}
	if free >= 0 {
		return free
	}
	if unused >= 0 {
		return unused
	}
	for i := range ways {
		if r := ways[i].Load(); r != nil {
			r.again.Store(false)
		}
	}
	return int(m.hand.Add(1) % uint64(len(ways)))
}

// size is about what an entry takes in memory, 0 for none.
func (r *remembered) size() int64 {
	if r == nil {
		return 0
	}
	return int64(memoEntry + len(r.question) + len(r.decision.Context) + 24*len(r.facts))
}
