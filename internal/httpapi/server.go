package httpapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// ServerConfig bounds what a connection may cost. The zero value is sane.
type ServerConfig struct {
	ReadHeaderTimeout time.Duration // for the headers. 0 means 5 s
	ReadTimeout       time.Duration // for the whole request. 0 means 10 s
	WriteTimeout      time.Duration // from the end of the headers to the end of the answer. 0 means 30 s
	IdleTimeout       time.Duration // between two requests of a connection. 0 means 2 min
	MaxHeaderBytes    int           // 0 means 64 KiB
	Logger            *slog.Logger  // gets failed connections. nil discards
}

// Server serves several listeners as one. Make one with NewServer, Add its
// endpoints, then Serve.
type Server struct {
	cfg       ServerConfig
	endpoints []endpoint
	stopping  chan struct{}
	stop      sync.Once
}

type endpoint struct {
	name     string
	listener net.Listener
	server   *http.Server
}

// DefaultWriteTimeout is the time from the end of a request's header to the end of its
// answer when a ServerConfig says nothing of it.
const DefaultWriteTimeout = 30 * time.Second

// NewServer returns a server without endpoints.
func NewServer(cfg ServerConfig) *Server {
	cfg.ReadHeaderTimeout = cmp.Or(cfg.ReadHeaderTimeout, 5*time.Second)
	cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, 10*time.Second)
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, DefaultWriteTimeout)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, 2*time.Minute)
	cfg.MaxHeaderBytes = cmp.Or(cfg.MaxHeaderBytes, 64<<10)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, stopping: make(chan struct{})}
}

// Add adds an endpoint, before Serve: name is for messages, config is nil for
// plain HTTP. The server closes the listener.
func (s *Server) Add(name string, l net.Listener, h http.Handler, config *tls.Config) {
	s.endpoints = append(s.endpoints, endpoint{name, l, &http.Server{
		Handler:   h,
		TLSConfig: config,
		// Answer OPTIONS * as any other path that is not there.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            s.cfg.ReadHeaderTimeout,
		ReadTimeout:                  s.cfg.ReadTimeout,
		WriteTimeout:                 s.cfg.WriteTimeout,
		IdleTimeout:                  s.cfg.IdleTimeout,
		MaxHeaderBytes:               s.cfg.MaxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
	}})
}

// Serve answers until Shutdown, which makes it return nil at once, or until an
// endpoint fails, which closes the others and is returned.
func (s *Server) Serve() error {
	if len(s.endpoints) == 0 {
		return errors.New("httpapi: a server without endpoints has nothing to serve")
	}
	failed := make(chan error, len(s.endpoints))
	for _, e := range s.endpoints {
		go func() { failed <- e.serve() }()
	}
	select {
	case <-s.stopping:
		return nil
	case err := <-failed:
		select {
		case <-s.stopping:
			return nil
		default:
		}
		for _, e := range s.endpoints {
			_ = e.server.Close()
		}
		return err
	}
}

func (e endpoint) serve() error {
	var err error
	if e.server.TLSConfig != nil {
		err = e.server.ServeTLS(e.listener, "", "")
	} else {
		err = e.server.Serve(e.listener)
	}
	return fmt.Errorf("%s on %s: %w", e.name, e.listener.Addr(), err)
}

// Shutdown stops listening and returns when every request in flight is
// answered, or with an error when ctx ends first and it cut them off. Tell the
// Readiness before, and wait until callers have noticed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() { close(s.stopping) })
	errs := make([]error, len(s.endpoints))
	var wg sync.WaitGroup
	for i, e := range s.endpoints {
		wg.Go(func() {
			err := e.server.Shutdown(ctx)
			_ = e.listener.Close() // one that was never served is not the server's to close
			if err != nil {
				errs[i] = fmt.Errorf("%s: requests were cut off: %w", e.name, errors.Join(err, e.server.Close()))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
