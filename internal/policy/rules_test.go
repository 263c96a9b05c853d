package policy_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// unlisted is a policy that says what it ranges over, and what to hide.
const unlisted = `package authz

allow if input.subject.id == "ada"

candidates.document contains id if some id in ["plan", "draft", "plan"]

candidates.folder := {"b": {"depth": 2}, "a": {}}

candidates.action := {"read", "write"} if input.resource.id == "plan"

candidates.number := input.context.number

masks := {"title": {"replace": {"value": "***"}}} if input.subject.id != "ada"
`

func rulesOf(t *testing.T, rego string) *policy.Snapshot {
	t.Helper()
	return compiled(t, written(t, one(rego), nil), policy.Config{})
}

func asking(r *authz.Request) authz.Question {
	return authz.Question{Request: r, Facts: authz.NewFacts(true, authz.Revision{})}
}

func TestCandidatesAreWhatThePolicyNames(t *testing.T) {
	s := rulesOf(t, unlisted)
	for what, want := range map[string][]authz.CandidateEntity{
		"document": {{ID: "draft"}, {ID: "plan"}},
		"folder":   {{ID: "a", Properties: map[string]any{}}, {ID: "b", Properties: map[string]any{"depth": json.Number("2")}}},
		"action":   {{ID: "read"}, {ID: "write"}},
	} {
		got, defined, err := s.Candidates(t.Context(), asking(request("user:ada", "read", "document:plan")), what)
		if err != nil || !defined || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, %v", what, got, defined, err)
		}
	}
	for _, what := range []string{"picture", ""} {
		if got, defined, err := s.Candidates(t.Context(), asking(request("user:ada", "read", "document:plan")), what); got != nil || defined || err != nil {
			t.Errorf("%q: %v, %v, %v", what, got, defined, err)
		}
	}
	number := request("user:ada", "read", "document:plan")
	number.Context = map[string]any{"number": json.Number("7")}
	if _, _, err := s.Candidates(t.Context(), asking(number), "number"); err == nil || authz.KindOf(err) != authz.Internal {
		t.Errorf("a number of candidates: %v", err)
	}
	if _, defined, err := rulesOf(t, "package authz\n\nallow if true\n").Candidates(t.Context(), asking(request("user:ada", "read", "document:")), "document"); defined || err != nil {
		t.Errorf("a policy without candidates: %v, %v", defined, err)
	}
}

func TestMasksAndAccountsAreObjectsOrNothing(t *testing.T) {
	s := rulesOf(t, unlisted)
	for subject, want := range map[string]string{"bob": `{"title":{"replace":{"value":"***"}}}`, "ada": ""} {
		if got, err := s.Masks(t.Context(), asking(request("user:"+subject, "read", "document:")), authz.Open{}); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", subject, got, err)
		}
	}
	if got, err := s.Explain(t.Context(), asking(request("user:ada", "read", "document:plan"))); got.User != nil || got.Admin != nil || err != nil {
		t.Errorf("a policy without an account explains %+v, %v", got, err)
	}
	wrong := rulesOf(t, "package authz\n\nallow if true\n\nmasks := input.context.masks\n")
	titles := request("user:ada", "read", "document:")
	titles.Context = map[string]any{"masks": []any{"title"}}
	if _, err := wrong.Masks(t.Context(), asking(titles), authz.Open{}); err == nil || !strings.Contains(err.Error(), "must be an object") {
		t.Errorf("masks that are an array: %v", err)
	}
}

// The default policy ranges over what the caller names.
func TestTheDefaultPolicyTakesTheCallersList(t *testing.T) {
	s := compiled(t, embedded(t), policy.Config{})
	r := request("team_member:mark", "view", "appointment:")
	r.Context = map[string]any{"candidates": map[string]any{"a-1": map[string]any{"patient": "p-1"}}}
	got, defined, err := s.Candidates(t.Context(), asking(r), "appointment")
	if err != nil || !defined || len(got) != 1 || got[0].Properties["patient"] != "p-1" {
		t.Errorf("%v, %v, %v", got, defined, err)
	}
	if s.General() != nil {
		t.Error(s.General())
	}
}
