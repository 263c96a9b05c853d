package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/caregate/caregate/internal/plaintext"
)

// The variables of the OpenTelemetry specification that are read here. The SDK
// reads these and more by itself, but where it meets a value it cannot use it
// goes on with a default, which would send spans to the wrong place or, with a
// certificate it cannot read, over a connection nobody asked for.
const (
	envDisabled       = "OTEL_SDK_DISABLED"
	envExporter       = "OTEL_TRACES_EXPORTER"
	envProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envHeaders        = "OTEL_EXPORTER_OTLP_HEADERS"
	envTracesHeaders  = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
)

const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// variables reads the environment as the OpenTelemetry specification wants it:
// a variable that is empty is not set.
type variables func(string) string

func (get variables) value(name string) string { return strings.TrimSpace(get(name)) }

// first returns the first of names that is set, with its value.
func (get variables) first(names ...string) (name, value string) {
	for _, name := range names {
		if v := get.value(name); v != "" {
			return name, v
		}
	}
	return "", ""
}

// newExporter makes the exporter that the environment asks for, nil when
// tracing is off.
func newExporter(ctx context.Context, getenv func(string) string) (sdktrace.SpanExporter, error) {
	get := variables(getenv)
	on, err := get.tracing()
	if err != nil || !on {
		return nil, err
	}
	protocol, err := get.protocol()
	if err != nil {
		return nil, err
	}
	if err := get.check(protocol); err != nil {
		return nil, err
	}
	var exporter sdktrace.SpanExporter
	if protocol == protocolGRPC {
		exporter, err = otlptracegrpc.New(ctx)
	} else {
		exporter, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("set up the OTLP exporter from the OTEL_EXPORTER_OTLP_* variables: %w", err)
	}
	return exporter, nil
}

// tracing says whether traces are wanted.
func (get variables) tracing() (bool, error) {
	if strings.EqualFold(get.value(envDisabled), "true") {
		return false, nil
	}
	switch exporter := get.value(envExporter); exporter {
	case "otlp":
		return true, nil
	case "none":
		return false, nil
	case "":
		name, _ := get.first(envTracesEndpoint, envEndpoint)
		return name != "", nil
	default:
		return false, fmt.Errorf("%s: there is no exporter %q here; use otlp or none", envExporter, exporter)
	}
}

func (get variables) protocol() (string, error) {
	name, protocol := get.first(envTracesProtocol, envProtocol)
	switch protocol {
	case "":
		return protocolHTTP, nil
	case protocolGRPC, protocolHTTP:
		return protocol, nil
	default:
		return "", fmt.Errorf("%s: protocol %q is not supported; use %s or %s", name, protocol, protocolHTTP, protocolGRPC)
	}
}

// check refuses the values that the SDK would pass over.
func (get variables) check(protocol string) error {
	for _, name := range []string{envEndpoint, envTracesEndpoint} {
		if err := checkEndpoint(name, get.value(name), protocol); err != nil {
			return err
		}
	}
	for _, name := range []string{envHeaders, envTracesHeaders} {
		if err := checkHeaders(name, get.value(name)); err != nil {
			return err
		}
	}
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		if err := get.checkCertificates(prefix); err != nil {
			return err
		}
	}
	return nil
}

func checkEndpoint(name, value, protocol string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return nil
	case u.Scheme == "unix" && protocol == protocolGRPC:
		return nil
	}
	example := "http://127.0.0.1:4318"
	if protocol == protocolGRPC {
		example = "http://127.0.0.1:4317"
	}
	return fmt.Errorf("%s: not a URL with http:// or https:// and a host; write something like %s", name, example)
}

// checkHeaders never repeats the value: headers hold credentials.
func checkHeaders(name, value string) error {
	if value == "" {
		return nil
	}
	for pair := range strings.SplitSeq(value, ",") {
		key, v, ok := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(v); !ok || strings.TrimSpace(key) == "" || err != nil {
			return fmt.Errorf("%s: not a list of key=value pairs with commas between them, values percent-encoded", name)
		}
	}
	return nil
}

func (get variables) checkCertificates(prefix string) error {
	if file := get.value(prefix + "CERTIFICATE"); file != "" {
		pem, err := plaintext.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%sCERTIFICATE: %w", prefix, err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return fmt.Errorf("%sCERTIFICATE: %s holds no certificate in PEM form", prefix, file)
		}
	}
	certificate, key := get.value(prefix+"CLIENT_CERTIFICATE"), get.value(prefix+"CLIENT_KEY")
	switch {
	case certificate == "" && key == "":
		return nil
	case certificate == "":
		return fmt.Errorf("%sCLIENT_CERTIFICATE: missing, and %sCLIENT_KEY is of no use without it", prefix, prefix)
	case key == "":
		return fmt.Errorf("%sCLIENT_KEY: missing, and %sCLIENT_CERTIFICATE is of no use without it", prefix, prefix)
	}
	for _, file := range []string{certificate, key} {
		if _, err := plaintext.ReadFile(file); err != nil {
			return fmt.Errorf("%sCLIENT_CERTIFICATE and %sCLIENT_KEY: %w", prefix, prefix, err)
		}
	}
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		return fmt.Errorf("%sCLIENT_CERTIFICATE and %sCLIENT_KEY: %w", prefix, prefix, err)
	}
	return nil
}
