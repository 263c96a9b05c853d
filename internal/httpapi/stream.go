package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// maxStreams is how many callers follow the changes at a time.
const maxStreams = 64

// streamPause keeps a stream that is woken for nothing from running in circles.
const streamPause = 50 * time.Millisecond

// streams are the callers that follow the changes.
type streams struct {
	pulse time.Duration // between two signs of life
	write time.Duration // for a caller to take what is sent

	open   atomic.Int64
	ending chan struct{}
	end    sync.Once
}

func newStreams() *streams {
	return &streams{pulse: 15 * time.Second, write: 10 * time.Second, ending: make(chan struct{})}
}

// EndStreams ends every stream of changes, and lets none begin. Call it before the
// server's Shutdown, which waits for them.
func (a *API) EndStreams() { a.streams.end.Do(func() { close(a.streams.ending) }) }

// lastSeen returns where a stream begins: where the one before was cut off, else
// after, else with what changes from now on.
func (x *exchange) lastSeen(after string) (*admin.Place, error) {
	if given := x.request.Header["Last-Event-Id"]; len(given) > 0 {
		place, err := admin.ParsePlace(given[0])
		if err != nil || len(given) > 1 {
			return nil, authz.Errorf(authz.Malformed, "Last-Event-ID", "must be the id of an event of this stream, or not there")
		}
		return &place, nil
	}
	if after == "" {
		return nil, nil //nolint:nilnil // from now on
	}
	place, err := placeOf(after)
	return &place, err
}

// stream is one answer that follows the changes.
type stream struct {
	*exchange
	actor      admin.Actor
	connection *http.ResponseController
	after      admin.Place
	idle       int // times in a row that waiting ended and nothing was there
}

// stream answers with server-sent events (WHATWG HTML, section 9.2) until the
// caller leaves, is no longer allowed to, is too slow, or the server stops. What
// cannot be answered at all is an error before the stream begins.
func (a *API) stream(x *exchange, actor admin.Actor, after *admin.Place) error {
	if a.streams.open.Add(1) > maxStreams {
		a.streams.open.Add(-1)
		return authz.Errorf(authz.TooMany, "", "%d streams of changes are open already; ask for pages, or come back", maxStreams)
	}
	defer a.streams.open.Add(-1)
	s := &stream{exchange: x, actor: actor, connection: x.connection()}
	if after == nil {
		now, err := s.newest()
		if err != nil {
			return err
		}
		from := admin.After(now)
		after = &from
	}
	s.after = *after
	first, err := s.part()
	if err != nil {
		return err
	}
	if err := x.stateIncluded(first.Newest); err != nil {
		return err
	}
	defer s.outlive()()
	// The caller sends nothing more, and may listen for longer than a request takes.
	if err := s.connection.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	x.status = http.StatusOK
	h := x.header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = a.fixed.noStore
	h["X-Accel-Buffering"] = []string{"no"} // a proxy that collects an answer would never pass it on
	x.echo.Response().WriteHeader(http.StatusOK)
	if x.request.Method == http.MethodHead {
		return nil
	}
	if s.write([]byte(": changes\n\n")) == nil {
		s.follow(first)
	}
	return nil
}

// newest returns the revision that the organisation has now.
func (s *stream) newest() (authz.Revision, error) {
	h, err := s.api.cfg.Administration.History(s.ctx, s.organisation(), s.actor, admin.Place{}, 1)
	return h.Newest, err
}

// outlive frees the exchange of the bounds on a request: its deadline and its
// place among those in flight. What it returns ends the stream's context.
func (s *stream) outlive() func() {
	s.deadline.stop()
	s.leave()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	left := context.AfterFunc(s.request.Context(), cancel)
	ended := make(chan struct{})
	go func() {
		select {
		case <-s.api.streams.ending:
			cancel()
		case <-ended:
		}
	}()
	s.ctx = ctx
	return func() {
		left()
		close(ended)
		cancel()
	}
}

// follow sends changes as they come, h first, until something ends it.
func (s *stream) follow(h admin.History) {
	for {
		for i := range h.Events {
			if s.send(&h.Events[i]) != nil {
				return
			}
		}
		if len(h.Events) > 0 {
			s.idle = 0
		} else {
			s.after = admin.After(h.Newest) // with its nonce, if it began without
		}
		if s.after == admin.After(h.Newest) && s.wait() != nil {
			return
		}
		// Whoever may no longer read stops here: the token is looked at again too.
		if actor, err := s.api.actor(s.exchange); err != nil || actor != s.actor {
			return
		}
		var err error
		if h, err = s.part(); err != nil {
			if authz.KindOf(err) == authz.Behind {
				_ = s.write([]byte("event: reset\ndata: {\"detail\":\"the changes after the last one are not remembered; read everything again\"}\n\n"))
			}
			return
		}
	}
}

// part reads the changes that come next, within the time of a request.
func (s *stream) part() (admin.History, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.api.cfg.RequestTimeout)
	defer cancel()
	return s.api.cfg.Administration.History(ctx, s.organisation(), s.actor, s.after, streamPart)
}

// wait returns when there may be more. It gives signs of life meanwhile, and its
// error ends the stream.
func (s *stream) wait() error {
	if s.idle++; s.idle > 1 { // woken for nothing, or after a pulse: never in a tight loop
		pause := time.NewTimer(streamPause)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.api.streams.pulse)
	defer cancel()
	err := s.api.cfg.Administration.Wait(ctx, s.organisation(), s.after.Revision)
	switch {
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return s.write([]byte(": still here\n\n"))
	default:
		return err
	}
}

// send sends one change, or as much of it as fits into an event, and goes on after it.
func (s *stream) send(e *admin.Event) error {
	for rest := *e; ; {
		var told int
		var err error
		if s.out, told, err = wire.AppendChange(s.out[:0], &rest, maxChanges); err != nil {
			return err
		}
		next := rest.Next(told)
		if err := s.write([]byte("id: "+next.String()+"\nevent: change\ndata: "), s.out, []byte("\n\n")); err != nil {
			return err
		}
		s.after = next
		if told == len(rest.Entities) {
			return nil
		}
		rest.From, rest.Entities = rest.From+told, rest.Entities[told:]
	}
}

// write sends bytes to a caller that takes them in time.
func (s *stream) write(parts ...[]byte) error {
	if err := s.connection.SetWriteDeadline(time.Now().Add(s.api.streams.write)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	for _, b := range parts {
		if _, err := s.echo.Response().Write(b); err != nil {
			return err
		}
	}
	return s.connection.Flush()
}
