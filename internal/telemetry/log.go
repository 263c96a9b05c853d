package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger returns a logger that writes JSON to w, one object a line, from
// level up. What is logged with the context of a span carries its trace_id and
// span_id.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(LogHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})))
}

// LogHandler returns a handler that adds trace_id and span_id of the span in
// the context, if there is one, to what next writes. They stand at the top
// level, whatever groups the logger has opened.
func LogHandler(next slog.Handler) slog.Handler {
	return &logHandler{root: next, next: next}
}

// logHandler remembers how next came out of root once a group is open: what
// is added to a record from then on would land inside the group.
type logHandler struct {
	root, next slog.Handler
	steps      []func(slog.Handler) slog.Handler
	grouped    bool
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return h.next.Handle(ctx, r)
	}
	ids := []slog.Attr{
		slog.String("trace_id", span.TraceID().String()),
		slog.String("span_id", span.SpanID().String()),
	}
	if !h.grouped {
		r = r.Clone() // the caller may share the record
		r.AddAttrs(ids...)
		return h.next.Handle(ctx, r)
	}
	next := h.root.WithAttrs(ids)
	for _, step := range h.steps {
		next = step(next)
	}
	return next.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(h.grouped, func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(true, func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *logHandler) with(grouped bool, step func(slog.Handler) slog.Handler) *logHandler {
	steps := make([]func(slog.Handler) slog.Handler, 0, len(h.steps)+1)
	return &logHandler{root: h.root, next: step(h.next), steps: append(append(steps, h.steps...), step), grouped: grouped}
}
