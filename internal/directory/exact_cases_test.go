package directory

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/internal/soak"
)

// scene is a trial with an organisation that a test writes itself.
func scene(t *testing.T, sidecars int, lines ...string) *trial {
	t.Helper()
	x := newTrial(t, sidecars, nil)
	if _, err := x.server.Do("FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	if _, err := x.direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(lines, "\n")), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	return x
}

func smallClinic() []string {
	return []string{
		`{"kind":"role","id":"nurse","permissions":["patient:view"]}`,
		`{"kind":"role","id":"admin","permissions":["*:*"]}`,
		`{"kind":"patient_group","id":"open"}`,
		`{"kind":"patient_group","id":"closed"}`,
		`{"kind":"team_member","id":"amara","role":"admin"}`,
		`{"kind":"team_member","id":"eve","role":"nurse","access":["closed"]}`,
		`{"kind":"patient","id":"p-1","patient_group":"open"}`,
	}
}

// views is the question whether eve may view patient p-1.
func views() *authz.Request {
	return &authz.Request{
		Subject: authz.Entity{Type: "team_member", ID: "eve"}, Action: authz.Action{Name: "view"},
		Resource: authz.Entity{Type: "patient", ID: "p-1"},
	}
}

// ready waits until a sidecar answers from memory.
func (s *sidecar) ready(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		before := s.cache.Stats().Hits
		if _, _, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{}); err == nil && s.cache.Stats().Hits > before {
			return
		}
	}
	t.Fatal("the sidecar does not come to answer from memory")
}

func (x *trial) commit(s *sidecar, edits ...admin.Edit) authz.Revision {
	x.t.Helper()
	done, err := s.cache.Commit(x.t.Context(), exactOrganisation, admin.Change{Edits: edits, Author: admin.Author{Actor: "team_member:amara", Via: "api"}})
	if err != nil {
		x.t.Fatal(err)
	}
	return done.Revision
}

func access(op admin.Op, group string) admin.Edit {
	return admin.Edit{Op: op, Relation: admin.Access, From: "eve", To: group}
}

func move(group string) admin.Edit {
	return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindPatient, ID: "p-1"}, Fields: admin.Fields{"patient_group": group}}
}

