package acceptance

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNoIdentifierOfTheDirectoryLeavesByTelemetry writes and reads with
// unmistakable ids on every path of the Directory API, well and badly, with
// Redis and without, and looks for them in the log, the metrics and the traces.
func TestNoIdentifierOfTheDirectoryLeavesByTelemetry(t *testing.T) {
	t.Parallel()
	m := marked
	s := servePrivately(t, []record{
		role("admin", "*:*"), role("viewer", "patient:view"), group("g"), patientGroup("pg"), patientGroup("ph"), teamMember(m["colleague"]).holding("admin"),
		teamMember(m["member"]).holding("viewer").seeing("pg"), teamMember(m["provider"]).bookableBy("pg"), patientIn("pg", m["patient"]), patientIn("ph", m["unseen patient"]),
	}, "--admin-addr", "127.0.0.1:0", "--facts-timeout", "100ms", "--request-timeout", "300ms", "--max-staleness", "300ms")
	everything := func() {
		for _, actor := range []string{m["colleague"], "team_member:" + m["member"], "patient:" + m["patient"], m["stranger"], "x:" + m["stranger"], ""} {
			as := []string{"Caregate-Actor", actor}
			for _, c := range []struct {
				method, path string
				body         any
			}{
				{"PUT", "/patients/" + m["stranger"], object{"patient_group": "pg", "care_team": array{m["member"]}}},
				{"PUT", "/patients/" + m["stranger"], object{"patient_group": m["stranger"]}},
				{"PATCH", "/patients/" + m["patient"], object{"patient_group": "ph", m["stranger"]: 1}},
				{"PATCH", "/team-members/" + m["member"], object{"groups": array{"g", m["stranger"]}}},
				{"PUT", "/groups/g/members/" + m["member"], nil}, {"PUT", "/groups/g/members/" + m["stranger"], nil}, {"DELETE", "/groups/g/members/" + m["member"], nil},
				{"POST", "/groups/g/members", object{"add": array{m["member"], m["provider"]}}}, {"POST", "/groups/g/members", object{"add": array{m["patient"]}}},
				{"PUT", "/patient-groups/ph/patients/" + m["patient"], nil}, {"PUT", "/patient-groups/pg/patients/" + m["patient"], nil},
				{"PUT", "/patients/" + m["patient"] + "/care-team/" + m["member"], nil}, {"GET", "/patients/" + m["patient"] + "/care-team", nil},
				{"POST", "/bookings", visitOf(m["booking"], m["patient"], m["provider"])}, {"POST", "/bookings", visitOf(m["booking"], m["unseen patient"], m["provider"])},
				{"POST", "/bookings", visitOf(m["booking"], m["patient"], m["stranger"])}, {"DELETE", "/team-members/" + m["provider"], nil},
				{"POST", "/bookings/" + m["booking"] + "/cancel", object{}}, {"POST", "/bookings/" + m["stranger"] + "/cancel", object{}}, {"DELETE", "/bookings/" + m["booking"], nil},
				{"GET", "/patients/" + m["patient"], nil}, {"GET", "/team-members/" + m["member"] + "/patients?limit=1", nil}, {"GET", "/patients?after=" + m["patient"], nil},
				{"GET", "/patients?after=" + base64.RawURLEncoding.EncodeToString([]byte(m["patient"])), nil}, {"GET", "/patients?" + m["patient"] + "=1", nil}, {"GET", "/patients?limit=" + m["patient"], nil},
				{"DELETE", "/team-members/" + m["provider"], nil}, {"DELETE", "/patients/" + m["stranger"] + "?cascade=" + m["stranger"], nil}, {"DELETE", "/patients/" + m["stranger"] + "?cascade=true", nil},
				{"POST", "/records", object{"kind": "patient", "id": m["patient"]}}, {"POST", "/records", object{"kind": m["patient"], "id": m["patient"]}},
				{"POST", "/relations", object{"relation": "care_team", "from": m["patient"]}}, {"POST", "/relations", object{"relation": m["patient"], "from": m["patient"]}},
				{"POST", "/lists", object{"kind": "patient", "after": m["patient"]}}, {"POST", "/changes", object{"after": m["patient"]}}, {"GET", "/changes?after=" + m["patient"], nil},
				{"POST", "/edits", object{"edits": array{object{"link": object{"relation": "group", "from": m["member"], "to": m["stranger"]}}}}},
				{"POST", "/edits", object{"edits": array{object{"set": object{"kind": "patient", "id": m["patient"], "patient_group": "pg"}}}}},
				{"POST", "/edits", object{"edits": array{object{m["patient"]: object{}}}}}, {"POST", "/edits", object{"edits": m["patient"]}}, {"POST", "/edits", `{"edits":[{"put":{"kind":"patient","id":"` + m["patient"]},
				{"POST", "/edits", `{"edits":[{"put":{"kind":"patient","id":"` + m["patient"] + strings.Repeat("x", 70_000) + `"}}]}`}, {"PUT", "/" + m["patient"], nil}, {"POST", "/patients/" + m["patient"] + "/" + m["member"], nil},
			} {
				s.send(t, "admin", c.method, "/directory/v1"+c.path, c.body, as...)
				s.send(t, "admin", c.method, "/organisations/riverside/directory/v1"+c.path, c.body, append(slices.Clone(as), "If-Match", `"1.`+m["patient"]+`"`, "X-Request-ID", "rid-7")...)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			_, _ = send(ctx, http.MethodGet, s.admin()+"/directory/v1/changes", nil, "Accept", "text/event-stream", "Caregate-Actor", actor)
			_, _ = send(ctx, http.MethodGet, s.admin()+"/directory/v1/changes", nil, "Accept", "text/event-stream", "Last-Event-ID", m["patient"], "Authorization", "Bearer "+m["member"])
			cancel()
		}
	}
	everything()
	s.redis.Kill()
	time.Sleep(400 * time.Millisecond)
	everything()
	s.tellsNobody(t, "/directory/v1/", 200, 201, 204, 400, 403, 404, 409, 412, 413, 503)
}
