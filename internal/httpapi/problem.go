package httpapi

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// problemType is one type of problem document (RFC 9457). Its type member is
// urn:caregate:problem:<code>.
type problemType struct {
	status int
	code   string
	title  string
	remedy string // the detail when the error brings none that a caller may read
}

// maxInUse is how many of what stands in the way are named.
const maxInUse = 100

// problemOf is the table of problem types: every kind of error that the domain
// knows, and the two that only HTTP has (unsupportedMediaType and
// methodNotAllowed); a path that does not exist is not-found.
//
//	code                    status  when
//	malformed               400     the request cannot be read; field says where
//	unauthenticated         401     the caller did not say who it is
//	forbidden               403     the caller may not ask this
//	not-found               404     no such path or record
//	method-not-allowed      405     the path exists; Allow says how to ask
//	conflict                409     the record changed, or is in use: in_use names by what, in_use_count
//	                                says how many there are
//	behind                  412     the facts are older than Caregate-At-Least asks for, or the changes after a
//	                                revision are not remembered
//	changed                 412     the record is not the version that If-Match names
//	too-large               413     the body or a batch is over its limit
//	unsupported-media-type  415     the body is compressed
//	too-many                429     too many requests in flight, or too many explanations, reviews, previews and
//	                                filtered lists are being worked out; Retry-After says when
//	internal                500     a fault of the service; its log has the cause
//	unsupported             501     the policy has no answer of this form: it cannot be turned into a filter, or counted
//	unavailable             503     the facts cannot be read now
//	timeout                 503     the time allowed for the request ran out
func problemOf(kind authz.ErrorKind) problemType {
	switch kind {
	case authz.Malformed:
		return problemType{http.StatusBadRequest, "malformed", "The request cannot be read", "correct the request"}
	case authz.Unauthenticated:
		return problemType{
			http.StatusUnauthorized, "unauthenticated", "The caller is not known",
			"send a token of the tokens file in the header Authorization: Bearer <token>",
		}
	case authz.Forbidden:
		return problemType{http.StatusForbidden, "forbidden", "The caller may not ask this", "ask with a caller that may"}
	case authz.NotFound:
		return problemType{http.StatusNotFound, "not-found", "There is no such path or record", "check the path"}
	case authz.Conflict:
		return problemType{http.StatusConflict, "conflict", "The record changed or is in use", "read it again and repeat the change"}
	case authz.Behind:
		return problemType{
			http.StatusPreconditionFailed, "behind", "The facts are older than asked for",
			"no decision was made; ask again, and deny until there is one",
		}
	case authz.Changed:
		return problemType{
			http.StatusPreconditionFailed, "changed", "The record is another version",
			"read it again, look at what changed, and repeat the change with its new ETag",
		}
	case authz.TooLarge:
		return problemType{http.StatusRequestEntityTooLarge, "too-large", "The request is over a limit", "send less at once"}
	case authz.TooMany:
		return problemType{
			http.StatusTooManyRequests, "too-many", "Too many requests at once",
			"wait as long as Retry-After says and ask again",
		}
	case authz.Unsupported:
		return problemType{
			http.StatusNotImplemented, "unsupported", "The policy has no answer of this form",
			"ask single questions, or searches; caregate policy check says what stands in the way",
		}
	case authz.Unavailable:
		return problemType{
			http.StatusServiceUnavailable, "unavailable", "The facts cannot be read now",
			"no decision was made; ask again, and deny until there is one",
		}
	case authz.Timeout:
		return problemType{
			http.StatusServiceUnavailable, "timeout", "The answer was not ready in time",
			"no decision was made; ask again, and deny until there is one",
		}
	default:
		return problemType{
			http.StatusInternalServerError, "internal", "The service failed",
			"no decision was made; the service's log has the cause under this request id",
		}
	}
}

func unsupportedMediaType() problemType {
	return problemType{http.StatusUnsupportedMediaType, "unsupported-media-type", "The body is compressed", "send it as it is"}
}

func methodNotAllowed() problemType {
	return problemType{http.StatusMethodNotAllowed, "method-not-allowed", "The path does not answer this method", "use a method that Allow names"}
}

// refusal is an error that the domain has no kind for.
type refusal struct {
	problem problemType
	detail  string
}

func (r *refusal) Error() string { return r.detail }

// describe returns what a caller may know about err, without the id of the request. What an
// internal error says is for the log only.
func describe(err error) *wire.Problem {
	t, detail := problemOf(authz.KindOf(err)), ""
	p := &wire.Problem{}
	if r, ok := errors.AsType[*refusal](err); ok {
		t, detail = r.problem, r.detail
	} else if e, ok := errors.AsType[*authz.Error](err); ok && t.status != http.StatusInternalServerError {
		p.Field, detail = e.Field, e.Message
		if p.InUseCount = max(e.InUseCount, len(e.InUse)); p.InUseCount > 0 {
			p.InUse = wire.Keys(e.InUse[:min(len(e.InUse), maxInUse)])
		}
	}
	p.Type, p.Title, p.Status, p.Detail = "urn:caregate:problem:"+t.code, t.title, t.status, cmp.Or(detail, t.remedy)
	if p.Field != "" {
		p.Detail = p.Field + ": " + p.Detail // a reader of the detail only should know what it is about
	}
	return p
}
