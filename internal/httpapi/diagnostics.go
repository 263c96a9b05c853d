package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/caregate/caregate/internal/authz"
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

// problem returns why this process should not be asked, "" when it should.
func (r *Readiness) problem(ctx context.Context) string {
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
	x.ok([]byte(`{"status":"live"}`))
	return nil
}

// ready answers 503 with a reason while the process should not be asked.
func (a *API) ready(x *exchange) error {
	if a.cfg.Readiness != nil {
		ctx, cancel := context.WithTimeout(x.ctx, a.cfg.RequestTimeout)
		defer cancel()
		if reason := a.cfg.Readiness.problem(ctx); reason != "" {
			x.out = appendString(append(x.out[:0], `{"status":"not ready","reason":`...), reason)
			x.object(http.StatusServiceUnavailable, append(x.out, '}'))
			return nil
		}
	}
	x.ok([]byte(`{"status":"ready"}`))
	return nil
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
