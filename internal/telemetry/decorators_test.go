package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/caregate/caregate/internal/authz"
)

// store is a directory of one patient and one member. err, when set, is what
// every read fails with; ready, when set, is what every read answers.
type store struct {
	err   error
	ready *authz.Facts
}

func (s *store) Read(_ context.Context, _ string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	if s.err != nil || s.ready != nil {
		return s.ready, s.err
	}
	facts := make([]*authz.Fact, len(keys))
	for i, key := range keys {
		facts[i] = &authz.Fact{Key: key, Found: true}
	}
	return authz.NewFacts(true, authz.Revision{Count: 12, Nonce: "ab"}, facts...), nil
}

// rules is a policy that allows, or does what it is told.
type rules struct {
	deny   bool
	err    error
	panics any
}

func (r *rules) Catalogue() *authz.Catalogue {
	return &authz.Catalogue{Types: map[string]authz.TypeSpec{
		"team_member": {Facts: authz.KindTeamMember},
		"patient":     {Facts: authz.KindPatient},
	}}
}

func (r *rules) Administration() *authz.Administration { return nil }

func (r *rules) Digest() string { return "d1ge57" }

func (r *rules) Decide(context.Context, authz.Question) (authz.Decision, error) {
	if r.panics != nil {
		panic(r.panics)
	}
	return authz.Decision{Allow: !r.deny && r.err == nil}, r.err
}

func (r *rules) Permissions(context.Context, *authz.Fact, *authz.Facts) (map[string]authz.Grant, error) {
	return map[string]authz.Grant{"patient:view": {Role: "practitioner"}}, r.err
}

func (r *rules) Residual(context.Context, authz.Question, authz.Open) (*authz.Residual, error) {
	return &authz.Residual{}, r.err
}

func (r *rules) Routes(context.Context, authz.Question, authz.Open) (map[string]*authz.Residual, error) {
	return map[string]*authz.Residual{"care_team": {}}, r.err
}

func (r *rules) Candidates(context.Context, authz.Question, string) ([]authz.CandidateEntity, bool, error) {
	return []authz.CandidateEntity{{ID: patientID}}, true, r.err
}

func (r *rules) Explain(context.Context, authz.Question) (authz.Account, error) {
	return authz.Account{User: []byte("{}")}, r.err
}

func (r *rules) Masks(context.Context, authz.Question, authz.Open) (json.RawMessage, error) {
	return []byte("{}"), r.err
}

const (
	memberID  = "member-7f3a"
	patientID = "patient-9c1e"
)

func question() *authz.Request {
	return &authz.Request{
		Subject:  authz.Entity{Type: "team_member", ID: memberID, Properties: map[string]any{"note": "subject-words"}},
		Action:   authz.Action{Name: "view", Properties: map[string]any{"note": "action-words"}},
		Resource: authz.Entity{Type: "patient", ID: patientID, Properties: map[string]any{"note": "resource-words"}},
		Context:  map[string]any{"note": "context-words"},
	}
}

// traced returns telemetry whose spans end up in the exporter.
func traced(t *testing.T) (*Telemetry, *tracetest.InMemoryExporter) {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	return assemble(Config{}, sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))), exporter
}

func untraced() *Telemetry { return assemble(Config{}, nil) }

// scrape returns the metrics as Prometheus reads them.
func scrape(t *testing.T, tel *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	all := strings.Split(text, "\n")
	for _, line := range lines {
		if !slices.Contains(all, line) {
			t.Errorf("no line %s", line)
		}
	}
}

func attributes(span tracetest.SpanStub) map[string]string {
	values := make(map[string]string)
	for _, kv := range span.Attributes {
		values[string(kv.Key)] = kv.Value.String()
	}
	return values
}

