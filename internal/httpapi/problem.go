package httpapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/authz"
)

// problemType is one type of problem document (RFC 9457). Its type member is
// urn:caregate:problem:<code>.
type problemType struct {
	status int
	code   string
	title  string
	remedy string // the detail when the error brings none that a caller may read
}

// problem is one problem, with the members that its type may have beside the
// standard ones.
type problem struct {
	problemType
	inUse      []authz.Key // conflict: what stands in the way, or some of it
	inUseCount int         // and how many that is in all
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

// describe returns what a caller may know about err. What an internal error
// says is for the log alone.
func describe(err error) (p problem, field, detail string) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return problem{problemType: r.problem}, "", r.detail
	}
	p.problemType = problemOf(authz.KindOf(err))
	if e, ok := errors.AsType[*authz.Error](err); ok && p.status != http.StatusInternalServerError {
		field, detail = e.Field, e.Message
		p.inUse, p.inUseCount = e.InUse[:min(len(e.InUse), maxInUse)], max(e.InUseCount, len(e.InUse))
	}
	if detail == "" {
		detail = p.remedy
	}
	return p, field, detail
}

// appendProblem appends a problem document.
func appendProblem(dst []byte, p problem, field, detail, requestID string) []byte {
	dst = append(dst, `{"type":"urn:caregate:problem:`...)
	dst = append(dst, p.code...)
	dst = append(dst, `","title":`...)
	dst = appendString(dst, p.title)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.status), 10)
	if field != "" {
		dst = append(dst, `,"field":`...)
		dst = appendString(dst, field)
		detail = field + ": " + detail // whoever reads the detail alone should know what it is about
	}
	dst = append(dst, `,"detail":`...)
	dst = appendString(dst, detail)
	dst = append(dst, `,"request_id":`...)
	dst = appendString(dst, requestID)
	if p.inUseCount > 0 {
		dst = append(dst, `,"in_use":[`...)
		for i, key := range p.inUse {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendKey(append(dst, '{'), key), '}')
		}
		dst = append(dst, `],"in_use_count":`...)
		dst = strconv.AppendInt(dst, int64(p.inUseCount), 10)
	}
	return append(dst, '}')
}

// appendString appends s as a JSON string. What is not UTF-8 in it is replaced.
func appendString(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
