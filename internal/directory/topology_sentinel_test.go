package directory

import (
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/redistest"
)

func startReplicated(t *testing.T, arguments ...string) *redistest.Replicated {
	t.Helper()
	r, err := redistest.StartReplicated(t.TempDir(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// has reports whether a server has come to a revision.
func has(s *redistest.Server, revision authz.Revision) bool {
	nonce, err := s.Do("HGET", headOfExact, "nonce")
	return err == nil && nonce == revision.Nonce
}

// A failover that loses changes which were acknowledged is noticed by every
// sidecar. No answer is from what was lost, and no token of it is taken for one of
// the history that goes on.
func TestSentinelFailoverThatLosesChanges(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	x := newTopologyTrial(t, r.URL(), 2, CacheConfig{})
	x.while(1, func() { time.Sleep(500 * time.Millisecond) })
	x.fromMemory()

	kept := x.edit(x.sidecars[0])
	for _, replica := range r.Replicas {
		x.eventually(20*time.Second, "the replicas have the change", func() bool { return has(replica, kept) })
	}
	resets := []uint64{x.sidecars[0].cache.Stats().Resets, x.sidecars[1].cache.Stats().Resets}
	r.Link.LoseReplicas()
	gone := []authz.Revision{x.edit(x.sidecars[0]), x.edit(x.sidecars[1])}
	var promoted *redistest.Server
	x.while(2, func() {
		time.Sleep(300 * time.Millisecond)
		x.lose(func() {
			r.Master.Kill()
			r.Link.Cut()
			r.Link.Heal()
			var err error
			if promoted, err = r.AwaitPromotion(); err != nil {
				t.Fatal(err)
			}
		})
		time.Sleep(500 * time.Millisecond)
	})
	lost := x.lost()
	if len(lost) < 2 || !lost[gone[0]] || !lost[gone[1]] {
		t.Fatalf("%d changes were lost, expected those of the last moments: the test shows little", len(lost))
	}
	x.fromMemory()
	for i, s := range x.sidecars {
		if now := s.cache.Stats().Resets; now <= resets[i] {
			t.Errorf("sidecar %d: %d resets before the failover and %d after it", i, resets[i], now)
		}
		if !x.includes(s, kept) {
			t.Errorf("sidecar %d refuses a token of what was kept", i)
		}
		for revision := range lost {
			if x.includes(s, revision) {
				t.Errorf("sidecar %d accepts a token of revision %s, which was lost", i, revision)
			}
		}
	}
	x.alike(lost)
	for _, s := range x.sidecars {
		if own := x.edit(s); !x.includes(s, own) {
			t.Error("a sidecar refuses the token of its own change")
		} else if !has(promoted, own) {
			t.Error("the change is not on the new master")
		}
	}
	x.while(3, func() { time.Sleep(300 * time.Millisecond) })
	x.alike(lost)
	x.clean()
	x.pass()
	t.Logf("%d changes were lost", len(lost))
}

// maxLag is min-replicas-max-lag, which counts whole seconds; Redis looks at it
// once a second.
const maxLag = time.Second

// A master that is cut off from its replicas and from the Sentinels, and has been
// replaced without knowing it, is not believed for longer than the lag and the
// lease by a sidecar that still reaches it.
func TestAnIsolatedMasterIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := startReplicated(t, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
	x := newTopologyTrial(t, r.URL(), 1, CacheConfig{MinReplicas: 1})
	beside := newTopologySidecar(t, r.Master.URL(), CacheConfig{MinReplicas: 1})
	trusting := newTopologySidecar(t, r.Master.URL(), CacheConfig{})
	x.while(1, func() { time.Sleep(300 * time.Millisecond) })
	answers := func(s *sidecar) bool {
		_, _, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{})
		return err == nil
	}
	for _, s := range []*sidecar{beside, trusting} {
		x.eventually(20*time.Second, "a sidecar answers", func() bool { return answers(s) })
	}

	const bound = maxLag + time.Second + time.Second + exactStaleness
	cut, last := time.Now(), time.Time{}
	r.Link.LoseAll()
	for time.Since(cut) < bound+3*time.Second {
		asked := time.Now()
		if answers(beside) {
			last = asked
		}
		time.Sleep(time.Millisecond)
	}
	if late := last.Sub(cut); late > bound+time.Second { // that of a busy machine
		t.Errorf("the isolated master was believed for %v, expected %v at most", late, bound)
	} else {
		t.Logf("the isolated master was believed for %v; lag and lease allow %v", late, bound)
	}
	x.eventually(20*time.Second, "who does not ask for replicas still believes it", func() bool { return answers(trusting) })
	promoted, err := r.AwaitPromotion()
	if err != nil {
		t.Fatal(err)
	}
	x.eventually(20*time.Second, "the new master has a replica", func() bool {
		return x.sidecars[0].cache.Ready(t.Context(), exactOrganisation) == nil && answers(x.sidecars[0])
	})
	if later := x.edit(x.sidecars[0]); !has(promoted, later) {
		t.Error("the change is not on the new master")
	}
	if answers(beside) {
		t.Error("the isolated master is believed again")
	}
	r.Link.Heal() // and it becomes a replica, which loses what it has
	x.eventually(30*time.Second, "the old master has the change", func() bool {
		nonce, err := r.Master.Do("HGET", headOfExact, "nonce")
		want, err2 := promoted.Do("HGET", headOfExact, "nonce")
		return err == nil && err2 == nil && nonce == want
	})
	if answers(beside) {
		t.Error("a replica is believed")
	}
	x.settle()
	x.clean()
	x.pass()
}