func TestAQuestionMakesTwoSpansUnderTheRequest(t *testing.T) {
	tel, exporter := traced(t)
	ask(t, tel)
	spans := exporter.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want 3", len(spans))
	}
	read, evaluate, request := spans[0], spans[1], spans[2]
	if read.Name != "caregate.facts.read" || evaluate.Name != "caregate.policy.evaluate" || request.Name != "request" {
		t.Errorf("spans %s, %s, %s", read.Name, evaluate.Name, request.Name)
	}
	for _, span := range []tracetest.SpanStub{read, evaluate} {
		if span.Parent.SpanID() != request.SpanContext.SpanID() {
			t.Errorf("%s is no child of the request", span.Name)
		}
		if span.Status.Code != codes.Unset {
			t.Errorf("%s has status %v", span.Name, span.Status)
		}
	}
	if got := attributes(read)["caregate.facts.keys"]; got != "2" {
		t.Errorf("caregate.facts.keys = %q, want 2", got)
	}
	if got := attributes(evaluate); got["caregate.query"] != "decision" || got["caregate.decision"] != "allow" {
		t.Errorf("evaluation has %v", got)
	}
}

func TestAnErrorIsToldByItsKind(t *testing.T) {
	for _, test := range []struct {
		err           error
		kind, outcome string
	}{
		{authz.Errorf(authz.Unavailable, "", "facts cannot be read"), "unavailable", "unavailable"},
		{authz.Errorf(authz.Timeout, "", "too slow"), "timeout", "timeout"},
		{context.DeadlineExceeded, "timeout", "timeout"},
		{errors.New("WRONGTYPE"), "internal", "error"},
		{authz.Errorf(authz.Malformed, "subject.id", "odd"), "malformed", "error"},
	} {
		t.Run(test.kind, func(t *testing.T) {
			tel, exporter := traced(t)
			if _, err := tel.Directory(&store{err: test.err}).Read(t.Context(), "riverside", nil, authz.Freshness{}); !errors.Is(err, test.err) {
				t.Errorf("the error became %v", err)
			}
			if _, err := tel.Policy(&rules{err: test.err}).Decide(t.Context(), authz.Question{}); !errors.Is(err, test.err) {
				t.Errorf("the error became %v", err)
			}
			if _, err := tel.Policy(&rules{err: test.err}).Permissions(t.Context(), nil, nil); !errors.Is(err, test.err) {
				t.Errorf("the error became %v", err)
			}
			for _, span := range exporter.GetSpans() {
				if span.Status.Code != codes.Error || span.Status.Description != test.kind || attributes(span)["error.type"] != test.kind {
					t.Errorf("%s: status %v, attributes %v, want %s", span.Name, span.Status, attributes(span), test.kind)
				}
				if len(span.Events) != 0 {
					t.Errorf("%s has events, which quote errors", span.Name)
				}
			}
			wantLines(t, scrape(t, tel),
				`caregate_facts_read_duration_seconds_count{outcome="`+test.outcome+`"} 1`,
				`caregate_policy_evaluation_errors_total{query="decision"} 1`,
				`caregate_policy_evaluation_errors_total{query="permissions"} 1`,
				`caregate_policy_evaluation_duration_seconds_count{query="decision"} 1`,
				`caregate_policy_evaluation_duration_seconds_count{query="permissions"} 1`,
			)
		})
	}
}

func TestTheDecoratorsChangeNoAnswer(t *testing.T) {
	for name, tel := range map[string]*Telemetry{"on": first(traced(t)), "off": untraced()} {
		t.Run(name, func(t *testing.T) {
			p := tel.Policy(&rules{deny: true})
			if p.Digest() != "d1ge57" || p.Catalogue().Types["patient"].Facts != authz.KindPatient {
				t.Error("not the digest and the catalogue of the policy")
			}
			if d, err := p.Decide(t.Context(), authz.Question{}); d.Allow || err != nil {
				t.Errorf("decided %v, %v", d, err)
			}
			if grants, err := p.Permissions(t.Context(), nil, nil); grants["patient:view"].Role != "practitioner" || err != nil {
				t.Errorf("permissions %v, %v", grants, err)
			}
			facts, err := tel.Directory(&store{}).Read(t.Context(), "riverside", nil, authz.Freshness{})
			if err != nil || facts.Revision.Count != 12 {
				t.Errorf("read %v, %v", facts, err)
			}
		})
	}
}

