package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// forgery is a fact that a caller could try to bring along.
type forgery struct {
	name  string
	value any
}

// forgeries are all the facts that the policy sees, in the shapes in which it
// may see them, with what would grant the most.
var forgeries = func() []forgery {
	everything := map[string]any{"*:*": true, "patient:view": true, "patient:update": true, "appointment:create": true, "report:view": true, "patient:view_all": true}
	reference := map[string]any{"type": "patient", "id": "p-1", "found": true, "patient_group": "diabetes", "care_team": []string{"window", "newcomer"}}
	groups := []string{"diabetes", "aftercare"}
	out := []forgery{}
	for name, values := range map[string][]any{
		"found":         {true, false, 1, "true"},
		"role":          {"root", []string{"root"}, map[string]any{"id": "root", "permissions": everything}},
		"permissions":   {everything, []string{"*:*"}, "*:*", map[string]any{"patient:view": map[string]any{"role": "root", "groups": []string{"g"}}}},
		"groups":        {[]string{"roots"}, map[string]any{"roots": true}, groups},
		"access":        {groups, map[string]any{"diabetes": true, "aftercare": true}, "*"},
		"booking":       {groups, map[string]any{"diabetes": true, "aftercare": true}},
		"care_team":     {[]string{"window", "newcomer", "desk"}, map[string]any{"newcomer": true, "window": true}},
		"patient_group": {"diabetes", "aftercare", map[string]any{"id": "diabetes", "found": true}},
		"provider":      {true, "bookable", map[string]any{"type": "provider", "id": "bookable", "found": true, "provider": true, "booking": groups}},
		"patient":       {reference, "p-1", []any{reference}},
		"references":    {map[string]any{"patient": reference}},
		"facts":         {map[string]any{"found": true, "permissions": everything, "access": groups}},
		"resource":      {map[string]any{"type": "stock", "id": "1", "found": true}},
		"subject":       {map[string]any{"type": "team_member", "id": "root", "found": true, "permissions": everything}},
		"organisation":  {true, "another"},
		"type":          {"team_member", "stock"},
		"id":            {"root"},
		"allow":         {true},
		"decision":      {true, map[string]any{"allow": true}},
		"input":         {map[string]any{"subject": map[string]any{"type": "team_member", "id": "root"}}},
		"data":          {map[string]any{"authz": map[string]any{"allow": true}}},
		"properties":    {map[string]any{"found": true, "permissions": everything, "access": groups}},
		"catalogue":     {map[string]any{"types": map[string]any{"invoice": map[string]any{"actions": map[string]any{"approve": map[string]any{}}}}}},
		"name":          {"root"},
	} {
		for _, value := range values {
			out = append(out, forgery{name, value})
		}
	}
	slices.SortStableFunc(out, func(a, b forgery) int { return strings.Compare(a.name, b.name) })
	return out
}()

// places are where a caller may write, as paths from the question.
var places = [][]string{
	{}, {"subject"}, {"action"}, {"resource"}, {"context"},
	{"subject", "properties"}, {"action", "properties"}, {"resource", "properties"},
	{"resource", "properties", "properties"}, {"context", "subject"}, {"context", "input"},
}

// spoken are the members that belong to the question itself: what the caller
// writes there is another question, not a forged fact.
func spoken(place []string, q question, name string) bool {
	switch strings.Join(place, ".") {
	case "":
		return slices.Contains([]string{"subject", "action", "resource", "context"}, name)
	case "subject", "resource":
		return name == "type" || name == "id" || name == "properties"
	case "action":
		return name == "name" || name == "properties"
	case "resource.properties":
		k := theCatalogue[q.Resource.Type]
		return slices.Contains(k.required, name) || slices.Contains(k.optional, name)
	}
	return false
}

// forged returns the question with one member more.
func forged(t *testing.T, q question, place []string, f forgery) map[string]any {
	t.Helper()
	encoded := try(json.Marshal(q)).must(t)
	var out map[string]any
	noError(t, json.Unmarshal(encoded, &out))
	at := out
	for _, step := range place {
		next, there := at[step].(map[string]any)
		if !there {
			next = map[string]any{}
			at[step] = next
		}
		at = next
	}
	at[f.name] = f.value
	return out
}

// suspects are questions of the practice, most of them denied, by people who
// would gain something by a forgery.
func suspects() []question {
	return []question{
		ask("newcomer", "view", patient("p-1")), ask("newcomer", "update", patient("p-1")), ask("newcomer", "create", patient("p-9")),
		ask("desk", "view", patient("p-1")), ask("desk", "book", provider("bookable").of("p-2")), ask("desk", "book", provider("sighted").of("p-1")),
		ask("desk", "book", provider("bookable")), ask("desk", "book", provider("clerk").of("p-1")),
		ask("window", "book", provider("bookable").of("p-1")), ask("window", "create", appointment("a").of("p-1").with("bookable")),
		ask("desk", "create", appointment("a").with("bookable")), ask("desk", "view", appointment("a").of("p-2")),
		ask("newcomer", "view", report("r").on("diabetes")), ask("newcomer", "view", report("r")), ask("newcomer", "update", entity{Type: "settings", ID: "s"}),
		ask("newcomer", "approve", entity{Type: "invoice", ID: "i"}), ask("newcomer", "view_all", patient("p-1")), ask("nobody", "view", patient("p-1")),
		ask(entity{Type: "service", ID: "root"}, "view", patient("p-1")), ask("newcomer", "view", patient("p-404")),
		ask(patient("p-1"), "view", patient("p-1")), ask(patient("p-2"), "book", provider("bookable")), ask(patient("p-1"), "book", provider("idle")),
		ask(patient("p-404"), "book", provider("bookable")),
		// Some that are allowed: a forgery does not take anything away either.
		ask("sighted", "view", patient("p-1")), ask("desk", "book", provider("bookable").of("p-1")), ask(patient("p-1"), "book", provider("bookable")),
	}
}

