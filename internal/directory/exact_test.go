package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/policies"
)

// exactStaleness is the lease of the sidecars under test.
const exactStaleness = 400 * time.Millisecond

// trial is several sidecars over one Redis, those who change the facts and those
// who ask, and everything that was changed and answered.
//
// An answer is right if it is what the rules say of the organisation at the
// revision that it states. Which edits made a revision is read from the stream:
// each carries the number of the change that somebody tried.
type trial struct {
	t        *testing.T
	server   *redistest.Server
	at       atomic.Pointer[redistest.Server] // where the address of the sidecars leads
	direct   *Directory                       // without a proxy between
	sidecars []*sidecar

	// gate is held for reading by whoever changes something, for writing by who
	// wants nothing to change.
	gate  sync.RWMutex
	epoch atomic.Int64 // counts losses of data

	mu      sync.Mutex
	tried   map[string][]admin.Edit
	answers map[authz.Revision][]exactAnswer
	acks    []ack
	wrong   []string
	number  atomic.Int64

	asked, unanswered atomic.Int64
	chains            [][]admin.Event // histories that ended, each whole, and the current one
}

type exactAnswer struct {
	request *authz.Request
	atLeast authz.Revision // what the answer has to include
	allow   bool
}

// ack is a change that was acknowledged.
type ack struct {
	at       time.Time
	revision authz.Revision
	epoch    int64
}

// sidecar is what runs beside a pod, but for HTTP.
type sidecar struct {
	proxy   *redistest.Proxy
	cache   *Cache
	service *authz.Service
}

const exactOrganisation = "riverside"

func exactPolicy(t testing.TB) *policy.Snapshot {
	t.Helper()
	source, err := policy.Read(policies.Files, data.Files())
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := policy.Compile(t.Context(), source, policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// newTrial starts Redis and n sidecars, and makes the organisation.
func newTrial(t *testing.T, n int, configure func(*Cache), adjust ...func(*CacheConfig)) *trial {
	t.Helper()
	server, err := redistest.Start(t.TempDir(), "--dbfilename", "dump.rdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	x := &trial{t: t, server: server, tried: map[string][]admin.Edit{}, answers: map[authz.Revision][]exactAnswer{}}
	x.at.Store(server)
	x.direct = x.open(server.URL(), 0)
	snapshot := exactPolicy(t)
	for range n {
		proxy, err := redistest.NewProxy(func() string { return x.at.Load().Addr() })
		if err != nil {
			t.Fatal(err)
		}
		cfg := CacheConfig{MaxStaleness: exactStaleness}
		for _, f := range adjust {
			f(&cfg)
		}
		cache, err := NewCache(x.open(proxy.URL(), 0), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if configure != nil {
			configure(cache)
		}
		t.Cleanup(func() {
			if err := cache.Close(); err != nil {
				t.Error(err)
			}
			proxy.Close()
		})
		x.sidecars = append(x.sidecars, &sidecar{proxy, cache, authz.NewService(cache, snapshot)})
	}
	if _, err := x.change(x.direct, rand.New(rand.NewPCG(1, 0)), wholeClinic); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *trial) open(url string, kept int) *Directory {
	x.t.Helper()
	d, err := Open(Config{URL: url, ChangesKept: kept})
	if err != nil {
		x.t.Fatal(err)
	}
	if url == x.server.URL() {
		x.t.Cleanup(func() { _ = d.Close() })
	}
	return d
}

// change commits the edits that make gives, and remembers them.
func (x *trial) change(to admin.Store, r *rand.Rand, edits func(*rand.Rand) []admin.Edit) (admin.Committed, error) {
	e := edits(r)
	id := strconv.FormatInt(x.number.Add(1), 10)
	x.mu.Lock()
	x.tried[id] = e
	x.mu.Unlock()
	ctx, cancel := context.WithTimeout(x.t.Context(), 2*time.Second)
	defer cancel()
	return to.Commit(ctx, exactOrganisation, admin.Change{Edits: e, Author: admin.Author{Via: "api", Request: id}})
}

// write changes something through a sidecar, and asks it at once: the change has
// to be in the answer.
func (x *trial) write(s *sidecar, r *rand.Rand) {
	x.gate.RLock()
	defer x.gate.RUnlock()
	epoch := x.epoch.Load()
	booking := fmt.Sprintf("b-%d", r.IntN(40))
	done, err := x.change(s.cache, r, func(r *rand.Rand) []admin.Edit { return someEdits(r, booking) })
	if err != nil {
		if kind := authz.KindOf(err); kind == authz.Internal {
			x.report("a change failed: %v", err)
		}
		return
	}
	x.mu.Lock()
	x.acks = append(x.acks, ack{time.Now(), done.Revision, epoch})
	x.mu.Unlock()
	if stated, ok := x.ask(s, r, authz.Freshness{}); ok && stated.Revision.Count < done.Revision.Count {
		x.report("a sidecar answered from revision %s after it had committed %s", stated.Revision, done.Revision)
	}
}

// ask asks one question, or a batch, and remembers what was answered.
func (x *trial) ask(s *sidecar, r *rand.Rand, fresh authz.Freshness) (authz.Stated, bool) {
	requests := []*authz.Request{someRequest(r)}
	if r.IntN(8) == 0 {
		for range r.IntN(20) {
			requests = append(requests, someRequest(r))
		}
	}
	ctx, cancel := context.WithTimeout(x.t.Context(), time.Second)
	defer cancel()
	start, epoch := time.Now(), x.epoch.Load()
	decisions, failed, stated, err := s.service.DecideAll(ctx, exactOrganisation, requests, authz.ExecuteAll, fresh)
	if err := errors.Join(append(failed, err)...); err != nil {
		x.unanswered.Add(1)
		if kind := authz.KindOf(err); kind != authz.Unavailable && kind != authz.Timeout && kind != authz.Behind {
			x.report("a question failed: %v", err)
		}
		time.Sleep(time.Millisecond)
		return stated, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, d := range decisions {
		x.asked.Add(1)
		x.answers[stated.Revision] = append(x.answers[stated.Revision], exactAnswer{requests[i], fresh.AtLeast, d.Allow})
	}
	// Whatever was acknowledged a lease before the question was asked is in the answer.
	for i := len(x.acks) - 1; i >= 0; i-- {
		a := x.acks[i]
		if a.epoch != epoch || a.epoch != x.epoch.Load() {
			break
		}
		if start.Sub(a.at) > exactStaleness {
			if a.revision.Count > stated.Revision.Count {
				x.wrong = append(x.wrong, fmt.Sprintf("answered from %s, %v after %s was acknowledged", stated.Revision, start.Sub(a.at), a.revision))
			}
			break
		}
	}
	return stated, true
}

// read asks as callers do: mostly as it comes, some for what they have seen.
func (x *trial) read(s *sidecar, r *rand.Rand, last *authz.Revision) {
	var fresh authz.Freshness
	switch r.IntN(20) {
	case 0:
		fresh.Full = true
	case 1, 2:
		fresh.AtLeast = *last
	}
	if stated, ok := x.ask(s, r, fresh); ok {
		*last = stated.Revision
	} else if fresh.AtLeast.Count > 0 {
		*last = authz.Revision{} // perhaps lost
	}
}

func (x *trial) report(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.wrong = append(x.wrong, fmt.Sprintf(format, args...))
}

// phase lets everybody change and ask while fault meddles, for two seconds at
// least and until so many questions were answered.
func (x *trial) phase(name string, seed uint64, decisions int, fault func(ctx context.Context)) (resets uint64) {
	x.t.Helper()
	before := x.resets()
	ctx, cancel := context.WithTimeout(x.t.Context(), 5*time.Minute)
	defer cancel()
	target, least := x.asked.Load()+int64(decisions), time.Now().Add(2*time.Second)
	over := func() bool { return ctx.Err() != nil || x.asked.Load() >= target && time.Now().After(least) }
	var group sync.WaitGroup
	for i, s := range x.sidecars {
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for !over() {
				x.write(s, r)
				time.Sleep(time.Duration(r.IntN(500)) * time.Microsecond)
			}
		})
		for j := range 2 {
			group.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(100+10*i+j)))
				var last authz.Revision
				for !over() {
					x.read(s, r, &last)
				}
			})
		}
	}
	meddling, stop := context.WithCancel(ctx)
	faulty := make(chan struct{})
	go func() {
		defer close(faulty)
		if fault != nil {
			fault(meddling)
		}
	}()
	group.Wait()
	stop()
	<-faulty
	if x.asked.Load() < target {
		x.t.Fatalf("%s: only %d of %d questions were answered in five minutes", name, x.asked.Load(), target)
	}
	x.settle()
	x.t.Logf("%s: %d answers, %d without one, %d changes", name, x.asked.Load(), x.unanswered.Load(), len(x.chains[len(x.chains)-1]))
	return x.resets() - before
}

