package telemetry

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/caregate/caregate/internal/authz"
)

// The names of the spans.
const (
	spanFactsRead      = "caregate.facts.read"
	spanPolicyEvaluate = "caregate.policy.evaluate"
	spanSearch         = "caregate.search"
)

// query is what a policy is asked.
type query int

const (
	queryDecision query = iota
	queryPermissions
	queryResidual // partial evaluation, for searches, filters, reviews and previews
	queryRoutes
	queryCandidates
	queryAccount // the account of an explanation
	queryMasks
	queries
)

// String returns the value of the label query, and of the attribute caregate.query.
func (q query) String() string {
	return [queries]string{"decision", "permissions", "residual", "routes", "candidates", "account", "masks"}[q]
}

// Directory returns next, measured: each read has a span caregate.facts.read,
// with the number of keys and never a key, and counts in
// caregate_facts_read_duration_seconds.
func (t *Telemetry) Directory(next authz.Directory) authz.Directory {
	d := &directory{next: next, seconds: t.metrics.factsRead}
	if t.Tracing() {
		d.tracer = t.Tracer
	}
	return d
}

// Policy returns next, measured: each question has a span
// caregate.policy.evaluate, and counts in
// caregate_policy_evaluation_duration_seconds and
// caregate_policy_evaluation_errors_total, by query. It implements authz.Policy and
// nothing else that next may implement.
func (t *Telemetry) Policy(next authz.Policy) authz.Policy { return t.policy(next) }

// Rules is Policy for a policy that answers more than single questions.
func (t *Telemetry) Rules(next authz.Rules) authz.Rules { return &measuredRules{t.policy(next), next} }

func (t *Telemetry) policy(next authz.Policy) *policy {
	p := &policy{Policy: next, metrics: t.metrics}
	if t.Tracing() {
		p.tracer = t.Tracer
	}
	return p
}

// directory is a Directory that is measured. tracer is nil when tracing is
// off, and then a read costs two looks at the clock and nothing else.
type directory struct {
	next    authz.Directory
	tracer  trace.Tracer
	seconds [outcomes]prometheus.Observer
}

func (d *directory) Read(
	ctx context.Context, organisation string, keys []authz.Key, fresh authz.Freshness,
) (*authz.Facts, error) {
	if d.tracer == nil {
		return d.read(ctx, organisation, keys, fresh)
	}
	ctx, span := d.tracer.Start(ctx, spanFactsRead, trace.WithSpanKind(trace.SpanKindClient))
	defer func() { end(span) }()
	facts, err := d.read(ctx, organisation, keys, fresh)
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("caregate.facts.keys", len(keys)))
		fail(span, err)
	}
	return facts, err
}

func (d *directory) read(
	ctx context.Context, organisation string, keys []authz.Key, fresh authz.Freshness,
) (*authz.Facts, error) {
	start := time.Now()
	facts, err := d.next.Read(ctx, organisation, keys, fresh)
	d.seconds[outcomeOf(err)].Observe(time.Since(start).Seconds())
	return facts, err
}

// policy is a Policy that is measured. Catalogue and Digest are those of the
// policy it embeds. tracer is nil when tracing is off.
type policy struct {
	authz.Policy
	tracer  trace.Tracer
	metrics *metrics
}

// measure has a policy asked, in a span if there is tracing.
func measure[T any](ctx context.Context, p *policy, q query, ask func(context.Context) (T, error)) (T, error) {
	if p.tracer == nil {
		return timed(ctx, p, q, ask)
	}
	ctx, span := p.tracer.Start(ctx, spanPolicyEvaluate)
	defer func() { end(span) }()
	value, err := timed(ctx, p, q, ask)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("caregate.query", q.String()))
		fail(span, err)
	}
	return value, err
}

// timed is measure without the span.
func timed[T any](ctx context.Context, p *policy, q query, ask func(context.Context) (T, error)) (T, error) {
	start := time.Now()
	value, err := ask(ctx)
	p.metrics.evaluationSeconds[q].Observe(time.Since(start).Seconds())
	if err != nil {
		p.metrics.evaluationErrors[q].Inc()
	}
	return value, err
}

