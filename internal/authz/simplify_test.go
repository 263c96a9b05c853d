package authz_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// plainly is Simplify as one would write it: each condition is compared with each.
func plainly(r *authz.Residual) string {
	var possible [][]string
	for _, all := range r.Any {
		var out []string
		ok := true
		for _, c := range all {
			if c.Op == authz.In && len(c.Values) == 0 {
				ok = ok && c.Not
				continue
			}
			if text := fmt.Sprint(c); !slices.Contains(out, text) {
				out = append(out, text)
			}
			c.Not = !c.Not
			ok = ok && !slices.ContainsFunc(all, func(d authz.Condition) bool { return fmt.Sprint(c) == fmt.Sprint(d) })
		}
		if slices.Sort(out); ok {
			possible = append(possible, out)
		}
	}
	var kept []string
	for i, all := range possible {
		if !slices.ContainsFunc(possible[:i], func(other []string) bool { return slices.Equal(other, all) }) &&
			!slices.ContainsFunc(possible, func(other []string) bool {
				return len(other) < len(all) && !slices.ContainsFunc(other, func(text string) bool { return !slices.Contains(all, text) })
			}) {
			kept = append(kept, strings.Join(all, " & "))
		}
	}
	slices.Sort(kept)
	return strings.Join(kept, "\n")
}

// written is a residual without its order.
func written(r *authz.Residual) string {
	var lines []string
	for _, all := range r.Any {
		texts := make([]string, len(all))
		for i, c := range all {
			texts[i] = fmt.Sprint(c)
		}
		slices.Sort(texts)
		lines = append(lines, strings.Join(texts, " & "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func randomCondition(random *rand.Rand) authz.Condition {
	c := authz.Condition{
		Op: authz.Op(1 + random.IntN(5)), Not: random.IntN(3) == 0,
		Leaf: authz.Leaf{Reference: []string{"", "patient"}[random.IntN(2)], Fact: []string{authz.FactID, authz.FactRole, authz.FactAccess}[random.IntN(3)]},
	}
	switch c.Op {
	case authz.In, authz.Has:
		for range random.IntN(3) {
			c.Values = append(c.Values, []string{"a", "b"}[random.IntN(2)])
		}
		slices.Sort(c.Values)
		if c.Values = slices.Compact(c.Values); c.Op == authz.Has && len(c.Values) == 0 {
			c.Values = []string{"a"}
		}
	case authz.Same, authz.Within:
		c.Other = authz.Leaf{Fact: []string{authz.FactID, authz.FactCareTeam}[random.IntN(2)]}
	}
	return c
}

// The shortest form is the same, however it is found, and is written in one order.
func TestSimplifyFindsTheShortestForm(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	shorter := 0
	for range 20_000 {
		r := &authz.Residual{}
		for range random.IntN(8) {
			var all []authz.Condition
			for range random.IntN(5) {
				all = append(all, randomCondition(random))
			}
			r.Any = append(r.Any, all)
		}
		want, before := plainly(r), written(r)
		shuffled := &authz.Residual{}
		for _, i := range random.Perm(len(r.Any)) {
			shuffled.Any = append(shuffled.Any, slices.Clone(r.Any[i]))
		}
		r.Simplify()
		shuffled.Simplify()
		if got := written(r); got != want {
			t.Fatalf("%s\nis simplified to\n%s\nwant\n%s", before, got, want)
		}
		if fmt.Sprint(r.Any) != fmt.Sprint(shuffled.Any) {
			t.Fatalf("%s\nis written as %v and as %v", before, r.Any, shuffled.Any)
		}
		if want != before {
			shorter++
		}
	}
	if shorter < 5000 {
		t.Errorf("%d were not in their shortest form", shorter)
	}
}

// What is to be simplified may be as large as a policy makes it: many alternatives, or many
// conditions in one.
func TestSimplifyTakesLittleTimeForMuch(t *testing.T) {
	id := func(i int) authz.Condition {
		return authz.Condition{Op: authz.In, Leaf: authz.Leaf{Reference: "patient", Fact: authz.FactID}, Values: []string{fmt.Sprint(i)}}
	}
	wide, long := &authz.Residual{}, &authz.Residual{Any: [][]authz.Condition{nil}}
	for i := range 40_000 {
		wide.Any = append(wide.Any, []authz.Condition{id(i), id(i + 1), id(-1)})
		long.Any[0] = append(long.Any[0], id(i))
	}
	began := time.Now()
	wide.Simplify()
	long.Simplify()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if len(wide.Any) != 40_000 || len(long.Any[0]) != 40_000 {
		t.Errorf("%d alternatives, %d conditions", len(wide.Any), len(long.Any[0]))
	}
}
