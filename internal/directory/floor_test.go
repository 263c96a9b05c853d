package directory

import (
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/redistest"
)

// What this process committed while a head was being looked at is in every answer
// that follows, also where more was lost of the history before than that head has.
func TestAChangeBesideALookIsNotForgotten(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	c := x.sidecars[0].cache
	f := newFollower(c, exactOrganisation) // one that nothing drives
	defer f.stop()
	f.wrote(authz.Revision{Count: 1000, Nonce: "lost"})
	look := func() (head, uint64) {
		written := f.written
		h, err := f.readHead()
		must(t)(err)
		return h, written
	}
	answers := func() bool {
		facts, err := f.recall(nil, authz.Revision{})
		must(t)(err)
		return facts != nil
	}
	later := time.Now().Add(time.Hour)

	h, written := look()
	own := x.commit(x.sidecars[0], access(admin.Link, "open"))
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
	if !f.apply(f.generation, change{revision: own, previous: h.revision}) || !answers() {
		t.Error("not answered from memory at a change of this process")
	}

	// A head that is further on need not include a change that was acknowledged after
	// it was asked for.
	f.generation, f.at = c.generations.Add(1), authz.Revision{}
	f.history = history{}
	_, written = look()
	f.wrote(x.commit(x.sidecars[0], access(admin.Unlink, "open")))
	x.commit(x.sidecars[0], access(admin.Link, "open"))
	h, again := look()
	if f.beginAt(f.generation, h, later, written) {
		t.Error("a head was taken that may be of another history than a change of this process")
	}
	if !f.beginAt(f.generation, h, later, again) || !answers() {
		t.Error("a head was not taken that was asked for after all changes of this process")
	}
}

// A change that this process commits in another history than the one that it follows
// ends what it knows, although the other one is shorter.
func TestAChangeInAnotherHistoryEndsTheOneThatIsFollowed(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	_, err := x.server.Do("SAVE")
	must(t)(err)
	for range 5 {
		x.commit(x.sidecars[0], access(admin.Link, "open"))
		x.commit(x.sidecars[0], access(admin.Unlink, "open"))
	}
	slow, err := NewCache(x.open(x.sidecars[0].proxy.URL(), 0), CacheConfig{MaxStaleness: time.Hour}) // which looks every quarter of it
	must(t)(err)
	defer func() { must(t)(slow.Close()) }()
	s := &sidecar{cache: slow, service: authz.NewService(slow, exactPolicy(t))}
	s.ready(t)
	x.server.Kill()
	must(t)(x.server.Restart())
	var own admin.Committed
	must(t)(redistest.Await(10*time.Second, "a change is committed", func() bool {
		own, err = slow.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(admin.Link, "open")}})
		return err == nil
	}))
	must(t)(redistest.Await(10*time.Second, "the sidecar answers", func() bool {
		d, stated, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{})
		if err == nil && (!d.Allow || stated.Revision != own.Revision) {
			t.Fatalf("allowed %t at %s after %s was committed here", d.Allow, stated.Revision, own.Revision)
		}
		return err == nil
	}))
	s.ready(t)
}
