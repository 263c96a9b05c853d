package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/soak"
)

// world makes random facts and questions out of so few names that they meet.
type world struct{ *rand.Rand }

func pick[T any](w world, from ...T) T { return from[w.IntN(len(from))] }

func (w world) some(prefix string, n int) []string {
	var out []string
	for i := range n {
		if w.IntN(2) == 0 {
			out = append(out, fmt.Sprint(prefix, i))
		}
	}
	return out
}

func (w world) facts() memory {
	var facts memory
	named := []string{
		"patient:view", "patient:update", "patient:view_all", "patient:*", "patient:delete", "patient:create", "stock:*", "stock:delete",
		"appointment:create", "appointment:*", "clinical_note:*", "report:view", "provider:view", "*:*", "*:view", "invoice:approve", "provider:book",
	}
	for i := range 3 {
		var held []string
		for range 2 + w.IntN(9) {
			held = append(held, pick(w, named...))
		}
		facts = append(facts, role(fmt.Sprint("r", i), held...), group(fmt.Sprint("g", i), pick(w, named...)))
	}
	for i := range 4 {
		m := member(fmt.Sprint("m", i), pick(w, "", "r0", "r1", "r2", "r9"), w.some("g", 4)...)
		m.Access, m.Booking, m.Provider, m.Suspended = w.some("pg", 3), w.some("pg", 3), w.IntN(2) == 0, w.IntN(16) == 0
		facts = append(facts, m)
		facts = append(facts, &authz.Fact{
			Key: authz.Key{Kind: authz.KindPatient, ID: fmt.Sprint("p", i)}, Found: true,
			PatientGroup: fmt.Sprint("pg", w.IntN(3)), CareTeam: w.some("m", 4),
		})
	}
	for i := range 3 {
		facts = append(facts, &authz.Fact{Key: authz.Key{Kind: authz.KindPatientGroup, ID: fmt.Sprint("pg", i)}, Found: true})
	}
	return facts
}

func (w world) id(typ string) string {
	switch typ {
	case "patient":
		return fmt.Sprint("p", w.IntN(5))
	case "team_member", "provider":
		return fmt.Sprint("m", w.IntN(5))
	case "patient_group":
		return fmt.Sprint("pg", w.IntN(4))
	}
	return pick(w, "", "1", "new")
}

func (w world) properties() map[string]any {
	if w.IntN(4) == 0 {
		return nil
	}
	out := map[string]any{}
	for _, name := range []string{"patient", "provider", "patient_group"} {
		switch w.IntN(12) {
		case 0:
			out[name] = pick[any](w, nil, true, json.Number("1"), "", []any{"p1"}, map[string]any{"id": "p1"})
		case 1, 2, 3, 4, 5:
			out[name] = w.id(name)
		}
	}
	if w.IntN(10) == 0 {
		out["permissions"] = map[string]any{"*:*": true}
	}
	return out
}

// likely makes a question that has a chance to be allowed.
func (w world) likely() *authz.Request {
	subject := pick(w, "team_member", "team_member", "team_member", "patient")
	resource := pick(w, "patient", "patient", "appointment", "provider", "report", "clinical_note", "stock")
	if subject == "patient" {
		resource = "provider"
	}
	r := &authz.Request{
		Subject:  authz.Entity{Type: subject, ID: w.id(subject)},
		Action:   authz.Action{Name: pick(w, "view", "view", "update", "create", "delete")},
		Resource: authz.Entity{Type: resource, ID: w.id(resource)},
	}
	switch resource {
	case "provider":
		r.Action.Name = pick(w, "view", "book")
		if subject == "team_member" {
			r.Resource.Properties = map[string]any{"patient": w.id("patient")}
		}
	case "appointment", "clinical_note":
		r.Resource.Properties = map[string]any{"patient": w.id("patient")}
		if resource == "appointment" && w.IntN(2) == 0 {
			r.Resource.Properties["provider"] = w.id("provider")
		}
	case "report":
		r.Resource.Properties = map[string]any{"patient_group": w.id("patient_group")}
	}
	return r
}

func (w world) request() *authz.Request {
	if w.IntN(3) > 0 {
		return w.likely()
	}
	subject := pick(w, "team_member", "team_member", "team_member", "patient", "patient", "service", "provider", "")
	resource := pick(w, "patient", "patient", "appointment", "appointment", "provider", "provider", "report", "clinical_note", "stock", "invoice", "team_member", "")
	r := &authz.Request{
		Subject:  authz.Entity{Type: subject, ID: w.id(subject)},
		Action:   authz.Action{Name: pick(w, "view", "view", "create", "create", "update", "delete", "book", "book", "approve", "view_all", "")},
		Resource: authz.Entity{Type: resource, ID: w.id(resource), Properties: w.properties()},
	}
	if w.IntN(5) == 0 {
		r.Action.Properties = map[string]any{"why": "x"}
		r.Subject.Properties = map[string]any{"role": "r1"}
		r.Context = map[string]any{"n": json.Number("1e3")}
	}
	return r
}

// agree asks both evaluators and reports whether the answer was an allow.
func agree(t *testing.T, snapshots map[string]*policy.Snapshot, facts memory, r *authz.Request) bool {
	t.Helper()
	fast, fastErr := ask(t, snapshots["machine"], facts, r)
	slow, slowErr := ask(t, snapshots["general"], facts, r)
	if fast.Allow != slow.Allow || fast.Undefined != slow.Undefined || string(fast.Context) != string(slow.Context) || (fastErr == nil) != (slowErr == nil) {
		t.Errorf("%+v:\nmachine %v %s, %v\ngeneral %v %s, %v", r, fast.Allow, fast.Context, fastErr, slow.Allow, slow.Context, slowErr)
	}
	if fastErr != nil {
		t.Errorf("%+v: %v", r, fastErr)
	}
	return fast.Allow
}

// The machine and OPA's general evaluator give the same answers with the same
// accounts, and what is remembered between questions changes none of them.
func TestDifferential(t *testing.T) {
	snapshots := bothAlone(t, embedded(t))
	w := world{rand.New(rand.NewPCG(1, 2))}
	asked, allowed := 0, 0
	for range soak.Cases(240) {
		facts := w.facts()
		for range 50 {
			asked++
			if agree(t, snapshots, facts, w.request()) {
				allowed++
			}
		}
		if t.Failed() {
			return
		}
	}
	if t.Logf("%d questions, %d allowed", asked, allowed); allowed < asked/10 {
		t.Error("too few of the questions are allowed to show anything")
	}
}

func FuzzDifferential(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, "team_member", "m1", "view", "patient", "p1", `{"patient":"p1","provider":"m2"}`)
	}
	f.Add(uint64(1), "patient", "p1", "book", "provider", "m1", `{"patient":null}`)
	f.Add(uint64(2), "team_member", "m1", "create", "appointment", "", `{"patient":"p1","provider":7}`)
	f.Add(uint64(3), "", "", "", "", "", `{}`)
	snapshots := bothAlone(f, embedded(f))
	f.Fuzz(func(t *testing.T, seed uint64, subject, id, action, resource, resourceID, properties string) {
		var p map[string]any
		if json.Unmarshal([]byte(properties), &p) != nil {
			p = nil
		}
		agree(t, snapshots, world{rand.New(rand.NewPCG(seed, 0))}.facts(), &authz.Request{
			Subject:  authz.Entity{Type: subject, ID: id},
			Action:   authz.Action{Name: action},
			Resource: authz.Entity{Type: resource, ID: resourceID, Properties: p},
		})
	})
}
