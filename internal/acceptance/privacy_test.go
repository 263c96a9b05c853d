package acceptance

import (
	"net/http"
	"strings"
	"testing"
)

// TestNoIdentifierLeavesByTelemetry asks with unmistakable ids in every way
// there is, and looks for them in the log, the metrics and the traces.
func TestNoIdentifierLeavesByTelemetry(t *testing.T) {
	t.Parallel()
	m := marked
	s := servePrivately(t, []record{
		role("viewer", "patient:view", "patient:create", "appointment:*"), patientGroup("g"), patientGroup("h"),
		teamMember(m["member"]).holding("viewer").seeing("g"), teamMember(m["provider"]).bookableBy("g"), teamMember(m["colleague"]),
		patientIn("g", m["patient"]).caredForBy(m["colleague"]), patientIn("h", m["unseen patient"]),
		booking(m["booking"], m["patient"], m["provider"], "booked"),
	}, "--facts-timeout", "100ms", "--request-timeout", "300ms", "--max-staleness", "300ms") // a cache, whose lease is soon over
	request := func(method, path string, body any) reply {
		return s.send(t, "decisions", method, path, body, "X-Request-ID", "rid-42")
	}
	everything := func(want int) {
		t.Helper()
		for _, q := range privateQuestions() {
			answered(t, request(http.MethodPost, "/access/v1/evaluation", q), want, "%v", q)
			request(http.MethodPost, "/access/v1/evaluations", map[string]any{"evaluations": []question{q, q}})
			request(http.MethodPost, "/v1/data/authz/decision", q.data())
			request(http.MethodPost, "/v1/data/authz/allow", q.data())
		}
		for _, id := range m {
			request(http.MethodGet, "/v1/permissions/"+id, nil)
			request(http.MethodPost, "/v1/permissions", map[string]any{"team_member": id})
			for _, path := range []string{"/" + id, "/access/v1/evaluation/" + id, "/v1/data/" + id, "/v1/data/authz/" + id, "/v1/permissions/" + id + "/" + id,
				"/v1/permissions/x?patient=" + id, "/access/v1/evaluation?subject=" + id, "/organisations/riverside/" + id, "/organisations/riverside/v1/permissions/" + id,
				"/directory/v1/patients/" + id} {
				request(http.MethodGet, path, nil)
				request(http.MethodPost, path, `{"subject":{"type":"team_member","id":"`+id+`"}}`)
				request(http.MethodDelete, path, nil)
			}
			for _, body := range []string{
				`{"subject":{"type":"team_member","id":"` + id, `{"subject":{"type":"team_member","id":["` + id + `"]}}`, `{"` + id + `":1}`,
				`{"subject":"` + id + `"}`, `"` + id + `"`, id, `{"team_member":{"id":"` + id + `"}}`, `{"evaluations":"` + id + `"}`,
				`{"evaluations":[{"subject":{"type":"` + id + `"}}]}`, `{"options":{"evaluations_semantic":"` + id + `"},"evaluations":[{}]}`,
				withSubject(`{"type":"team_member","id":"` + id + strings.Repeat("x", 70_000) + `"}`),
			} {
				for _, path := range []string{"/access/v1/evaluation", "/access/v1/evaluations", "/v1/data/authz/allow", "/v1/permissions"} {
					request(http.MethodPost, path, body)
				}
			}
		}
	}
	everything(http.StatusOK)
	noError(t, s.redis.Pause())
	eventually(t, "no answers with Redis paused", func() bool {
		return request(http.MethodPost, "/access/v1/evaluation", privateQuestions()[0]).status == http.StatusServiceUnavailable
	})
	s.redis.Kill()
	everything(http.StatusServiceUnavailable)
	s.tellsNobody(t, "/access/v1/evaluation")
}

func privateQuestions() []question {
	m := marked
	return []question{
		ask(m["member"], "view", patient(m["patient"])), ask(m["member"], "view", patient(m["unseen patient"])),
		ask(m["member"], "create", patient(m["stranger"])), ask(m["stranger"], "view", patient(m["patient"])),
		ask(m["member"], "book", provider(m["provider"]).of(m["patient"])), ask(patient(m["patient"]), "book", provider(m["provider"])),
		ask(patient(m["patient"]), "book", provider(m["provider"]).of(m["unseen patient"])), ask(patient(m["stranger"]), "view", provider(m["colleague"])),
		ask(m["member"], "create", appointment(m["booking"]).of(m["patient"]).with(m["provider"])), ask(m["member"], "view", appointment("a").of(m["stranger"])),
		ask(m["member"], m["patient"], entity{Type: m["patient"], ID: m["patient"]}), ask(entity{Type: m["member"], ID: m["member"]}, "view", patient(m["patient"])),
		{Subject: member(m["member"]), Action: action{Name: "view", Properties: map[string]any{"for": m["patient"]}}, Resource: patient(m["patient"]).naming(m["patient"], m["patient"]),
			Context: map[string]any{m["patient"]: m["patient"]}},
	}
}
