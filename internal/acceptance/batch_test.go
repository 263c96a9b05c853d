package acceptance

import (
	"net/http"
	"slices"
	"testing"
)

// The wire forms of batches, as callers write them.
type (
	object = map[string]any
	array  = []any
)

func decisionsOf(t *testing.T, r reply) []bool {
	t.Helper()
	var out []bool
	for _, d := range decode[struct{ Evaluations []decision }](t, r).Evaluations {
		require(t, d.Decision != nil, "an item without a decision: %v", r)
		out = append(out, *d.Decision)
	}
	return out
}

// TestBatches is AuthZEN 1.0, section 7, over the wire.
func TestBatches(t *testing.T) {
	t.Parallel()
	o := newOrganisation(t, embeddedStore{}, append(clinic(), patientIn("diabetes", "p-5"))...)
	seen, unseen, absent := object{"resource": patient("p-1")}, object{"resource": patient("p-2")}, object{"resource": patient("p-404")}
	batch := func(t *testing.T, semantic string, items ...any) reply {
		t.Helper()
		body := object{"subject": member("ann"), "action": action{Name: "view"}, "evaluations": items}
		if semantic != "" {
			body["options"] = object{"evaluations_semantic": semantic}
		}
		return post(t, o.url("/access/v1/evaluations"), body)
	}
	t.Run("semantics", func(t *testing.T) {
		for _, c := range []struct {
			semantic string
			items    array
			want     []bool
		}{
			{"", array{seen, unseen, seen}, []bool{true, false, true}},
			{"execute_all", array{seen, unseen, absent, seen}, []bool{true, false, false, true}},
			{"deny_on_first_deny", array{seen, seen, unseen, seen, absent}, []bool{true, true, false}},
			{"deny_on_first_deny", array{unseen, seen}, []bool{false}},
			{"deny_on_first_deny", array{seen, seen}, []bool{true, true}},
			{"deny_on_first_deny", array{seen, object{"resource": "bad"}, seen}, []bool{true, false}},
			{"permit_on_first_permit", array{unseen, absent, seen, unseen, seen}, []bool{false, false, true}},
			{"permit_on_first_permit", array{seen, unseen}, []bool{true}},
			{"permit_on_first_permit", array{unseen, absent}, []bool{false, false}},
			{"permit_on_first_permit", array{object{"resource": "bad"}, seen, seen}, []bool{false, true}},
		} {
			sameList(t, decisionsOf(t, batch(t, c.semantic, c.items...)), c.want, "%s of %v", c.semantic, c.items)
		}
	})
	t.Run("options that are empty or unknown are ignored", func(t *testing.T) {
		for _, options := range []any{object{}, object{"trace": true}, object{"evaluations_semantic": "execute_all", "x": array{}}} {
			body := object{"subject": member("ann"), "action": action{Name: "view"}, "evaluations": array{unseen, seen}, "options": options}
			sameList(t, decisionsOf(t, post(t, o.url("/access/v1/evaluations"), body)), []bool{false, true}, "options %v", options)
		}
	})
	t.Run("a default stands for a whole object", func(t *testing.T) {
		body := object{
			"subject": member("ann"), "action": action{Name: "view"}, "resource": clinicalNote("n").of("p-1"), "context": object{"a": 1},
			"evaluations": array{
				object{},                                // a note without the permission
				object{"resource": patient("p-1")},      // the resource alone is another
				object{"subject": member("newcomer")},   // the subject alone is another
				object{"action": action{Name: "purge"}}, // the action alone is another
				object{"resource": clinicalNote("n")},   // and nothing is merged: no patient here
				object{"resource": object{"type": "patient"}},
				object{"resource": patient("p-1"), "context": object{}},
			},
		}
		got := decode[struct{ Evaluations []decision }](t, post(t, o.url("/access/v1/evaluations"), body)).Evaluations
		want := [][]string{{"permission_missing"}, {"patient_visible", "permission_granted"}, {"patient_not_visible", "permission_missing"},
			{"action_unknown"}, nil, nil, {"patient_visible", "permission_granted"}}
		require(t, len(got) == len(want), "%d answers, expected %d", len(got), len(want))
		for i, codes := range want {
			if codes != nil && !sameSet(got[i].reasons().Reasons, codes) {
				t.Errorf("item %d: %v, expected %q", i, got[i], codes)
			}
		}
		if !slices.Contains(got[4].reasons().Reasons, "reference_missing") {
			t.Errorf("the note's patient was taken from the default: %v", got[4])
		}
		if got[5].allowed() || got[5].reasons().Error == nil {
			t.Errorf("the resource's id was taken from the default: %v", got[5])
		}
	})
	t.Run("without items it is a single evaluation", func(t *testing.T) {
		for name, body := range map[string]object{
			"absent": {"subject": member("ann"), "action": action{Name: "view"}, "resource": patient("p-1")},
			"empty":  {"subject": member("ann"), "action": action{Name: "view"}, "resource": patient("p-1"), "evaluations": array{}},
		} {
			r := post(t, o.url("/access/v1/evaluations"), body)
			check(t, decode[decision](t, r).allowed() && decode[object](t, r)["evaluations"] == nil, "%s: %v", name, r)
		}
	})
	t.Run("what is decided is decided alike", func(t *testing.T) {
		r := batch(t, "", seen, unseen, object{"resource": patient("p-5")})
		one := post(t, o.url("/access/v1/evaluation"), ask("ann", "view", patient("p-1")))
		for _, name := range []string{"Caregate-Revision", "Caregate-Policy"} {
			if got, want := r.header.Get(name), one.header.Get(name); got == "" || got != want {
				t.Errorf("%s is %q for a batch and %q for one", name, got, want)
			}
		}
	})
	t.Run("unknown members are ignored", func(t *testing.T) {
		body := object{"subject": object{"type": "team_member", "id": "ann", "nickname": "A"}, "action": object{"name": "view", "x": nil},
			"resource": object{"type": "patient", "id": "p-1", "y": array{}}, "z": 1, "evaluation": array{}}
		for _, path := range []string{"/access/v1/evaluation", "/access/v1/evaluations"} {
			allowed(t, post(t, o.url(path), body), "%s", path)
		}
	})
	t.Run("the longest batch", func(t *testing.T) {
		items := make(array, 1000)
		for i := range items {
			items[i] = seen
			if i%3 == 0 {
				items[i] = unseen
			}
		}
		for i, allowed := range decisionsOf(t, batch(t, "", items...)) {
			check(t, allowed == (i%3 != 0), "item %d is %v", i, allowed)
		}
		refused(t, batch(t, "", append(items, seen)...), http.StatusRequestEntityTooLarge)
	})
	t.Run("content types", func(t *testing.T) {
		for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
			answered(t, post(t, o.url("/access/v1/evaluation"), ask("ann", "view", patient("p-1")), "Content-Type", contentType), http.StatusOK, "%s", contentType)
		}
	})
}
