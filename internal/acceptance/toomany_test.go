package acceptance

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowFor is the policy with a rule that takes for ever where one member asks to change settings.
func slowFor(t *testing.T, member string) string {
	t.Helper()
	dir := rewritten(t, "allow.rego", "\tinput.subject.found\n\tpermission.held\n", "\tinput.subject.found\n\tnot _slow\n\tpermission.held\n")
	file := filepath.Join(dir, "authz", "allow.rego")
	noError(t, os.WriteFile(file, fmt.Appendf(try(os.ReadFile(file)).must(t), `
_slow if {
	input.subject.id == %q
	input.action.name == "update"
	input.resource.type == "settings"
	count([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); some c in numbers.range(1, 9000); a + b == c]) > 0
}
`, member), 0o600))
	return dir
}

// crowded is the clinic with an administrator, and another one whose questions take all of
// their time.
func crowded(t *testing.T, flags ...string) asker {
	t.Helper()
	facts := writeFacts(t, merge(clinic(), role("admin", "*:*"), teamMember("amara").holding("admin"), teamMember("sloth").holding("admin")))
	s := serve(t, append([]string{"--facts", facts, "--policies", slowFor(t, "sloth"), "--admin-addr", "127.0.0.1:0"}, flags...)...)
	return asker{&organisation{name: "riverside", server: s}, ""}
}

// comeBack says that an answer tells the caller to come back.
func comeBack(t *testing.T, what string, r reply) {
	t.Helper()
	if r.status != http.StatusTooManyRequests {
		t.Errorf("%s: %v, expected 429", what, r)
		return
	}
	if p := refused(t, r, http.StatusTooManyRequests); p.Type != "urn:caregate:problem:too-many" || r.header.Get("Retry-After") == "" {
		t.Errorf("%s: %v with Retry-After %q", what, r, r.header.Get("Retry-After"))
	}
}

// TestRequestsPastTheLimitInFlight fills the places of each listener with answers that take
// their time: what is too much is refused there, and only there, until they end.
func TestRequestsPastTheLimitInFlight(t *testing.T) {
	t.Parallel()
	a := crowded(t, "--max-in-flight", "2", "--request-timeout", "2s")
	decide := func(who string) reply {
		return post(t, a.url("/access/v1/evaluation"), ask(who, "update", thing("settings")))
	}
	change := func(who string) reply { // it is so already
		return a.directory().as(who).send(t, http.MethodPost, "/edits", object{"edits": array{object{"link": object{"relation": "access", "from": "ann", "to": "diabetes"}}}})
	}
	for listener, c := range map[string]struct{ crowded, other func(who string) reply }{"decisions": {decide, change}, "administration": {change, decide}} {
		var slow sync.WaitGroup
		for range 2 {
			slow.Go(func() {
				r := c.crowded("sloth")
				for r.status == http.StatusTooManyRequests { // whoever looks whether it is crowded was there first
					r = c.crowded("sloth")
				}
				if r.status != http.StatusServiceUnavailable || !strings.Contains(string(r.body), "data.authz._slow at authz/allow.rego:") {
					t.Errorf("%s: %v, expected the name of the rule", listener, r)
				}
			})
		}
		var last reply
		eventually(t, listener+" are crowded", func() bool {
			last = c.crowded("amara")
			return last.status != http.StatusOK
		})
		comeBack(t, listener, last)
		answered(t, c.other("amara"), http.StatusOK, "the other listener than of %s", listener)
		if listener == "decisions" {
			for path, body := range everyQuestion("ann", "p-1") {
				comeBack(t, path, a.as("amara").ask(t, path, body))
			}
			equal(t, a.server.health("/health/live"), http.StatusOK, "live answers")
		}
		slow.Wait()
		answered(t, c.crowded("amara"), http.StatusOK, "%s afterwards", listener)
	}
}

// TestLongAnswersPastTheirLimit fills the place of what is worked out for administrators: a
// few wait for it, others are told to come back at once, and decisions go on.
func TestLongAnswersPastTheirLimit(t *testing.T) {
	t.Parallel()
	a := crowded(t, "--max-long-answers", "1", "--request-timeout", "600ms")
	questions := everyQuestion("ann", "p-1")
	var work, waiting sync.WaitGroup
	var worked atomic.Bool
	work.Go(func() {
		defer worked.Store(true)
		answered(t, a.as("sloth").ask(t, "/v1/previews", questions["/v1/previews"]), http.StatusServiceUnavailable, "the work that holds the place")
	})
	var last reply
	eventually(t, "the place is taken", func() bool {
		last = a.as("amara").ask(t, "/v1/reviews", questions["/v1/reviews"])
		return last.status != http.StatusOK
	})
	comeBack(t, "one that waited", last)
	for range 10 { // eight of them wait
		for _, path := range []string{"/v1/previews", "/v1/reviews"} {
			waiting.Go(func() {
				comeBack(t, path, a.as("amara").ask(t, path, questions[path]))
				check(t, !worked.Load(), "%s was told only when the work had ended, which has four times as long as others wait for it", path)
			})
		}
	}
	for range 20 {
		answered(t, post(t, a.url("/access/v1/evaluation"), ask("ann", "view", patient("p-1"))), http.StatusOK, "a decision beside them")
		answered(t, a.as("ann").ask(t, "/v1/explanations", questions["/v1/explanations"]), http.StatusOK, "an explanation to oneself beside them")
	}
	waiting.Wait()
	work.Wait()
	answered(t, a.as("amara").ask(t, "/v1/previews", questions["/v1/previews"]), http.StatusOK, "a preview afterwards")
}

// TestHalfBodiesKeepNobodyOut has more requests begin than may be in flight, and none of them
// go on.
func TestHalfBodiesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	a := crowded(t, "--max-in-flight", "2", "--request-timeout", "5s")
	address := strings.TrimPrefix(a.server.decisions(), "http://")
	for range 20 {
		conn := try(net.Dial("tcp", address)).must(t)
		defer conn.Close()
		try(fmt.Fprintf(conn, "POST /access/v1/evaluation HTTP/1.1\r\nHost: %s\r\nContent-Length: 500\r\n\r\n{\"subject\":", address)).must(t)
	}
	for range 50 {
		if r := post(t, a.url("/access/v1/evaluation"), ask("ann", "view", patient("p-1"))); r.status != http.StatusOK {
			t.Fatalf("a decision beside half bodies: %v", r)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
