package httpapi

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/labstack/echo/v4"
)

// surface is what one listener answers: its routes, its callers and its limit.
type surface struct {
	api      *API
	echo     *echo.Echo
	tokens   *Tokens
	asksWho  bool // whoever asks here has to say who they are
	inFlight atomic.Int64
	arriving atomic.Int64 // large bodies
}

func (a *API) newSurface(tokens *Tokens, asksWho bool) *surface {
	s := &surface{api: a, echo: echo.New(), tokens: tokens, asksWho: asksWho}
	s.echo.HideBanner = true
	s.echo.HidePort = true
	s.echo.Logger.SetOutput(io.Discard) // the exchange logs
	s.echo.IPExtractor = echo.ExtractIPDirect()
	s.echo.HTTPErrorHandler = s.unrouted
	return s
}

// post registers a guarded route.
func (s *surface) post(path string, h handler) {
	s.register(path, h, true, http.MethodPost)
}

// postAccount registers a route of accounts, whose handler asks who looks.
func (s *surface) postAccount(path string, h handler) {
	rt := newRoute(http.MethodPost, path, true)
	rt.account = true
	s.echo.Add(http.MethodPost, path, s.edge(rt, h))
	s.options(path, []string{http.MethodPost})
}

// get registers a guarded route, for HEAD too.
func (s *surface) get(path string, h handler) {
	s.register(path, h, true, http.MethodGet, http.MethodHead)
}

// getOpen registers a route that asks nobody who they are and that no limit
// keeps from answering.
func (s *surface) getOpen(path string, h handler) {
	s.register(path, h, false, http.MethodGet, http.MethodHead)
}

func (s *surface) register(path string, h handler, guarded bool, methods ...string) {
	for _, method := range methods {
		s.echo.Add(method, path, s.edge(newRoute(method, path, guarded), h))
	}
	s.options(path, methods)
}

// options answers OPTIONS, which Echo would by itself, without a request id.
func (s *surface) options(path string, methods []string) {
	allow := []string{allowed(methods)}
	s.echo.OPTIONS(path, s.edge(newRoute(http.MethodOptions, path, false), func(x *exchange) error {
		x.header()["Allow"] = allow
		x.send(http.StatusNoContent, nil, nil)
		return nil
	}))
}

func allowed(methods []string) string {
	allow := http.MethodOptions
	for _, m := range methods {
		allow += ", " + m
	}
	return allow
}

// verb is a method of a path, and what answers it.
type verb struct {
	method string
	answer handler
}

// resource registers everything that a path answers. What answers GET answers HEAD.
func (s *surface) resource(path string, verbs ...verb) {
	var methods []string
	for _, v := range verbs {
		names := []string{v.method}
		if v.method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
		for _, name := range names {
			s.echo.Add(name, path, s.edge(newRoute(name, path, true), v.answer))
		}
		methods = append(methods, names...)
	}
	s.options(path, methods)
}
