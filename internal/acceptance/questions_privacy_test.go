package acceptance

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestNoIdentifierOfAQuestionLeavesByTelemetry asks every other question with
// unmistakable ids, well and badly, with a policy in and outside the fragment,
// with Redis and without, and looks for them in log, metrics and traces.
func TestNoIdentifierOfAQuestionLeavesByTelemetry(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"inside": nil, "outside": {"--policies", outside(t)}} {
		t.Run(name, func(t *testing.T) { asksPrivately(t, flags) })
	}
}

func asksPrivately(t *testing.T, flags []string) {
	t.Helper()
	m := marked
	s := servePrivately(t, []record{
		role("admin", "*:*"), role("viewer", "patient:view", "appointment:view"), patientGroup("g"), patientGroup("h"), teamMember(m["colleague"]).holding("admin"),
		teamMember(m["member"]).holding("viewer").seeing("g"), teamMember(m["provider"]).bookableBy("g"), patientIn("g", m["patient"]).caredForBy(m["member"]), patientIn("h", m["unseen patient"]),
	}, append([]string{"--facts-timeout", "200ms", "--request-timeout", "2s", "--max-staleness", "400ms", "--filters", writeFile(t, "filters.json", mappedToIDs)}, flags...)...)
	everything := func(who []string, actors ...string) {
		for _, actor := range actors {
			request := func(path string, body any, headers ...string) reply {
				return s.send(t, "decisions", http.MethodPost, path, body, append(headers, "Caregate-Actor", actor)...)
			}
			for _, who := range who {
				for _, whom := range []string{m["patient"], m["unseen patient"], m["stranger"]} {
					for path, body := range everyQuestion(who, whom) {
						r := request(path, body)
						request("/organisations/riverside"+path, merged(body, object{who: whom}))
						request(path, merged(body, object{"page": object{"limit": 1, "token": whom}, "context": object{whom: who}}))
						request(path, body, "Caregate-At-Least", "1."+whom)
						request(path+"/"+whom, body)
						if r.status == http.StatusOK && strings.Contains(path, "search") {
							p := paged(body, 1, "")
							if token := searched(t, request(path, p), 1).Page.Next; *token != "" {
								request(path, paged(body, 1, *token))
								request(path, paged(merged(body, object{"context": object{"x": whom}}), 1, *token))
							}
						}
					}
					request(searchResource, object{"subject": patient(whom), "action": action{Name: "book"}, "resource": object{"type": "provider", "properties": object{"patient": whom}}})
					request(searchResource, object{"subject": member(who), "action": action{Name: "view"}, "resource": object{"type": "appointment"}, "context": object{"candidates": object{m["booking"]: object{"patient": whom}, who: object{"provider": who}}}})
					request(searchResource, object{"subject": member(who), "action": action{Name: whom}, "resource": object{"type": whom}, "context": object{"candidates": array{whom}}})
					request("/v1/filters", object{"subject": member(who), "action": action{Name: "view"}, "resource": object{"type": "appointment", "properties": object{"patient": whom}}, "dialect": "sqlite"})
					request("/v1/filters", object{"subject": member(who), "action": action{Name: "view"}, "resource": object{"type": whom}, "dialect": whom})
					request("/v1/explanations", ask(who, "book", provider(m["provider"]).of(whom)))
					request("/v1/reviews", object{"patient": whom})
					request("/v1/reviews", object{"patient": whom, "team_member": who})
					request("/v1/previews", object{"edits": array{object{"unlink": object{"relation": "care_team", "from": whom, "to": who}}, object{"delete": object{"kind": "team_member", "id": who, "cascade": true}}}})
					request("/v1/previews", object{"edits": array{object{"set": object{"kind": "patient", "id": whom, "patient_group": who}}}})
					request("/v1/previews", object{"edits": array{object{whom: who}}})
					request("/v1/previews", `{"edits":[{"delete":{"kind":"patient","id":"`+whom)
				}
			}
		}
	}
	everything([]string{m["member"], m["provider"], m["stranger"]}, m["colleague"])
	everything([]string{m["member"]}, m["member"], "patient:"+m["patient"], m["stranger"], "x:"+m["stranger"], "")
	noError(t, s.redis.Pause())
	time.Sleep(500 * time.Millisecond)
	for path, body := range everyQuestion(m["member"], m["patient"]) {
		s.send(t, "decisions", http.MethodPost, path, body, "Caregate-Actor", m["colleague"])
	}
	s.redis.Kill()
	everything([]string{m["member"]}, m["colleague"])
	check(t, s.statuses[500] == 0, "%d answers are faults:\n%s", s.statuses[500], s.Log)
	s.tellsNobody(t, searchResource, 200, 400, 403, 404, 503)
}