// TestForgedFactsChangeNothing adds every fact at every level of every
// question: the answer stays as it was, reasons and all.
func TestForgedFactsChangeNothing(t *testing.T) {
	t.Parallel()
	o := newOrganisation(t, embeddedStore{}, append(practice(),
		role("root", "*:*"), group("roots", "*:*"), role("nothing"), teamMember("root").holding("root"), teamMember("newcomer").holding("nothing"))...)
	questions := suspects()
	honest := make([]json.RawMessage, len(questions))
	allowed := 0
	for i, q := range questions {
		honest[i] = canonical(t, post(t, o.url("/access/v1/evaluation"), q).body)
		if o.decide(t, q).allowed() {
			allowed++
		}
	}
	check(t, allowed == 3, "%d of the honest questions are allowed, expected the last 3", allowed)
	var tries []attempt
	for _, f := range forgeries {
		for _, place := range places {
			for i, q := range questions {
				if !spoken(place, q, f.name) {
					tries = append(tries, attempt{i, fmt.Sprintf("%s.%s=%v", strings.Join(place, "."), f.name, f.value), forged(t, q, place, f)})
				}
			}
		}
	}
	t.Logf("%d forged questions", len(tries))
	t.Run("evaluations", func(t *testing.T) { o.tryBatches(t, questions, honest, tries) })
	t.Run("evaluation_and_data", func(t *testing.T) {
		for i := 0; i < len(tries); i += 7 { // a prime, so that every question, place and fact has its turn
			o.tryAlone(t, questions, honest, tries[i])
		}
	})
	t.Run("all_at_once", func(t *testing.T) {
		for i, q := range questions {
			body := forgedEverywhere(t, q)
			o.tryAlone(t, questions, honest, attempt{i, "everything everywhere", body})
		}
	})
	t.Run("batch_defaults", func(t *testing.T) {
		for i, q := range questions {
			body := forgedEverywhere(t, q)
			body["evaluations"] = []any{map[string]any{}}
			r := post(t, o.url("/access/v1/evaluations"), body)
			got := decode[struct{ Evaluations []json.RawMessage }](t, r)
			if len(got.Evaluations) != 1 || !bytes.Equal(canonical(t, got.Evaluations[0]), honest[i]) {
				t.Errorf("%v with forged defaults: %v, expected %s", q, r, honest[i])
			}
		}
	})
}

// attempt is a forged question, and the honest one it was.
type attempt struct {
	honest int
	how    string
	body   map[string]any
}

func forgedEverywhere(t *testing.T, q question) map[string]any {
	t.Helper()
	body := forged(t, q, nil, forgery{"found", true})
	for _, f := range forgeries {
		for _, place := range places {
			if !spoken(place, q, f.name) && f.name != "properties" && f.name != "subject" && f.name != "input" {
				at := body
				for _, step := range place {
					next, there := at[step].(map[string]any)
					if !there {
						next = map[string]any{}
						at[step] = next
					}
					at = next
				}
				at[f.name] = f.value
			}
		}
	}
	return body
}

func (o *organisation) tryBatches(t *testing.T, questions []question, honest []json.RawMessage, tries []attempt) {
	for part := range slices.Chunk(tries, 1000) {
		bodies := make([]map[string]any, len(part))
		for i, a := range part {
			bodies[i] = a.body
		}
		got := decode[struct{ Evaluations []json.RawMessage }](t, post(t, o.url("/access/v1/evaluations"), map[string]any{"evaluations": bodies}))
		require(t, len(got.Evaluations) == len(part), "%d answers to %d questions", len(got.Evaluations), len(part))
		for i, a := range part {
			if answer := canonical(t, got.Evaluations[i]); !bytes.Equal(answer, honest[a.honest]) {
				t.Errorf("%v with %s: %s, expected %s", questions[a.honest], a.how, answer, honest[a.honest])
			}
		}
	}
}

func (o *organisation) tryAlone(t *testing.T, questions []question, honest []json.RawMessage, a attempt) {
	t.Helper()
	r := post(t, o.url("/access/v1/evaluation"), a.body)
	if r.status != http.StatusOK || !bytes.Equal(canonical(t, r.body), honest[a.honest]) {
		t.Errorf("%v with %s: %v, expected %s", questions[a.honest], a.how, r, honest[a.honest])
	}
	// An OPA client may write beside the input too.
	wrapped := map[string]any{}
	maps.Copy(wrapped, a.body)
	wrapped["input"] = a.body
	var want struct {
		Decision bool
		Context  map[string]any
	}
	noError(t, json.Unmarshal(honest[a.honest], &want))
	got := decode[struct {
		Result struct {
			Allow   bool
			Context map[string]any
		}
	}](t, post(t, o.url("/v1/data/authz/decision"), wrapped)).Result
	if got.Allow != want.Decision || !reflect.DeepEqual(got.Context, want.Context) {
		t.Errorf("/v1/data: %v with %s: %+v, expected %+v", questions[a.honest], a.how, got, want)
	}
}

// canonical writes JSON in one way, so that answers can be compared.
func canonical(t *testing.T, in []byte) json.RawMessage {
	t.Helper()
	var v any
	unmarshal(t, in, &v)
	out := try(json.Marshal(v)).must(t)
	return out
}
