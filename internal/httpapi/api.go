package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/caregate/caregate/internal/authz"
)

// The limits that hold when a Config names none.
const (
	DefaultMaxBody        = 1 << 20
	DefaultMaxBatch       = 1000
	DefaultRequestTimeout = time.Second
	DefaultMaxInFlight    = 256
)

// Service is what the API asks. Its methods return within ctx, with errors
// whose kind authz.KindOf knows. A request is its own to keep but not to
// change: the items of a batch share the defaults. *authz.Service is one.
type Service interface {
	Decide(ctx context.Context, organisation string, r *authz.Request, fresh authz.Freshness) (authz.Decision, authz.Stated, error)
	DecideAll(ctx context.Context, organisation string, requests []*authz.Request, semantic authz.Semantic, fresh authz.Freshness) (
		[]authz.Decision, []error, authz.Stated, error)
	Permissions(ctx context.Context, organisation, member string, fresh authz.Freshness) (map[string]authz.Grant, authz.Stated, error)
}

// Observer is told what happened, for metrics. Its methods are called on the
// way of every request: they return at once and do not fail.
type Observer interface {
	// RequestFinished reports one answer. Route is the template of the route,
	// "" when no route matched; method is "_OTHER" for one that HTTP does not know.
	RequestFinished(ctx context.Context, route, method string, status int, took time.Duration)
	// DecisionMade reports one decision, each item of a batch on its own.
	DecisionMade(ctx context.Context, outcome Outcome)
}

// Outcome is how one question ended.
type Outcome string

// The outcomes. An error is never an allow: whoever asked was told of a deny or
// of no decision at all.
const (
	Allowed Outcome = "allow"
	Denied  Outcome = "deny"
	Failed  Outcome = "error"
)

// Config says how the API answers. Only Service and Organisation are required.
type Config struct {
	// Service answers. Required.
	Service Service
	// Organisation answers on paths that name none. Required.
	Organisation string
	// PublicURL is where callers reach the decisions listener, without a
	// trailing slash, query or fragment; the metadata document is made from it
	// and never from a request. "" leaves the document out: it answers 404.
	PublicURL string
	// AllowedHosts are names by which callers may ask over loopback where nobody is asked
	// who they are, beside localhost, addresses, and the host of PublicURL. Others are refused:
	// see host.go.
	AllowedHosts []string

	// MaxBody limits a request's body, in bytes. 0 means DefaultMaxBody.
	MaxBody int64
	// MaxBatch limits the items of one evaluations request. 0 means DefaultMaxBatch.
	MaxBatch int
	// RequestTimeout limits the time for one answer; explanations, reviews and previews
	// have ten times as long, up to 20 s. 0 means DefaultRequestTimeout.
	RequestTimeout time.Duration
	// MaxLong limits the explanations with remedies, reviews, previews and lists filtered
	// for a team member that are worked out at once; few more wait, and others are told to
	// come back. 0 means half of the processors, and one at least.
	MaxLong int
	// MaxInFlight limits the requests answered at once, on the decisions and on
	// the admin listener each; more are told to come back. 0 means DefaultMaxInFlight.
	MaxInFlight int

	// Tokens says who may ask for decisions. nil asks nobody who they are; see
	// CheckAddress for when that is safe. On a listener that asks for client
	// certificates as well (TLSFiles.ClientCA), callers need both.
	Tokens *Tokens
	// AdminTokens says who may use the admin listener. nil likewise, unless there is
	// a Verifier.
	AdminTokens *Tokens
	// AdminClientNames are the DNS names and URIs of which the certificate of whoever uses the
	// admin listener has to have one, beside the extended key usage clientAuth, and beside
	// what AdminTokens and Verifier ask; and of whoever names somebody on the decisions
	// listener without a token. It takes TLSFiles.ClientCA. None asks for none.
	AdminClientNames []string

	// Readiness is what /health/ready answers. nil is always ready.
	Readiness *Readiness
	// Metrics answers /metrics. nil answers 404.
	Metrics http.Handler
	// Policy tells the admin listener which policy is active. nil answers 404.
	Policy PolicySource
	// Administration answers the Directory API on the admin listener. nil answers 404.
	Administration Administration
	// Verifier knows callers by signed tokens: of the admin listener beside
	// AdminTokens, and who looks at explanations, reviews and previews beside Tokens.
	// nil takes none.
	Verifier Verifier

	// Searcher answers searches. nil answers 404.
	Searcher Searcher
	// Filterer answers /v1/filters. nil answers 404.
	Filterer Filterer
	// Reviewer answers explanations, reviews and previews. nil answers 404.
	Reviewer Reviewer

	// Logger gets failures, and with its debug level every request. Its handler
	// adds the trace of the context. nil discards.
	Logger *slog.Logger
	// Tracer makes a span for each request. nil, or a noop tracer, makes none
	// and costs nothing.
	Tracer trace.Tracer
	// Propagator reads the caller's trace. nil reads W3C traceparent.
	Propagator propagation.TextMapPropagator
	// Observer is told of every answer. nil tells nobody.
	Observer Observer
}

// API answers on three listeners. Make one with New.
type API struct {
	cfg         Config
	tracing     bool
	metadata    *metadata
	outages     outageLog
	exchanges   sync.Pool
	stated      atomic.Pointer[statedHeaders]
	fixed       fixedHeaders
	decisions   *surface
	diagnostics *surface
	admin       *surface
	streams     *streams
	pages       *pages
	hosts       hosts
	clients     *clientNames // of the admin listener, nil for any
	pace        *authz.Pace  // of long answers
}

