package httpapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

// observed remembers what an Observer is told.
type observed struct {
	mu       sync.Mutex
	requests []string
	outcomes []string
}

func (o *observed) RequestFinished(_ context.Context, route, method string, status int, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if took < 0 {
		method = "negative"
	}
	o.requests = append(o.requests, method+" "+route+" "+http.StatusText(status))
}

func (o *observed) DecisionMade(_ context.Context, outcome httpapi.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outcomes = append(o.outcomes, string(outcome))
}

func TestRequestIDIsEchoed(t *testing.T) {
	c := decisions(t, httpapi.Config{})
	requests := map[string]func(...string) answer{
		"answer":    func(h ...string) answer { return c.post("/access/v1/evaluation", good, h...) },
		"malformed": func(h ...string) answer { return c.post("/access/v1/evaluation", `{`, h...) },
		"404":       func(h ...string) answer { return c.get("/nowhere", h...) },
		"405":       func(h ...string) answer { return c.get("/access/v1/evaluation", h...) },
		"options":   func(h ...string) answer { return c.do(http.MethodOptions, "/access/v1/evaluation", "", h...) },
		"metadata":  func(h ...string) answer { return c.get("/.well-known/authzen-configuration", h...) },
		"304":       func(h ...string) answer { return c.get("/v1/permissions/mark", append(h, "If-None-Match", "*")...) },
	}
	for name, ask := range requests {
		t.Run(name, func(t *testing.T) {
			for _, id := range []string{"a", "req 7/ü"[:6], strings.Repeat("x", 256), `"quoted" \ id`} {
				if got := ask("X-Request-ID", id).header.Get("X-Request-ID"); got != id {
					t.Errorf("sent %q, got %q", id, got)
				}
			}
			for _, id := range []string{"", strings.Repeat("x", 257), "naïve", "tab\there"} {
				if got := ask("X-Request-ID", id).header.Get("X-Request-ID"); len(got) != 32 || got == id {
					t.Errorf("sent %q, got %q", id, got)
				}
			}
		})
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	seen := new(observed)
	c := decisions(t, httpapi.Config{Observer: seen, Searcher: new(searcher), Filterer: new(filterer), Reviewer: new(reviewer)})
	for _, path := range []string{"/", "/access/v1/evaluation/", "/access/v2/evaluation", "/v1/permissions/a/b", "/organisations/x", "/health/live"} {
		c.get(path).refused(t, 404, "not-found", "")
	}
	for path, allow := range map[string]string{
		"/access/v1/evaluation":                  "OPTIONS, POST",
		"/organisations/x/access/v1/evaluations": "OPTIONS, POST",
		"/v1/permissions":                        "OPTIONS, POST",
		"/v1/permissions/mark":                   "OPTIONS, GET, HEAD",
		"/.well-known/authzen-configuration":     "OPTIONS, GET, HEAD",
		"/v1/data/authz/allow":                   "OPTIONS, POST",
		"/access/v1/search/action":               "OPTIONS, POST",
		"/organisations/x/v1/filters":            "OPTIONS, POST",
		"/v1/explanations":                       "OPTIONS, POST",
	} {
		got := c.do(http.MethodDelete, path, "")
		got.refused(t, 405, "method-not-allowed", "", allow)
		if got.header.Get("Allow") != allow {
			t.Errorf("%s allows %q, want %q", path, got.header.Get("Allow"), allow)
		}
		if got := c.do(http.MethodOptions, path, ""); got.status != 204 || got.header.Get("Allow") != allow {
			t.Errorf("OPTIONS %s: %d %q", path, got.status, got.header.Get("Allow"))
		}
	}
	c.do("BREW", "/tea/p-1", "")
	if last := seen.requests[len(seen.requests)-1]; last != "_OTHER  Not Found" {
		t.Errorf("observed %q", last)
	}
}

func TestErrorsOfTheService(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		status int
		code   string
		field  string
		detail string // "" for the table's
	}{
		{"not found", authz.Errorf(authz.NotFound, "x", "gone"), 404, "not-found", "x", "x: gone"},
		{"behind", authz.Errorf(authz.Behind, "", "older"), 412, "behind", "", "older"},
		{"forbidden", authz.Errorf(authz.Forbidden, "", "not yours"), 403, "forbidden", "", "not yours"},
		{"conflict", authz.Errorf(authz.Conflict, "", "changed"), 409, "conflict", "", "changed"},
		{"too many", authz.Errorf(authz.TooMany, "", "slower"), 429, "too-many", "", "slower"},
		{"unavailable", authz.Errorf(authz.Unavailable, "", "redis is away"), 503, "unavailable", "", "redis is away"},
		{"unavailable, bare", &authz.Error{Kind: authz.Unavailable, Err: errors.New("dial 10.0.0.1")}, 503, "unavailable", "", ""},
		{"deadline", context.DeadlineExceeded, 503, "timeout", "", ""},
		{"internal", &authz.Error{Kind: authz.Internal, Message: "secret", Err: errors.New("hidden")}, 500, "internal", "", ""},
		{"unclassed", errors.New("secret"), 500, "internal", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newService()
			s.decide = func(context.Context, *authz.Request) (authz.Decision, error) {
				return authz.Decision{Allow: true}, tt.err
			}
			seen := new(observed)
			got := decisions(t, httpapi.Config{Service: s, Observer: seen}).post("/access/v1/evaluation", good)
			code, field, detail := got.problem(t)
			if got.status != tt.status || code != tt.code || field != tt.field || tt.detail != "" && detail != tt.detail {
				t.Errorf("got %d %s", got.status, got.body)
			}
			for _, inside := range []string{"secret", "hidden", "10.0.0.1"} {
				if strings.Contains(got.body, inside) {
					t.Errorf("the answer tells %q: %s", inside, got.body)
				}
			}
			if (got.header.Get("Retry-After") != "") != (tt.status == 429 || tt.status == 503) {
				t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
			}
			if strings.Join(seen.outcomes, "") != "error" || got.header.Get("Caregate-Revision") != "" {
				t.Errorf("outcomes %q, headers %v", seen.outcomes, got.header)
			}
		})
	}
}

