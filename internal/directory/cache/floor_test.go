package cache

import (
	"strconv"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// heads is a store that has nothing but heads.
type heads struct {
	Store
	head script.Head
}

// commit makes a revision and returns it.
func (s *heads) commit() authz.Revision {
	count := s.head.Revision.Count + 1
	s.head = script.Head{Exists: true, Revision: authz.Revision{Count: count, Nonce: "n" + strconv.FormatUint(count, 10)}}
	return s.head.Revision
}

// What this process committed while a head was being looked at is in every answer
// that follows, also where more was lost of the history before than that head has.
func TestAChangeBesideALookIsNotForgotten(t *testing.T) {
	store := &heads{}
	c, err := New(store, nil, Config{})
	if err != nil {
		t.Fatal(err)
	}
	f := newFollower(c, "riverside") // one that nothing drives
	defer f.stop()
	store.commit()
	f.wrote(authz.Revision{Count: 1000, Nonce: "lost"})
	look := func() (script.Head, uint64) {
		written := f.written
		return store.head, written
	}
	answers := func() bool {
		facts, err := f.recall(nil, authz.Revision{})
		if err != nil {
			t.Fatal(err)
		}
		return facts != nil
	}
	later := time.Now().Add(time.Hour)

	h, written := look()
	own := store.commit()
	f.wrote(own)
	if !f.beginAt(f.generation, h, later, written) {
		t.Fatal("no beginning")
	}
	if answers() {
		t.Errorf("answered from memory at %s after %s was committed here", f.at, own)
	}
	if f.floor != own.Count {
		t.Errorf("the floor is %d after %s was committed here and %d was lost", f.floor, own, 1000)
	}
	if !f.apply(f.generation, layout.Change{Revision: own, Previous: h.Revision}) || !answers() {
		t.Error("not answered from memory at a change of this process")
	}

	// A head that is further on need not include a change that was acknowledged after
	// it was asked for.
	f.generation, f.at = c.generations.Add(1), authz.Revision{}
	f.history = history{}
	_, written = look()
	f.wrote(store.commit())
	store.commit()
	h, again := look()
	if f.beginAt(f.generation, h, later, written) {
		t.Error("a head was taken that may be of another history than a change of this process")
	}
	if !f.beginAt(f.generation, h, later, again) || !answers() {
		t.Error("a head was not taken that was asked for after all changes of this process")
	}
}
