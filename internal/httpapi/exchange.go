package httpapi

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/caregate/caregate/internal/authz"
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
	in       decoding
	out      []byte
}

// release gives the exchange back, unless it grew too large to keep.
func (x *exchange) release() {
	x.surface, x.echo, x.request, x.route = nil, nil, nil, nil
	x.ctx, x.deadline, x.span, x.id, x.counted, x.status = nil, nil, nil, nil, false, 0
	if cap(x.in.body) <= keepBuffer && cap(x.out) <= keepBuffer {
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
func (x *exchange) answer(stated authz.Stated) {
	x.api.outages.answered()
	x.state(stated)
	x.header()["Cache-Control"] = x.api.fixed.noStore
	x.send(http.StatusOK, x.api.fixed.jsonType, x.out)
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

// read fills x.in with the request's body, which must be plain JSON within the limit.
func (x *exchange) read() error {
	h := x.request.Header
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
	// A body that stops half way does not hold its place for longer than an answer
	// may take, nor its connection, for net/http reads what is left before it answers. A
	// connection that cannot say so is the server's to bound.
	whole := func() {}
	if deadline, ok := x.ctx.Deadline(); ok {
		if latest := x.start.Add(x.api.cfg.RequestTimeout); deadline.After(latest) {
			deadline = latest
		}
		connection := http.NewResponseController(x.echo.Response().Writer)
		if connection.SetReadDeadline(deadline) == nil {
			whole = func() { _ = connection.SetReadDeadline(time.Time{}) }
		}
	}
	limit := x.api.cfg.MaxBody
	if x.request.ContentLength > limit {
		return x.tooLarge()
	}
	body := x.in.body[:0]
	// One byte more than announced, to see the end without growing; but what is
	// announced is not there yet, so no more than a pooled buffer's worth.
	if n := int(min(max(x.request.ContentLength, 511), keepBuffer-1)) + 1; cap(body) < n {
		body = make([]byte, 0, n)
	}
	for {
		n, err := x.request.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		x.in.body = body
		switch {
		case int64(len(body)) > limit:
			return x.tooLarge()
		case err == io.EOF && x.ctx.Err() == nil:
			whole()
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

func (x *exchange) tooLarge() error {
	return authz.Errorf(authz.TooLarge, "", "the body is larger than %d bytes; send less at once, or raise --max-body", x.api.cfg.MaxBody)
}
