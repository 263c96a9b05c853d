package acceptance

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowFor is the policy with a rule that takes for ever where one member asks to change settings.
func slowFor(t *testing.T, member string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "policies")
	if err := os.CopyFS(dir, os.DirFS("../../policies")); err != nil {
		t.Fatal(err)
	}
	rewrite(t, filepath.Join(dir, "authz", "allow.rego"), "\tinput.subject.found\n\tpermission.held\n", "\tinput.subject.found\n\tnot _slow\n\tpermission.held\n")
	file, err := os.OpenFile(filepath.Join(dir, "authz", "allow.rego"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	_, err = fmt.Fprintf(file, "\n_slow if {\n\tinput.subject.id == %q\n\tinput.action.name == \"update\"\n\tinput.resource.type == \"settings\"\n"+
		"\tcount([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); some c in numbers.range(1, 9000); a + b == c]) > 0\n}\n", member)
	if err != nil {
		t.Fatal(err)
	}
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
		eventually(t, time.Second, listener+" are crowded", func() bool {
			last = c.crowded("amara")
			return last.status != http.StatusOK
		})
		comeBack(t, listener, last)
		if r := c.other("amara"); r.status != http.StatusOK {
			t.Errorf("the other listener than of %s: %v", listener, r)
		}
		if listener == "decisions" {
			for path, body := range everyQuestion("ann", "p-1") {
				comeBack(t, path, a.as("amara").ask(t, path, body))
			}
			if status := a.server.health("/health/live"); status != http.StatusOK {
				t.Errorf("live answers %d", status)
			}
		}
		slow.Wait()
		if r := c.crowded("amara"); r.status != http.StatusOK {
			t.Errorf("%s afterwards: %v", listener, r)
		}
	}
}

// TestLongAnswersPastTheirLimit fills the place of what is worked out for administrators: a
// few wait for it, others are told to come back at once, and decisions go on.
func TestLongAnswersPastTheirLimit(t *testing.T) {
	t.Parallel()
	a := crowded(t, "--max-long-answers", "1", "--request-timeout", "600ms")
	questions := everyQuestion("ann", "p-1")
	var work, waiting sync.WaitGroup
	work.Go(func() {
		if r := a.as("sloth").ask(t, "/v1/previews", questions["/v1/previews"]); r.status != http.StatusServiceUnavailable {
			t.Errorf("the work that holds the place: %v", r)
		}
	})
	var last reply
	eventually(t, 5*time.Second, "the place is taken", func() bool {
		last = a.as("amara").ask(t, "/v1/reviews", questions["/v1/reviews"])
		return last.status != http.StatusOK
	})
	comeBack(t, "one that waited", last)
	began := time.Now()
	for range 10 { // eight of them wait
		for _, path := range []string{"/v1/previews", "/v1/reviews"} {
			waiting.Go(func() { comeBack(t, path, a.as("amara").ask(t, path, questions[path])) })
		}
	}
	for range 20 {
		if r := post(t, a.url("/access/v1/evaluation"), ask("ann", "view", patient("p-1"))); r.status != http.StatusOK {
			t.Errorf("a decision beside them: %v", r)
		}
		if r := a.as("ann").ask(t, "/v1/explanations", questions["/v1/explanations"]); r.status != http.StatusOK {
			t.Errorf("an explanation to oneself beside them: %v", r)
		}
	}
	waiting.Wait()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the last one was told after %v", took)
	}
	work.Wait()
	if r := a.as("amara").ask(t, "/v1/previews", questions["/v1/previews"]); r.status != http.StatusOK {
		t.Errorf("a preview afterwards: %v", r)
	}
}

// TestHalfBodiesKeepNobodyOut has more requests begin than may be in flight, and none of them
// go on.
func TestHalfBodiesKeepNobodyOut(t *testing.T) {
	t.Parallel()
	a := crowded(t, "--max-in-flight", "2", "--request-timeout", "5s")
	address := strings.TrimPrefix(a.server.decisions(), "http://")
	for range 20 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /access/v1/evaluation HTTP/1.1\r\nHost: %s\r\nContent-Length: 500\r\n\r\n{\"subject\":", address); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		if r := post(t, a.url("/access/v1/evaluation"), ask("ann", "view", patient("p-1"))); r.status != http.StatusOK {
			t.Fatalf("a decision beside half bodies: %v", r)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
