package policy_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// What is left of a rule is put into alternatives in little time, or not at all once the time
// is over.
func TestALargeRemainderIsReadInLittleTime(t *testing.T) {
	in := func(i int) authz.Condition {
		return authz.Condition{Op: authz.In, Leaf: authz.Leaf{Fact: authz.FactID}, Values: []string{strconv.Itoa(i)}}
	}
	var parts [][][]authz.Condition
	for i := range 3 { // eight alternatives
		parts = append(parts, [][]authz.Condition{{in(2 * i)}, {in(2*i + 1)}})
	}
	for i := range 1000 { // which have these in common, each said twice
		parts = append(parts, [][]authz.Condition{{in(100 + i)}}, [][]authz.Condition{{in(100 + i)}})
	}
	began := time.Now()
	doubled, said := policy.Together(t.Context(), 60, parts[:3]...)
	r, ok := policy.Together(t.Context(), 0, parts...)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if !said || len(doubled.Any) != 8 || !ok || len(r.Any) != 8 || len(r.Any[0]) != 1003 {
		t.Fatalf("%v, %+v, %v, %+v", said, doubled, ok, r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, ok := policy.Together(ctx, 0, parts...); ok {
		t.Errorf("it was put into %d alternatives after its time", len(r.Any))
	}
}
