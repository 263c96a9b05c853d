package directory

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/redistest"
)

// pair is a trial over two servers of which one is meant. The address of the sidecars
// leads where x.at says; that of direct always to the one that is meant.
type pair struct {
	*trial
	meant atomic.Pointer[redistest.Server]
	other *redistest.Server
}

func newPair(t *testing.T, configure func(*Cache)) *pair {
	t.Helper()
	x := newTrial(t, 3, configure)
	p := &pair{trial: x, other: startFor(t)}
	_, err := x.server.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	must(t)(err)
	p.meant.Store(x.server)
	way, err := redistest.NewProxy(func() string { return p.meant.Load().Addr() })
	must(t)(err)
	t.Cleanup(way.Close)
	x.direct = openFor(t, way.URL()+"?conn_max_lifetime=50ms")
	t.Cleanup(func() { closed(t, x.direct) })
	return p
}

func (p *pair) do(s *redistest.Server, args ...string) {
	_, err := s.Do(args...)
	p.check(err)
}

// check is for those beside the test, which cannot end it.
func (p *pair) check(err error) {
	if err != nil {
		p.t.Error(err)
	}
}

// isolate makes a server a replica of nobody, which has what it had.
func (p *pair) isolate(s *redistest.Server) { p.do(s, "REPLICAOF", "127.0.0.1", "1") }

// copied gives the other server all that the one has that is meant, and cuts it off.
func (p *pair) copied() {
	meant := p.meant.Load()
	p.do(p.other, "REPLICAOF", "127.0.0.1", portOf(meant))
	p.check(redistest.Await(settleReplica, "the replica has what its master has", func() bool {
		want, err := meant.Offset()
		have, err2 := p.other.Offset()
		return err == nil && err2 == nil && have >= want && p.other.Follows()
	}))
	p.isolate(p.other)
}

// demote makes the other server the master and the one that was meant a replica that
// hears nothing. Later the address follows; no connection is cut.
func (p *pair) demote(ctx context.Context) {
	p.gate.Lock()
	p.copied()
	was := p.meant.Load()
	p.do(p.other, "REPLICAOF", "NO", "ONE")
	p.isolate(was)
	p.meant.Store(p.other)
	p.other = was
	p.gate.Unlock()
	for range 5 { // the others change something meanwhile
		p.changed()
	}
	sleep(ctx, time.Duration(rand.IntN(int(2*exactStaleness))))
	p.at.Store(p.meant.Load())
}

// changed changes something at the server that is meant.
func (p *pair) changed() {
	p.gate.RLock()
	defer p.gate.RUnlock()
	r := rand.New(rand.NewPCG(uint64(p.number.Load()), 9))
	done, err := p.change(p.direct, r, func(r *rand.Rand) []admin.Edit { return someEdits(r, "b-masters") })
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acks = append(p.acks, ack{time.Now(), done.Revision, p.epoch.Load()})
}

// mislead lets the address lead to a replica that hears nothing, for as long as a lease
// and half of another one.
func (p *pair) mislead(ctx context.Context) {
	p.gate.Lock()
	p.copied()
	p.gate.Unlock()
	p.at.Store(p.other)
	for _, s := range p.sidecars {
		s.proxy.Cut()
	}
	for end := time.Now().Add(exactStaleness + exactStaleness/2); ctx.Err() == nil && time.Now().Before(end); sleep(ctx, 10*time.Millisecond) {
		p.changed()
	}
	p.at.Store(p.meant.Load()) // what is connected to the replica has to leave it
}

// flip lets the address lead to the other one of two masters, each of which has a
// history of its own.
func (p *pair) flip(context.Context) {
	p.lose(func() {
		was := p.meant.Load()
		p.meant.Store(p.other)
		p.at.Store(p.other)
		p.other = was
		for _, s := range p.sidecars {
			s.proxy.Cut()
		}
		time.Sleep(100 * time.Millisecond) // the connections of direct are too old then
		if n, err := p.meant.Load().Do("EXISTS", headOfExact); err != nil || n == int64(0) {
			_, err := p.change(p.direct, rand.New(rand.NewPCG(uint64(p.number.Load()), 6)), wholeClinic)
			p.check(err)
		}
	})
}

// toDisk has the server that is meant write all changes to its disk from now on.
func (p *pair) toDisk(when string) {
	p.gate.Lock()
	defer p.gate.Unlock()
	s := p.meant.Load()
	p.do(s, "CONFIG", "SET", "appendfsync", when)
	p.do(s, "CONFIG", "SET", "appendonly", "yes")
	p.check(redistest.Await(settleReplica, "the server has written its log anew", func() bool {
		info, err := s.Do("INFO", "persistence")
		text, _ := info.(string)
		return err == nil && strings.Contains(text, "aof_enabled:1") && strings.Contains(text, "aof_rewrite_in_progress:0") &&
			strings.Contains(text, "aof_rewrite_scheduled:0")
	}))
}

// killed lets the disk of the server that is meant take nothing, then kills the server,
// and returns the newest revision that was acknowledged.
func (p *pair) killed(ctx context.Context) (newest authz.Revision) {
	s := p.meant.Load()
	_, err := s.StallDisk()
	p.check(err)
	sleep(ctx, 1500*time.Millisecond) // it lets the disk write once a second
	p.lose(func() {
		h, err := p.direct.History(p.t.Context(), exactOrganisation, admin.Place{}, 1)
		p.check(err)
		newest = h.Newest
		s.Kill()
		p.check(s.RestartWith("--appendonly", "yes"))
	})
	return newest
}

