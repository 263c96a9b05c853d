package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/telemetry"
)

// The hidden subcommands with which this program starts itself as a server.
const (
	serveCaregate = "serve-caregate"
	serveBare     = "serve-bare"
)

// pathHeap answers, beside what a server is for, how many bytes of heap it uses
// after it collected its garbage.
const pathHeap = "/bench/heap"

// factsTimeout is long, for a machine that others use too: an answer that is late
// counts, and one that fails ends the run.
const factsTimeout = 5 * time.Second

// serve answers on a free loopback port, which it prints, until stdin ends: a
// child does not outlive the process that asks it. What args name is a handler,
// and for Caregate the Redis with the facts and the bytes of the cache.
func serve(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) (err error) {
	handler := bareHandler()
	var o *organisation
	if args[0] == serveCaregate {
		var facts io.Closer
		if handler, facts, err = caregateHandler(ctx, args[1:]); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, facts.Close()) }()
	} else {
		o = newOrganisation()
	}
	mux := http.NewServeMux()
	mux.HandleFunc(pathHeap, func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		_, _ = fmt.Fprint(w, stats.HeapAlloc)
	})
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	aside, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := httpapi.NewServer(httpapi.ServerConfig{})
	server.Add("decisions", l, handler, nil)
	server.Add("heap", aside, mux, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	if _, err := fmt.Fprintln(stdout, l.Addr(), aside.Addr()); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, stdin)
		ended <- err
	}()
	select {
	case err = <-served:
	case err = <-ended:
	case <-ctx.Done():
	}
	// The bare handler keeps an organisation in memory: with a heap like Caregate's,
	// it collects garbage about as often.
	runtime.KeepAlive(o)
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(finish))
}

// caregateHandler is the decisions API as caregate serve makes it, tracing off,
// over the facts in a Redis.
func caregateHandler(ctx context.Context, args []string) (http.Handler, io.Closer, error) {
	if len(args) != 2 {
		return nil, nil, errors.New("needs the URL of a Redis, and the bytes of the cache")
	}
	bytes, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return nil, nil, err
	}
	d, err := directory.Open(directory.Config{URL: args[0], FactsTimeout: factsTimeout})
	if err != nil {
		return nil, nil, err
	}
	facts, err := directory.NewCache(d, directory.CacheConfig{Bytes: bytes})
	if err != nil {
		return nil, nil, err
	}
	_, snapshot, err := defaultService(ctx, facts, policy.Config{})
	if err != nil {
		return nil, nil, err
	}
	t, err := telemetry.New(ctx, telemetry.Config{Getenv: func(string) string { return "" }})
	if err != nil {
		return nil, nil, err
	}
	service := authz.NewService(t.Directory(facts), t.Policy(snapshot))
	api, err := httpapi.New(httpapi.Config{ //nolint:contextcheck // each request has its own
		Service:        service,
		Searcher:       search.NewService(service, snapshot, facts, nil),
		Reviewer:       review.NewService(service, snapshot, facts),
		Organisation:   organisationName,
		RequestTimeout: 2 * factsTimeout,
		Logger:         slog.New(slog.NewJSONHandler(io.Discard, nil)),
		Tracer:         t.Tracer,
		Propagator:     t.Propagator,
		Observer:       observer{t},
	})
	if err != nil {
		return nil, nil, err
	}
	return api.Decisions(), facts, nil
}

// observer counts what the API did, as caregate serve does.
type observer struct{ t *telemetry.Telemetry }

func (o observer) RequestFinished(_ context.Context, route, method string, status int, took time.Duration) {
	o.t.RequestDone(route, method, status, took)
}

func (o observer) DecisionMade(_ context.Context, outcome httpapi.Outcome) {
	o.t.DecisionMade(string(outcome))
}
