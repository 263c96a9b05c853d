package acceptance

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// troubled is the clinic with an administrator and many patients, so that
// answers take several readings, on a Redis that may come to harm.
func troubled(t *testing.T, flags ...string) (*outage, asker) {
	t.Helper()
	redis := startRedis(t)
	records := merge(clinic(), role("admin", "*:*"), teamMember("amara").holding("admin"))
	for i := range 300 {
		records = append(records, patientIn([]string{"diabetes", "aftercare"}[i%2], "q-"+strings.Repeat("0", i%7)+string(rune('a'+i%26))+strings.Repeat("z", i/26)))
	}
	o := &outage{organisation: &organisation{name: "riverside"}, redis: redis, file: writeFacts(t, merge(nil, records...))}
	o.load(t)
	o.server = serve(t, slices.Concat([]string{"--redis", redis.URL(), "--filters", writeFile(t, "filters.json", mappedToIDs)}, shortTimeouts, flags)...)
	return o, asker{o.organisation, "amara"}
}

// answers asks everything once, to compare with later.
func (a asker) answers(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for path, body := range everyQuestion("ann", "p-1") {
		r := a.ask(t, path, body)
		require(t, r.status == http.StatusOK, "%s: %v", path, r)
		out[path] = untokened(r.body)
	}
	return out
}

// untokened is a body without its token, which names a history.
func untokened(body []byte) string {
	return regexp.MustCompile(`"next_token":"[^"]+"`).ReplaceAllString(string(body), `"next_token":"…"`)
}

// TestQuestionsWhileRedisIsAway asks all questions while Redis is killed and
// paused: each is answered whole, or refused in time.
func TestQuestionsWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"uncached": uncached, "cached": {"--max-staleness", "300ms"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, a := troubled(t, flags...)
			right := a.answers(t)
			revision := a.revision
			a.revision = "" // a restore is another history
			ctx, cancel := context.WithCancel(t.Context())
			var group sync.WaitGroup
			var mu sync.Mutex
			statuses := map[int]int{}
			for path, body := range everyQuestion("ann", "p-1") {
				group.Go(func() {
					for late := 0; ctx.Err() == nil; {
						start := time.Now()
						r, err := send(t.Context(), http.MethodPost, a.url(path), body, "Caregate-Actor", "amara")
						limit := requestTimeout
						if strings.HasPrefix(path, "/v1/") && path != "/v1/filters" {
							limit *= 10
						}
						took := time.Since(start)
						if late++; took <= limit+slack {
							late = 0
						}
						check(t, err == nil && late < 3, "%s took %v, and was late before: %v", path, took, err)
						mu.Lock()
						statuses[r.status]++
						mu.Unlock()
						switch {
						case r.status == http.StatusOK && untokened(r.body) == right[path]:
						case r.status == http.StatusServiceUnavailable && strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") && strings.Contains(string(r.body), "urn:caregate:problem:"):
						case lost(path, r):
						case r.status == http.StatusTooManyRequests && r.header.Get("Retry-After") != "": // the long work before it waits for Redis
						default:
							t.Errorf("%s: %v, expected %s or a 503", path, r, right[path])
						}
						time.Sleep(2 * time.Millisecond)
					}
				})
			}
			away := func() {
				t.Helper()
				eventually(t, "nothing is answered", func() bool {
					for path, body := range everyQuestion("ann", "p-1") {
						if r := a.ask(t, path, body); r.status != http.StatusServiceUnavailable {
							return false
						}
					}
					return true
				})
			}
			back := func() {
				t.Helper()
				eventually(t, "everything is answered again", func() bool {
					for path, body := range everyQuestion("ann", "p-1") {
						if r := a.ask(t, path, body); r.status != http.StatusOK || untokened(r.body) != right[path] {
							return false
						}
					}
					return true
				})
			}
			for range 2 {
				noError(t, o.redis.Pause())
				away()
				noError(t, o.redis.Resume())
				back()
			}
			port := o.redis.Port
			o.redis.Kill()
			away()
			o.redis = startRedisOn(t, port)
			o.load(t)
			back()
			cancel()
			group.Wait()
			for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
				check(t, statuses[status] != 0, "no answer with %d: %v", status, statuses)
			}
			check(t, revision != o.revision, "the revision %s is that of before", revision)
		})
	}
}

// lost says whether an answer is right while Redis is back and its facts are
// not, or not all: nobody is there yet.
func lost(path string, r reply) bool {
	text := string(r.body)
	switch path {
	case searchResource, searchSubject, searchAction:
		return r.status == http.StatusOK && strings.Contains(text, `"results":[]`)
	case "/v1/filters":
		return r.status == http.StatusOK && strings.Contains(text, `"matches":"none"`)
	case "/v1/explanations":
		return r.status == http.StatusOK && strings.Contains(text, `"decision":false`) && strings.Contains(text, "unknown")
	}
	return r.status == http.StatusForbidden || r.status == http.StatusNotFound // there are no administrators
}

// TestQuestionsByTheReader has the user that operators are told to give to a
// sidecar ask everything.
func TestQuestionsByTheReader(t *testing.T) {
	t.Parallel()
	text := try(os.ReadFile("../../docs/operating.md")).must(t)
	line := regexp.MustCompile(`(?m)^ACL SETUSER caregate-reader .*$`).FindString(string(text))
	require(t, line != "", "docs/operating.md has no reader")
	redis := startRedis(t)
	try(redis.Do(strings.Fields(line)...)).must(t)
	mustRun(t, string(lines(exampleRecords(t))), "import", "--redis", redis.URL(), "--organisation", "riverside")
	url := strings.Replace(redis.URL(), "redis://", "redis://caregate-reader:READER-PASSWORD@", 1)
	s := serve(t, "--redis", url, "--filters", writeFile(t, "filters.json", mappedToIDs))
	a := asker{&organisation{name: "riverside", server: s}, "amara"}
	a.everyAnswer(t, "mark", "p-1")
	for _, kind := range []string{"patient", "appointment", "provider", "report"} {
		if r := a.ask(t, "/v1/filters", object{"subject": member("elena"), "action": object{"name": "view"}, "resource": object{"type": kind}, "dialect": "postgresql"}); r.status != http.StatusOK {
			t.Errorf("a filter of %s: %v", kind, r)
		}
	}
	for _, edit := range []object{
		{"delete": object{"kind": "patient_group", "id": "diabetes", "cascade": true}}, {"delete": object{"kind": "team_member", "id": "mark", "cascade": true}},
		{"set": object{"kind": "patient", "id": "p-1", "patient_group": "cardiology"}}, {"put": object{"kind": "role", "id": "nurse", "permissions": array{}}},
		{"cancel": object{"id": "b-1", "release": true}}, {"book": object{"id": "b-9", "patient": "p-4", "provider": "priya"}},
	} {
		answered(t, a.ask(t, "/v1/previews", object{"edits": array{edit}}), http.StatusOK, "a preview of %v", edit)
	}
	if got := a.walk(t, searchResource, object{"subject": patient("p-4"), "action": object{"name": "book"}, "resource": object{"type": "provider"}}, 1); !slices.Equal(got, []string{"priya"}) {
		t.Errorf("p-4 may book %q", got)
	}
	if denied := try(redis.Do("ACL", "LOG")).must(t).([]any); len(denied) > 0 {
		t.Errorf("Redis refused the reader: %v", denied)
	}
}