// A fault is logged once, with what finds it again and nothing of who asked about whom.
func TestFaultIsLoggedOnce(t *testing.T) {
	logged, logger := newLog(slog.LevelDebug)
	s := newService()
	s.decide = func(context.Context, *authz.Request) (authz.Decision, error) {
		return authz.Decision{}, errors.New("the cause")
	}
	s.permissions = func(context.Context, string) (map[string]authz.Grant, error) { return nil, errors.New("the cause") }
	c := decisions(t, httpapi.Config{Service: s, Logger: logger})
	trace := []string{"X-Request-ID", "req-1", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	c.post("/organisations/secret-clinic/access/v1/evaluation", good, trace...)
	c.get("/v1/permissions/secret-member", trace...)
	c.get("/nowhere/secret-path", trace...)
	lines := logged.lines("the cause")
	if len(lines) != 2 {
		t.Fatalf("logged %s", logged)
	}
	for _, want := range []string{
		`"level":"ERROR"`, `"request_id":"req-1"`, `"trace_id":"0af7651916cd43dd8448eb211c80319c"`, `"span_id":"b7ad6b7169203331"`,
		`"route":"/organisations/:organisation/access/v1/evaluation"`,
	} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no %s in %s", want, lines[0])
		}
	}
	for _, not := range []string{"secret", "mark", "p-1"} {
		if strings.Contains(logged.String(), not) {
			t.Errorf("the log tells %q: %s", not, logged)
		}
	}
	if n := len(logged.lines(`"msg":"request"`)); n != 3 {
		t.Errorf("%d lines of access: %s", n, logged)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	logged, logger := newLog(slog.LevelInfo)
	s := newService()
	s.decide = func(_ context.Context, r *authz.Request) (authz.Decision, error) {
		switch r.Subject.ID {
		case "index":
			return authz.Decision{}, []error{}[len(r.Action.Name)]
		case "value":
			panic("patient p-1")
		case "abort":
			panic(http.ErrAbortHandler)
		}
		return authz.Decision{Allow: true}, nil
	}
	seen := new(observed)
	c := decisions(t, httpapi.Config{Service: s, Logger: logger, Observer: seen, MaxInFlight: 2})
	for range 5 { // more than are allowed in flight
		for _, id := range []string{"index", "value"} {
			c.post("/access/v1/evaluation", strings.Replace(good, "mark", id, 1), "X-Request-ID", "r").refused(t, 500, "internal", "")
		}
		// What breaks off an answer stays broken off.
		abort := strings.NewReader(strings.Replace(good, "mark", "abort", 1))
		if w, err := c.server.Client().Post(c.server.URL+"/access/v1/evaluation", "application/json", abort); err == nil {
			t.Errorf("got %s", w.Status)
			_ = w.Body.Close()
		}
		c.post("/access/v1/evaluation", good).want(t, 200, `{"decision":true}`)
	}
	if n := len(logged.lines("index out of range")); n != 5 || strings.Contains(logged.String(), "p-1") {
		t.Errorf("logged %s", logged)
	}
	if !strings.Contains(logged.String(), "edge_test.go") {
		t.Error("no stack in the log")
	}
	if seen.requests[0] != "POST /access/v1/evaluation Internal Server Error" {
		t.Errorf("observed %q", seen.requests[0])
	}
}

