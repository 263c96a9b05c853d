package telemetry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestMetricsAreScraped(t *testing.T) {
	tel := assemble(Config{Version: "v1.2.3", OPAVersion: "1.22.2"}, nil)
	tel.PolicyLoaded("old")
	tel.PolicyLoaded("d1ge57")
	tel.RequestDone("/access/v1/evaluation", "POST", 200, 60*time.Microsecond)
	tel.RequestDone("/access/v1/evaluation", "POST", 200, 3*time.Millisecond)
	tel.RequestDone("/access/v1/evaluation", "POST", 400, time.Microsecond)
	tel.RequestDone("", "GET", 404, time.Microsecond)
	tel.RequestDone("/access/v1/evaluation", "BREW", 405, time.Microsecond)
	tel.RequestDone("/access/v1/evaluation", "GET", 0, time.Microsecond)
	for _, outcome := range []string{"allow", "allow", "deny", "error", "maybe"} {
		tel.DecisionMade(outcome)
	}
	tel.SearchEvaluated(1000)
	tel.SearchEvaluated(-1)
	text := scrape(t, tel)
	wantLines(t, text,
		`caregate_build_info{goversion="`+runtime.Version()+`",opa="1.22.2",version="v1.2.3"} 1`,
		`caregate_policy_info{digest="d1ge57"} 1`,
		`caregate_http_requests_total{method="POST",route="/access/v1/evaluation",status="200"} 2`,
		`caregate_http_requests_total{method="POST",route="/access/v1/evaluation",status="400"} 1`,
		`caregate_http_requests_total{method="GET",route="unmatched",status="404"} 1`,
		`caregate_http_requests_total{method="other",route="/access/v1/evaluation",status="405"} 1`,
		`caregate_http_requests_total{method="GET",route="/access/v1/evaluation",status="other"} 1`,
		`caregate_http_request_duration_seconds_bucket{method="POST",route="/access/v1/evaluation",le="0.0001"} 2`,
		`caregate_http_request_duration_seconds_bucket{method="POST",route="/access/v1/evaluation",le="0.005"} 3`,
		`caregate_http_request_duration_seconds_count{method="POST",route="/access/v1/evaluation"} 3`,
		`caregate_decisions_total{outcome="allow"} 2`,
		`caregate_decisions_total{outcome="deny"} 1`,
		`caregate_decisions_total{outcome="error"} 2`,
		// Known from the start, so that a rate over them has a beginning.
		`caregate_facts_read_duration_seconds_count{outcome="unavailable"} 0`,
		`caregate_policy_evaluation_errors_total{query="decision"} 0`,
		`caregate_search_evaluated_total 2`,
		`caregate_search_candidates_evaluated_total 1000`,
	)
	if strings.Contains(text, `digest="old"`) {
		t.Error("the old policy is still stated")
	}
	for _, name := range []string{"go_goroutines ", "process_open_fds "} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("no %s", name)
		}
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
		t.Error(err)
	}
}

// Operators find every metric on their page, and no other.
func TestTheMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := regexp.MustCompile("(?m)^\\| `(caregate_[a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1)
	tel := untraced()
	tel.RequestDone("/", "GET", 200, time.Microsecond)
	tel.PolicyLoaded("d1ge57")
	tel.Cache(func() (s CacheStats) { return s })
	tel.Answers(func() map[string]uint64 { return map[string]uint64{"memory": 1} })
	exposed := regexp.MustCompile("(?m)^# TYPE (caregate_[a-z_]+) ").FindAllStringSubmatch(scrape(t, tel), -1)
	names := func(matches [][]string) (names []string) {
		for _, match := range matches {
			names = append(names, match[1])
		}
		slices.Sort(names)
		return names
	}
	if got, want := names(documented), names(exposed); !slices.Equal(got, want) {
		t.Errorf("documented %v\nexposed    %v", got, want)
	}
}

func TestVersionsThatAreNotKnown(t *testing.T) {
	wantLines(t, scrape(t, untraced()), `caregate_build_info{goversion="`+runtime.Version()+`",opa="unknown",version="unknown"} 1`)
}

func TestNoCallerMakesSeriesGrow(t *testing.T) {
	tel := untraced()
	for i := range 2000 {
		tel.RequestDone(fmt.Sprintf("/raw/%d", i), fmt.Sprintf("METHOD%d", i), 1000+i, time.Microsecond)
		tel.RequestDone("", fmt.Sprintf("METHOD%d", i), i, time.Microsecond)
		tel.DecisionMade(fmt.Sprint(i))
	}
	text := scrape(t, tel)
	if n := strings.Count(text, "\ncaregate_http_request_duration_seconds_count"); n > maxRoutes+2 {
		t.Errorf("%d routes and methods", n)
	}
	if n := strings.Count(text, "\ncaregate_http_requests_total{"); n > maxRoutes+502 {
		t.Errorf("%d series of requests", n)
	}
	wantLines(t, text, `caregate_http_request_duration_seconds_count{method="other",route="unmatched"} 2000`,
		`caregate_decisions_total{outcome="error"} 2000`)
}

func TestEveryRequestIsCountedOnce(t *testing.T) {
	tel := untraced()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				tel.RequestDone(fmt.Sprintf("/route/%d", (i+worker)%50), "GET", 200+i%3, time.Microsecond)
			}
		})
	}
	wg.Wait()
	total := 0.0
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t, tel)))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families["caregate_http_requests_total"].Metric {
		total += m.Counter.GetValue()
	}
	if total != 8*500 {
		t.Errorf("counted %v requests, want %d", total, 8*500)
	}
}

func TestEachTelemetryCountsForItself(t *testing.T) {
	a, b := untraced(), untraced()
	a.DecisionMade("deny")
	wantLines(t, scrape(t, b), `caregate_decisions_total{outcome="deny"} 0`)
	server := httptest.NewServer(a.MetricsHandler())
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
		t.Errorf("Content-Type %q", got)
	}
}

func BenchmarkRequestDone(b *testing.B) {
	tel := untraced()
	b.ReportAllocs()
	for b.Loop() {
		tel.RequestDone("/access/v1/evaluation", "POST", 200, 60*time.Microsecond)
	}
}