// Every decision is exact, and as recent as a lease says, whatever is behind the address:
// a master that was demoted, a replica, another master.
func TestEveryDecisionIsExactWhateverIsBehindTheAddress(t *testing.T) {
	n := exactDecisions(t) / 20
	p := newPair(t, nil)
	p.phase("masters that are demoted", 11, n, repeat(200*time.Millisecond, p.demote))
	p.at.Store(p.meant.Load())
	p.phase("a replica that is cut off", 12, n, repeat(200*time.Millisecond, p.mislead))
	p.do(p.other, "REPLICAOF", "NO", "ONE")
	p.do(p.other, "FLUSHALL")
	if p.phase("two masters in turns", 13, n, repeat(400*time.Millisecond, p.flip)) == 0 {
		t.Error("nobody noticed another master")
	}
	p.toDisk("everysec")
	lost := 0
	p.phase("a slow disk", 14, n, repeat(400*time.Millisecond, func(ctx context.Context) {
		before := p.killed(ctx)
		after, err := p.direct.History(t.Context(), exactOrganisation, admin.Place{}, 1)
		p.check(err)
		lost += int(before.Count - after.Newest.Count)
	}))
	if lost == 0 {
		t.Error("a slow disk lost nothing: the test shows little")
	}
	t.Logf("a slow disk lost %d changes that had been acknowledged", lost)
	p.clean()
	for _, s := range p.sidecars {
		if own := p.edit(s); !p.includes(s, own) {
			t.Error("a sidecar refuses the token of its own change")
		}
	}
	p.gate.Lock()
	p.collect()
	p.gate.Unlock()
	p.pass()
	for _, s := range p.sidecars { // everything is done with what is there now
		for what, err := range everything(t, s.cache) {
			if err != nil && what != "preview" { // of somebody whom this organisation may not have
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// The test above notices when replicas are believed.
func TestTheTestOfExactnessNoticesAReplicaThatIsBelieved(t *testing.T) {
	for attempt := range uint64(10) {
		p := newPair(t, func(c *Cache) { c.scripts = script.NewSet(true, 0) })
		p.phase("careless", attempt, 1000, repeat(200*time.Millisecond, p.mislead))
		wrong := p.verdict()
		if slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, "was acknowledged") }) {
			t.Logf("noticed: %d wrong answers, such as %s", len(wrong), wrong[0])
			return
		}
	}
	t.Fatal("sidecars that believe a replica passed")
}

// A server that is killed while its disk takes nothing comes back without changes that it
// acknowledged, unless it waits for the disk with each.
func TestWhatAKilledServerComesBackWith(t *testing.T) {
	t.Parallel()
	for when, loses := range map[string]bool{"everysec": true, "always": false} {
		server := startFor(t, "--appendonly", "yes", "--appendfsync", when)
		d := openFor(t, server.URL())
		t.Cleanup(func() { closed(t, d) })
		_, err := d.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(smallClinic(), "\n")), ImportOptions{})
		must(t)(err)
		_, err = server.StallDisk()
		must(t)(err)
		var last admin.Committed
		op := admin.Link
		for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			last, err = d.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(op, "open")}})
			must(t)(err)
			if op = admin.Link; last.Revision.Count%2 == 0 {
				op = admin.Unlink
			}
		}
		server.Kill()
		must(t)(server.Restart())
		h, err := d.History(t.Context(), exactOrganisation, admin.Place{}, 1)
		if err != nil {
			h, err = d.History(t.Context(), exactOrganisation, admin.Place{}, 1) // on a new connection
		}
		must(t)(err)
		if lost := last.Revision.Count - h.Newest.Count; lost > 0 != loses {
			t.Errorf("appendfsync %s: %d changes were lost that had been acknowledged", when, lost)
		} else {
			t.Logf("appendfsync %s: %d changes were lost that had been acknowledged", when, lost)
		}
	}
}

// What is connected to the other one of two masters comes to the one to which the
// address leads, without a connection being cut.
func TestConnectionsToAnotherMasterAreLeft(t *testing.T) {
	t.Parallel()
	one, two := startFor(t), startFor(t)
	var address atomic.Pointer[redistest.Server]
	address.Store(one)
	proxy, err := redistest.NewProxy(func() string { return address.Load().Addr() })
	must(t)(err)
	t.Cleanup(proxy.Close)
	for i, s := range []*redistest.Server{one, two} {
		direct := openFor(t, s.URL())
		lines := smallClinic()
		if i == 1 {
			lines = append(lines, `{"kind":"patient_group","id":"other"}`)
		}
		_, err := direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(lines, "\n")), ImportOptions{})
		must(t)(err)
		closed(t, direct)
	}
	s := newTopologySidecar(t, proxy.URL()+"?conn_max_lifetime=300ms", CacheConfig{})
	for i := range 6 { // each leaves connections of some clients where it led
		address.Store([]*redistest.Server{one, two}[i%2])
		s.ready(t)
		everything(t, s.cache)
	}
	must(t)(redistest.Await(20*time.Second, "all that is asked is asked of the second", func() bool {
		all, err := s.cache.List(t.Context(), exactOrganisation, authz.KindPatientGroup, "", 10)
		if err != nil || len(all.Records) != 3 {
			return false
		}
		facts, err := s.cache.Read(t.Context(), exactOrganisation, []authz.Key{patientGroup("other")}, authz.Freshness{})
		return err == nil && facts.Get(patientGroup("other")).Found
	}))
	for what, err := range everything(t, s.cache) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
