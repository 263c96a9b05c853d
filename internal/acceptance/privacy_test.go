package acceptance

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// marked are the ids of the privacy test: nothing else in the world looks like
// one of them.
var marked = map[string]string{
	"member": "zqxmember1vk", "provider": "zqxprovider2vk", "patient": "zqxpatient3vk", "unseen patient": "zqxpatient4vk",
	"booking": "zqxbooking5vk", "stranger": "zqxstranger6vk", "colleague": "zqxcolleague7vk",
}

// collector is an OTLP receiver that keeps what it is sent.
type collector struct {
	mu     sync.Mutex
	bodies []byte
	paths  []string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		in = unzipped
	}
	body, err := io.ReadAll(in)
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

// TestNoIdentifierLeavesByTelemetry asks with unmistakable ids in every way
// there is, and looks for them in the log, the metrics and the traces.
func TestNoIdentifierLeavesByTelemetry(t *testing.T) {
	t.Parallel()
	m := marked
	traces := &collector{}
	receiver := httptest.NewServer(traces)
	defer receiver.Close()
	redis, err := startRedis(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { redis.kill() }()
	mustRun(t, string(lines([]record{
		role("viewer", "patient:view", "patient:create", "appointment:*"), patientGroup("g"), patientGroup("h"),
		teamMember(m["member"]).holding("viewer").seeing("g"), teamMember(m["provider"]).bookableBy("g"), teamMember(m["colleague"]),
		patientIn("g", m["patient"]).caredForBy(m["colleague"]), patientIn("h", m["unseen patient"]),
		booking(m["booking"], m["patient"], m["provider"], "booked"),
	})), "import", "--redis", redis.url(), "--organisation", "riverside")
	s := serveWith(t, serverOptions{env: []string{
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_SERVICE_NAME=caregate-under-test",
	}}, "--redis", redis.url(), "--log-level", "debug", "--facts-timeout", "100ms", "--request-timeout", "300ms", "--max-body", "65536",
		"--max-staleness", "300ms") // a cache, whose lease is soon over

	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	request := func(method, path string, body any) reply {
		t.Helper()
		r, err := send(t.Context(), method, s.decisions()+path, body, "traceparent", traceparent, "X-Request-ID", "rid-42")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	everything := func(want int) {
		t.Helper()
		for _, q := range privateQuestions() {
			if r := request(http.MethodPost, "/access/v1/evaluation", q); r.status != want {
				t.Errorf("%v: %v, expected %d", q, r, want)
			}
			request(http.MethodPost, "/access/v1/evaluations", map[string]any{"evaluations": []question{q, q}})
			request(http.MethodPost, "/v1/data/authz/decision", q.data())
			request(http.MethodPost, "/v1/data/authz/allow", q.data())
		}
		for _, id := range m {
			request(http.MethodGet, "/v1/permissions/"+id, nil)
			request(http.MethodPost, "/v1/permissions", map[string]any{"team_member": id})
			for _, path := range []string{"/" + id, "/access/v1/evaluation/" + id, "/v1/data/" + id, "/v1/data/authz/" + id, "/v1/permissions/" + id + "/" + id,
				"/v1/permissions/x?patient=" + id, "/access/v1/evaluation?subject=" + id, "/organisations/riverside/" + id, "/organisations/riverside/v1/permissions/" + id,
				"/directory/v1/patients/" + id} {
				request(http.MethodGet, path, nil)
				request(http.MethodPost, path, `{"subject":{"type":"team_member","id":"`+id+`"}}`)
				request(http.MethodDelete, path, nil)
			}
			for _, body := range []string{
				`{"subject":{"type":"team_member","id":"` + id, `{"subject":{"type":"team_member","id":["` + id + `"]}}`, `{"` + id + `":1}`,
				`{"subject":"` + id + `"}`, `"` + id + `"`, id, `{"team_member":{"id":"` + id + `"}}`, `{"evaluations":"` + id + `"}`,
				`{"evaluations":[{"subject":{"type":"` + id + `"}}]}`, `{"options":{"evaluations_semantic":"` + id + `"},"evaluations":[{}]}`,
				withSubject(`{"type":"team_member","id":"` + id + strings.Repeat("x", 70_000) + `"}`),
			} {
				for _, path := range []string{"/access/v1/evaluation", "/access/v1/evaluations", "/v1/data/authz/allow", "/v1/permissions"} {
					request(http.MethodPost, path, body)
				}
			}
		}
	}
	everything(http.StatusOK)
	if err := redis.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "no answers with Redis paused", func() bool {
		return request(http.MethodPost, "/access/v1/evaluation", privateQuestions()[0]).status == http.StatusServiceUnavailable
	})
	redis.kill()
	everything(http.StatusServiceUnavailable)

	metrics := get(t, s.diagnostic()+"/metrics")
	if metrics.status != http.StatusOK || !strings.Contains(string(metrics.body), "# TYPE") {
		t.Errorf("/metrics: %v", metrics)
	}
	if err := s.stop(); err != nil { // and the last spans are sent
		t.Error(err)
	}
	eventually(t, 5*time.Second, "spans of the evaluation route", func() bool { return strings.Contains(traces.text(), "/access/v1/evaluation") })
	sent := map[string]string{"the log": s.log.String(), "/metrics": string(metrics.body), "the traces": traces.text()}
	nobodyNamed(t, sent)
	if !strings.Contains(sent["the log"], "4bf92f3577b34da6a3ce929d0e0e4736") {
		t.Error("the log has no trace id of the caller's trace")
	}
	for _, path := range traces.paths {
		if path != "/v1/traces" {
			t.Errorf("it sent to %s", path)
		}
	}
}

// nobodyNamed looks for the marked ids in what was sent, by where it went.
func nobodyNamed(t *testing.T, sent map[string]string) {
	t.Helper()
	for where, text := range sent {
		if len(text) < 1000 {
			t.Errorf("%s has only %d bytes: there is nothing to look through", where, len(text))
		}
		for what, id := range marked {
			if at := strings.Index(strings.ToLower(text), id); at >= 0 {
				t.Errorf("%s names the %s: …%q…", where, what, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}

func privateQuestions() []question {
	m := marked
	return []question{
		ask(m["member"], "view", patient(m["patient"])), ask(m["member"], "view", patient(m["unseen patient"])),
		ask(m["member"], "create", patient(m["stranger"])), ask(m["stranger"], "view", patient(m["patient"])),
		ask(m["member"], "book", provider(m["provider"]).of(m["patient"])), ask(patient(m["patient"]), "book", provider(m["provider"])),
		ask(patient(m["patient"]), "book", provider(m["provider"]).of(m["unseen patient"])), ask(patient(m["stranger"]), "view", provider(m["colleague"])),
		ask(m["member"], "create", appointment(m["booking"]).of(m["patient"]).with(m["provider"])), ask(m["member"], "view", appointment("a").of(m["stranger"])),
		ask(m["member"], m["patient"], entity{Type: m["patient"], ID: m["patient"]}), ask(entity{Type: m["member"], ID: m["member"]}, "view", patient(m["patient"])),
		{Subject: member(m["member"]), Action: action{Name: "view", Properties: map[string]any{"for": m["patient"]}}, Resource: patient(m["patient"]).naming(m["patient"], m["patient"]),
			Context: map[string]any{m["patient"]: m["patient"]}},
	}
}
