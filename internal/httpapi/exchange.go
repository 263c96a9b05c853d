package httpapi

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// keepBuffer is the largest buffer that stays with a pooled exchange.
const keepBuffer = 64 << 10

// exchange is one request and its answer. It is pooled with everything that
// reading and writing them needs; nothing of it may outlive its handler.
type exchange struct {
	api      *API
	surface  *surface
	echo     echo.Context
	request  *http.Request
	route    *route
	ctx      context.Context  //nolint:containedctx // an exchange is one request
	deadline *deadlineContext // x.ctx where the answer has a limit
	start    time.Time
	span     trace.Span // nil when tracing is off
	id       []string   // the value of X-Request-ID
	counted  bool       // in the limit on requests in flight
	status   int
	body     []byte
	decoder  wire.Decoder
	out      []byte
}

// release gives the exchange back, unless it grew too large to keep.
func (x *exchange) release() {
	x.surface, x.echo, x.request, x.route = nil, nil, nil, nil
	x.ctx, x.deadline, x.span, x.id, x.counted, x.status = nil, nil, nil, nil, false, 0
	if cap(x.body) <= keepBuffer && cap(x.out) <= keepBuffer {
		x.api.exchanges.Put(x)
	}
}

// fixedHeaders are header values that no answer changes.
type fixedHeaders struct {
	jsonType, problemType, noStore, retryAfter []string
}

func newFixedHeaders() fixedHeaders {
	return fixedHeaders{
		jsonType:    []string{"application/json"},
		problemType: []string{"application/problem+json"},
		noStore:     []string{"no-store"},
		retryAfter:  []string{"1"},
	}
}

// statedHeaders are the headers of the latest Stated: revisions change far less
// often than decisions are made.
type statedHeaders struct {
	stated           authz.Stated
	revision, policy []string
}

// header returns the answer's headers.
func (x *exchange) header() http.Header { return x.echo.Response().Header() }

// identify sets X-Request-ID: the caller's, or a fresh one when the caller gave
// none that can stand in a header and a log line.
func (x *exchange) identify() {
	if x.id == nil {
		if given := x.request.Header["X-Request-Id"]; len(given) == 1 && printable(given[0]) {
			x.id = given
		} else {
			x.id = []string{newID()}
		}
	}
	x.header()["X-Request-Id"] = x.id
}

func (x *exchange) requestID() string { return x.id[0] }

// printable reports whether s is 1 to 256 bytes of printable ASCII.
func printable(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// newID returns a fresh label of 128 random bits. It tells answers apart and
// guards nothing.
func newID() string {
	var raw [16]byte
	for i, word := range [2]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 8 {
			raw[8*i+j] = byte(word >> (8 * j))
		}
	}
	var text [32]byte
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

// state sets the headers that say what a decision is a function of.
func (x *exchange) state(stated authz.Stated) {
	s := x.api.stated.Load()
	if s == nil || s.stated != stated {
		s = &statedHeaders{stated, []string{stated.Revision.String()}, []string{stated.Policy}}
		x.api.stated.Store(s)
	}
	h := x.header()
	h["Caregate-Revision"] = s.revision
	h["Caregate-Policy"] = s.policy
}

// answer sends x.out as a decision that holds at stated.
func (x *exchange) answer(stated authz.Stated) error {
	x.api.outages.answered()
	x.state(stated)
	x.header()["Cache-Control"] = x.api.fixed.noStore
	x.send(http.StatusOK, x.api.fixed.jsonType, x.out)
	return nil
}

// answerWith is answer for what is still to be encoded.
func (x *exchange) answerWith(body any, stated authz.Stated) error {
	if err := x.encode(body); err != nil {
		return err
	}
	return x.answer(stated)
}

// encode fills x.out with an answer.
func (x *exchange) encode(body any) (err error) {
	x.out, err = wire.Append(x.out[:0], body)
	return err
}

// object sends a small object that no decision is in.
func (x *exchange) object(status int, body any) error {
	if err := x.encode(body); err != nil {
		return err
	}
	x.uncached(status)
	return nil
}

// uncached sends x.out as something that no decision is in.
func (x *exchange) uncached(status int) {
	x.header()["Cache-Control"] = x.api.fixed.noStore
	x.send(status, x.api.fixed.jsonType, x.out)
}

// send writes the whole answer.
func (x *exchange) send(status int, contentType []string, body []byte) {
	x.status = status
	w := x.echo.Response()
	if contentType != nil {
		h := w.Header()
		h["Content-Type"] = contentType
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	if len(body) > 0 && x.request.Method != http.MethodHead {
		_, _ = w.Write(body) // a caller that left cannot be told
	}
}

// organisation returns the organisation that the path names, or the default
// one. Whether there is such an organisation is the service's to say.
func (x *exchange) organisation() string {
	for _, name := range x.echo.ParamNames() {
		if name == "organisation" {
			organisation, _ := x.param(name)
			return organisation
		}
	}
	return x.api.cfg.Organisation
}

// param returns a segment of the path as the caller meant it, and whether it is
// one segment. Echo matches the raw path when there is one, and the decoded
// path otherwise; decoding the latter again would turn %2541 into A.
func (x *exchange) param(name string) (string, bool) {
	value := x.echo.Param(name)
	one := strings.IndexByte(value, '/') < 0
	if x.request.URL.RawPath != "" {
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
	}
	return value, one
}
