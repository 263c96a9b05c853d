package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// handler answers one exchange, or returns the error that it is answered with.
type handler func(x *exchange) error

// route is what telemetry knows about a request.
type route struct {
	template string
	method   string
	span     string // the name of its span
	guarded  bool   // asks who the caller is, has a deadline and counts as in flight
	account  bool   // but its handler asks, and has longer to answer: an explanation, a review or a preview
}

func newRoute(method, template string, guarded bool) *route {
	r := &route{template: template, method: knownMethod(method), guarded: guarded}
	r.span = r.method
	if template != "" {
		r.span += " " + template
	}
	return r
}

// knownMethod keeps a caller from inventing labels.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "_OTHER"
}

// edge is the one middleware. It stands around every handler, and around the
// answers 404 and 405 as well: request id, span, recovery from a panic, the
// caller's authentication, the limit on requests in flight, the deadline,
// errors to problems, and the account of it all afterwards. It is one function
// because Echo builds a chain of middleware anew for each request.
func (s *surface) edge(rt *route, h handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := s.begin(c, rt)
		defer x.end()
		if err := s.admit(x); err != nil {
			x.fail(err)
		} else if err := h(x); err != nil {
			x.fail(err)
		}
		return nil
	}
}

// unrouted answers what the router has no handler for.
func (s *surface) unrouted(err error, c echo.Context) {
	rt := newRoute(c.Request().Method, c.Path(), false)
	_ = s.edge(rt, func(x *exchange) error {
		if e, ok := errors.AsType[*echo.HTTPError](err); ok {
			switch e.Code {
			case http.StatusNotFound:
				return authz.Errorf(authz.NotFound, "", "there is no such path; the metadata and the documentation list the ones there are")
			case http.StatusMethodNotAllowed:
				return &refusal{methodNotAllowed(), "this path answers " + x.header().Get("Allow") + " alone"}
			}
		}
		return err
	})(c)
}

// begin gives a request its exchange.
func (s *surface) begin(c echo.Context, rt *route) *exchange {
	x := s.api.exchanges.Get().(*exchange)
	x.surface, x.echo, x.request, x.route = s, c, c.Request(), rt
	x.ctx, x.start = x.request.Context(), time.Now()
	x.identify()
	if s.api.tracing {
		x.startSpan()
	}
	return x
}

// An account of many members and patients takes longer than a decision: it has so many times
// as long, and at most so long by that. WriteTimeout of a server has to be longer than either.
const (
	accountTimes = 10
	accountMost  = 20 * time.Second
)

// admit refuses a request before its body is read.
func (s *surface) admit(x *exchange) error {
	if !s.asksWho {
		if err := s.api.hosts.addressed(x.request, s == s.api.diagnostics); err != nil {
			return err
		}
	}
	if !x.route.guarded {
		return nil
	}
	if s.tokens != nil && !x.route.account {
		if _, ok := s.tokens.Caller(x.request.Header); !ok {
			x.header()["Www-Authenticate"] = []string{`Bearer realm="caregate"`}
			return &authz.Error{Kind: authz.Unauthenticated}
		}
	}
	if err := x.enter(); err != nil {
		return err
	}
	limit := s.api.cfg.RequestTimeout
	if x.route.account {
		limit = max(limit, min(accountTimes*limit, accountMost))
	}
	x.deadline = newDeadline(x.ctx, x.start.Add(limit))
	x.ctx = x.deadline
	if s == s.api.admin || x.route.account {
		x.ctx = authz.WithPace(x.ctx, s.api.pace)
	} else {
		s.api.pace.Decision(x.start)
	}
	return nil
}

// fail answers with the problem that err is, and logs it if it is the service's.
func (x *exchange) fail(err error) {
	p := describe(err)
	switch {
	case p.Status == http.StatusInternalServerError:
		x.log(slog.LevelError, "request failed", slog.String("error", err.Error()))
	case p.Status == http.StatusServiceUnavailable && x.request.Context().Err() != nil:
		x.log(slog.LevelDebug, "caller left before the answer")
	case p.Status == http.StatusServiceUnavailable:
		x.api.outages.failed(x, problemOf(authz.KindOf(err)).code, err)
	}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		x.header()["Retry-After"] = x.api.fixed.retryAfter
	}
	x.tell(p)
}

// tell sends a problem.
func (x *exchange) tell(p *wire.Problem) {
	p.RequestID = x.requestID()
	x.out, _ = wire.Append(x.out[:0], p) // texts and numbers can always be encoded
	x.header()["Cache-Control"] = x.api.fixed.noStore
	x.send(p.Status, x.api.fixed.problemType, x.out)
}

// end closes an exchange. It must be deferred: it recovers.
func (x *exchange) end() {
	v := recover()
	if x.deadline != nil {
		x.deadline.stop()
	}
	x.leave()
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	if v != nil {
		x.panicked(v)
	}
	a := x.api
	a.cfg.Observer.RequestFinished(x.ctx, x.route.template, x.route.method, x.status, time.Since(x.start))
	if x.span != nil {
		x.endSpan()
	}
	if a.cfg.Logger.Enabled(x.ctx, slog.LevelDebug) {
		x.log(slog.LevelDebug, "request", slog.Int("status", x.status), slog.Duration("took", time.Since(x.start)))
	}
	if v == nil { // a handler that panicked may have left anything behind
		x.release()
	}
}

// panicked answers a handler's panic. Only what the runtime says of it is
// logged, with the stack: a value of anyone else's making may hold an identifier.
func (x *exchange) panicked(v any) {
	attrs := []slog.Attr{slog.String("stack", string(debug.Stack()))}
	if e, ok := v.(runtime.Error); ok {
		attrs = append(attrs, slog.String("error", e.Error()))
	} else {
		attrs = append(attrs, slog.String("error", "panic with a value of its own"))
	}
	x.log(slog.LevelError, "request panicked", attrs...)
	if x.echo.Response().Committed {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	clear(x.header())
	x.identify()
	x.out = nil
	x.tell(describe(&authz.Error{Kind: authz.Internal}))
}

// log writes one line about the exchange: its route, never its path. The
// context carries the trace, for the logger's handler to add.
func (x *exchange) log(level slog.Level, message string, attrs ...slog.Attr) {
	all := append(make([]slog.Attr, 0, 8),
		slog.String("request_id", x.requestID()),
		slog.String("method", x.route.method),
		slog.String("route", x.route.template))
	ctx := x.ctx
	if x.span == nil { // tracing is off: the caller's trace is all there is
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(x.callerTrace()))
	}
	x.api.cfg.Logger.LogAttrs(ctx, level, message, append(all, attrs...)...)
}
