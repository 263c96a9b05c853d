package directory

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/cache"
	"github.com/caregate/caregate/internal/directory/layout"
)

// decide asks whether eve may view p-1.
func (s *sidecar) decide(t *testing.T, fresh authz.Freshness) (bool, authz.Revision, error) {
	t.Helper()
	d, stated, err := s.service.Decide(t.Context(), exactOrganisation, views(), fresh)
	return d.Allow, stated.Revision, err
}

// Another history that comes past A before anybody looks is not taken for the rest
// of the one that was followed, and a token of what was lost not for one of it.
func TestAnotherHistoryThatPassesAIsNoticed(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	if _, err := x.server.Do("SAVE"); err != nil {
		t.Fatal(err)
	}
	// With a lease this long nobody looks at the head: the feed alone can tell.
	cache, err := NewCache(x.open(x.sidecars[0].proxy.URL(), 0), CacheConfig{MaxStaleness: 8 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cache.Close() }()
	s := &sidecar{x.sidecars[0].proxy, cache, authz.NewService(cache, exactPolicy(t))}
	s.ready(t)
	direct := &sidecar{cache: cache}
	lost := x.commit(direct, access(admin.Link, "open"))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if allow, at, err := s.decide(t, authz.Freshness{}); err == nil && at == lost && allow {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the change is not seen")
		}
	}
	s.ready(t)
	s.proxy.Refuse(true)
	x.server.Kill()
	if err := x.server.Restart(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		put := admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindPatientGroup, ID: fmt.Sprint("new", i)}}
		if _, err := x.direct.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{put}}); err != nil {
			t.Fatal(err)
		}
	}
	s.proxy.Refuse(false)
	var last authz.Revision
	for until := time.Now().Add(4 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		allow, at, err := s.decide(t, authz.Freshness{})
		if err == nil && allow && at != lost {
			t.Fatalf("allowed at %s by what was lost", at)
		}
		last = at
	}
	if last == lost {
		t.Fatal("still in what was lost")
	}
	s.ready(t)
	for range 100 {
		if _, at, err := s.decide(t, authz.Freshness{AtLeast: lost}); authz.KindOf(err) != authz.Behind {
			t.Fatalf("a lost token: %v at %s", err, at)
		}
	}
}

// An organisation that is gone and back with as many changes as before is another
// one.
func TestAnOrganisationThatIsGoneAndBackIsAnother(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	s := x.sidecars[0]
	for i := range 8 {
		s.ready(t)
		if _, err := x.server.Do("FLUSHALL"); err != nil {
			t.Fatal(err)
		}
		lines, want := smallClinic(), i%2 == 0
		if want {
			time.Sleep(time.Duration(i) * exactStaleness / 8)
			lines[5] = `{"kind":"team_member","id":"eve","role":"nurse","access":["open"]}`
		}
		if _, err := x.direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(lines, "\n")), ImportOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(exactStaleness + 20*time.Millisecond)
		for range 50 {
			if allow, at, err := s.decide(t, authz.Freshness{}); err == nil && allow != want {
				t.Fatalf("round %d: allowed %t at %s", i, allow, at)
			}
		}
	}
}

// A lost token that counts as much as A is not honoured from memory.
func TestALostTokenIsNotHonouredFromMemory(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	s := x.sidecars[0]
	s.ready(t)
	_, first, err := s.decide(t, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, at, err := s.decide(t, authz.Freshness{AtLeast: authz.Revision{Count: first.Count, Nonce: "lost"}}); authz.KindOf(err) != authz.Behind {
			t.Fatalf("honoured at %s: %v", at, err)
		}
		x.commit(s, access(admin.Link, "open"))
		s.ready(t)
		x.commit(s, access(admin.Unlink, "open"))
		s.ready(t)
	}
	// One from before the following began is asked of Redis once.
	later, err := NewCache(x.open(s.proxy.URL(), 0), CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = later.Close() }()
	old := &sidecar{s.proxy, later, authz.NewService(later, exactPolicy(t))}
	old.ready(t)
	misses := later.Stats().Misses
	for range 50 {
		if _, _, err := old.decide(t, authz.Freshness{AtLeast: first}); err != nil {
			t.Fatal(err)
		}
	}
	if asked := later.Stats().Misses - misses; asked > 1 {
		t.Errorf("an old token was asked of Redis %d times", asked)
	}
}

// forging is a feed that once, when it is due, tells of a change that nobody made. Asked for what
// comes after that one it says of which that is.
type forging struct {
	cache.Feed
	due   atomic.Bool
	asked chan authz.Revision
}

func (f *forging) Next(
	ctx context.Context, organisation string, after authz.Revision, most int64, wait time.Duration,
) ([]layout.Change, error) {
	if after.Nonce == "elsewhere" {
		select {
		case f.asked <- after:
		default:
		}
	}
	if f.due.CompareAndSwap(true, false) {
		return []layout.Change{{
			Revision: authz.Revision{Count: after.Count + 1, Nonce: "elsewhere"}, Previous: after,
			Touched: []authz.Key{{Kind: authz.KindTeamMember, ID: "eve"}},
		}}, nil
	}
	return f.Feed.Next(ctx, organisation, after, most, wait)
}

// What a master says that is behind what the feed has shown is no answer.
func TestAReadingFromBeforeWhatIsKnownIsRefused(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	d := x.open(x.server.URL(), 0)
	forged := &forging{Feed: &feed{d, d.server.Feed(1)}, asked: make(chan authz.Revision, 1)}
	slow, err := newCache(d, forged, CacheConfig{MaxStaleness: time.Hour}) // which looks every quarter of it
	must(t)(err)
	defer func() { must(t)(slow.Close()) }()
	s := &sidecar{cache: slow, service: authz.NewService(slow, exactPolicy(t))}
	x.commit(s, access(admin.Link, "open"))
	s.ready(t)
	forged.due.Store(true)
	elsewhere := <-forged.asked
	if allow, stated, err := s.decide(t, authz.Freshness{}); err == nil && stated.Count < elsewhere.Count {
		t.Fatalf("allowed %t at %s, after %s was known", allow, stated, elsewhere)
	}
	s.ready(t) // the next look at the head puts it right
}

// A stream that never follows what the head says is not read without a pause.
func TestAStreamThatDoesNotFollowIsNoStorm(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	s := x.sidecars[0]
	s.ready(t)
	if _, err := x.server.Do("XADD", "cg:{riverside}:changes", "100-0", "prev", "x", "nonce", "y", "images", ""); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if resets := s.cache.Stats().Resets; resets == 0 || resets > 20 {
		t.Errorf("%d resets in a second", resets)
	}
}
