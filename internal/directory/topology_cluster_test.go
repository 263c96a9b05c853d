package directory

import (
	"strconv"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/redistest"
)

func startCluster(t *testing.T) *redistest.Cluster {
	t.Helper()
	c, err := redistest.StartCluster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// owner returns the master of the organisation under test, and its slot.
func owner(t *testing.T, c *redistest.Cluster) (*redistest.Server, int) {
	t.Helper()
	node, slot, err := c.Owner(headOfExact)
	if err != nil {
		t.Fatal(err)
	}
	return node, slot
}

// must fails the test at an error of what a test does to servers.
func must(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The master of the slot of an organisation dies with changes that its replica does
// not have. The replica takes its place, every sidecar notices, and recovers.
func TestClusterMasterThatDiesWithChanges(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	x := newTopologyTrial(t, c.URL(), 2, CacheConfig{})
	x.while(1, func() { time.Sleep(500 * time.Millisecond) })
	x.fromMemory()
	master, _ := owner(t, c)
	replica, err := c.Replica(master)
	must(t)(err)

	kept := x.edit(x.sidecars[0])
	offset, err := master.Offset()
	must(t)(err)
	x.eventually(20*time.Second, "the replica has the change", func() bool {
		there, err := replica.Offset()
		return err == nil && there >= offset
	})
	resets := []uint64{x.sidecars[0].cache.Stats().Resets, x.sidecars[1].cache.Stats().Resets}
	must(t)(replica.Pause())
	_, err = master.Do("CLIENT", "KILL", "TYPE", "replica")
	must(t)(err)
	gone := []authz.Revision{x.edit(x.sidecars[0]), x.edit(x.sidecars[1])}
	x.while(2, func() {
		time.Sleep(300 * time.Millisecond)
		x.lose(func() {
			master.Kill()
			must(t)(replica.Resume())
			must(t)(redistest.Await(time.Minute, "the replica is promoted", func() bool {
				now, _, err := c.Owner(headOfExact)
				return err == nil && now == replica
			}))
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
			t.Errorf("sidecar %d: %d resets before and %d after", i, resets[i], now)
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
	x.while(3, func() { time.Sleep(300 * time.Millisecond) })
	x.alike(lost)
	x.clean()
	x.pass()
	t.Logf("%d changes were lost", len(lost))
}

// clusterTimeout is the cluster-node-timeout of the clusters under test.
const clusterTimeout = 1500 * time.Millisecond

// A master that is cut off from the other masters stops answering by itself, and
// the lease ends.
func TestAMasterCutOffFromItsClusterIsNotBelieved(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	x := newTopologyTrial(t, c.URL(), 1, CacheConfig{})
	x.fromMemory()
	master, _ := owner(t, c)
	for _, node := range c.Nodes {
		if node != master {
			must(t)(node.Pause())
			defer func() { _ = node.Resume() }()
		}
	}
	s := x.sidecars[0]
	answers := func() bool {
		_, _, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{})
		return err == nil
	}
	const bound = clusterTimeout + time.Second + exactStaleness
	cut, last := time.Now(), time.Time{}
	for time.Since(cut) < bound+2*time.Second {
		asked := time.Now()
		if answers() {
			last = asked
		}
		time.Sleep(time.Millisecond)
	}
	if late := last.Sub(cut); late > bound+time.Second {
		t.Errorf("it was believed for %v, expected %v at most", late, bound)
	} else {
		t.Logf("it was believed for %v; the timeout of the cluster and the lease allow %v", late, bound)
	}
	for _, node := range c.Nodes {
		if node != master {
			must(t)(node.Resume())
		}
	}
	x.eventually(30*time.Second, "it recovers", answers)
}

// In a cluster any node would answer how many replicas it has.
func TestReplicasCannotBeAskedForInACluster(t *testing.T) {
	d := openFor(t, "redis+cluster://127.0.0.1:1")
	defer closed(t, d)
	if c, err := NewCache(d, CacheConfig{MinReplicas: 1}); err == nil {
		_ = c.Close()
		t.Error("a cache in a cluster takes a number of replicas")
	}
}

// A slot that is moved while everybody changes and asks: there are right answers
// and errors, nothing is lost, and all is well when it has arrived.
func TestASlotIsMovedInACluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	x := newTopologyTrial(t, c.URL(), 2, CacheConfig{})
	x.while(1, func() { time.Sleep(300 * time.Millisecond) })
	for round, first := range []string{"head", "changes", "ids:team_member", ""} {
		x.while(uint64(2+round), func() {
			from, slot := owner(t, c)
			to := c.Nodes[0]
			if from == to {
				to = c.Nodes[1]
			}
			move, err := c.BeginMove(slot, from, to)
			must(t)(err)
			time.Sleep(100 * time.Millisecond)
			if first != "" {
				must(t)(move.Keys("cg:{riverside}:" + first))
				time.Sleep(700 * time.Millisecond) // longer than a lease
			}
			for {
				n, err := move.Some(2)
				must(t)(err)
				if n == 0 {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
			must(t)(move.End())
		})
		x.fromMemory()
		x.clean()
	}
	x.alike(nil)
	if x.unanswered.Load() == 0 {
		t.Error("every question was answered: the slot was never in between")
	}
	x.pass()
	for i, s := range x.sidecars {
		if n := s.cache.Stats().Resets; n > 0 {
			t.Logf("sidecar %d: %s resets", i, strconv.FormatUint(n, 10))
		}
	}
}
