package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/redistest"
)

const (
	factsTimeout   = 200 * time.Millisecond
	requestTimeout = 500 * time.Millisecond
	slack          = 2 * time.Second // of a machine that does other things too, in one of three tries
)

var (
	shortTimeouts = []string{"--facts-timeout", factsTimeout.String(), "--request-timeout", requestTimeout.String()}

	// uncached is for what happens behind the server's back and has to be
	// noticed at once.
	uncached = []string{"--cache-bytes", "0"}
)

// outage is an organisation on a Redis of its own, that may come to harm.
type outage struct {
	*organisation
	redis *redistest.Server
	file  string
}

func newOutage(t *testing.T, through func(*redistest.Server) string, flags ...string) *outage {
	t.Helper()
	redis := startRedis(t)
	o := &outage{organisation: &organisation{name: "riverside", records: clinic()}, redis: redis, file: writeFacts(t, merge(nil, clinic()...))}
	o.load(t)
	o.server = serve(t, slices.Concat([]string{"--redis", through(redis)}, shortTimeouts, flags)...)
	return o
}

func (o *outage) load(t *testing.T) {
	t.Helper()
	o.imported(t, mustRun(t, "", "import", "--redis", o.redis.URL(), "--organisation", o.name, o.file))
}

var (
	allowedThere = ask("ann", "view", patient("p-1"))
	deniedThere  = ask("ann", "view", patient("p-2"))
)

// unavailable asks in every way at once, and expects a 503 in good time each time.
func (o *outage) unavailable(t *testing.T, statuses ...int) {
	t.Helper()
	if statuses == nil {
		statuses = []int{http.StatusServiceUnavailable}
	}
	inTime(t, func() (late string) {
		var group sync.WaitGroup
		var mu sync.Mutex
		for _, q := range []question{allowedThere, deniedThere} {
			for path, body := range map[string]any{
				"/access/v1/evaluation":   q,
				"/access/v1/evaluations":  map[string]any{"evaluations": []question{q, q}},
				"/v1/data/authz/allow":    q.data(),
				"/v1/data/authz/decision": q.data(),
				"/v1/permissions":         map[string]any{"team_member": "ann"},
				"/v1/permissions/ann":     nil,
			} {
				group.Go(func() {
					method, began := http.MethodPost, time.Now()
					if body == nil {
						method = http.MethodGet
					}
					r, err := send(t.Context(), method, o.url(path), body)
					took := time.Since(began)
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Errorf("%s: %v", path, err)
						return
					}
					refusedWithOneOf(t, path, r, statuses)
					if took > requestTimeout+slack {
						late = fmt.Sprintf("%s took %v, with a request timeout of %v", path, took, requestTimeout)
					}
				})
			}
		}
		group.Wait()
		return late
	})
}

func refusedWithOneOf(t *testing.T, path string, r reply, statuses []int) {
	t.Helper()
	answeredOneOf(t, r, statuses, path)
	if slices.Contains(statuses, r.status) {
		refused(t, r, r.status)
	}
}

// recovers waits until the right answers are given again.
func (o *outage) recovers(t *testing.T) {
	t.Helper()
	// A connection that was spoilt meanwhile may be found out by one question more.
	eventually(t, "the right answers again", func() bool {
		allowed, denied := post(t, o.url("/access/v1/evaluation"), allowedThere), post(t, o.url("/access/v1/evaluation"), deniedThere)
		return allowed.status == http.StatusOK && decode[decision](t, allowed).allowed() &&
			denied.status == http.StatusOK && !decode[decision](t, denied).allowed()
	})
	eventually(t, "ready again", func() bool { return o.server.health("/health/ready") == http.StatusOK })
}

// notReady waits for readiness to notice; liveness has nothing to notice.
func (o *outage) notReady(t *testing.T) {
	t.Helper()
	eventually(t, "/health/ready answers 503", func() bool {
		return o.server.health("/health/ready") == http.StatusServiceUnavailable
	})
	equal(t, o.server.health("/health/live"), http.StatusOK, "/health/live answers")
}