func (p *policy) Decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	return measure(ctx, p, queryDecision, func(ctx context.Context) (authz.Decision, error) {
		d, err := p.Policy.Decide(ctx, q)
		if err == nil && p.tracer != nil {
			trace.SpanFromContext(ctx).SetAttributes(attribute.String("caregate.decision", decisionName(d)))
		}
		return d, err
	})
}

func (p *policy) Permissions(ctx context.Context, member *authz.Fact, facts *authz.Facts) (map[string]authz.Grant, error) {
	return measure(ctx, p, queryPermissions, func(ctx context.Context) (map[string]authz.Grant, error) {
		return p.Policy.Permissions(ctx, member, facts)
	})
}

// measuredRules are Rules that are measured.
type measuredRules struct {
	*policy
	next authz.Rules
}

func (r *measuredRules) Residual(ctx context.Context, q authz.Question, open authz.Open) (*authz.Residual, error) {
	return measure(ctx, r.policy, queryResidual, func(ctx context.Context) (*authz.Residual, error) {
		return r.next.Residual(ctx, q, open)
	})
}

func (r *measuredRules) Routes(ctx context.Context, q authz.Question, open authz.Open) (map[string]*authz.Residual, error) {
	return measure(ctx, r.policy, queryRoutes, func(ctx context.Context) (map[string]*authz.Residual, error) {
		return r.next.Routes(ctx, q, open)
	})
}

func (r *measuredRules) Candidates(
	ctx context.Context, q authz.Question, what string,
) (of []authz.CandidateEntity, defined bool, err error) {
	of, err = measure(ctx, r.policy, queryCandidates, func(ctx context.Context) (of []authz.CandidateEntity, err error) {
		of, defined, err = r.next.Candidates(ctx, q, what)
		return of, err
	})
	return of, defined, err
}

func (r *measuredRules) Explain(ctx context.Context, q authz.Question) (authz.Account, error) {
	return measure(ctx, r.policy, queryAccount, func(ctx context.Context) (authz.Account, error) {
		return r.next.Explain(ctx, q)
	})
}

func (r *measuredRules) Masks(ctx context.Context, q authz.Question, open authz.Open) (json.RawMessage, error) {
	return measure(ctx, r.policy, queryMasks, func(ctx context.Context) (json.RawMessage, error) {
		return r.next.Masks(ctx, q, open)
	})
}

// SearchFor is what a search looks for.
type SearchFor int

// What searches look for.
const (
	SearchForSubjects SearchFor = iota
	SearchForResources
	SearchForActions
	searchesFor
)

// String returns the value of the label search, and of the attribute caregate.search.
func (s SearchFor) String() string {
	return [searchesFor]string{"subject", "resource", "action"}[s]
}

// Search measures one page of a search, from now until done is called with its error: it has
// a span caregate.search, in which it goes on by the context returned, and counts in
// caregate_search_duration_seconds.
func (t *Telemetry) Search(ctx context.Context, what SearchFor) (_ context.Context, done func(err error)) {
	start := time.Now()
	seconds := t.metrics.searchSeconds[what]
	if !t.Tracing() {
		return ctx, func(error) { seconds.Observe(time.Since(start).Seconds()) }
	}
	ctx, span := t.Tracer.Start(ctx, spanSearch)
	return ctx, func(err error) {
		defer func() { end(span) }()
		seconds.Observe(time.Since(start).Seconds())
		span.SetAttributes(attribute.String("caregate.search", what.String()))
		fail(span, err)
	}
}

func decisionName(d authz.Decision) string {
	if d.Allow {
		return "allow"
	}
	return "deny"
}

// fail marks span as failed by the kind of err, and not at all when err is nil.
func fail(span trace.Span, err error) {
	if err == nil {
		return
	}
	kind := kindName(err)
	span.SetStatus(codes.Error, kind)
	span.SetAttributes(attribute.String("error.type", kind))
}

// end ends span. It must be called by a deferred function and not be one: End
// called by defer itself writes a panic, and with it whatever the panic quotes,
// into the span.
func end(span trace.Span) { span.End() }