// The new enemy: eve's Access to a group is taken away, and then a patient is
// moved into it, by different people through different sidecars. At no moment may
// any sidecar show her the patient, however late it hears of either change.
func TestNewEnemyNeverSeesThePatient(t *testing.T) {
	x := scene(t, 3, smallClinic()...)
	for _, s := range x.sidecars {
		s.ready(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var asked, allowed atomic.Int64
	var group sync.WaitGroup
	for _, s := range x.sidecars {
		for range 2 {
			group.Go(func() {
				for ctx.Err() == nil {
					if d, _, err := s.service.Decide(ctx, exactOrganisation, views(), authz.Freshness{}); err == nil {
						asked.Add(1)
						if d.Allow {
							allowed.Add(1)
						}
					}
				}
			})
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range max(40, soak.Cases(150)) {
		for _, s := range x.sidecars {
			s.proxy.DelayFeed(time.Duration(r.IntN(6)) * time.Millisecond)
		}
		first, second := x.sidecars[i%3], x.sidecars[r.IntN(3)]
		x.commit(first, access(admin.Unlink, "closed"))
		x.commit(second, move("closed"))
		time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
		x.commit(second, move("open")) // back, in the order that shows nothing either
		x.commit(first, access(admin.Link, "closed"))
	}
	cancel()
	group.Wait()
	if asked.Load() < 1000 {
		t.Errorf("only %d questions were asked", asked.Load())
	}
	if n := allowed.Load(); n > 0 {
		t.Errorf("%d of %d answers showed eve a patient that she was never to see", n, asked.Load())
	}
}

// A change through a sidecar is in its next answer, whatever its feed does.
func TestAChangeIsInTheNextAnswerOfItsSidecar(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	s := x.sidecars[0]
	s.ready(t)
	s.proxy.DelayFeed(100 * time.Millisecond)
	for i := range 100 {
		want := i%2 == 0
		op := admin.Unlink
		if want {
			op = admin.Link
		}
		revision := x.commit(s, access(op, "open"))
		d, stated, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{})
		if err != nil {
			t.Fatal(err)
		}
		if d.Allow != want || stated.Revision.Count < revision.Count {
			t.Fatalf("change %d: allowed %t at %s after %s", i, d.Allow, stated.Revision, revision)
		}
	}
}

// While Redis is silent, what is kept answers for the length of a lease and no
// longer; then there is no answer, and then, by itself, there is one again.
func TestASilentRedisEndsTheLease(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	s := x.sidecars[0]
	x.commit(s, access(admin.Link, "open"))
	for range 5 {
		s.ready(t)
		if err := x.server.Pause(); err != nil {
			t.Fatal(err)
		}
		paused := time.Now()
		refused := false
		for time.Since(paused) < 2*exactStaleness {
			asked := time.Now()
			d, _, err := s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{})
			if err != nil {
				refused = true
				continue
			}
			if refused {
				t.Error("answered again while Redis was silent")
			}
			// A signal takes a moment to arrive.
			if late := asked.Sub(paused); d.Allow && late > exactStaleness+20*time.Millisecond {
				t.Errorf("allowed %v after Redis fell silent", late)
			}
		}
		if !refused {
			t.Error("never refused to answer")
		}
		if err := x.server.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	s.ready(t)
}

// A token of a future that was lost is refused, and so is one that the stream no
// longer holds.
func TestATokenOfALostFutureIsRefused(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	s := x.sidecars[0]
	s.ready(t)
	kept := x.commit(s, access(admin.Link, "open"))
	if _, err := x.server.Do("SAVE"); err != nil {
		t.Fatal(err)
	}
	lost := x.commit(s, access(admin.Unlink, "open"))
	x.server.Kill()
	if err := x.server.Restart(); err != nil {
		t.Fatal(err)
	}
	ask := func(atLeast authz.Revision) error {
		var err error
		for range 500 {
			if _, _, err = s.service.Decide(t.Context(), exactOrganisation, views(), authz.Freshness{AtLeast: atLeast}); authz.KindOf(err) != authz.Unavailable {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
		return err
	}
	if err := ask(kept); err != nil {
		t.Errorf("a token of what was kept: %v", err)
	}
	if err := ask(lost); authz.KindOf(err) != authz.Behind {
		t.Errorf("a token of what was lost: %v", err)
	}
	other := x.commit(s, access(admin.Link, "closed"), access(admin.Unlink, "open")) // the same count, another history
	x.commit(s, access(admin.Link, "open"))
	if other.Count != lost.Count {
		t.Fatalf("%s does not take the place of %s", other, lost)
	}
	if err := ask(lost); authz.KindOf(err) != authz.Behind {
		t.Errorf("a token of a future that another one replaced: %v", err)
	}
	for _, fresh := range []authz.Revision{kept, other} {
		if err := ask(fresh); err != nil {
			t.Errorf("token %s: %v", fresh, err)
		}
	}
	if _, err := x.server.Do("XTRIM", "cg:{riverside}:changes", "MAXLEN", "1"); err != nil {
		t.Fatal(err)
	}
	later, err := NewCache(x.open(s.proxy.URL(), 0), CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = later.Close() }()
	if _, err := later.Read(t.Context(), exactOrganisation, nil, authz.Freshness{AtLeast: kept}); authz.KindOf(err) != authz.Behind {
		t.Errorf("a token that the stream no longer holds: %v", err)
	}
}

// The bound in bytes holds, and what does not fit is read again.
func TestTheCacheKeepsToItsBound(t *testing.T) {
	lines := smallClinic()
	for i := range 400 {
		lines = append(lines, `{"kind":"patient","id":"x-`+name("p", i%100)+name("q", i/100)+`","patient_group":"open"}`)
	}
	x := scene(t, 1, lines...)
	const bound = 100_000
	c, err := NewCache(x.open(x.sidecars[0].proxy.URL(), 0), CacheConfig{Bytes: bound})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for i := range 4000 {
		key := authz.Key{Kind: authz.KindPatient, ID: "x-" + name("p", i%100) + name("q", i/100%4)}
		facts, err := c.Read(t.Context(), exactOrganisation, []authz.Key{key}, authz.Freshness{})
		if err != nil || !facts.Get(key).Found {
			t.Fatalf("read %v: %v", key, err)
		}
	}
	if err := redistest.Await(10*time.Second, "the cache is within its bound", func() bool {
		s := c.Stats()
		return s.Bytes <= bound && s.Bytes > 0 && s.Hits > 0
	}); err != nil {
		t.Errorf("%v: %+v with a bound of %d bytes", err, c.Stats(), bound)
	}
}

// Without room to follow an organisation its facts are read each time.
func TestNoMoreOrganisationsAreFollowedThanAllowed(t *testing.T) {
	x := scene(t, 1, smallClinic()...)
	for _, organisation := range []string{"a", "b", "c"} {
		if _, err := x.direct.Import(t.Context(), organisation, strings.NewReader(strings.Join(smallClinic(), "\n")), ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := NewCache(x.open(x.sidecars[0].proxy.URL(), 0), CacheConfig{MaxOrganisations: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	key := authz.Key{Kind: authz.KindTeamMember, ID: "eve"}
	for range 50 {
		for _, organisation := range []string{"a", "b", "c", "nobody"} {
			facts, err := c.Read(t.Context(), organisation, []authz.Key{key}, authz.Freshness{})
			if err != nil || facts.Get(key).Found != (organisation != "nobody") {
				t.Fatalf("%s: %v", organisation, err)
			}
		}
		time.Sleep(time.Millisecond)
	}
	if s := c.Stats(); s.Organisations != 2 || s.Hits == 0 {
		t.Errorf("%+v", s)
	}
}