func TestRedisKilled(t *testing.T) {
	t.Parallel()
	o := newOutage(t, (*redistest.Server).URL, uncached...)
	o.allow(t, "ann", "view", patient("p-1"))
	wrong := o.askAllTheWhile(t)
	port := o.redis.Port
	o.redis.Kill()
	o.unavailable(t)
	o.notReady(t)
	o.unavailable(t)

	o.redis = startRedisOn(t, port)
	// Redis is back, its facts are not: a deny, and no memory of what was.
	o.revision = ""
	eventually(t, "answers again", func() bool {
		r := post(t, o.url("/access/v1/evaluation"), allowedThere)
		return r.status == http.StatusOK
	})
	o.deny(t, "ann", "view", patient("p-1"), "organisation_unknown")
	o.load(t)
	o.recovers(t)
	wrong(t)
}

// leaseEnds waits until facts that are kept in memory are not answered from any
// more.
func (o *outage) leaseEnds(t *testing.T) {
	t.Helper()
	eventually(t, "the lease is over", func() bool {
		return post(t, o.url("/access/v1/evaluation"), allowedThere).status != http.StatusOK
	})
}

// askAllTheWhile asks what is denied until the function it returns is called,
// which fails the test when one of the answers was an allow, or neither a
// decision nor a 503 nor one of the statuses given.
func (o *outage) askAllTheWhile(t *testing.T, statuses ...int) func(t *testing.T) {
	statuses = append(statuses, http.StatusOK, http.StatusServiceUnavailable)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var mu sync.Mutex
	var allows []string
	asked := 0
	address := o.url("/access/v1/evaluation")
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				r, err := send(ctx, http.MethodPost, address, deniedThere)
				mu.Lock()
				asked++
				if err == nil && (strings.Contains(string(r.body), `"decision":true`) || !slices.Contains(statuses, r.status)) {
					allows = append(allows, r.String())
				}
				mu.Unlock()
				select { // a caller now and then, not a load test
				case <-ctx.Done():
				case <-time.After(2 * time.Millisecond):
				}
			}
		})
	}
	return func(t *testing.T) {
		t.Helper()
		cancel()
		group.Wait()
		if len(allows) > 0 || asked == 0 {
			t.Errorf("%d wrong answers of %d, the first %q", len(allows), asked, append(allows, "")[0])
		}
	}
}

func TestRedisPaused(t *testing.T) {
	t.Parallel()
	o := newOutage(t, (*redistest.Server).URL, uncached...)
	o.allow(t, "ann", "view", patient("p-1"))
	wrong := o.askAllTheWhile(t)
	noError(t, o.redis.Pause())
	o.unavailable(t)
	o.notReady(t)
	inTime(t, func() string { // a crowd waits no longer than one
		var group sync.WaitGroup
		var longest atomic.Int64
		for range 40 {
			group.Go(func() {
				began := time.Now()
				r, err := send(t.Context(), http.MethodPost, o.url("/access/v1/evaluation"), allowedThere)
				check(t, err == nil && r.status == http.StatusServiceUnavailable, "%v %v, expected 503", r, err)
				if took := int64(time.Since(began)); took > longest.Load() {
					longest.Store(took)
				}
			})
		}
		group.Wait()
		if took := time.Duration(longest.Load()); took > requestTimeout+slack {
			return fmt.Sprintf("one of many took %v", took)
		}
		return ""
	})
	noError(t, o.redis.Resume())
	o.recovers(t)
	wrong(t)
}

// TestRedisTalksRubbish has a Redis that accepts everything and answers
// nonsense, on connections that are open already and on new ones. A server with
// a cache has to come to the same, once its lease is over.
func TestRedisTalksRubbish(t *testing.T) {
	t.Parallel()
	t.Run("uncached", func(t *testing.T) { talksRubbish(t, 0, uncached...) })
	const staleness = 200 * time.Millisecond
	t.Run("cached", func(t *testing.T) { talksRubbish(t, staleness, "--max-staleness", staleness.String()) })
}