// Whatever a policy is asked has a span and counts in the metrics, by what was asked, and is
// answered as the policy answers it.
func TestEveryQueryIsMeasured(t *testing.T) {
	q := authz.Question{Request: question()}
	asked := map[string]struct {
		query string
		ask   func(context.Context, authz.Rules) (any, error)
	}{
		"Decide":      {"decision", func(ctx context.Context, r authz.Rules) (any, error) { return r.Decide(ctx, q) }},
		"Permissions": {"permissions", func(ctx context.Context, r authz.Rules) (any, error) { return r.Permissions(ctx, nil, nil) }},
		"Residual":    {"residual", func(ctx context.Context, r authz.Rules) (any, error) { return r.Residual(ctx, q, authz.Open{}) }},
		"Routes":      {"routes", func(ctx context.Context, r authz.Rules) (any, error) { return r.Routes(ctx, q, authz.Open{}) }},
		"Candidates": {"candidates", func(ctx context.Context, r authz.Rules) (any, error) {
			of, defined, err := r.Candidates(ctx, q, "patient")
			return map[bool]any{defined: of}, err
		}},
		"Explain": {"account", func(ctx context.Context, r authz.Rules) (any, error) { return r.Explain(ctx, q) }},
		"Masks":   {"masks", func(ctx context.Context, r authz.Rules) (any, error) { return r.Masks(ctx, q, authz.Open{}) }},
	}
	failed := fmt.Errorf("about %s: error-words", patientID)
	for method := range reflect.TypeFor[authz.Rules]().Methods() {
		if method.Type.NumIn() == 0 || method.Type.In(0) != reflect.TypeFor[context.Context]() {
			continue
		}
		a, ok := asked[method.Name]
		if !ok {
			t.Errorf("%s is not asked for here", method.Name)
			continue
		}
		for _, err := range []error{nil, failed} {
			tel, exporter := traced(t)
			for _, measured := range []*Telemetry{tel, untraced()} {
				got, gotErr := a.ask(t.Context(), measured.Rules(&rules{err: err}))
				want, _ := a.ask(t.Context(), &rules{err: err})
				if !reflect.DeepEqual(got, want) || !errors.Is(gotErr, err) {
					t.Errorf("%s: %v, %v; the policy says %v, %v", method.Name, got, gotErr, want, err)
				}
				count, errs := "1", map[bool]string{true: "0", false: "1"}[err == nil]
				wantLines(t, scrape(t, measured),
					`caregate_policy_evaluation_duration_seconds_count{query="`+a.query+`"} `+count,
					`caregate_policy_evaluation_errors_total{query="`+a.query+`"} `+errs)
			}
			spans := exporter.GetSpans()
			if len(spans) != 1 || spans[0].Name != "caregate.policy.evaluate" || attributes(spans[0])["caregate.query"] != a.query {
				t.Fatalf("%s has the spans %v", method.Name, spans)
			}
			if said := fmt.Sprint(spans.Snapshots()[0].Attributes(), spans.Snapshots()[0].Status(), spans.Snapshots()[0].Events()); strings.Contains(said, patientID) ||
				strings.Contains(said, memberID) || strings.Contains(said, "-words") {
				t.Errorf("%s says %s", method.Name, said)
			}
		}
	}
}

// A page of a search has a span, in which the policy's are, and counts by what it looks for.
func TestEverySearchIsMeasured(t *testing.T) {
	for what := range searchesFor {
		for _, err := range []error{nil, fmt.Errorf("about %s", patientID)} {
			tel, exporter := traced(t)
			for _, measured := range []*Telemetry{tel, untraced()} {
				ctx, done := measured.Search(t.Context(), what)
				_, _ = measured.Rules(&rules{}).Residual(ctx, authz.Question{}, authz.Open{})
				done(err)
				wantLines(t, scrape(t, measured), `caregate_search_duration_seconds_count{search="`+what.String()+`"} 1`)
			}
			spans := exporter.GetSpans()
			if len(spans) != 2 || spans[1].Name != "caregate.search" || spans[0].Parent.SpanID() != spans[1].SpanContext.SpanID() ||
				attributes(spans[1])["caregate.search"] != what.String() {
				t.Fatalf("a search for %s has the spans %v", what, spans)
			}
			if failed := spans[1].Status.Code == codes.Error; failed != (err != nil) || strings.Contains(fmt.Sprint(spans[1].Attributes, spans[1].Status), patientID) {
				t.Errorf("%v: %v %v", err, spans[1].Status, spans[1].Attributes)
			}
		}
	}
}

