package secrecy

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// run compares answers about random pairs until there were enough. Pairs do not depend on each other.
type run struct {
	seed  uint64
	cases int
	most  int                             // ends with as many failures
	looks bool                            // explanations, reviews and previews are asked too
	leak  func(http.Handler) http.Handler // what makes administration tell; nil for nothing

	next  atomic.Uint64 // the number of the next pair
	names atomic.Uint64 // of organisations, to have each once
	mu    sync.Mutex
	seen  tally
	found []*failure // one of each sort
}

const requestsOfPair = 60

// tally counts what was asked, so that nothing is shown by asking nothing.
type tally struct {
	pairs, cases, changed, touching int
	told                            int // what no answer can hide, see (*pair).acted
	statuses, actors                map[string]int
	sorts                           map[string]int // by kind of request, and the kind of record that differs and that it names
	unfit                           map[string]int // pairs that were no pairs, by the reason
}

func newRun(seed uint64, cases int) *run {
	return &run{seed: seed, cases: cases, most: 4, looks: true,
		seen: tally{statuses: map[string]int{}, actors: map[string]int{}, sorts: map[string]int{}, unfit: map[string]int{}}}
}

func (u *run) count(who actor, differ []key, r request, status string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen.cases++
	u.seen.statuses[status[:3]]++
	u.seen.actors[who.sort]++
	switch {
	case strings.HasSuffix(status, changed):
		u.seen.changed++
	case strings.HasSuffix(status, told):
		u.seen.told++
	}
	touching := false
	for _, k := range r.names {
		if slices.Contains(differ, k) {
			u.seen.sorts[r.sort+" × "+k.kind]++
			touching = true
		}
	}
	if touching {
		u.seen.touching++
	}
}

func (u *run) enough() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen.cases >= u.cases || len(u.found) >= u.most
}

// gist is what failures are told apart by: the status, and the words of a refusal.
func gist(answer string) string {
	line, _, _ := strings.Cut(answer, "\n")
	if i := strings.Index(line, `"detail":`); i >= 0 {
		return line[:3] + line[i:min(len(line), i+110)]
	}
	return line[:3]
}

// report keeps a failure, if there is none of its sort.
func (u *run) report(f *failure) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, other := range u.found {
		if other.request.sort == f.request.sort && other.how == f.how && gist(other.answers[0]) == gist(f.answers[0]) && gist(other.answers[1]) == gist(f.answers[1]) {
			return
		}
	}
	u.found = append(u.found, f)
}

// work asks about one pair after the other, on sides of its own.
func (u *run) work(ctx context.Context, sides [2]*side) error {
	for !u.enough() {
		if err := u.pair(ctx, sides, u.next.Add(1)-1); err != nil {
			return err
		}
	}
	return nil
}

// pair asks about the n-th pair.
func (u *run) pair(ctx context.Context, sides [2]*side, n uint64) error {
	d := newDice(u.seed, n)
	p, there, err := u.newPair(ctx, d, sides)
	if err != nil || !there {
		return err
	}
	u.mu.Lock()
	u.seen.pairs++
	u.mu.Unlock()
	for range requestsOfPair {
		if len(p.differ) == 0 {
			return nil
		}
		q := &asker{dice: d, a: p.worlds[0], b: p.worlds[1], sight: p.sights[0], differ: p.differ}
		r := q.ask()
		if r.looks && !u.looks {
			continue
		}
		differ := p.differ
		f, status, err := p.try(ctx, r)
		if err != nil {
			return err
		}
		if f != nil {
			f.number = n
			u.report(f)
			return nil
		}
		u.count(p.actor, differ, r, status)
		if strings.HasSuffix(status, told) || strings.HasSuffix(status, ended) {
			return nil
		}
	}
	return nil
}

// newPair makes an organisation, somebody who asks, and another organisation that looks the same to them. For
// somebody who sees everything there is none.
func (u *run) newPair(ctx context.Context, d dice, sides [2]*side) (found *pair, there bool, err error) {
	w, who := newWorld(d, pick(d, sorts()))
	p := &pair{sides: [2]*side{sides[0], sides[0]}, actor: who}
	first := u.name()
	if err := sides[0].load(ctx, first, w); err != nil {
		return nil, false, fmt.Errorf("%w\n%s", err, w.lines())
	}
	p.names = [2]string{first, first}
	if why, err := p.settle(ctx); err != nil || why != "" {
		return nil, false, fmt.Errorf("an organisation differs from itself: %s: %w", why, err)
	}
	for range 8 {
		other := alter(d, w, p.sights[0])
		if len(differing(w, other)) == 0 {
			continue
		}
		second := u.name()
		if err := sides[1].load(ctx, second, other); err != nil {
			return nil, false, fmt.Errorf("%w\n%s", err, other.lines())
		}
		p := &pair{sides: sides, names: [2]string{first, second}, actor: who}
		if d.often(0.5) { // the first may be the poorer
			p.sides[0], p.sides[1] = p.sides[1], p.sides[0]
			p.names[0], p.names[1] = p.names[1], p.names[0]
		}
		why, err := p.settle(ctx)
		if err != nil || why == "" {
			return p, err == nil, err
		}
		u.mu.Lock()
		u.seen.unfit[why[strings.LastIndex(why, " is ")+1:]]++
		u.mu.Unlock()
	}
	return nil, false, nil
}

func (u *run) name() string { return fmt.Sprintf("o%09d", u.names.Add(1)) }

// TestWhatIsHiddenIsLikeWhatIsNotThere is the property (A5). It compares over the embedded store, in this process.
func TestWhatIsHiddenIsLikeWhatIsNotThere(t *testing.T) {
	u := newRun(soak.Seed(t), int(soak.Number(t, "CAREGATE_TEST_CASES", uint64(soak.Cases(20_000)))))
	u.ask(t, func(worker int) [2]*side { return u.within(t, worker) })
	if len(u.found) == 0 {
		u.seen.reachedAll(t)
	}
}

// ask compares until there is enough, or one pair that was named, and complains. It makes a pair of sides for each worker.
func (u *run) ask(t *testing.T, sides func(worker int) [2]*side) {
	t.Helper()
	if os.Getenv("CAREGATE_TEST_PAIR") == "" {
		u.all(t, sides)
	} else if err := u.pair(t.Context(), sides(0), soak.Number(t, "CAREGATE_TEST_PAIR", 0)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", u.seen)
	if len(u.found) > 0 {
		u.complain(t, sides(0))
	}
}

// within are two servers in this process, of the first worker over the embedded store, of the second over a Redis.
func (u *run) within(t *testing.T, worker int) (sides [2]*side) {
	t.Helper()
	for i := range sides {
		if worker == 0 {
			sides[i] = newSide(t, embedded(t))
		} else {
			store, _ := redis(t)
			sides[i] = newSide(t, store)
		}
		if u.leak != nil {
			sides[i].administration = u.leak(sides[i].administration)
		}
	}
	return sides
}

// workers are as many as there are cores in a small machine.
const workers = 2

// all works until there is enough.
func (u *run) all(t *testing.T, sides func(worker int) [2]*side) {
	t.Helper()
	var group sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		own := sides(i)
		group.Go(func() { errs[i] = u.work(t.Context(), own) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// complain makes the failures small, and prints them.
func (u *run) complain(t *testing.T, sides [2]*side) {
	t.Helper()
	for _, f := range u.found {
		small := u.shrink(t.Context(), sides, f)
		t.Errorf("%s\nonce more: %s", small, soak.Command(t.Name(), u.seed, fmt.Sprintf("CAREGATE_TEST_PAIR=%d", f.number)))
	}
}
