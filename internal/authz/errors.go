package authz

import (
	"context"
	"errors"
	"fmt"
)

// ErrorKind classes every error that leaves the domain. Adapters map kinds, and
// nothing else, to HTTP statuses.
type ErrorKind int

// The kinds of error. The zero value is Internal, so that an error nobody
// classed is the service's fault and not the caller's.
const (
	Internal        ErrorKind = iota
	Malformed                 // the request cannot be read; Field says where
	Unauthenticated           // the caller did not say who it is
	Forbidden                 // the caller may not ask this
	NotFound                  // no such path or record
	Conflict                  // the record changed, or is in use
	Behind                    // the facts are older than the request accepts
	TooLarge                  // a limit on size
	TooMany                   // a limit on rate or concurrency
	Unavailable               // facts cannot be read now; try again
	Timeout                   // the time allowed for the request ran out
	Changed                   // the record is not the version that the request is about
	Unsupported               // the policy has no answer of the form that was asked for

	errorKinds // how many there are
)

// ErrorKinds returns all kinds of error.
func ErrorKinds() []ErrorKind {
	kinds := make([]ErrorKind, errorKinds)
	for i := range kinds {
		kinds[i] = ErrorKind(i)
	}
	return kinds
}

// Error is the one error type of the domain. Message is for the reader: what
// was wrong and what to do. It never holds an identifier of a person.
type Error struct {
	Kind    ErrorKind
	Field   string // where in the input, in dotted form, "" when not about one
	Message string
	Err     error // the cause, for the log alone
	// InUse names what stands in the way of a change, for the caller who asked for
	// it alone. There may be more: InUseCount says how many in all.
	InUse      []Key
	InUseCount int
}

func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind about a field, which may be "".
func Errorf(kind ErrorKind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Message: fmt.Sprintf(format, args...)}
}

// NotIncluded is the error for a question about facts that the directory does not
// have: they are still to come, or were lost.
func NotIncluded() *Error {
	return Errorf(Behind, "Caregate-At-Least",
		"the facts here do not include that revision; ask again, and if it stays so they were lost: ask without it")
}

// KindOf returns the kind of err. A deadline that nobody classed is a Timeout.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Timeout
	}
	return Internal
}
