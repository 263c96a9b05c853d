package review

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
)

// tally counts patients, and those of each route of a lens.
type tally struct {
	patients int
	routes   []int
	// ids and groups are where examples are: single patients, and groups of which all count
	// that are not apart.
	ids, groups []string
}

// countPatient counts a patient who stands for many.
func (t *tally) countPatient(l *lens, patient *authz.Fact, many int, routes uint64) {
	t.count(l, many, routes)
	switch {
	case patient.ID != nobody:
		if len(t.ids) < MaxExamples {
			t.ids = append(t.ids, patient.ID)
		}
	case len(t.groups) < MaxExamples: // each has one at least
		t.groups = append(t.groups, patient.PatientGroup)
	}
}

// count is add without an example.
func (t *tally) count(l *lens, many int, routes uint64) {
	if t.routes == nil {
		t.routes = make([]int, len(l.names))
	}
	t.patients += many
	for i := range t.routes {
		if routes&(1<<i) != 0 {
			t.routes[i] += many
		}
	}
}

// examples names some of the patients. Those apart were added one by one.
func (t *tally) examples(ctx context.Context, c *counter, apart map[string]*authz.Fact) ([]string, error) {
	out := t.ids
	for _, group := range t.groups {
		if len(out) >= MaxExamples {
			break
		}
		some, err := c.sample(ctx, group, MaxExamples-len(out), func(id string) bool { return apart[id] != nil })
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// result writes a tally out, without examples.
func (t *tally) result(l *lens) Tally {
	out := Tally{Patients: t.patients}
	if !l.routed {
		return out
	}
	out.Routes = []RouteCount{}
	for i, n := range t.routes {
		if n > 0 {
			out.Routes = append(out.Routes, RouteCount{Name: l.names[i], Count: n})
		}
	}
	return out
}

// ways counts the patients to whom each route of a lens leads, and of them those to
// whom no other one does.
type ways struct {
	led, alone []tally
}

func newWays(l *lens) *ways {
	return &ways{led: make([]tally, len(l.names)), alone: make([]tally, len(l.names))}
}

func (w *ways) countPatient(l *lens, patient *authz.Fact, many int, routes uint64) {
	for i := range w.led {
		if routes&(1<<i) == 0 {
			continue
		}
		w.led[i].countPatient(l, patient, many, routes)
		if routes == 1<<i {
			w.alone[i].countPatient(l, patient, many, routes)
		}
	}
}

// examples names patients of a route, those to whom no other one leads where there
// are such.
func (w *ways) examples(ctx context.Context, i int, c *counter, apart map[string]*authz.Fact) ([]string, error) {
	if w.alone[i].patients > 0 {
		return w.alone[i].examples(ctx, c, apart)
	}
	return w.led[i].examples(ctx, c, apart)
}
