// Package telemetry says what Caregate does: traces over OTLP, metrics for
// Prometheus, and logs that carry the trace they belong to. It alone imports
// the OpenTelemetry SDK and the Prometheus client; the rest of Caregate sees
// the tracing API, the interfaces that the domain declares, and a few methods.
//
// No identifier of a person, and nothing else that a caller wrote, goes into
// a span, a metric or its labels. Errors are reported by their kind, never by
// their text. Labels take their values from small fixed sets, so that no
// caller can make the number of time series grow.
package telemetry
