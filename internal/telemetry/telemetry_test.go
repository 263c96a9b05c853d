package telemetry

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/caregate/caregate/internal/authz"
)

// environment is a Getenv over a map.
func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestTracingIsChosenByTheEnvironment(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		want bool
	}{
		{"nothing set", nil, false},
		{"asked for", map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, true},
		{"an endpoint for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, true},
		{"an empty endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, false},
		{"refused", map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, false},
		{"disabled", map[string]string{"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, false},
		{"gRPC", map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true},
		{"gRPC over a socket", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/otel.sock", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
		}, true},
		{"protocol of traces wins", map[string]string{
			"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			tel, err := New(t.Context(), Config{Getenv: environment(test.env)})
			if err != nil {
				t.Fatal(err)
			}
			if got := tel.Tracing(); got != test.want {
				t.Errorf("Tracing() = %v, want %v", got, test.want)
			}
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAVariableThatCannotBeHonouredIsAnError(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ variable, value, also string }{
		{"OTEL_TRACES_EXPORTER", "zipkin", "otlp"},
		{"OTEL_TRACES_EXPORTER", "otlp,console", "otlp"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "http/protobuf"},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift", "grpc"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "http://"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "http://"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "unix:///run/otel.sock", "http://"},
		{"OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "key=value"},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=s3cret%zz", "percent"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem", "/nowhere/ca.pem"},
		{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", notPEM, "PEM"},
		{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", notPEM, "OTEL_EXPORTER_OTLP_CLIENT_KEY"},
		{"OTEL_EXPORTER_OTLP_CLIENT_KEY", notPEM, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
	} {
		t.Run(test.variable+"="+filepath.Base(test.value), func(t *testing.T) {
			env := map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}
			env[test.variable] = test.value
			_, err := New(t.Context(), Config{Getenv: environment(env)})
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.variable) || !strings.Contains(err.Error(), test.also) {
				t.Errorf("%q does not name %s and %s", err, test.variable, test.also)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q repeats a credential", err)
			}
		})
	}
	t.Run("OTEL_RESOURCE_ATTRIBUTES", func(t *testing.T) {
		t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "nonsense")
		_, err := New(t.Context(), Config{Getenv: environment(map[string]string{"OTEL_TRACES_EXPORTER": "otlp"})})
		if err == nil || !strings.Contains(err.Error(), "OTEL_RESOURCE_ATTRIBUTES") {
			t.Errorf("error %v does not name the variable", err)
		}
	})
}

func TestThePropagatorKeepsTraceContextAndBaggage(t *testing.T) {
	tel, err := New(t.Context(), Config{Getenv: environment(nil)})
	if err != nil {
		t.Fatal(err)
	}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	in := propagation.MapCarrier{"traceparent": parent, "baggage": "tenant=a"}
	// Even when tracing is off, the caller's trace goes on to what is called.
	ctx, span := tel.Tracer.Start(tel.Propagator.Extract(t.Context(), in), "request")
	defer span.End()
	out := propagation.MapCarrier{}
	tel.Propagator.Inject(ctx, out)
	if out["traceparent"] != parent || out["baggage"] != "tenant=a" {
		t.Errorf("passed on %v", out)
	}
	if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace id %s", got)
	}
}

// received collects what an OTLP collector was sent.
type received struct {
	collector.UnimplementedTraceServiceServer
	mu       sync.Mutex
	requests []*collector.ExportTraceServiceRequest
	tokens   []string
}

func (r *received) add(request *collector.ExportTraceServiceRequest, token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.tokens = append(r.requests, request), append(r.tokens, token)
}

func (r *received) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body := io.Reader(request.Body)
	if request.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	raw, err := io.ReadAll(body)
	message := new(collector.ExportTraceServiceRequest)
	if err != nil || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" ||
		proto.Unmarshal(raw, message) != nil {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	r.add(message, request.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (r *received) Export(ctx context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	token := ""
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		token = strings.Join(md.Get("authorization"), "")
	}
	r.add(request, token)
	return new(collector.ExportTraceServiceResponse), nil
}

// spans returns the names of the spans received, and the attributes of the
// resource they came from.
func (r *received) spans() (names []string, resource map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	resource = make(map[string]string)
	for _, request := range r.requests {
		for _, rs := range request.ResourceSpans {
			attributesInto(resource, rs.Resource.Attributes)
			for _, ss := range rs.ScopeSpans {
				for _, span := range ss.Spans {
					names = append(names, span.Name)
				}
			}
		}
	}
	slices.Sort(names)
	return names, resource
}

func attributesInto(to map[string]string, attributes []*common.KeyValue) {
	for _, kv := range attributes {
		to[kv.Key] = kv.Value.GetStringValue()
	}
}

// listeners starts a collector for each protocol.
func listeners(t *testing.T) map[string]func() (endpoint string, r *received) {
	return map[string]func() (string, *received){
		"http/protobuf": func() (string, *received) {
			r := new(received)
			server := httptest.NewServer(r)
			t.Cleanup(server.Close)
			return server.URL, r
		},
		"grpc": func() (string, *received) {
			r := new(received)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			collector.RegisterTraceServiceServer(server, r)
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(server.Stop)
			return "http://" + listener.Addr().String(), r
		},
	}
}

func TestSpansReachACollector(t *testing.T) {
	for protocol, listen := range listeners(t) {
		t.Run(protocol, func(t *testing.T) {
			endpoint, collected := listen()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20t0ken")
			t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")

			tel, err := New(t.Context(), Config{Version: "v1.2.3"})
			if err != nil {
				t.Fatal(err)
			}
			ask(t, tel)
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}

			names, resource := collected.spans()
			if want := []string{"caregate.facts.read", "caregate.policy.evaluate", "request"}; !slices.Equal(names, want) {
				t.Errorf("received spans %v, want %v", names, want)
			}
			if resource["service.name"] != "caregate" || resource["service.version"] != "v1.2.3" ||
				resource["deployment.environment.name"] != "test" {
				t.Errorf("resource %v", resource)
			}
			if len(collected.tokens) == 0 || collected.tokens[0] != "Bearer t0ken" {
				t.Errorf("authorization %q", collected.tokens)
			}
		})
	}
}

func TestTheSDKReadsTheSamplerAndTheServiceName(t *testing.T) {
	for _, test := range []struct {
		sampler string
		want    int
	}{{"always_on", 3}, {"always_off", 0}} {
		t.Run(test.sampler, func(t *testing.T) {
			endpoint, collected := listeners(t)["http/protobuf"]()
			t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint+"/v1/traces")
			t.Setenv("OTEL_TRACES_SAMPLER", test.sampler)
			t.Setenv("OTEL_SERVICE_NAME", "caregate-of-appointments")
			tel, err := New(t.Context(), Config{})
			if err != nil {
				t.Fatal(err)
			}
			ask(t, tel)
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			names, resource := collected.spans()
			if len(names) != test.want {
				t.Errorf("received %v, want %d spans", names, test.want)
			}
			if test.want > 0 && resource["service.name"] != "caregate-of-appointments" {
				t.Errorf("service name %q", resource["service.name"])
			}
		})
	}
}

func TestShutdownEndsWithItsContextWhenTheCollectorHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	tel, err := New(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, tel)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tel.Shutdown(ctx); err == nil {
		t.Error("lost spans without a word")
	}
}

// ask has one question answered inside a span called request.
func ask(t *testing.T, tel *Telemetry) {
	t.Helper()
	ctx, span := tel.Tracer.Start(t.Context(), "request")
	defer span.End()
	service := authz.NewService(tel.Directory(&store{}), tel.Policy(&rules{}))
	d, _, err := service.Decide(ctx, "riverside", question(), authz.Freshness{})
	if err != nil || !d.Allow {
		t.Errorf("decided %v, %v", d.Allow, err)
	}
}
