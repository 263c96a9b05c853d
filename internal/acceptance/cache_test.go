package acceptance

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/redistest"
)

// measurement is how far apart the harm and the clock that times it may be.
const measurement = 50 * time.Millisecond

// remembered waits until the question is answered from memory: an organisation
// that was never asked about is followed from its first question on.
func (o *outage) remembered(t *testing.T) {
	t.Helper()
	hits := func() string {
		return regexp.MustCompile(`(?m)^caregate_facts_cache_hits_total.*$`).FindString(string(get(t, o.server.diagnostic()+"/metrics").body))
	}
	eventually(t, "an answer from memory", func() bool {
		before := hits()
		return decode[decision](t, post(t, o.url("/access/v1/evaluation"), allowedThere)).allowed() && before != "" && hits() != before
	})
}

// heard is one answer: when it was asked for and when it was there.
type heard struct {
	asked, answered time.Time
	status          int
	allowed         bool
	unknown         bool // a deny because there is no such organisation
}

// witness asks what is allowed, over and over, and remembers every answer.
type witness struct {
	mu     sync.Mutex
	heard  []heard
	cancel context.CancelFunc
	group  sync.WaitGroup
}

func (o *outage) watch(t *testing.T) *witness {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &witness{cancel: cancel}
	address := o.url("/access/v1/evaluation")
	for range 4 {
		w.group.Go(func() {
			for ctx.Err() == nil {
				h := heard{asked: time.Now()}
				r, err := send(ctx, http.MethodPost, address, allowedThere)
				if ctx.Err() != nil {
					return
				}
				h.answered, h.status = time.Now(), r.status
				h.allowed = strings.Contains(string(r.body), `"decision":true`)
				h.unknown = strings.Contains(string(r.body), `"organisation_unknown"`)
				if err != nil {
					h.status = 0
				}
				w.mu.Lock()
				w.heard = append(w.heard, h)
				w.mu.Unlock()
				time.Sleep(time.Millisecond) // a caller, not a load test
			}
		})
	}
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *witness) stop() []heard {
	w.cancel()
	w.group.Wait()
	slices.SortFunc(w.heard, func(a, b heard) int { return a.asked.Compare(b.asked) })
	return w.heard
}

// judge looks at what was asked and answered between a harm and the time given, and returns
// when the last allow was asked for after the harm.
func judge(t *testing.T, all []heard, harm, until time.Time, staleness time.Duration) time.Duration {
	t.Helper()
	last, after := time.Duration(0), 0
	for _, h := range all {
		if h.asked.Before(harm) || h.answered.After(until) {
			continue
		}
		after++
		since := h.asked.Sub(harm)
		switch {
		case h.allowed && since > staleness+measurement:
			t.Errorf("an allow that was asked for %v after the harm, with a staleness of %v", since, staleness)
		case h.allowed:
			last = since
		case h.status != http.StatusOK && h.status != http.StatusServiceUnavailable:
			t.Errorf("the status %d %v after the harm, expected a decision or 503", h.status, since)
		}
	}
	check(t, after != 0 && last != 0, "%d answers after the harm, the last allow after %v: there was no cache to judge", after, last)
	return last
}

// TestCachedAnswersEndWithTheLease pauses Redis: what is in memory is answered
// from for --max-staleness at most, then comes 503, and then recovery by
// itself.
func TestCachedAnswersEndWithTheLease(t *testing.T) {
	t.Parallel()
	for _, staleness := range []time.Duration{500 * time.Millisecond, 2 * time.Second} {
		t.Run(staleness.String(), func(t *testing.T) {
			t.Parallel()
			flags := []string{"--max-staleness", staleness.String()}
			if staleness == 2*time.Second {
				flags = nil // it is the default
			}
			o := newOutage(t, (*redistest.Server).URL, flags...)
			o.allow(t, "ann", "view", patient("p-1"))
			o.deny(t, "ann", "view", patient("p-2"), "patient_not_visible")
			o.remembered(t)
			wrong := o.askAllTheWhile(t)
			w := o.watch(t)
			time.Sleep(100 * time.Millisecond)
			noError(t, o.redis.Pause())
			harm := time.Now() // a lease that was asked for before is older
			time.Sleep(staleness)
			o.leaseEnds(t)
			o.unavailable(t)
			o.notReady(t)
			until := time.Now()
			noError(t, o.redis.Resume())
			o.recovers(t)
			wrong(t)
			t.Logf("the last allow was asked for %v after the pause", judge(t, w.stop(), harm, until, staleness))
		})
	}
}

