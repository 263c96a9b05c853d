package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"testing/slogtest"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

func logged(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	out.Reset()
	return line
}

// inSpan returns a context with a span, as a request has it.
func inSpan(t *testing.T) context.Context {
	t.Helper()
	return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0x0a, 0xf7, 15: 1}, SpanID: trace.SpanID{0xb7, 7: 2},
	}))
}

const (
	wantTrace = "0af70000000000000000000000000001"
	wantSpan  = "b700000000000002"
)

func TestALogLineCarriesItsTrace(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, slog.LevelInfo)
	for name, logger := range map[string]*slog.Logger{
		"plain": log,
		"attrs": log.With("a", 1),
		"group": log.With("a", 1).WithGroup("g").With("b", 2),
		"empty": log.WithGroup(""),
	} {
		t.Run(name, func(t *testing.T) {
			logger.InfoContext(inSpan(t), "hello", "c", 3)
			line := logged(t, &out)
			if line["trace_id"] != wantTrace || line["span_id"] != wantSpan {
				t.Errorf("%v lacks the trace at its top level", line)
			}
			if name == "group" {
				group, _ := line["g"].(map[string]any)
				if line["a"] != 1.0 || group["b"] != 2.0 || group["c"] != 3.0 {
					t.Errorf("%v lost its attributes", line)
				}
			}
			logger.Info("hello")
			if _, ok := logged(t, &out)["trace_id"]; ok {
				t.Error("a trace without a span")
			}
		})
	}
}

func TestTheLevelIsKept(t *testing.T) {
	var out bytes.Buffer
	var level slog.LevelVar
	log := NewLogger(&out, &level)
	log.Debug("no")
	if out.Len() != 0 {
		t.Errorf("wrote %s", &out)
	}
	level.Set(slog.LevelDebug)
	log.Debug("yes")
	if logged(t, &out)["msg"] != "yes" {
		t.Error("wrote nothing")
	}
}

func TestTheHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return LogHandler(slog.NewJSONHandler(&out, nil))
	}, func(t *testing.T) map[string]any { return logged(t, &out) })
}

// What the SDK complains about is logged in words of ours: a collector may repeat what
// it was sent.
func TestSDKErrorsAreLogged(t *testing.T) {
	var out bytes.Buffer
	ReportSDKErrors(NewLogger(&out, slog.LevelInfo))
	t.Cleanup(func() { ReportSDKErrors(slog.New(slog.DiscardHandler)) })
	for want, err := range map[string]error{
		"the collector did not take the spans; see its log":                     errors.New("400 Bad Request (body: p-1)"),
		"the collector did not answer in time; check that it runs, and its URL": fmt.Errorf("traces export: %w", context.DeadlineExceeded),
		"the collector cannot be reached; check that it runs, and its URL":      &net.OpError{Op: "dial", Err: errors.New("p-1")},
		"the sending of spans was broken off":                                   context.Canceled,
	} {
		out.Reset()
		otel.Handle(err)
		if line := logged(t, &out); line["msg"] != "opentelemetry" || line["error"] != want || line["level"] != "WARN" {
			t.Errorf("logged %v, expected %q", line, want)
		}
	}
}
