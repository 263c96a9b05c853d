package acceptance

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/internal/redistest"
)

// marked are the ids of the privacy tests: nothing else in the world looks like
// one of them.
var marked = map[string]string{
	"member": "zqxmember1vk", "provider": "zqxprovider2vk", "patient": "zqxpatient3vk", "unseen patient": "zqxpatient4vk",
	"booking": "zqxbooking5vk", "stranger": "zqxstranger6vk", "colleague": "zqxcolleague7vk",
}

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// collector is an OTLP receiver that keeps what it is sent.
type collector struct {
	url string

	mu     sync.Mutex
	bodies []byte
	paths  []string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	receiver := httptest.NewServer(c)
	t.Cleanup(receiver.Close)
	c.url = receiver.URL
	return c
}

// environment has a sidecar send its traces here.
func (c *collector) environment() []string {
	return []string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_SERVICE_NAME=caregate-under-test"}
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var unzipped *gzip.Reader
		if unzipped, err = gzip.NewReader(strings.NewReader(string(body))); err == nil {
			body, err = io.ReadAll(unzipped)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = append(append(c.bodies, body...), '\n')
	c.paths = append(c.paths, r.URL.Path)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.bodies)
}

// private is a sidecar over marked facts, which sends its traces and writes a detailed log.
type private struct {
	*server
	traces *collector
	redis  *redistest.Server

	mu       sync.Mutex
	statuses map[int]int // how many answers had each
}

func servePrivately(t *testing.T, records []record, flags ...string) *private {
	t.Helper()
	redis, traces := redisWith(t, records), newCollector(t)
	s := serveWith(t, traces.environment(), append([]string{"--redis", redis.URL(), "--log-level", "debug", "--max-body", "65536"}, flags...)...)
	return &private{server: s, traces: traces, redis: redis, statuses: map[int]int{}}
}

// send asks at a listener, within a trace of the caller's.
func (p *private) send(t *testing.T, listener, method, path string, body any, headers ...string) reply {
	t.Helper()
	r := sent(t, method, p.URL(listener)+path, body, append(headers, "traceparent", traceparent)...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statuses[r.status]++
	return r
}

// tellsNobody says that there were answers of each status, that spans of a path were sent, and that no marked id is in the
// log, the metrics or the traces. It stops the sidecar.
func (p *private) tellsNobody(t *testing.T, path string, statuses ...int) {
	t.Helper()
	t.Logf("answers by status: %v", p.statuses)
	for _, status := range statuses {
		check(t, p.statuses[status] > 0, "no answer with %d: the requests are too much alike to show anything", status)
	}
	sent := map[string]string{"/metrics": p.metrics(t)}
	p.end(t) // and the last spans are sent
	eventually(t, "spans of "+path, func() bool { return strings.Contains(p.traces.text(), path) })
	sent["the log"], sent["the traces"] = p.Log.String(), p.traces.text()
	for where, text := range sent {
		check(t, len(text) >= 1000, "%s has only %d bytes: there is nothing to look through", where, len(text))
		for what, id := range marked {
			check(t, !strings.Contains(strings.ToLower(text), id), "%s names the %s: …%q…", where, what, around(strings.ToLower(text), id))
		}
	}
	check(t, strings.Contains(sent["/metrics"], "# TYPE"), "/metrics: %s", sent["/metrics"])
	check(t, strings.Contains(sent["the log"], traceparent[3:35]), "the log has no trace id of the caller's trace")
	check(t, !slices.ContainsFunc(p.traces.paths, func(path string) bool { return path != "/v1/traces" }), "it sent to %q", p.traces.paths)
}

// around returns a text where something stands in it, "" where it does not.
func around(text, what string) string {
	at := strings.Index(text, what)
	if at < 0 {
		return ""
	}
	return text[max(0, at-200):min(len(text), at+200)]
}
