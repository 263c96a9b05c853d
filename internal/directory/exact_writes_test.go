package directory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/soak"
)

// ledger is a trial in which what is written is checked as hard as what is answered: by
// every way to write that there is, for the same few records, with what each was asked to
// do written beside what became of it.
//
// A write is right if the stream has it at the revision that it states, with exactly the
// effect that it has on what the revision before left, by the model; if one that changes
// nothing would change nothing at the revision that it states; if one that was refused is
// not there; and if one whose outcome is unknown is there once at most.
type ledger struct {
	*trial
	desks []*desk

	// Of all that follows mu of the trial takes care.
	writes  map[string]*attempted
	sights  map[authz.Revision][]sight
	kinds   map[string]int // acknowledged writes by how they were made
	highest watermark
}

// desk is what administers, and previews, at one sidecar.
type desk struct {
	*sidecar
	admin   *admin.Service
	reviews *review.Service
	writes  int // at once
}

// watermark is the highest revision that an answer stated in an epoch. An epoch is odd
// while data is being lost.
type watermark struct {
	epoch int64
	count uint64
}

// attempted is one write and what became of it.
type attempted struct {
	what     string
	asked    func(before *reference) (after *reference, fits bool) // what it is to do
	expects  *admin.Expectation                                    // of a record (If-Match)
	imported bool

	since watermark // before it was sent
	done  admin.Committed
	err   error
	ended bool
}

// sight is something that was answered about the organisation at one revision. Wrong says
// what is wrong about it, "" for nothing.
type sight struct {
	what  string
	wrong func(m *reference) string
}

// newLedger keeps a ledger of the sidecars of a trial, whose services write to the store
// that between gives for each.
func newLedger(x *trial, between func(admin.Store) admin.Store) *ledger {
	x.t.Helper()
	l := &ledger{trial: x, writes: map[string]*attempted{}, sights: map[authz.Revision][]sight{}, kinds: map[string]int{}}
	rules := exactPolicy(x.t)
	for _, s := range x.sidecars {
		var store admin.Store = s.cache
		if between != nil {
			store = between(store)
		}
		l.desks = append(l.desks, &desk{s, admin.NewService(s.service, store), review.NewService(s.service, rules, s.cache), 2})
	}
	return l
}

// embeddedLedger is a ledger over the embedded store, with one sidecar and all that write.
func embeddedLedger(t *testing.T) *ledger {
	t.Helper()
	d, err := OpenEmbedded(Config{FactsTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := NewCache(d, CacheConfig{MaxStaleness: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	x := &trial{t: t, direct: d, tried: map[string][]admin.Edit{}, answers: map[authz.Revision][]exactAnswer{}, sidecars: []*sidecar{{cache: cache, service: authz.NewService(cache, exactPolicy(t))}}}
	l := newLedger(x, nil)
	l.desks[0].writes = 6
	l.found()
	return l
}

// redisLedger is a ledger over a real Redis and three sidecars.
func redisLedger(t *testing.T, between func(admin.Store) admin.Store) *ledger {
	t.Helper()
	x := newTrial(t, 3, nil)
	if _, err := x.server.Do("FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	l := newLedger(x, between)
	l.found()
	return l
}

// found makes the organisation, with somebody who may do everything.
func (l *ledger) found() {
	l.t.Helper()
	edits := []admin.Edit{
		put(admin.Record{Kind: authz.KindRole, ID: "boss", Permissions: []string{"*:*", "patient:view_all"}}),
		put(admin.Record{Kind: authz.KindTeamMember, ID: "boss", Role: "boss"}),
	}
	r := rand.New(rand.NewPCG(uint64(l.number.Load()), 11))
	for i := range 4 {
		edits = append(edits, put(admin.Record{Kind: authz.KindPatientGroup, ID: fmt.Sprint("pg", i)}))
	}
	for i := range 3 {
		edits = append(edits, put(admin.Record{Kind: authz.KindRole, ID: fmt.Sprint("r", i), Permissions: sightPermissions(r)}),
			put(admin.Record{Kind: authz.KindGroup, ID: fmt.Sprint("g", i), Permissions: sightPermissions(r)}))
	}
	for i := range 6 {
		edits = append(edits, put(admin.Record{Kind: authz.KindTeamMember, ID: fmt.Sprint("m", i), Role: pick(r, "r", 3), IsProvider: i > 0}))
	}
	for i := range 6 {
		edits = append(edits, put(admin.Record{Kind: authz.KindPatient, ID: fmt.Sprint("p", i), PatientGroup: pick(r, "pg", 4), CareTeam: pickSome(r, "m", 6)}))
	}
	id, a := l.begin(&attempted{what: "the beginning", asked: asEdits(edits)})
	a.done, a.err = l.direct.Commit(l.t.Context(), exactOrganisation, admin.Change{Edits: edits, Author: admin.Author{Request: id}})
	a.ended = true
	if a.err != nil {
		l.t.Fatal(a.err)
	}
}

// begin enters a write under a number of its own, which is its request id.
func (l *ledger) begin(a *attempted) (string, *attempted) {
	id := strconv.FormatInt(l.number.Add(1), 10)
	l.mu.Lock()
	defer l.mu.Unlock()
	a.since = l.watermark()
	l.writes[id] = a
	return id, a
}

// watermark returns the highest revision that was stated so far. mu is held.
func (l *ledger) watermark() watermark {
	if epoch := l.epoch.Load(); l.highest.epoch != epoch {
		l.highest = watermark{epoch: epoch}
	}
	return l.highest
}

// stated notes the revision of an answer that was asked for at since. Full says that it must
// not be behind what had been stated then.
func (l *ledger) stated(what string, since watermark, revision authz.Revision, full bool, s *sight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.watermark(); now.epoch != since.epoch || now.epoch%2 == 1 {
		return // a history was lost meanwhile: the answer is of either
	}
	if full && revision.Count < since.count {
		l.wrong = append(l.wrong, fmt.Sprintf("%s at revision %s, behind %d which an answer before had stated", what, revision, since.count))
	}
	if full || since.epoch == 0 { // once a history is lost memory may have it for a moment
		l.highest.count = max(l.highest.count, revision.Count)
	}
	if s != nil {
		l.sights[revision] = append(l.sights[revision], *s)
	}
}

// now returns the watermark.
func (l *ledger) now() watermark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watermark()
}

// work lets everybody write, and read what is written, until there are so many writes more
// that were acknowledged, while fault meddles.
func (l *ledger) work(name string, seed uint64, writes int, fault func(context.Context)) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Minute)
	defer cancel()
	l.mu.Lock()
	target := writes
	for _, n := range l.kinds {
		target += n
	}
	l.mu.Unlock()
	over := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		n := 0
		for _, m := range l.kinds {
			n += m
		}
		return ctx.Err() != nil || n >= target
	}
	var group sync.WaitGroup
	for i, d := range l.desks {
		for j := range d.writes {
			group.Go(func() {
				r := rand.New(rand.NewPCG(seed, uint64(10*i+j)))
				for !over() {
					l.write(d, r)
				}
			})
		}
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(100+i)))
			for !over() {
				l.look(d, r)
				time.Sleep(time.Millisecond)
			}
		})
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
	if ctx.Err() != nil {
		l.t.Fatalf("%s: too few writes were acknowledged in five minutes", name)
	}
	l.settle()
	l.t.Logf("%s: %v acknowledged, history of %d", name, l.kinds, len(l.chains[len(l.chains)-1]))
}

