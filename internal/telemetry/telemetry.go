package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope is the name under which Caregate makes spans.
const scope = "github.com/caregate/caregate"

// Config says what is known at the start. The zero value is usable.
type Config struct {
	// Version is the version of this Caregate, "" for "unknown".
	Version string
	// OPAVersion is the version of the embedded OPA, "" for "unknown".
	OPAVersion string
	// Getenv reads the variables that switch tracing on and choose the
	// exporter; nil means os.Getenv. The SDK reads the sampler, the resource
	// attributes, the service name, the endpoint and the headers from the
	// environment of the process, whatever Getenv says.
	Getenv func(string) string
}

// Telemetry is what New makes. Its methods may be called concurrently.
type Telemetry struct {
	// Tracer makes spans. It is never nil; when tracing is off it makes none
	// and keeps what the caller sent.
	Tracer trace.Tracer
	// Propagator reads and writes W3C trace context and baggage.
	Propagator propagation.TextMapPropagator

	provider *sdktrace.TracerProvider // nil when tracing is off
	metrics  *metrics
}

// New makes the telemetry that the OTEL_* variables ask for. Traces are on if
// OTEL_TRACES_EXPORTER is otlp, or if it is unset and a variable names an OTLP
// endpoint; OTEL_TRACES_EXPORTER=none and OTEL_SDK_DISABLED=true turn them
// off. A variable that cannot be honoured is an error that names it: tracing
// that was asked for is never dropped silently. Metrics are always on.
//
// New does not wait for a collector. Call Shutdown before the process ends.
func New(ctx context.Context, cfg Config) (*Telemetry, error) {
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	exporter, err := newExporter(ctx, cfg.Getenv)
	if err != nil {
		return nil, err
	}
	if exporter == nil {
		return assemble(cfg, nil), nil
	}
	res, err := newResource(ctx, cfg.Version)
	if err != nil {
		return nil, err
	}
	return assemble(cfg, sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))), nil
}

// assemble makes a Telemetry whose spans go to provider, nil for no spans.
func assemble(cfg Config, provider *sdktrace.TracerProvider) *Telemetry {
	t := &Telemetry{
		Propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
		Tracer:     noop.NewTracerProvider().Tracer(scope),
		provider:   provider,
		metrics:    newMetrics(cfg),
	}
	if provider != nil {
		t.Tracer = provider.Tracer(scope, trace.WithInstrumentationVersion(cfg.Version))
	}
	return t
}

// newResource describes this process. OTEL_RESOURCE_ATTRIBUTES and
// OTEL_SERVICE_NAME win over what is set here.
func newResource(ctx context.Context, version string) (*resource.Resource, error) {
	attributes := []attribute.KeyValue{attribute.String("service.name", "caregate")}
	if version != "" {
		attributes = append(attributes, attribute.String("service.version", version))
	}
	res, err := resource.New(ctx, resource.WithAttributes(attributes...), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: cannot be read, write key=value pairs with commas between them: %w", err)
	}
	return res, nil
}

// Tracing reports whether spans are made at all.
func (t *Telemetry) Tracing() bool { return t.provider != nil }

// MetricsHandler serves the metrics in the formats that Prometheus reads.
func (t *Telemetry) MetricsHandler() http.Handler { return t.metrics.handler }

// Shutdown sends the spans that still wait and stops. It returns within ctx;
// an error means that some spans may be lost, and nothing worse.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %s", exportProblem(err))
	}
	return nil
}

// ReportSDKErrors sends what the OpenTelemetry SDK has to complain about, such
// as a collector that does not answer, to logger instead of plain text on
// stderr. The SDK has one place for this in the whole process, so only the
// command calls it, once, before New.
func ReportSDKErrors(logger *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.Warn("opentelemetry", "error", exportProblem(err))
	}))
	otel.SetLogger(logr.FromSlogHandler(logger.Handler()))
}

// exportProblem says in words of our own why spans did not arrive. The error holds what
// the collector answered, which may hold what it was sent.
func exportProblem(err error) string {
	var refused net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &refused) && refused.Timeout():
		return "the collector did not answer in time; check that it runs, and its URL"
	case errors.Is(err, context.Canceled):
		return "the sending of spans was broken off"
	case refused != nil:
		return "the collector cannot be reached; check that it runs, and its URL"
	default:
		return "the collector did not take the spans; see its log"
	}
}