// New returns an API that answers as cfg says.
func New(cfg Config) (*API, error) {
	if cfg.Service == nil {
		return nil, errors.New("httpapi: Config.Service is required")
	}
	if cfg.Organisation == "" {
		return nil, errors.New("httpapi: Config.Organisation is required: name the organisation that answers on paths without one")
	}
	if cfg.MaxBody < 0 || cfg.MaxBatch < 0 || cfg.RequestTimeout < 0 || cfg.MaxInFlight < 0 || cfg.MaxLong < 0 {
		return nil, errors.New("httpapi: a limit cannot be negative; 0 means its default")
	}
	cfg.MaxBody = cmp.Or(cfg.MaxBody, DefaultMaxBody)
	cfg.MaxBatch = cmp.Or(cfg.MaxBatch, DefaultMaxBatch)
	cfg.RequestTimeout = cmp.Or(cfg.RequestTimeout, DefaultRequestTimeout)
	cfg.MaxInFlight = cmp.Or(cfg.MaxInFlight, DefaultMaxInFlight)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Propagator == nil {
		cfg.Propagator = propagation.TraceContext{}
	}
	if cfg.Observer == nil {
		cfg.Observer = noObserver{}
	}
	hosts, err := newHosts(cfg.AllowedHosts, cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("--allowed-hosts: %w", err)
	}
	clients, err := newClientNames(cfg.AdminClientNames)
	if err != nil {
		return nil, fmt.Errorf("--admin-client-names: %w", err)
	}
	pages, err := newPages()
	if err != nil {
		return nil, fmt.Errorf("httpapi: make the key of page tokens: %w", err)
	}
	a := &API{
		cfg: cfg, outages: outageLog{logger: cfg.Logger}, fixed: newFixedHeaders(), streams: newStreams(), pages: pages, hosts: hosts, clients: clients,
		pace: authz.NewPace(cfg.MaxLong),
	}
	if cfg.PublicURL != "" {
		m, err := newMetadata(cfg.PublicURL, cfg.Searcher != nil)
		if err != nil {
			return nil, fmt.Errorf("httpapi: Config.PublicURL: %w", err)
		}
		a.metadata = m
	}
	_, off := cfg.Tracer.(noop.Tracer)
	a.tracing = cfg.Tracer != nil && !off
	a.exchanges.New = func() any { return &exchange{api: a} }
	a.decisions = a.newSurface(cfg.Tokens, cfg.Tokens != nil)
	a.diagnostics = a.newSurface(nil, false)
	// The routes of administration ask who calls by themselves: see actor.go.
	a.admin = a.newSurface(nil, cfg.AdminTokens != nil || cfg.Verifier != nil)
	a.route()
	return a, nil
}

// Decisions answers what services ask: the listener of --addr.
func (a *API) Decisions() http.Handler { return a.decisions.echo }

// Diagnostics answers health probes and metrics: the listener of
// --diagnostic-addr. It asks nobody who they are and has no limits.
func (a *API) Diagnostics() http.Handler { return a.diagnostics.echo }

// Admin answers about the policy and the facts: the listener of --admin-addr.
func (a *API) Admin() http.Handler { return a.admin.echo }

// route registers every path once. An organisation's base path repeats what
// stands without one.
func (a *API) route() {
	d := a.decisions
	for _, base := range []string{"", "/organisations/:organisation"} {
		d.post(base+"/access/v1/evaluation", a.evaluation)
		d.post(base+"/access/v1/evaluations", a.evaluations)
		d.get(base+"/v1/permissions/:team_member", a.permissionsByPath)
		d.post(base+"/v1/permissions", a.permissionsByBody)
		d.post(base+"/v1/data/authz/allow", a.dataAllow)
		d.post(base+"/v1/data/authz/decision", a.dataDecision)
		d.post(base+"/v1/data/*", a.dataUnknown)
		d.post(base+"/v1/data", a.dataUnknown)
		a.admin.get(base+"/policy/v1/policy", a.governing(a.policy))
		if a.cfg.Searcher != nil {
			a.routeSearch(base)
		}
		if a.cfg.Filterer != nil {
			d.post(base+"/v1/filters", a.filter)
		}
		if a.cfg.Reviewer != nil {
			d.postAccount(base+"/v1/explanations", a.asViewer(a.explain))
			d.postAccount(base+"/v1/reviews", a.asAdministrator(a.review))
			d.postAccount(base+"/v1/previews", a.asAdministrator(a.preview))
		}
	}
	d.getOpen("/.well-known/authzen-configuration", a.configuration)
	d.getOpen("/.well-known/authzen-configuration/organisations/:organisation", a.configuration)

	a.diagnostics.getOpen("/health/live", a.live)
	a.diagnostics.getOpen("/health/ready", a.ready)
	a.diagnostics.getOpen("/metrics", a.metrics)

	if a.cfg.Administration != nil {
		a.routeDirectory("")
		a.routeDirectory("/organisations/:organisation")
	}
}

type noObserver struct{}

func (noObserver) RequestFinished(context.Context, string, string, int, time.Duration) {}
func (noObserver) DecisionMade(context.Context, Outcome)                               {}
