package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// tried is what a function returned, with its error.
type tried[T any] struct {
	value T
	err   error
}

func try[T any](value T, err error) tried[T] { return tried[T]{value, err} }

// must returns the value, and ends the test if there is an error.
func (r tried[T]) must(t *testing.T) T {
	t.Helper()
	noError(t, r.err)
	return r.value
}

// noError ends the test if there is an error.
func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check fails the test, which goes on, with a message unless a condition holds.
func check(t *testing.T, holds bool, format string, args ...any) {
	t.Helper()
	if !holds {
		t.Errorf(format, args...)
	}
}

// require ends the test with a message unless a condition holds.
func require(t *testing.T, holds bool, format string, args ...any) {
	t.Helper()
	if !holds {
		t.Fatalf(format, args...)
	}
}

// equal compares a value with the expected one. about is a format and its arguments, or nothing.
func equal[T comparable](t *testing.T, got, want T, about ...any) {
	t.Helper()
	check(t, got == want, "%s%v, expected %v", beginning(about), got, want)
}

// sameIDs is equal for ids in any order.
func sameIDs(t *testing.T, got, want []string, about ...any) {
	t.Helper()
	check(t, sameSet(got, want), "%s%q, expected %q", beginning(about), got, want)
}

// answered compares the status of an answer with the expected one.
func answered(t *testing.T, r reply, status int, about ...any) {
	t.Helper()
	check(t, r.status == status, "%s%v, expected %d", beginning(about), r, status)
}

// answeredOneOf is answered where several statuses are right.
func answeredOneOf(t *testing.T, r reply, statuses []int, about ...any) {
	t.Helper()
	check(t, slices.Contains(statuses, r.status), "%s%v, expected one of %v", beginning(about), r, statuses)
}

// hidden are the statuses that do not say whether there is what somebody may not see.
var hidden = []int{http.StatusForbidden, http.StatusNotFound}

// beginning is the beginning of a message: a format and its arguments, or nothing.
func beginning(about []any) string {
	if len(about) == 0 {
		return ""
	}
	return fmt.Sprintf(about[0].(string), about[1:]...) + ": "
}

// patience is how long something that must happen may take, on a machine that is busy with other things.
const patience = 2 * time.Minute

// eventually polls until a condition holds. It ends the test after a long time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		require(t, time.Now().Before(deadline), "not within %v: %s", patience, what)
	}
}

// inTime does something that must not take long, and once more where it did: a busy machine may be late once or twice.
// do returns what was late, "" for nothing.
func inTime(t *testing.T, do func() (late string)) {
	t.Helper()
	late := ""
	for range 3 {
		if late = do(); late == "" {
			return
		}
	}
	t.Errorf("late three times: %s", late)
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// sameList compares lists.
func sameList[T comparable](t *testing.T, got, want []T, about ...any) {
	t.Helper()
	check(t, slices.Equal(got, want), "%s%v, expected %v", beginning(about), got, want)
}

// hasLength compares the length of a list with the expected one.
func hasLength[T any](t *testing.T, got []T, want int, about ...any) {
	t.Helper()
	check(t, len(got) == want, "%s%d, expected %d: %v", beginning(about), len(got), want, got)
}

// allowed says that the answer to an evaluation is an allow.
func allowed(t *testing.T, r reply, about ...any) {
	t.Helper()
	check(t, decode[decision](t, r).allowed(), "%s%v, expected an allow", beginning(about), r)
}

// refusedFor is refused, for a field that the problem names.
func refusedFor(t *testing.T, r reply, status int, field string, about ...any) {
	t.Helper()
	p := refused(t, r, status)
	check(t, p.Field == field, "%sthe problem is with %q, expected %q: %s", beginning(about), p.Field, field, p.Detail)
}

// unmarshal decodes JSON, which has to be sound.
func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	err := json.Unmarshal(text, into)
	require(t, err == nil, "%v in %s", err, text)
}
