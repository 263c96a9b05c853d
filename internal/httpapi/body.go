package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// question receives the body, decodes it, and returns how fresh the caller wants the facts to
// be.
func question[T any](x *exchange, decode func(*wire.Decoder, []byte) (T, error)) (asked T, fresh authz.Freshness, err error) {
	if err = x.receive(); err != nil {
		return asked, fresh, err
	}
	return decoded(x, decode)
}

// decoded is question where the body was received.
func decoded[T any](x *exchange, decode func(*wire.Decoder, []byte) (T, error)) (asked T, fresh authz.Freshness, err error) {
	if asked, err = decode(&x.decoder, x.body); err != nil {
		return asked, fresh, err
	}
	fresh, err = x.freshness()
	return asked, fresh, err
}

// body receives the body and decodes it as a T, strictly.
func body[T any](x *exchange) (v T, err error) {
	if err := x.receive(); err != nil {
		return v, err
	}
	return wire.Decode[T](x.body)
}

// strictly decodes a question as a T.
func strictly[T any](_ *wire.Decoder, body []byte) (T, error) { return wire.Decode[T](body) }

// firstBuffer is what a body is given before any of it is there: whoever only says that there
// is one holds no more.
const firstBuffer = 4 << 10

// receive fills x.body with the request's body, which must be plain JSON within the limit. It takes
// no place in flight while it waits for the body, so that those who send nothing keep nobody
// from an answer; of bodies that are larger than most so many may arrive at a time as may be
// in flight.
func (x *exchange) receive() error {
	if err := checkContent(x.request.Header); err != nil {
		return err
	}
	bounded := x.limitArrival()
	limit := x.api.cfg.MaxBody
	if x.request.ContentLength > limit {
		return x.tooLarge()
	}
	body := x.body[:0]
	// One byte more than announced, to see the end without growing.
	if n := int(min(max(x.request.ContentLength, 511), firstBuffer-1)) + 1; cap(body) < n {
		body = make([]byte, 0, n)
	}
	counted, large := x.counted, false
	x.leave()
	defer func() {
		if large {
			x.surface.arriving.Add(-1)
		}
	}()
	for {
		n, err := x.request.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		x.body = body
		if len(body) > keepBuffer && !large && err == nil {
			large = true
			if most := x.api.cfg.MaxInFlight; x.surface.arriving.Add(1) > int64(most) {
				return authz.Errorf(authz.TooMany, "", "%d large requests are arriving already; wait as long as Retry-After says and ask again", most)
			}
		}
		switch {
		case int64(len(body)) > limit:
			return x.tooLarge()
		case err == io.EOF && x.ctx.Err() == nil:
			if bounded {
				_ = x.connection().SetReadDeadline(time.Time{})
			}
			if counted {
				return x.enter()
			}
			return nil
		case err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded):
			return authz.Errorf(authz.Malformed, "", "the body did not arrive in time; send it at once")
		case err != nil:
			return authz.Errorf(authz.Malformed, "", "the body could not be read to its end; send as much as Content-Length says")
		case len(body) == cap(body):
			body = append(body, 0)[:len(body)]
		}
	}
}

// checkContent refuses what is not JSON as it is.
func checkContent(h http.Header) error {
	if ct := h["Content-Type"]; len(ct) > 0 && ct[0] != "application/json" && ct[0] != "" {
		if media, _, err := mime.ParseMediaType(ct[0]); err != nil || media != "application/json" {
			// 400 and not 415: AuthZEN's conformance tests ask for it. A form that a
			// browser could be made to send never gets in.
			return authz.Errorf(authz.Malformed, "Content-Type", "must be application/json, and the body JSON")
		}
	}
	if ce := h["Content-Encoding"]; len(ce) > 0 && (len(ce) > 1 || ce[0] != "" && !strings.EqualFold(ce[0], "identity")) {
		return &refusal{unsupportedMediaType(), "the body must not be compressed; send it without Content-Encoding"}
	}
	return nil
}

// limitArrival bounds the time for the body: one that stops half way does not hold its
// exchange for longer than an answer may take, nor its connection, for net/http reads what is
// left before it answers. It reports whether there is a bound: a connection that cannot have
// one is the server's to bound.
func (x *exchange) limitArrival() bool {
	deadline, ok := x.ctx.Deadline()
	if latest := x.start.Add(x.api.cfg.RequestTimeout); deadline.After(latest) {
		deadline = latest
	}
	return ok && x.connection().SetReadDeadline(deadline) == nil
}

func (x *exchange) connection() *http.ResponseController {
	return http.NewResponseController(x.echo.Response().Writer)
}

func (x *exchange) tooLarge() error {
	return authz.Errorf(authz.TooLarge, "", "the body is larger than %d bytes; send less at once, or raise --max-body", x.api.cfg.MaxBody)
}

// enter counts an exchange as in flight, if there is a place.
func (x *exchange) enter() error {
	x.counted = true
	if most := x.api.cfg.MaxInFlight; x.surface.inFlight.Add(1) > int64(most) {
		return authz.Errorf(authz.TooMany, "", "%d requests are being answered already; wait as long as Retry-After says and ask again", most)
	}
	return nil
}

// leave gives back the place in flight of an exchange that has one.
func (x *exchange) leave() {
	if x.counted {
		x.surface.inFlight.Add(-1)
		x.counted = false
	}
}