func talksRubbish(t *testing.T, staleness time.Duration, flags ...string) {
	t.Helper()
	var m *meddler
	o := newOutage(t, func(r *redistest.Server) string {
		m = newMeddler(t, r.Addr())
		return m.url()
	}, flags...)
	always := func(text string) func([]byte) ([]byte, bool) {
		return func([]byte) ([]byte, bool) { return []byte(text), false }
	}
	for name, change := range map[string]func([]byte) ([]byte, bool){
		"random bytes":          always("\x00\xff\x13\x37~~~~\x80\x81\r\n\r\n\x00"),
		"OK":                    always("+OK\r\n"),
		"PONG":                  always("+PONG\r\n"),
		"one":                   always(":1\r\n"),
		"true":                  always("#t\r\n"),
		"a string":              always("$4\r\ntrue\r\n"),
		"JSON":                  always("$14\r\n{\"found\":true}\r\n"),
		"an empty string":       always("$0\r\n\r\n"),
		"an empty list":         always("*0\r\n"),
		"a list of OKs":         always("*3\r\n+OK\r\n+OK\r\n+OK\r\n"),
		"lists in lists":        always("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"),
		"a map":                 always("%1\r\n+found\r\n#t\r\n"),
		"an unfinished list":    always("*1000\r\n+OK\r\n"),
		"a length without end":  always("$9999999\r\nabc"), // go-redis makes room for all of it
		"two billion values":    always("*2000000000\r\n"),
		"nine gigabytes":        always("$9000000000\r\n"),
		"a billion pairs":       always("%1000000000\r\n"),
		"a billion members":     always("~1000000000\r\n"),
		"a billion pushed":      always(">1000000000\r\n"),
		"a billion in a list":   always("*2\r\n*1000000000\r\n"),
		"list after list":       always(strings.Repeat("*1000000\r\n", 1000)),
		"a list without end":    always(strings.Repeat("*1\r\n", 1_000_000)),
		"a length that is none": always("$abc\r\n\r\n"),
		"a negative length":     always("*-7\r\n"),
		"an error":              always("-ERR no\r\n"),
		"loading":               always("-LOADING Redis is loading the dataset in memory\r\n"),
		"no authentication":     always("-NOAUTH Authentication required.\r\n"),
		"wrong type":            always("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
		"read only":             always("-READONLY You can't write against a read only replica.\r\n"),
		"out of memory":         always("-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
		"HTTP":                  always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
		"nothing":               always(""),
		"hangs up":              func([]byte) ([]byte, bool) { return nil, true },
		"hangs up half way":     func(said []byte) ([]byte, bool) { return said[:len(said)/2], true },
		"stops half way":        func(said []byte) ([]byte, bool) { return said[:len(said)/2], false },
		"loses its last byte":   func(said []byte) ([]byte, bool) { return said[:len(said)-1], true },
		"all zeroes":            func(said []byte) ([]byte, bool) { return make([]byte, len(said)), false },
		"digits turned": func(said []byte) ([]byte, bool) {
			return []byte(strings.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return '9' - r + '0'
				}
				return r
			}, string(said))), false
		},
	} {
		t.Run(name, func(t *testing.T) {
			o.recovers(t)
			wrong := o.askAllTheWhile(t, http.StatusInternalServerError)
			m.say(change)
			time.Sleep(staleness) // Redis may have answered the last look in time
			o.leaseEnds(t)
			o.unavailable(t, http.StatusServiceUnavailable, http.StatusInternalServerError)
			m.say(nil)
			o.recovers(t)
			wrong(t)
		})
	}
}

// TestStartedBeforeRedis starts a sidecar whose Redis is not there yet.
func TestStartedBeforeRedis(t *testing.T) {
	t.Parallel()
	port := try(redistest.FreePort()).must(t)
	away := &redistest.Server{Port: port}
	s := serveAnyway(t, nil, append([]string{"--redis", away.URL()}, shortTimeouts...)...)
	o := &outage{organisation: &organisation{name: "riverside", records: clinic(), server: s}, redis: away, file: writeFacts(t, merge(nil, clinic()...))}
	o.unavailable(t)
	o.notReady(t)
	o.redis = startRedisOn(t, port)
	o.load(t)
	o.recovers(t)
}
