package telemetry

import (
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// Every kind of error has a name of its own in spans, and an outcome that was chosen for it.
func TestEveryKindOfErrorIsTold(t *testing.T) {
	want := map[authz.ErrorKind]struct {
		name    string
		outcome outcome
	}{
		authz.Internal:        {"internal", outcomeError},
		authz.Malformed:       {"malformed", outcomeError},
		authz.Unauthenticated: {"unauthenticated", outcomeError},
		authz.Forbidden:       {"forbidden", outcomeError},
		authz.NotFound:        {"not_found", outcomeError},
		authz.Conflict:        {"conflict", outcomeError},
		authz.Behind:          {"behind", outcomeError},
		authz.TooLarge:        {"too_large", outcomeError},
		authz.TooMany:         {"too_many", outcomeError},
		authz.Unavailable:     {"unavailable", outcomeUnavailable},
		authz.Timeout:         {"timeout", outcomeTimeout},
		authz.Changed:         {"changed", outcomeError},
		authz.Unsupported:     {"unsupported", outcomeError},
	}
	names := map[string]bool{unnamed: true}
	for _, kind := range authz.ErrorKinds() {
		err := authz.Errorf(kind, "", "message")
		expected, chosen := want[kind]
		name := kindName(err)
		if !chosen || name != expected.name || names[name] || outcomeOf(err) != expected.outcome {
			t.Errorf("kind %d is told as %s with the outcome %s; say here what it is", kind, name, outcomeOf(err))
		}
		names[name] = true
	}
	if outcomeOf(nil) != outcomeOK {
		t.Error("no error is one")
	}
}
