package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/caregate/caregate/internal/authz"
)

// The names of the spans, and the values of the label query.
const (
	spanFactsRead      = "caregate.facts.read"
	spanPolicyEvaluate = "caregate.policy.evaluate"
	queryDecision      = "decision"
	queryPermissions   = "permissions"
)

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
// caregate_policy_evaluation_errors_total. It implements authz.Policy and
// nothing else that next may implement.
func (t *Telemetry) Policy(next authz.Policy) authz.Policy {
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

func (p *policy) Decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	if p.tracer == nil {
		return p.decide(ctx, q)
	}
	ctx, span := p.tracer.Start(ctx, spanPolicyEvaluate)
	defer func() { end(span) }()
	d, err := p.decide(ctx, q)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("caregate.query", queryDecision))
		if err == nil {
			span.SetAttributes(attribute.String("caregate.decision", decisionName(d)))
		}
		fail(span, err)
	}
	return d, err
}

func (p *policy) decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	start := time.Now()
	d, err := p.Policy.Decide(ctx, q)
	p.metrics.decisionSeconds.Observe(time.Since(start).Seconds())
	if err != nil {
		p.metrics.decisionErrors.Inc()
	}
	return d, err
}

func (p *policy) Permissions(ctx context.Context, member *authz.Fact, facts *authz.Facts) (map[string]authz.Grant, error) {
	if p.tracer == nil {
		return p.permissions(ctx, member, facts)
	}
	ctx, span := p.tracer.Start(ctx, spanPolicyEvaluate)
	defer func() { end(span) }()
	grants, err := p.permissions(ctx, member, facts)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("caregate.query", queryPermissions))
		fail(span, err)
	}
	return grants, err
}

func (p *policy) permissions(ctx context.Context, member *authz.Fact, facts *authz.Facts) (map[string]authz.Grant, error) {
	start := time.Now()
	grants, err := p.Policy.Permissions(ctx, member, facts)
	p.metrics.permissionSeconds.Observe(time.Since(start).Seconds())
	if err != nil {
		p.metrics.permissionErrors.Inc()
	}
	return grants, err
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
