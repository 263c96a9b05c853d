package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/heap"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/process"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/telemetry"
)

// The hidden subcommands with which this program starts itself as a server.
const (
	serveCaregate = "serve-caregate"
	serveBare     = "serve-bare"
)

// The bytes of a sidecar's cache.
const (
	cacheDefault = 0
	cacheOff     = -1
)

// factsTimeout is long, for a machine that others use too: an answer that is late
// counts, and one that fails ends the run.
const factsTimeout = 5 * time.Second

// pathHeap answers, beside what a server is for, how many bytes of heap it uses after
// it collected its garbage.
const pathHeap = "/bench/heap"

// startSelf starts this program with a hidden subcommand and its arguments.
func (s *stage) startSelf(ctx context.Context, subcommand string, args ...string) *child {
	addr := must(process.FreeAddress(ctx))
	return s.start(ctx, addr, "http://"+addr+pathHeap, must(os.Executable()), append([]string{subcommand, addr}, args...)...)
}

// startCaregate starts a sidecar over the facts in a Redis.
func (s *stage) startCaregate(ctx context.Context, redis redisServer, cacheBytes int) *child {
	return s.startSelf(ctx, serveCaregate, redis.url(), strconv.Itoa(cacheBytes))
}

// serve answers until ctx ends. What args name is a handler and where it answers, and for Caregate the Redis with the
// facts and the bytes of the cache.
func serve(ctx context.Context, args []string) {
	var handler http.Handler
	var o *organisation
	switch {
	case args[0] == serveCaregate && len(args) == 4:
		handler = caregateHandler(ctx, args[2], args[3])
	case args[0] == serveBare && len(args) == 2:
		handler, o = bareHandler(), newOrganisation(patientCount)
	default:
		check(fmt.Errorf("%s is only for this program itself", args[0]))
	}
	go heap.Keep(ctx, os.Getenv) // as caregate serve does; the bare handler likewise, for a fair comparison
	var config net.ListenConfig
	server := httpapi.NewServer(httpapi.ServerConfig{})
	server.Add("decisions", must(config.Listen(ctx, "tcp", args[1])), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != pathHeap {
			handler.ServeHTTP(w, r)
			return
		}
		debug.FreeOSMemory()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		_, _ = fmt.Fprint(w, stats.HeapAlloc)
	}), nil)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve() }()
	select {
	case err := <-ended:
		check(err)
	case <-ctx.Done():
	}
	// The bare handler keeps an organisation in memory: with a heap like Caregate's,
	// it collects garbage about as often.
	runtime.KeepAlive(o)
}

// caregateHandler is the decisions API as caregate serve makes it, tracing off,
// over the facts in a Redis.
func caregateHandler(ctx context.Context, redisURL, cacheBytes string) http.Handler {
	d := must(directory.Open(directory.Config{URL: redisURL, FactsTimeout: factsTimeout}))
	facts := must(directory.NewCache(d, directory.CacheConfig{Bytes: must(strconv.ParseInt(cacheBytes, 10, 64))}))
	snapshot := defaultPolicy(ctx, policy.Config{})
	t := must(telemetry.New(ctx, telemetry.Config{Getenv: func(string) string { return "" }}))
	service := authz.NewService(t.Directory(facts), t.Policy(snapshot))
	return must(httpapi.New(httpapi.Config{ //nolint:contextcheck // each request has its own
		Service:        service,
		Searcher:       search.NewService(service, snapshot, facts, nil),
		Reviewer:       review.NewService(service, snapshot, facts),
		Organisation:   organisationName,
		RequestTimeout: 2 * factsTimeout,
		Logger:         slog.New(slog.NewJSONHandler(io.Discard, nil)),
		Tracer:         t.Tracer,
		Propagator:     t.Propagator,
		Observer:       observer{t},
	})).Decisions()
}

// observer counts what the API did, as caregate serve does.
type observer struct{ t *telemetry.Telemetry }

func (o observer) RequestFinished(_ context.Context, route, method string, status int, took time.Duration) {
	o.t.RequestDone(route, method, status, took)
}

func (o observer) DecisionMade(_ context.Context, outcome httpapi.Outcome) {
	o.t.DecisionMade(string(outcome))
}

// bareHandler is Echo with its own middleware for the same duties, and a handler
// that decodes and encodes the same JSON and decides nothing.
func bareHandler() http.Handler {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(middleware.Recover(), middleware.RequestID(), middleware.BodyLimit("1M"), middleware.ContextTimeout(time.Second))
	e.POST(pathSingle, func(c echo.Context) error {
		var r wireRequest
		if err := json.NewDecoder(c.Request().Body).Decode(&r); err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		return c.JSON(http.StatusOK, bareAnswer(&r))
	})
	return e
}

// bareAnswer looks like an answer to r, and is about as large as Caregate's.
func bareAnswer(r *wireRequest) (w wireAnswer) {
	if r.Subject.Type == string(authz.KindPatient) {
		w.Context.Reasons = []string{"provider_not_bookable"}
		return w
	}
	w.Context.Permission = r.Resource.Type + ":" + r.Action.Name
	if r.Action.Name == "delete" {
		w.Context.Reasons = []string{"permission_missing"}
		return w
	}
	w.Decision = true
	w.Context.GrantedBy = &authz.Grant{Groups: []string{"group-07"}}
	w.Context.Reasons = []string{"patient_visible", "permission_granted"}
	if r.Resource.Type == string(authz.KindPatient) {
		w.Context.GrantedBy.Role = "practitioner"
		w.Context.Routes = []string{"patient_group_access"}
	}
	return w
}
