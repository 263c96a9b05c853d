package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// Readiness is whether this process should be asked. It starts not ready.
type Readiness struct {
	reason atomic.Pointer[string] // why not; nil when ready
	check  func(context.Context) error
}

// NewReadiness returns a Readiness that is ready when it is told so and check
// finds nothing wrong. Check returns within its context; nil checks nothing. Of
// its error callers see the Message when it is an *authz.Error, else nothing.
func NewReadiness(check func(context.Context) error) *Readiness {
	r := &Readiness{check: check}
	r.NotReady("starting")
	return r
}

// Ready says that this process can answer.
func (r *Readiness) Ready() { r.reason.Store(nil) }

// NotReady says that it cannot, or shortly will not, and why.
func (r *Readiness) NotReady(reason string) { r.reason.Store(&reason) }

// problem returns why this process should not be asked, "" when it should. A nil Readiness
// is always ready.
func (r *Readiness) problem(ctx context.Context) string {
	if r == nil {
		return ""
	}
	if reason := r.reason.Load(); reason != nil {
		return *reason
	}
	if r.check == nil {
		return ""
	}
	err := r.check(ctx)
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*authz.Error](err); ok && e.Message != "" {
		return e.Message
	}
	return "the facts cannot be read"
}

// live answers as long as the process can.
func (a *API) live(x *exchange) error {
	return x.object(http.StatusOK, wire.Health{Status: "live"})
}

// ready answers 503 with a reason while the process should not be asked.
func (a *API) ready(x *exchange) error {
	ctx, cancel := context.WithTimeout(x.ctx, a.cfg.RequestTimeout)
	defer cancel()
	if reason := a.cfg.Readiness.problem(ctx); reason != "" {
		return x.object(http.StatusServiceUnavailable, wire.Health{Status: "not ready", Reason: reason})
	}
	return x.object(http.StatusOK, wire.Health{Status: "ready"})
}

// metrics answers as the injected handler does.
func (a *API) metrics(x *exchange) error {
	if a.cfg.Metrics == nil {
		return authz.Errorf(authz.NotFound, "", "this service was started without metrics")
	}
	a.cfg.Metrics.ServeHTTP(x.echo.Response(), x.request)
	x.status = x.echo.Response().Status
	return nil
}

// PolicySource says which policy is active.
type PolicySource interface {
	// ActivePolicy returns at once. The caller does not change what it returns.
	ActivePolicy() ActivePolicy
}

// ActivePolicy is the policy that answers now.
type ActivePolicy struct {
	Digest    string
	Activated time.Time
	Files     []string // the paths it was made of
}

// policy answers which policy is active.
func (a *API) policy(x *exchange) error {
	if a.cfg.Policy == nil {
		return authz.Errorf(authz.NotFound, "", "this service was started without anything to say of its policy")
	}
	p := a.cfg.Policy.ActivePolicy()
	return x.object(http.StatusOK, wire.Policy{Digest: p.Digest, Activated: p.Activated.UTC(), Files: p.Files})
}
