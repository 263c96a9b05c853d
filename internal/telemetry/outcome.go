package telemetry

import "github.com/caregate/caregate/internal/authz"

// outcome is how a read of the facts ended.
type outcome int

const (
	outcomeOK outcome = iota
	outcomeUnavailable
	outcomeTimeout
	outcomeError
	outcomes
)

func (o outcome) String() string {
	switch o {
	case outcomeOK:
		return "ok"
	case outcomeUnavailable:
		return "unavailable"
	case outcomeTimeout:
		return "timeout"
	default:
		return "error"
	}
}

func outcomeOf(err error) outcome {
	if err == nil {
		return outcomeOK
	}
	switch authz.KindOf(err) {
	case authz.Unavailable:
		return outcomeUnavailable
	case authz.Timeout:
		return outcomeTimeout
	case authz.Internal, authz.Malformed, authz.Unauthenticated, authz.Forbidden, authz.NotFound, authz.Conflict, authz.Behind,
		authz.Changed, authz.TooLarge, authz.TooMany, authz.Unsupported:
		return outcomeError
	}
	return outcomeError // never: a test asks for every kind
}

// unnamed stands for a kind of error that has no name here, which no kind may be.
const unnamed = "unnamed"

// kindName is what a span says of an error. The text of an error stays out of
// spans: its cause may quote what a store or a caller said.
func kindName(err error) string {
	switch authz.KindOf(err) {
	case authz.Malformed:
		return "malformed"
	case authz.Unauthenticated:
		return "unauthenticated"
	case authz.Forbidden:
		return "forbidden"
	case authz.NotFound:
		return "not_found"
	case authz.Conflict:
		return "conflict"
	case authz.Behind:
		return "behind"
	case authz.Changed:
		return "changed"
	case authz.TooLarge:
		return "too_large"
	case authz.TooMany:
		return "too_many"
	case authz.Unsupported:
		return "unsupported"
	case authz.Unavailable:
		return "unavailable"
	case authz.Timeout:
		return "timeout"
	case authz.Internal:
		return "internal"
	}
	return unnamed
}