// loseAll takes data away as lose does, and begins anew if there is nothing left.
func (l *ledger) loseAll(destroy func()) {
	l.lose(func() { // the epoch is odd here
		destroy()
		if _, _, err := l.direct.Records(l.t.Context(), exactOrganisation, nil); authz.KindOf(err) == authz.NotFound {
			l.found()
		}
		l.epoch.Add(1)
	})
}

// exactWrites is how many acknowledged writes the test checks: of 1,500 those
// that are tried, or CAREGATE_TEST_WRITES.
func exactWrites(t *testing.T) int {
	text := os.Getenv("CAREGATE_TEST_WRITES")
	if text == "" {
		return max(375, soak.Cases(1500))
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatal("CAREGATE_TEST_WRITES: write the number of writes to check")
	}
	return n
}

// Every acknowledged write has exactly the effect that was asked for, at the revision that
// it states, whoever else writes the same records and whatever becomes of Redis.
func TestEveryWriteIsExactAtItsRevision(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		l := embeddedLedger(t)
		l.work("calm", 1, exactWrites(t)/3, nil)
		l.judge()
	})
	t.Run("redis", func(t *testing.T) {
		n := exactWrites(t) / 6
		l := redisLedger(t, nil)
		must := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		l.work("calm", 2, n, nil)
		l.work("connections cut", 3, n, repeat(20*time.Millisecond, func(context.Context) { l.sidecars[rand.IntN(3)].proxy.Cut() }))
		l.work("Redis paused", 4, n, repeat(300*time.Millisecond, func(ctx context.Context) {
			must(l.server.Pause())
			sleep(ctx, time.Duration(rand.IntN(int(exactStaleness))))
			must(l.server.Resume())
		}))
		l.work("FLUSHALL, and a restart with lost data", 5, n, repeat(400*time.Millisecond, func(ctx context.Context) {
			_, err := l.server.Do("SAVE")
			must(err)
			sleep(ctx, 200*time.Millisecond)
			if rand.IntN(2) == 0 {
				l.loseAll(func() {
					_, err := l.server.Do("FLUSHALL")
					must(err)
				})
				return
			}
			l.loseAll(func() {
				l.server.Kill()
				must(l.server.Restart())
			})
		}))
		l.judge()
	})
}

// judge fails the test if anything is wrong, or if too little was done to show anything.
func (l *ledger) judge() {
	l.t.Helper()
	wrong := l.verdictOfWrites()
	for _, w := range wrong[:min(len(wrong), 10)] {
		l.t.Error(w)
	}
	if len(wrong) > 10 {
		l.t.Errorf("and %d more", len(wrong)-10)
	}
	for _, kind := range []string{"edits", "patch", "replace role", "replace group", "replace access", "replace booking", "replace care_team", "import"} {
		if l.kinds[kind] == 0 {
			l.t.Errorf("no %s was acknowledged", kind)
		}
	}
}

// earlier is a store that lets changes be made of an earlier reading: what they were worked
// out from is not looked at again.
type earlier struct{ admin.Store }

func (e earlier) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	if len(change.Edits) == 0 {
		return admin.Committed{Revision: *change.ExpectRevision}, nil
	}
	change.Expect, change.ExpectRevision = nil, nil
	return e.Store.Commit(ctx, organisation, change)
}

// The test above notices when sets are replaced as they were in an earlier reading.
func TestTheTestOfWritesNoticesAnEarlierReading(t *testing.T) {
	for attempt := range uint64(20) {
		l := redisLedger(t, func(s admin.Store) admin.Store { return earlier{s} })
		l.work("careless", attempt, 200, nil)
		for _, w := range l.verdictOfWrites() {
			if strings.Contains(w, "replace") {
				t.Log("noticed: ", w)
				return
			}
		}
	}
	t.Fatal("sets that are replaced as they were in an earlier reading passed 4,000 writes")
}
