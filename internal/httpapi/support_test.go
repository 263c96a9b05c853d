package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

// service answers as its functions say, and remembers what it was asked. It
// stands for the domain, which has tests of its own.
type service struct {
	mu            sync.Mutex
	organisations []string
	requests      []*authz.Request
	semantic      authz.Semantic

	decide      func(context.Context, *authz.Request) (authz.Decision, error)
	permissions func(ctx context.Context, member string) (map[string]authz.Grant, error)
	stated      authz.Stated
}

// newService returns a service that allows whoever is called mark.
func newService() *service {
	return &service{
		decide: func(_ context.Context, r *authz.Request) (authz.Decision, error) {
			if r.Subject.ID == "mark" {
				return authz.Decision{Allow: true, Context: json.RawMessage(`{"reasons":["permission_granted"]}`)}, nil
			}
			return authz.Decision{Context: json.RawMessage(`{"reasons":["permission_missing"]}`)}, nil
		},
		permissions: func(_ context.Context, member string) (map[string]authz.Grant, error) {
			if member == "nobody" {
				return nil, authz.Errorf(authz.NotFound, "team_member", "no such team member")
			}
			return map[string]authz.Grant{
				"patient:view":   {Role: "practitioner", Groups: []string{"clinicians", "aides"}},
				"patient:delete": {Groups: []string{"leads"}},
			}, nil
		},
		stated: authz.Stated{Revision: authz.Revision{Count: 12, Nonce: "ab34cd"}, Policy: "c0ffee"},
	}
}

func (s *service) record(organisation string, requests ...*authz.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.organisations = append(s.organisations, organisation)
	s.requests = append(s.requests, requests...)
}

func (s *service) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.organisations)
}

func (s *service) Decide(
	ctx context.Context, organisation string, r *authz.Request, fresh authz.Freshness,
) (authz.Decision, authz.Stated, error) {
	if !s.stated.Revision.MayInclude(fresh.AtLeast) {
		return authz.Decision{}, s.stated, authz.NotIncluded()
	}
	s.record(organisation, r)
	d, err := s.decide(ctx, r)
	return d, s.stated, err
}

func (s *service) DecideAll(
	ctx context.Context, organisation string, requests []*authz.Request, semantic authz.Semantic, fresh authz.Freshness,
) (decisions []authz.Decision, failed []error, stated authz.Stated, err error) {
	if !s.stated.Revision.MayInclude(fresh.AtLeast) {
		return nil, nil, s.stated, authz.NotIncluded()
	}
	s.record(organisation, requests...)
	s.semantic = semantic
	for _, r := range requests {
		var d authz.Decision
		var err error
		if r != nil {
			d, err = s.decide(ctx, r)
		}
		decisions, failed = append(decisions, d), append(failed, err)
		if semantic == authz.DenyOnFirstDeny && !d.Allow || semantic == authz.PermitOnFirstPermit && d.Allow {
			break
		}
	}
	return decisions, failed, s.stated, nil
}

func (s *service) Permissions(
	ctx context.Context, organisation, member string, fresh authz.Freshness,
) (map[string]authz.Grant, authz.Stated, error) {
	if !s.stated.Revision.MayInclude(fresh.AtLeast) {
		return nil, s.stated, authz.NotIncluded()
	}
	s.record(organisation)
	p, err := s.permissions(ctx, member)
	return p, s.stated, err
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	asked  string // what was asked, for messages
}

// problem reads the answer as a problem document, and makes sure that it is one.
func (a answer) problem(t *testing.T) (code, field, detail string) {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("Content-Type %q, want a problem document; body %s", got, a.body)
	}
	if strings.Contains(a.body, `"decision"`) {
		t.Errorf("a problem carries a decision: %s", a.body)
	}
	var p struct {
		Type, Title, Detail, Field string
		Status                     int
		RequestID                  string                      `json:"request_id"`
		InUse                      []struct{ Kind, ID string } `json:"in_use"`
		InUseCount                 int                         `json:"in_use_count"`
	}
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("problem %s: %v", a.body, err)
	}
	if p.Status != a.status || p.Title == "" || p.Detail == "" || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-ID") {
		t.Errorf("incomplete problem %s with request id %q", a.body, a.header.Get("X-Request-ID"))
	}
	code, ok := strings.CutPrefix(p.Type, "urn:caregate:problem:")
	if !ok {
		t.Errorf("type %q", p.Type)
	}
	return code, p.Field, p.Detail
}

// client asks one handler over real HTTP.
type client struct {
	t      *testing.T
	server *httptest.Server
}

func serve(t *testing.T, h http.Handler) *client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &client{t, s}
}

// decisions serves the decisions of a new API.
func decisions(t *testing.T, cfg httpapi.Config) *client {
	t.Helper()
	return serve(t, newAPI(t, cfg).Decisions())
}

func newAPI(t *testing.T, cfg httpapi.Config) *httpapi.API {
	t.Helper()
	if cfg.Service == nil {
		cfg.Service = newService()
	}
	if cfg.Organisation == "" {
		cfg.Organisation = "riverside"
	}
	api, err := httpapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// do sends a request; headers are pairs of name and value, and a body that is
// not empty is JSON unless they say otherwise.
func (c *client) do(method, path, body string, headers ...string) answer {
	c.t.Helper()
	a := c.stream(method, path, strings.NewReader(body), headers...)
	a.asked += " " + body[:min(len(body), 300)]
	return a
}

func (c *client) stream(method, path string, body io.Reader, headers ...string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w, err := c.server.Client().Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{w.StatusCode, w.Header, string(b), method + " " + path}
}

func (c *client) get(path string, headers ...string) answer {
	c.t.Helper()
	return c.do(http.MethodGet, path, "", headers...)
}

func (c *client) post(path, body string, headers ...string) answer {
	c.t.Helper()
	return c.do(http.MethodPost, path, body, headers...)
}

// want checks an answer's status and body.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("got %d %s\nwant %d %s", a.status, a.body, status, body)
	}
}

// logBuffer is a logger's destination that tests may read at any time.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines returns the lines that contain s.
func (l *logBuffer) lines(s string) (lines []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, s) {
			lines = append(lines, line)
		}
	}
	return lines
}

func newLog(level slog.Level) (*logBuffer, *slog.Logger) {
	b := new(logBuffer)
	return b, slog.New(traceHandler{slog.NewJSONHandler(b, &slog.HandlerOptions{Level: level})})
}

// traceHandler adds the trace of the context, as the program's own handler does.
type traceHandler struct{ slog.Handler }

func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	sc := trace.SpanContextFromContext(ctx)
	if sc.HasTraceID() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

const (
	mark   = `"subject":{"type":"team_member","id":"mark"}`
	jordan = `"subject":{"type":"team_member","id":"jordan"}`
	view   = `"action":{"name":"view"}`
	p1     = `"resource":{"type":"patient","id":"p-1"}`
	good   = `{` + mark + `,` + view + `,` + p1 + `}`
)
