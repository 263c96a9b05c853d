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
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/telemetry"
)

// The hidden subcommands with which this program starts itself as a server.
const (
	serveCaregate = "serve-caregate"
	serveBare     = "serve-bare"
)

// serve answers on a free loopback port, which it prints, until stdin ends: a
// child does not outlive the process that asks it.
func serve(ctx context.Context, what string, stdin io.Reader, stdout io.Writer) error {
	o := newOrganisation()
	handler := bareHandler()
	if what == serveCaregate {
		var err error
		if handler, err = caregateHandler(ctx, o); err != nil {
			return err
		}
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := httpapi.NewServer(httpapi.ServerConfig{})
	server.Add("decisions", l, handler, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	if _, err := fmt.Fprintln(stdout, l.Addr()); err != nil {
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
	// The bare handler keeps the organisation too: with the same heap, both
	// collect garbage about as often.
	runtime.KeepAlive(o)
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(finish))
}

// caregateHandler is the decisions API as caregate serve makes it, tracing off,
// over facts at hand.
func caregateHandler(ctx context.Context, o *organisation) (http.Handler, error) {
	_, snapshot, err := defaultService(ctx, o, policy.Config{})
	if err != nil {
		return nil, err
	}
	t, err := telemetry.New(ctx, telemetry.Config{Getenv: func(string) string { return "" }})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{ //nolint:contextcheck // each request has its own
		Service:      authz.NewService(t.Directory(o), t.Policy(snapshot)),
		Organisation: organisationName,
		Logger:       slog.New(slog.NewJSONHandler(io.Discard, nil)),
		Tracer:       t.Tracer,
		Propagator:   t.Propagator,
		Observer:     observer{t},
	})
	if err != nil {
		return nil, err
	}
	return api.Decisions(), nil
}

// observer counts what the API did, as caregate serve does.
type observer struct{ t *telemetry.Telemetry }

func (o observer) RequestFinished(_ context.Context, route, method string, status int, took time.Duration) {
	o.t.RequestDone(route, method, status, took)
}

func (o observer) DecisionMade(_ context.Context, outcome httpapi.Outcome) {
	o.t.DecisionMade(string(outcome))
}