func TestTooManyInFlight(t *testing.T) {
	s := newService()
	entered, leave := make(chan bool), make(chan bool)
	s.decide = func(context.Context, *authz.Request) (authz.Decision, error) {
		entered <- true
		<-leave
		return authz.Decision{Allow: true}, nil
	}
	c := decisions(t, httpapi.Config{Service: s, MaxInFlight: 2, RequestTimeout: time.Minute, PublicURL: "https://pdp.example"})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { c.post("/access/v1/evaluation", good).want(t, 200, `{"decision":true}`) })
		<-entered
	}
	got := c.post("/access/v1/evaluation", good)
	if code, _, _ := got.problem(t); got.status != 429 || code != "too-many" || got.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := c.get("/.well-known/authzen-configuration"); got.status != 200 {
		t.Errorf("metadata: %d", got.status)
	}
	close(leave)
	wg.Wait()
	go func() { <-entered }()
	c.post("/access/v1/evaluation", good).want(t, 200, `{"decision":true}`)
}

func TestTimeout(t *testing.T) {
	s := newService()
	s.decide = func(ctx context.Context, _ *authz.Request) (authz.Decision, error) {
		<-ctx.Done()
		return authz.Decision{}, ctx.Err()
	}
	decisions(t, httpapi.Config{Service: s, RequestTimeout: time.Millisecond}).post("/access/v1/evaluation", good).refused(t, 503, "timeout", "")
}

// A dependency that is away fills no log: one line, then one in ten seconds,
// and one when it is back.
func TestOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged, logger := newLog(slog.LevelInfo)
		s := newService()
		up := s.decide
		down := func(context.Context, *authz.Request) (authz.Decision, error) {
			return authz.Decision{}, &authz.Error{Kind: authz.Unavailable, Err: errors.New("refused")}
		}
		h := newAPI(t, httpapi.Config{Service: s, Logger: logger}).Decisions()
		ask := func(n int) {
			for range n {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/access/v1/evaluation", strings.NewReader(good))
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		}
		s.decide = down
		ask(50)
		if n := len(logged.lines("refused")); n != 1 || !strings.Contains(logged.String(), `"level":"WARN"`) {
			t.Fatalf("%d lines: %s", n, logged)
		}
		time.Sleep(11 * time.Second)
		ask(50)
		if lines := logged.lines(`"unlogged_before":49`); len(lines) != 1 {
			t.Fatalf("logged %s", logged)
		}
		s.decide = up
		ask(5)
		time.Sleep(11 * time.Second)
		ask(5)
		if n := len(logged.lines("made again")); n != 1 || len(logged.lines("refused")) != 2 {
			t.Fatalf("logged %s", logged)
		}
		s.decide = down
		ask(1)
		if n := len(logged.lines("refused")); n != 3 {
			t.Fatalf("logged %s", logged)
		}
	})
}

// A caller that leaves is no outage.
func TestCallerLeaves(t *testing.T) {
	logged, logger := newLog(slog.LevelInfo)
	s := newService()
	ctx, cancel := context.WithCancel(t.Context())
	s.decide = func(ctx context.Context, _ *authz.Request) (authz.Decision, error) {
		cancel()
		<-ctx.Done()
		return authz.Decision{}, ctx.Err()
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/access/v1/evaluation", strings.NewReader(good))
	w := httptest.NewRecorder()
	newAPI(t, httpapi.Config{Service: s, Logger: logger}).Decisions().ServeHTTP(w, r)
	if w.Code != 503 || logged.String() != "" {
		t.Errorf("got %d, logged %s", w.Code, logged)
	}
}

// A body that trickles in is the caller's delay and no outage.
func TestSlowBody(t *testing.T) {
	logged, logger := newLog(slog.LevelInfo)
	s := newService()
	c := decisions(t, httpapi.Config{Service: s, Logger: logger, RequestTimeout: 20 * time.Millisecond})
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, good[:20])
		time.Sleep(60 * time.Millisecond)
		_, _ = io.WriteString(w, good[20:])
		_ = w.Close()
	}()
	got := c.stream(http.MethodPost, "/access/v1/evaluation", r)
	if code, _, _ := got.problem(t); code != "malformed" || s.asked() != 0 || logged.String() != "" {
		t.Errorf("got %d %s, logged %s", got.status, got.body, logged)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]httpapi.Config{
		"Service":      {Organisation: "o"},
		"Organisation": {Service: newService()},
		"negative":     {Service: newService(), Organisation: "o", MaxBatch: -1},
		"PublicURL":    {Service: newService(), Organisation: "o", PublicURL: "pdp.example"},
	} {
		if _, err := httpapi.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