// TestCachedAnswersAreForgottenWithTheFacts flushes Redis behind a server that
// remembers: within the lease the organisation is unknown, and there is no
// allow after it.
func TestCachedAnswersAreForgottenWithTheFacts(t *testing.T) {
	t.Parallel()
	const staleness = time.Second
	o := newOutage(t, (*redistest.Server).URL, "--max-staleness", staleness.String())
	o.allow(t, "ann", "view", patient("p-1"))
	o.remembered(t)
	w := o.watch(t)
	time.Sleep(100 * time.Millisecond)
	lost := o.revision
	try(o.redis.Do("FLUSHALL")).must(t)
	harm := time.Now()
	time.Sleep(staleness + measurement)
	o.revision = ""
	o.deny(t, "ann", "view", patient("p-1"), "organisation_unknown")
	time.Sleep(staleness) // and stays so
	o.deny(t, "ann", "view", patient("p-1"), "organisation_unknown")
	all := w.stop()
	t.Logf("the last allow was asked for %v after FLUSHALL", judge(t, all, harm, time.Now(), staleness))
	unknown := time.Time{}
	for _, h := range all {
		if h.unknown && (unknown.IsZero() || h.answered.Before(unknown)) {
			unknown = h.answered
		}
	}
	require(t, !unknown.IsZero(), "nobody who asked all the while was told that the organisation is unknown")
	for _, h := range all {
		if h.allowed && h.asked.After(unknown) {
			t.Fatalf("an allow that was asked for %v after the organisation was unknown", h.asked.Sub(unknown))
		}
	}

	// Other facts take the place of the lost ones, at the same number.
	o.imported(t, mustRun(t, string(lines(merge(clinic(), teamMember("ann").holding("editor").seeing("aftercare")))),
		"import", "--redis", o.redis.URL(), "--organisation", o.name))
	if count := func(revision string) string { n, _, _ := strings.Cut(revision, "."); return n }; count(o.revision) != count(lost) || o.revision == lost {
		t.Errorf("the new history is at %s, the lost one was at %s: expected the same number and another nonce", o.revision, lost)
	}
	o.deny(t, "ann", "view", patient("p-1"), "patient_not_visible")
	o.allow(t, "ann", "view", patient("p-2"))
	refused(t, post(t, o.url("/access/v1/evaluation"), allowedThere, "Caregate-At-Least", lost), http.StatusPreconditionFailed)
}

// TestReplacedFactsAreNoticed flushes and fills Redis in one go, so that there
// is no moment at which the organisation is unknown.
func TestReplacedFactsAreNoticed(t *testing.T) {
	t.Parallel()
	const staleness = time.Second
	o := newOutage(t, (*redistest.Server).URL, "--max-staleness", staleness.String())
	o.allow(t, "ann", "view", patient("p-1"))
	o.remembered(t)
	w := o.watch(t)
	time.Sleep(100 * time.Millisecond)
	try(o.redis.Do("FLUSHALL")).must(t)
	harm := time.Now()
	mustRun(t, string(lines(merge(clinic(), teamMember("ann").holding("editor")))), "import", "--redis", o.redis.URL(), "--organisation", o.name)
	time.Sleep(staleness + measurement)
	o.revision = ""
	o.deny(t, "ann", "view", patient("p-1"), "patient_not_visible")
	judge(t, w.stop(), harm, time.Now(), staleness)
}

// TestCachedRedisKilled loses Redis, with all facts, behind a server that
// remembers them.
func TestCachedRedisKilled(t *testing.T) {
	t.Parallel()
	const staleness = 500 * time.Millisecond
	o := newOutage(t, (*redistest.Server).URL, "--max-staleness", staleness.String())
	o.allow(t, "ann", "view", patient("p-1"))
	o.remembered(t)
	wrong, w := o.askAllTheWhile(t), o.watch(t)
	time.Sleep(100 * time.Millisecond)
	port := o.redis.Port
	o.redis.Kill()
	harm := time.Now()
	time.Sleep(staleness)
	o.leaseEnds(t)
	o.unavailable(t)
	o.notReady(t)
	o.redis = startRedisOn(t, port)
	eventually(t, "answers again", func() bool {
		return post(t, o.url("/access/v1/evaluation"), allowedThere).status == http.StatusOK
	})
	o.revision = ""
	o.deny(t, "ann", "view", patient("p-1"), "organisation_unknown")
	judge(t, w.stop(), harm, time.Now(), staleness)
	o.load(t)
	o.recovers(t)
	wrong(t)
}

// TestReadNow asks for facts that are read now, while Redis does not answer and
// memory would: a 503, and no guess.
func TestReadNow(t *testing.T) {
	t.Parallel()
	o := newOutage(t, (*redistest.Server).URL, "--max-staleness", "20s")
	o.allow(t, "ann", "view", patient("p-1"))
	o.remembered(t)
	noError(t, o.redis.Pause())
	allowed(t, post(t, o.url("/access/v1/evaluation"), allowedThere))
	refused(t, post(t, o.url("/access/v1/evaluation"), allowedThere, "Caregate-Consistency", "full"), http.StatusServiceUnavailable)
	noError(t, o.redis.Resume())
	eventually(t, "the right answer again", func() bool {
		r := post(t, o.url("/access/v1/evaluation"), allowedThere, "Caregate-Consistency", "full")
		return r.status == http.StatusOK && decode[decision](t, r).allowed()
	})
	refused(t, post(t, o.url("/access/v1/evaluation"), allowedThere, "Caregate-Consistency", "sometimes"), http.StatusBadRequest)
}
