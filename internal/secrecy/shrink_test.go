package secrecy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (f *failure) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s learns about what they may not see: %s", f.pair.actor, f.how)
	if f.detail != "" {
		fmt.Fprintf(&out, ": %s", f.detail)
	}
	fmt.Fprintf(&out, "\n%s\n  1 %s\n  2 %s\n", f.request, f.answers[0], f.answers[1])
	fmt.Fprintf(&out, "\nthe actor holds %v\norganisation 1\n", f.pair.sights[0].holds)
	for line := range strings.Lines(f.before[0].lines()) {
		fmt.Fprintf(&out, "  %s", line)
	}
	fmt.Fprintf(&out, "organisation 2 differs, hidden from the actor, in\n%s", difference(f.before[0], f.before[1]))
	return out.String()
}

// mostTries bounds how long a failure is made smaller.
const mostTries = 600

// shrink looks for smaller organisations and a smaller request with a failure of the same sort. It returns
// f itself if it needs what was asked before.
func (u *run) shrink(ctx context.Context, sides [2]*side, f *failure) *failure {
	best := u.again(ctx, sides, f.pair.actor, f.before, f.request)
	if best == nil {
		return f
	}
	tries := 0
	for progress := true; progress; {
		progress = false
		candidates := best.smaller()
		for i := 0; i < len(candidates); i++ {
			if tries++; tries > mostTries {
				return best
			}
			if got := u.again(ctx, sides, f.pair.actor, candidates[i].worlds, candidates[i].request); got != nil && got.how == f.how {
				best, progress = got, true
				candidates, i = best.smaller(), i-1
			}
		}
	}
	return best
}

// again asks one request of a pair made anew, and returns nil if it does not fail or there is no such pair.
func (u *run) again(ctx context.Context, sides [2]*side, who actor, worlds [2]world, r request) *failure {
	p := &pair{sides: sides, names: [2]string{u.name(), u.name()}, actor: who}
	for i, s := range sides {
		if s.load(ctx, p.names[i], worlds[i]) != nil {
			return nil
		}
	}
	if why, err := p.settle(ctx); err != nil || why != "" {
		return nil
	}
	f, _, err := p.try(ctx, r)
	if err != nil {
		return nil
	}
	return f
}

// candidate is something smaller.
type candidate struct {
	worlds  [2]world
	request request
}

// smaller are the ways to make a failure smaller by one step.
func (f *failure) smaller() (out []candidate) {
	both := func(change func(w world)) {
		c := candidate{[2]world{f.before[0].clone(), f.before[1].clone()}, f.request}
		change(c.worlds[0])
		change(c.worlds[1])
		out = append(out, c)
	}
	asked := func(change func(r *request)) {
		c := candidate{f.before, f.request}
		change(&c.request)
		if c.request.String() != f.request.String() {
			out = append(out, c)
		}
	}
	asked(func(r *request) { r.match = "" })
	asked(func(r *request) { r.noMatch = "" })
	asked(func(r *request) { r.pages = false })
	if body, ok := f.request.body.(object); ok {
		for _, less := range lessOf(plain(body)) {
			asked(func(r *request) { r.body = less })
		}
	}
	for _, k := range slices.Backward(union(f.before[0], f.before[1])) {
		if k.id != "root" && k.id != f.pair.actor.id {
			both(func(w world) { w.remove(k) })
		}
	}
	for _, k := range differing(f.before[0], f.before[1]) {
		c := candidate{[2]world{f.before[0], f.before[1].clone()}, f.request}
		if r, there := f.before[0][k]; there {
			c.worlds[1][k] = r
			out = append(out, c)
		}
	}
	for _, k := range union(f.before[0], f.before[1]) {
		for i := range fieldsOf(&record{}) {
			if !slices.ContainsFunc(f.before[:], func(w world) bool { r := w[k]; return r != nil && fieldsOf(r.clone())[i]() }) {
				continue
			}
			both(func(w world) {
				if r := w[k]; r != nil {
					fieldsOf(r)[i]()
				}
			})
		}
	}
	return out
}

// fieldsOf are what makes r smaller by one field; each says whether there was something to take.
func fieldsOf(r *record) []func() bool {
	text := func(s *string) func() bool {
		return func() bool { was := *s; *s = ""; return was != "" }
	}
	first := func(list *[]string) func() bool {
		return func() bool {
			if len(*list) == 0 {
				return false
			}
			*list = (*list)[1:]
			return true
		}
	}
	return []func() bool{text(&r.name), text(&r.role), first(&r.groups), first(&r.access), first(&r.booking), first(&r.careTeam), first(&r.permissions),
		func() bool { was := r.bookable; r.bookable = false; return was }}
}

// plain is a body as JSON has it, with nothing shared.
func plain(body object) object {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	var out object
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

// lessOf are values with one member or item less.
func lessOf(value any) (out []any) {
	switch value := value.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			without := maps.Clone(value)
			delete(without, name)
			out = append(out, without)
			for _, less := range lessOf(value[name]) {
				with := maps.Clone(value)
				with[name] = less
				out = append(out, with)
			}
		}
	case array:
		for i := range value {
			out = append(out, slices.Delete(slices.Clone(value), i, i+1))
			for _, less := range lessOf(value[i]) {
				with := slices.Clone(value)
				with[i] = less
				out = append(out, with)
			}
		}
	}
	return out
}
