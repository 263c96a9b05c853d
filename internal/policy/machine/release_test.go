package machine_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/policy/machine"
)

// What Get returned stays as it was when the memory of its evaluation serves
// others, on other goroutines too.
func TestResultsOutliveTheirEvaluationConcurrently(t *testing.T) {
	module, err := ast.ParseModule("a.rego", `package a

seen contains input.id

seen contains x if some x in input.list

answer := {"id": input.id, "seen": seen, "squares": [square | some n in input.list; square := n * n], "nested": {"of": input}}

other := object.union(elsewhere, {"twice": [answer, answer]}) if {
	elsewhere := answer with input.id as "else"
}
`)
	if err != nil {
		t.Fatal(err)
	}
	program, err := machine.Plan(t.Context(), map[string]*ast.Module{"a.rego": module}, ast.NewObject(), ast.CapabilitiesForThisVersion(), "a/answer", "a/other")
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := program.Entry("a/answer")
	other, ok := program.Entry("a/other")
	if !ok {
		t.Fatal("no a/other")
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			type result struct {
				value *ast.Term
				text  string
			}
			var kept []result
			for i := range 200 {
				input := ast.MustParseTerm(fmt.Sprintf(`{"id": "w%d-%d", "list": [%d, 1, 2]}`, worker, i, i))
				e := program.New(t.Context(), nil, input)
				for _, entry := range []machine.Entry{answer, other, answer} {
					value, err := e.Get(entry)
					if err != nil || value == nil {
						t.Errorf("%v, %v", value, err)
						return
					}
					kept = append(kept, result{value, value.String()})
				}
				e.Release()
			}
			for _, r := range kept {
				if now := r.value.String(); now != r.text {
					t.Errorf("%s became %s", r.text, now)
				}
			}
		})
	}
	wg.Wait()
}