// resets returns how often the sidecars dropped what they had.
func (x *trial) resets() (n uint64) {
	for _, s := range x.sidecars {
		n += s.cache.Stats().Resets
	}
	return n
}

// settle waits until every sidecar answers, and reads the history up to now.
func (x *trial) settle() {
	x.t.Helper()
	for i, s := range x.sidecars {
		s.ready(x.t)
		deadline := time.Now().Add(20 * time.Second)
		r := rand.New(rand.NewPCG(7, uint64(i)))
		for _, ok := x.ask(s, r, authz.Freshness{}); !ok; _, ok = x.ask(s, r, authz.Freshness{}) {
			if time.Now().After(deadline) {
				x.t.Fatal("a sidecar does not recover")
			}
		}
	}
	x.gate.Lock()
	defer x.gate.Unlock()
	x.collect()
}

// collect reads the changes since it was last called. The gate is closed.
func (x *trial) collect() {
	x.t.Helper()
	if len(x.chains) == 0 {
		x.chains = append(x.chains, nil)
	}
	chain := &x.chains[len(x.chains)-1]
	for {
		var after authz.Revision
		if n := len(*chain); n > 0 {
			after = (*chain)[n-1].Revision
		}
		page, err := x.direct.History(x.t.Context(), exactOrganisation, admin.After(after), 500)
		if err != nil {
			x.t.Fatalf("read the changes after %s: %v", after, err)
		}
		if len(page.Events) == 0 {
			return
		}
		*chain = append(*chain, page.Events...)
	}
}

// lose lets destroy take data away while nobody changes anything. What is answered
// afterwards is of another history, which begins with the first kept changes of
// the one before.
func (x *trial) lose(destroy func()) {
	x.gate.Lock()
	defer x.gate.Unlock()
	x.collect()
	x.epoch.Add(1)
	destroy()
	x.chains = append(x.chains, nil)
}
