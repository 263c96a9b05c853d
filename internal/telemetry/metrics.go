package telemetry

import (
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxRoutes bounds the label route. Routes are templates, of which there are a
// few dozen; the bound holds even if something hands over raw paths.
const maxRoutes = 128

// seconds are the buckets of every histogram, from 10 µs to 1 s: an evaluation
// takes tens of microseconds, a read of Redis hundreds, a batch milliseconds,
// and what takes a second has timed out.
func seconds() []float64 {
	return []float64{
		10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6,
		1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1,
	}
}

// metrics holds every series that is known from the start, so that counting
// costs an atomic addition and not a look-up by label.
type metrics struct {
	handler  http.Handler
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	// The series of the requests seen so far. The map is replaced as a whole
	// under mu and never written to, so that readers need no lock.
	series atomic.Pointer[map[requestKey]requestSeries]
	mu     sync.Mutex
	routes map[string]bool

	allowed, denied, failed prometheus.Counter

	factsRead         [outcomes]prometheus.Observer
	evaluationSeconds [queries]prometheus.Observer
	evaluationErrors  [queries]prometheus.Counter
	searchSeconds     [searchesFor]prometheus.Observer

	searchesEvaluated, candidatesEvaluated prometheus.Counter

	policy *prometheus.GaugeVec
}

type requestKey struct {
	route, method string
	status        int
}

type requestSeries struct {
	count   prometheus.Counter
	seconds prometheus.Observer
}

func newMetrics(cfg Config) *metrics {
	registry := prometheus.NewRegistry()
	m := &metrics{
		handler:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, EnableOpenMetrics: true}),
		registry: registry,
		routes:   make(map[string]bool),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "caregate_http_requests_total",
			Help: "HTTP requests answered, by route template, method and status.",
		}, []string{"route", "method", "status"}),
		requestSeconds: histogram("caregate_http_request_duration_seconds",
			"Time from the first byte of a request to the last of its answer.", "route", "method"),
		policy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "caregate_policy_info",
			Help: "The policy that answers now; always 1.",
		}, []string{"digest"}),
	}
	m.series.Store(&map[requestKey]requestSeries{})

	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caregate_decisions_total",
		Help: "Decisions answered, by outcome: allow, deny, or error when none could be made.",
	}, []string{"outcome"})
	m.allowed = decisions.WithLabelValues("allow")
	m.denied = decisions.WithLabelValues("deny")
	m.failed = decisions.WithLabelValues("error")

	reads := histogram("caregate_facts_read_duration_seconds",
		"Time to read the facts of a question or a batch, by outcome.", "outcome")
	for o := range outcomes {
		m.factsRead[o] = reads.WithLabelValues(o.String())
	}

	evaluations := histogram("caregate_policy_evaluation_duration_seconds",
		"Time the policy takes for one question, by query: decision, permissions, residual, routes, candidates, account or masks.", "query")
	errors := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caregate_policy_evaluation_errors_total",
		Help: "Questions that the policy failed to answer, by query.",
	}, []string{"query"})
	for q := range queries {
		m.evaluationSeconds[q] = evaluations.WithLabelValues(q.String())
		m.evaluationErrors[q] = errors.WithLabelValues(q.String())
	}
	searches := histogram("caregate_search_duration_seconds",
		"Time for one page of a search, by what is searched: subject, resource or action.", "search")
	for what := range searchesFor {
		m.searchSeconds[what] = searches.WithLabelValues(what.String())
	}

	m.searchesEvaluated = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caregate_search_evaluated_total",
		Help: "Pages of searches that were found by asking the policy about one candidate after the other, because it cannot be turned into a filter.",
	})
	m.candidatesEvaluated = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caregate_search_candidates_evaluated_total",
		Help: "Candidates that the policy was asked about for those pages.",
	})

	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "caregate_build_info",
		Help: "What this binary was built from; always 1.",
	}, []string{"version", "goversion", "opa"})
	build.WithLabelValues(orUnknown(cfg.Version), runtime.Version(), orUnknown(cfg.OPAVersion)).Set(1)

	registry.MustRegister(
		m.requests, m.requestSeconds, decisions, reads, evaluations, errors, searches, build, m.policy,
		m.searchesEvaluated, m.candidatesEvaluated,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds()}, labels)
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}

// RequestDone counts one HTTP request that was answered. route is the template
// that matched, "" when none did. A method outside the nine of RFC 9110 and
// RFC 5789 counts as "other".
func (t *Telemetry) RequestDone(route, method string, status int, d time.Duration) {
	s := t.metrics.request(requestKey{route: route, method: method, status: status})
	s.count.Inc()
	s.seconds.Observe(d.Seconds())
}

// DecisionMade counts one decision by its outcome: allow, deny or error.
// Anything else counts as error.
func (t *Telemetry) DecisionMade(outcome string) {
	switch outcome {
	case "allow":
		t.metrics.allowed.Inc()
	case "deny":
		t.metrics.denied.Inc()
	default:
		t.metrics.failed.Inc()
	}
}

// SearchEvaluated counts one page of a search that was found by asking the policy
// about so many candidates, one after the other.
func (t *Telemetry) SearchEvaluated(candidates int) {
	t.metrics.searchesEvaluated.Inc()
	t.metrics.candidatesEvaluated.Add(float64(max(candidates, 0)))
}

// PolicyLoaded states the digest of the policy that answers from now on.
func (t *Telemetry) PolicyLoaded(digest string) {
	t.metrics.policy.Reset()
	t.metrics.policy.WithLabelValues(digest).Set(1)
}

// request returns the series of key, normalised.
func (m *metrics) request(key requestKey) requestSeries {
	key.method = boundedMethod(key.method)
	if key.route == "" {
		key.route = "unmatched"
	}
	if key.status < 100 || key.status > 599 {
		key.status = 0
	}
	if s, ok := (*m.series.Load())[key]; ok {
		return s
	}
	return m.newRequest(key)
}

// newRequest makes the series of a normalised key that was not seen before.
func (m *metrics) newRequest(key requestKey) requestSeries {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.routes[key.route] {
		if len(m.routes) >= maxRoutes {
			key.route = "other"
		}
		m.routes[key.route] = true
	}
	if s, ok := (*m.series.Load())[key]; ok {
		return s
	}
	status := "other"
	if key.status != 0 {
		status = strconv.Itoa(key.status)
	}
	s := requestSeries{
		count:   m.requests.WithLabelValues(key.route, key.method, status),
		seconds: m.requestSeconds.WithLabelValues(key.route, key.method),
	}
	series := maps.Clone(*m.series.Load())
	series[key] = s
	m.series.Store(&series)
	return s
}

// boundedMethod returns method if it is one of the standard nine, else
// "other": anybody can send a method of their own making.
func boundedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	default:
		return "other"
	}
}
