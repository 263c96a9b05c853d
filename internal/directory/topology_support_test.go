package directory

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
)

// headOfExact is the key of the head of the organisation under test; the others
// begin like it.
const headOfExact = "cg:{riverside}:head"

// newTopologyTrial is newTrial over servers that are there already, and which the
// sidecars reach themselves.
func newTopologyTrial(t *testing.T, url string, n int, cfg CacheConfig) *trial {
	t.Helper()
	x := &trial{t: t, tried: map[string][]admin.Edit{}, answers: map[authz.Revision][]exactAnswer{}}
	x.direct = openFor(t, url)
	t.Cleanup(func() { closed(t, x.direct) })
	for range n {
		x.sidecars = append(x.sidecars, newTopologySidecar(t, url, cfg))
	}
	r := rand.New(rand.NewPCG(1, 0))
	x.eventually(20*time.Second, "the organisation is made", func() bool {
		_, err := x.change(x.direct, r, wholeClinic)
		return err == nil
	})
	return x
}

func openFor(t *testing.T, url string) *Directory {
	t.Helper()
	d, err := Open(Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newTopologySidecar(t *testing.T, url string, cfg CacheConfig) *sidecar {
	t.Helper()
	cfg.MaxStaleness = exactStaleness
	cache, err := NewCache(openFor(t, url), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	return &sidecar{cache: cache, service: authz.NewService(cache, exactPolicy(t))}
}

func (x *trial) eventually(within time.Duration, what string, done func() bool) {
	x.t.Helper()
	for deadline := time.Now().Add(within); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// while lets everybody change and ask until meddle returns. It leaves the machine
// some time for servers.
func (x *trial) while(seed uint64, meddle func()) {
	x.t.Helper()
	ctx, cancel := context.WithCancel(x.t.Context())
	var group sync.WaitGroup
	for i, s := range x.sidecars {
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for ctx.Err() == nil {
				x.write(s, r)
				time.Sleep(time.Duration(2000+r.IntN(4000)) * time.Microsecond)
			}
		})
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(100+i)))
			var last authz.Revision
			for ctx.Err() == nil {
				x.read(s, r, &last)
				time.Sleep(100 * time.Microsecond)
			}
		})
	}
	meddle()
	cancel()
	group.Wait()
	x.settle()
}

// fromMemory waits until every sidecar answers from memory.
func (x *trial) fromMemory() {
	x.t.Helper()
	for i, s := range x.sidecars {
		r := rand.New(rand.NewPCG(8, uint64(i)))
		before := s.cache.Stats().Hits
		x.eventually(20*time.Second, "a sidecar answers from memory", func() bool {
			x.ask(s, r, authz.Freshness{})
			return s.cache.Stats().Hits > before
		})
	}
}

// lost is the revisions of the history that ended last which are not in the
// current one.
func (x *trial) lost() map[authz.Revision]bool {
	x.t.Helper()
	lost := map[authz.Revision]bool{}
	for _, event := range x.chains[len(x.chains)-2] {
		lost[event.Revision] = true
	}
	for _, event := range x.chains[len(x.chains)-1] {
		delete(lost, event.Revision)
	}
	return lost
}

// includes asks a sidecar for a revision until Redis answers, and reports whether
// what it answers from includes it.
func (x *trial) includes(s *sidecar, atLeast authz.Revision) bool {
	x.t.Helper()
	request := someRequest(rand.New(rand.NewPCG(9, 9)))
	included := false
	x.eventually(20*time.Second, "an answer about a revision", func() bool {
		_, _, err := s.service.Decide(x.t.Context(), exactOrganisation, request, authz.Freshness{AtLeast: atLeast})
		included = err == nil
		return err == nil || authz.KindOf(err) == authz.Behind
	})
	return included
}

// alike asks all sidecars the same while nothing changes, from memory and anew, and
// fails the test unless all answer the same, at one revision that is not lost.
func (x *trial) alike(lost map[authz.Revision]bool) {
	x.t.Helper()
	x.gate.Lock()
	defer x.gate.Unlock()
	var head authz.Revision
	x.eventually(20*time.Second, "all sidecars are at one revision", func() bool {
		seen := map[authz.Revision]bool{}
		for i := range 2 * len(x.sidecars) {
			_, stated, err := x.sidecars[i/2].service.Decide(x.t.Context(), exactOrganisation, someRequest(rand.New(rand.NewPCG(1, 1))), authz.Freshness{Full: i%2 == 0})
			if err != nil {
				return false
			}
			head = stated.Revision
			seen[head] = true
		}
		return len(seen) == 1
	})
	if lost[head] {
		x.t.Errorf("the sidecars answer at revision %s, which was lost", head)
	}
	r := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		request := someRequest(r)
		answers := map[bool]int{}
		for i := range 2 * len(x.sidecars) {
			d, stated, err := x.sidecars[i/2].service.Decide(x.t.Context(), exactOrganisation, request, authz.Freshness{Full: i%2 == 0})
			if authz.KindOf(err) == authz.Unavailable || authz.KindOf(err) == authz.Timeout {
				continue // a busy machine
			}
			if err != nil {
				x.t.Fatal(err)
			}
			if stated.Revision != head {
				x.t.Errorf("answered at %s while everything stood at %s", stated.Revision, head)
			}
			answers[d.Allow]++
		}
		if len(answers) > 1 {
			x.t.Errorf("%s: the sidecars do not answer alike", inWords(request))
		}
	}
}

// clean audits what is there now.
func (x *trial) clean() {
	x.t.Helper()
	var audited audit.Result
	x.eventually(20*time.Second, "an audit", func() bool {
		var err error
		audited, err = x.direct.Audit(x.t.Context(), exactOrganisation, audit.Config{
			Report: func(f audit.Finding) error {
				if !f.Advice {
					x.t.Errorf("audit: %+v", f)
				}
				return nil
			},
		})
		return err == nil
	})
	if audited.Entities == 0 {
		x.t.Error("the audit saw nothing")
	}
}

// edit changes a role through a sidecar, as soon as Redis lets it.
func (x *trial) edit(s *sidecar) authz.Revision {
	x.t.Helper()
	r := rand.New(rand.NewPCG(uint64(x.number.Load()), 3))
	var done admin.Committed
	x.eventually(20*time.Second, "a change is committed", func() bool {
		var err error
		done, err = x.change(s.cache, r, func(r *rand.Rand) []admin.Edit {
			return []admin.Edit{{Op: admin.Put, Record: someRecord(r, authz.KindRole, 0)}}
		})
		return err == nil && done.Changed
	})
	return done.Revision
}
