package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sharing is the answer of the document-sharing policy.
type sharing struct {
	Decision *bool `json:"decision"`
	Context  *struct {
		Because []string `json:"because"`
		Seen    struct {
			Subject map[string]any `json:"subject"`
			Context map[string]any `json:"context"`
		} `json:"seen"`
		Reasons []string `json:"reasons"`
	} `json:"context"`
}

// TestAnotherDomain serves a policy about documents, which nobody in Go has
// heard of, with its own subjects, resources, actions and reasons.
func TestAnotherDomain(t *testing.T) {
	t.Parallel()
	here := try(filepath.Abs("testdata/documents")).must(t)
	s := serve(t, "--policies", filepath.Join(here, "policies"), "--data", filepath.Join(here, "data"))
	user := func(id string) entity { return entity{Type: "user", ID: id} }
	document := func(id string) entity { return entity{Type: "document", ID: id} }
	byLink := ask(user("eve"), "read", document("plan").naming("link", "l-1"))
	byLink.Context = map[string]any{"signed_in": true}
	for _, c := range []struct {
		q       question
		allow   bool
		because []string
	}{
		{ask(user("ada"), "write", document("plan")), true, []string{"owner"}},
		{ask(user("ada"), "share", document("plan")), true, []string{"owner"}},
		{ask(user("bob"), "read", document("plan")), true, []string{"shared"}},
		{ask(user("bob"), "write", document("plan")), false, []string{"not_shared"}},
		{ask(user("ada"), "read", document("diary")), false, []string{"not_shared"}},
		{byLink, true, []string{"link"}},
		{ask(user("eve"), "read", document("plan").naming("link", "l-1")), false, []string{"not_shared"}},
		{ask(entity{Type: "team_member", ID: "ada"}, "write", document("plan")), false, []string{"not_shared"}},
		{ask(user("ada"), "read", entity{Type: "folder", ID: "plan"}), false, []string{"not_shared"}},
	} {
		got := decode[sharing](t, post(t, s.decisions()+"/access/v1/evaluation", c.q))
		if got.Decision == nil || *got.Decision != c.allow || got.Context == nil || !sameSet(got.Context.Because, c.because) {
			t.Errorf("%v: %+v, expected %v because of %q", c.q, got, c.allow, c.because)
		}
		short := decode[map[string]any](t, post(t, s.decisions()+"/v1/data/authz/allow", c.q.data()))
		if _, there := short["result"]; there != c.allow {
			t.Errorf("%v: /v1/data/authz/allow says %v", c.q, short)
		}
		whole := decode[struct{ Result map[string]any }](t, post(t, s.decisions()+"/v1/data/authz/decision", c.q.data()))
		check(t, whole.Result["allow"] == c.allow, "%v: /v1/data/authz/decision says %v", c.q, whole)
	}

	t.Run("what is asked passes through verbatim", func(t *testing.T) {
		q := ask(user("ada").naming("department", map[string]any{"n": 1e15, "list": []any{1.5, nil, "x"}}), "read", document("plan"))
		q.Context = map[string]any{"time": "2030-01-01T00:00:00Z", "deep": map[string]any{"a": []any{true}}}
		got := decode[sharing](t, post(t, s.decisions()+"/access/v1/evaluation", q))
		wanted, _ := json.Marshal(map[string]any{"type": "user", "id": "ada", "properties": q.Subject.Properties})
		seen, _ := json.Marshal(got.Context.Seen.Subject)
		check(t, string(canonical(t, seen)) == string(canonical(t, wanted)), "the policy saw the subject %s, expected %s and no facts", seen, wanted)
		wanted, _ = json.Marshal(q.Context)
		seen, _ = json.Marshal(got.Context.Seen.Context)
		check(t, string(canonical(t, seen)) == string(canonical(t, wanted)), "the policy saw the context %s, expected %s", seen, wanted)
	})
	t.Run("undefined is a deny", func(t *testing.T) {
		got := decode[sharing](t, post(t, s.decisions()+"/access/v1/evaluation", ask(user("ada"), "read", document("nothing"))))
		if got.Decision == nil || *got.Decision || got.Context == nil || !slices.Equal(got.Context.Reasons, []string{"undefined"}) {
			t.Errorf("%+v, expected a deny with the reason undefined", got)
		}
	})
	t.Run("batches", func(t *testing.T) {
		body := map[string]any{"subject": user("bob"), "action": action{Name: "read"},
			"evaluations": []any{map[string]any{"resource": document("plan")}, map[string]any{"resource": document("diary")},
				map[string]any{"resource": document("plan"), "action": action{Name: "write"}}, map[string]any{"resource": document("nothing")}}}
		got := decode[struct{ Evaluations []sharing }](t, post(t, s.decisions()+"/access/v1/evaluations", body)).Evaluations
		want := []bool{true, true, false, false}
		for i, w := range want {
			require(t, len(got) == len(want) && *got[i].Decision == w, "%+v, expected %v", got, want)
		}
	})
}

