package httpapi

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// callerTrace returns the request's context with the caller's span in it.
func (x *exchange) callerTrace() context.Context {
	return x.api.cfg.Propagator.Extract(x.request.Context(), propagation.HeaderCarrier(x.request.Header))
}

// startSpan opens the server span. It names the route and nothing of the path.
func (x *exchange) startSpan() {
	scheme := "http"
	if x.request.TLS != nil {
		scheme = "https"
	}
	attrs := [3]attribute.KeyValue{
		attribute.String("http.request.method", x.route.method),
		attribute.String("url.scheme", scheme),
	}
	n := 2
	if x.route.template != "" {
		attrs[n] = attribute.String("http.route", x.route.template)
		n++
	}
	x.ctx, x.span = x.api.cfg.Tracer.Start(x.callerTrace(), x.route.span,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attrs[:n]...))
}

// endSpan closes it. A caller's mistake is no error of this server.
func (x *exchange) endSpan() {
	x.span.SetAttributes(attribute.Int("http.response.status_code", x.status))
	if x.status >= 500 {
		x.span.SetStatus(codes.Error, "")
	}
	x.span.End()
}
