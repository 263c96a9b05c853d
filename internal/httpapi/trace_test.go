package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

// tracer makes spans that remember what they are told.
type tracer struct {
	embedded.Tracer
	spans []*span
}

type span struct {
	noop.Span
	name   string
	kind   trace.SpanKind
	parent trace.SpanContext
	own    trace.SpanContext
	attrs  map[string]string
	status codes.Code
	ended  int
}

func (tr *tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	cfg := trace.NewSpanStartConfig(opts...)
	parent := trace.SpanContextFromContext(ctx)
	s := &span{name: name, kind: cfg.SpanKind(), parent: parent, attrs: map[string]string{}}
	s.own = trace.NewSpanContext(trace.SpanContextConfig{TraceID: parent.TraceID(), SpanID: trace.SpanID{1, 2, 3}})
	s.SetAttributes(cfg.Attributes()...)
	tr.spans = append(tr.spans, s)
	return trace.ContextWithSpan(ctx, s), s
}

func (s *span) SpanContext() trace.SpanContext      { return s.own }
func (s *span) SetStatus(code codes.Code, _ string) { s.status = code }
func (s *span) End(...trace.SpanEndOption)          { s.ended++ }
func (s *span) SetAttributes(kv ...attribute.KeyValue) {
	for _, a := range kv {
		s.attrs[string(a.Key)] = a.Value.String()
	}
}

func TestSpans(t *testing.T) {
	tr := new(tracer)
	logged, logger := newLog(slog.LevelInfo)
	s := newService()
	s.decide = func(ctx context.Context, r *authz.Request) (authz.Decision, error) {
		if trace.SpanFromContext(ctx) != trace.Span(tr.spans[len(tr.spans)-1]) {
			t.Error("the service was not asked within the span")
		}
		if r.Subject.ID == "jordan" {
			return authz.Decision{}, errors.New("fault")
		}
		return authz.Decision{}, nil
	}
	c := decisions(t, httpapi.Config{Service: s, Tracer: tr, Logger: logger})
	traceparent := []string{"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	c.post("/organisations/north/access/v1/evaluation", good, traceparent...)
	c.post("/access/v1/evaluation", strings.Replace(good, "mark", "jordan", 1), traceparent...)
	c.post("/access/v1/evaluation", `{`, traceparent...)
	c.get("/nowhere")
	c.do("BREW", "/v1/permissions/mark", "")
	want := []struct {
		name, route, status string
		code                codes.Code
	}{
		{"POST /organisations/:organisation/access/v1/evaluation", "/organisations/:organisation/access/v1/evaluation", "200", codes.Unset},
		{"POST /access/v1/evaluation", "/access/v1/evaluation", "500", codes.Error},
		{"POST /access/v1/evaluation", "/access/v1/evaluation", "400", codes.Unset},
		{"GET", "", "404", codes.Unset},
		{"_OTHER /v1/permissions/:team_member", "/v1/permissions/:team_member", "405", codes.Unset},
	}
	for i, w := range want {
		s := tr.spans[i]
		if s.name != w.name || s.attrs["http.route"] != w.route || s.attrs["http.response.status_code"] != w.status ||
			s.attrs["url.scheme"] != "http" || s.status != w.code || s.kind != trace.SpanKindServer || s.ended != 1 {
			t.Errorf("span %d is %+v", i, s)
		}
	}
	if tr.spans[0].parent.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("parent %v", tr.spans[0].parent)
	}
	if !strings.Contains(logged.String(), `"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"0102030000000000"`) {
		t.Errorf("logged %s", logged)
	}
}

func TestNoopTracerIsNotAsked(t *testing.T) {
	c := decisions(t, httpapi.Config{Tracer: noop.NewTracerProvider().Tracer("")})
	c.post("/access/v1/evaluation", good).want(t, 200, yes)
}