// copyData copies the project's data to a place where it can be edited.
func copyData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	noError(t, os.CopyFS(dir, os.DirFS("../../data")))
	return dir
}

// TestANewResourceTypeIsAnEditOfData is P4: invoice:approve comes to be by an
// edit of the catalogue and nothing else.
func TestANewResourceTypeIsAnEditOfData(t *testing.T) {
	t.Parallel()
	facts := writeFacts(t, merge(nil,
		role("named", "invoice:approve"), role("wild", "invoice:*"), role("all", "*:*"), patientGroup("g"), patientGroup("h"),
		teamMember("named").holding("named").seeing("g"), teamMember("wild").holding("wild").seeing("g"), teamMember("all").holding("all"),
		patientIn("g", "p-1"), patientIn("h", "p-2")))
	invoice := func(patient string) entity { return entity{Type: "invoice", ID: "i-1"}.of(patient) }
	organisationOf := func(s *server) *organisation { return &organisation{name: "riverside", server: s} }

	before := organisationOf(serve(t, "--facts", facts))
	for _, who := range []string{"named", "wild", "all"} {
		before.deny(t, who, "approve", invoice("p-1"), "resource_type_unknown")
		before.deny(t, who, "view", invoice("p-1"), "resource_type_unknown")
	}

	data := copyData(t)
	file := filepath.Join(data, "catalogue", "data.json")
	text := try(os.ReadFile(file)).must(t)
	var catalogue struct {
		Types map[string]any `json:"types"`
	}
	noError(t, json.Unmarshal(text, &catalogue))
	catalogue.Types["invoice"] = map[string]any{
		"actions":    map[string]any{"view": map[string]any{}, "approve": map[string]any{}},
		"references": map[string]any{"patient": map[string]any{"required": true}},
	}
	noError(t, os.WriteFile(file, try(json.Marshal(catalogue)).must(t), 0o600))
	after := organisationOf(serve(t, "--facts", facts, "--data", data))
	after.allow(t, "named", "approve", invoice("p-1")).grantedBy("named").needing("invoice:approve").because("patient_visible").through("patient_group_access")
	after.deny(t, "named", "view", invoice("p-1"), "permission_missing")
	after.allow(t, "wild", "view", invoice("p-1")).grantedBy("wild")
	after.deny(t, "wild", "approve", invoice("p-1"), "permission_missing") // P3: further actions are granted by name
	after.allow(t, "all", "approve", invoice("p-1")).grantedBy("all")
	after.allow(t, "all", "view", invoice("p-2")).through("view_all_patients")
	after.deny(t, "named", "approve", invoice("p-2"), "patient_not_visible")
	after.deny(t, "named", "approve", entity{Type: "invoice", ID: "i-1"}, "reference_missing")
	after.deny(t, "named", "approve", invoice("nobody"), "reference_unknown")
	after.deny(t, "all", "update", invoice("p-1"), "action_unknown") // not one of its actions
	if all := after.permissions(t, "named"); len(all) != 1 || all["invoice:approve"].Role != "named" {
		t.Errorf("permissions of named: %+v", all)
	}
	allowed(t, post(t, after.server.decisions()+"/access/v1/evaluation", ask("all", "view", thing("stock"))), "what was there before")
}