func first(tel *Telemetry, _ *tracetest.InMemoryExporter) *Telemetry { return tel }

// Nothing that a request names, and nothing that an error or a panic quotes,
// may occur in a span or a metric (design, section 5, 5).
func TestNoIdentifierInSpansAndMetrics(t *testing.T) {
	tel, exporter := traced(t)
	quoting := fmt.Errorf("GET team_member:%s patient:%s: %s", memberID, patientID, "error-words")
	classed := &authz.Error{Kind: authz.Unavailable, Message: "facts cannot be read", Err: quoting}
	organisation := "clinic-of-doctor-example"

	for _, service := range []*authz.Service{
		authz.NewService(tel.Directory(&store{}), tel.Policy(&rules{})),
		authz.NewService(tel.Directory(&store{}), tel.Policy(&rules{deny: true})),
		authz.NewService(tel.Directory(&store{err: quoting}), tel.Policy(&rules{})),
		authz.NewService(tel.Directory(&store{err: classed}), tel.Policy(&rules{})),
		authz.NewService(tel.Directory(&store{}), tel.Policy(&rules{err: quoting})),
		authz.NewService(tel.Directory(&store{}), tel.Policy(&rules{panics: quoting})),
	} {
		func() {
			defer func() { _ = recover() }()
			_, _, _ = service.Permissions(t.Context(), organisation, memberID, authz.Freshness{})
			_, _, _, _ = service.DecideAll(t.Context(), organisation, []*authz.Request{question(), nil, question()}, authz.ExecuteAll, authz.Freshness{})
			_, _, _ = service.Decide(t.Context(), organisation, question(), authz.Freshness{})
		}()
	}
	tel.RequestDone("/v1/permissions/:team_member", "GET", 200, time.Millisecond)
	tel.RequestDone("", memberID, 404, time.Millisecond)
	tel.DecisionMade(patientID)
	tel.PolicyLoaded("d1ge57")

	spans := exporter.GetSpans()
	if len(spans) < 12 {
		t.Fatalf("only %d spans: the requests did not get through", len(spans))
	}
	var said strings.Builder
	for _, span := range spans.Snapshots() {
		fmt.Fprintln(&said, span.Name(), span.Attributes(), span.Events(), span.Links(), span.Status(), span.Resource())
	}
	said.WriteString(scrape(t, tel))
	for _, secret := range []string{memberID, patientID, organisation, "-words", "team_member:member", "WRONG"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("%q occurs in what telemetry says", secret)
		}
	}
}

// With tracing off, measuring allocates nothing.
func TestOffCostsNothing(t *testing.T) {
	tel := untraced()
	ctx := t.Context()
	directory := tel.Directory(&store{ready: authz.NewFacts(true, authz.Revision{})})
	policy := tel.Policy(&rules{})
	q := authz.Question{}
	for name, do := range map[string]func(){
		"read":     func() { _, _ = directory.Read(ctx, "riverside", nil, authz.Freshness{}) },
		"evaluate": func() { _, _ = policy.Decide(ctx, q) },
		"decision": func() { tel.DecisionMade("allow") },
		"request":  func() { tel.RequestDone("/access/v1/evaluation", "POST", 200, time.Millisecond) },
	} {
		if allocations := testing.AllocsPerRun(100, do); allocations != 0 {
			t.Errorf("%s allocates %v times", name, allocations)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	exporter := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	for name, policy := range map[string]authz.Policy{
		"bare": &rules{},
		"off":  untraced().Policy(&rules{}),
		"on":   assemble(Config{}, exporter).Policy(&rules{}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = policy.Decide(b.Context(), authz.Question{})
			}
		})
	}
}
