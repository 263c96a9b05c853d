package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/httpapi"
)

// A token names a revision by its count and by what tells histories apart. One of a history
// that was lost is refused wherever it can be given, though facts have come past its count,
// and nothing is changed on its strength.
func TestATokenOfALostHistoryIsRefusedEverywhere(t *testing.T) {
	decisions, administration := ward(t, httpapi.Config{})
	patient, list := `"resource":{"type":"patient"}`, `{"ids":["mark"]}`
	write := func(method, path, body string) answer { return administration.ada(method, path, body) }
	write(http.MethodPut, "/groups/later", `{"permissions":[]}`).wantStatus(t, 201)
	at := write(http.MethodPut, "/groups/later", `{"name":"Later","permissions":[]}`).wantStatus(t, 200).header.Get("Caregate-Revision")
	if !strings.HasPrefix(at, "3.") {
		t.Fatalf("the organisation is at %s", at)
	}
	kept := administration.read("/groups/later").header.Get("Caregate-Revision")
	asked := 0
	for where, ask := range map[string]func(headers ...string) answer{
		"check": func(h ...string) answer { return decisions.post("/access/v1/evaluation", good, h...) },
		"batch": func(h ...string) answer {
			return decisions.post("/access/v1/evaluations", `{`+mark+`,`+view+`,"evaluations":[{`+p1+`}]}`, h...)
		},
		"by resource": func(h ...string) answer {
			return decisions.post(searchBase+"resource", `{`+mark+`,`+view+`,`+patient+`}`, h...)
		},
		"by subject": func(h ...string) answer {
			return decisions.post(searchBase+"subject", `{"subject":{"type":"team_member"},`+view+`,`+p1+`}`, h...)
		},
		"by action": func(h ...string) answer { return decisions.post(searchBase+"action", `{`+mark+`,`+p1+`}`, h...) },
		"filter": func(h ...string) answer {
			return decisions.post("/v1/filters", `{`+mark+`,`+view+`,`+patient+`,"dialect":"sqlite"}`, h...)
		},
		"permissions":  func(h ...string) answer { return decisions.get("/v1/permissions/mark", h...) },
		"explanation":  func(h ...string) answer { return decisions.post("/v1/explanations", good, h...) },
		"of a member":  func(h ...string) answer { return decisions.post("/v1/reviews", `{"team_member":"mark"}`, h...) },
		"of a patient": func(h ...string) answer { return decisions.post("/v1/reviews", `{"patient":"p-1"}`, h...) },
		"preview": func(h ...string) answer {
			return decisions.post("/v1/previews", `{"edits":[{"link":{"relation":"access","from":"rita","to":"cardio"}}]}`, h...)
		},
		"preview of nothing": func(h ...string) answer {
			return decisions.post("/v1/previews", `{"edits":[{"link":{"relation":"access","from":"mark","to":"diabetes"}}]}`, h...)
		},
		"record": func(h ...string) answer { return administration.ada("GET", "/patients/p-1", "", h...) },
		"record by body": func(h ...string) answer {
			return administration.ada("POST", "/records", `{"kind":"patient","id":"p-1"}`, h...)
		},
		"list":         func(h ...string) answer { return administration.ada("GET", "/patients", "", h...) },
		"list by body": func(h ...string) answer { return administration.ada("POST", "/lists", `{"kind":"role"}`, h...) },
		"set":          func(h ...string) answer { return administration.ada("GET", "/team-members/mark/access", "", h...) },
		"other side": func(h ...string) answer {
			return administration.ada("GET", "/patient-groups/diabetes/access", "", h...)
		},
		"relation": func(h ...string) answer {
			return administration.ada("POST", "/relations", `{"relation":"care_team","to":"rita"}`, h...)
		},
		"changes":        func(h ...string) answer { return administration.ada("GET", "/changes", "", h...) },
		"after a change": func(h ...string) answer { return administration.ada("GET", "/changes?after="+kept, "", h...) },
		"the stream": func(h ...string) answer {
			return administration.ada("HEAD", "/changes", "", append(h, "Accept", "text/event-stream")...)
		},
		"put": func(h ...string) answer {
			return written(administration, "PUT", "/groups/later", `{"name":"Never","permissions":[]}`, h)
		},
		"put of nothing": func(h ...string) answer {
			return written(administration, "PUT", "/groups/later", `{"name":"Later","permissions":[]}`, h)
		},
		"patch": func(h ...string) answer {
			return written(administration, "PATCH", "/groups/later", `{"name":"Later"}`, h)
		},
		"link": func(h ...string) answer {
			return written(administration, "PUT", "/patient-groups/diabetes/access/mark", "", h)
		},
		"replace": func(h ...string) answer {
			return written(administration, "PUT", "/patient-groups/diabetes/access", list, h)
		},
		"replace a list": func(h ...string) answer {
			return written(administration, "PUT", "/team-members/mark/access", `{"ids":["diabetes"]}`, h)
		},
		"add": func(h ...string) answer {
			return written(administration, "POST", "/patient-groups/diabetes/access", `{"add":["mark"]}`, h)
		},
		"edits": func(h ...string) answer {
			return written(administration, "POST", "/edits", `{"edits":[{"link":{"relation":"access","from":"mark","to":"diabetes"}}]}`, h)
		},
		"booking": func(h ...string) answer {
			return written(administration, "POST", "/bookings", `{"id":"b-1","patient":"p-1","provider":"mark"}`, h)
		},
		"cancelling": func(h ...string) answer { return written(administration, "POST", "/bookings/b-1/cancel", `{}`, h) },
	} {
		asked++
		for _, lost := range []string{"2.anotherhistory", "3.anotherhistory", "4.anotherhistory"} {
			got := ask("Caregate-Actor", "ada", "Caregate-At-Least", lost)
			if got.status != http.StatusPreconditionFailed {
				t.Errorf("%s at least %s: %d %s", where, lost, got.status, got.body)
				continue
			}
			if got.body != "" { // HEAD
				got.refused(t, 412, "behind", "Caregate-At-Least")
			}
		}
	}
	if now := administration.read("/groups/later").header.Get("Caregate-Revision"); now != at || asked < 30 {
		t.Errorf("from %s to %s with %d questions", at, now, asked)
	}
	// What is there is included, and what was there.
	first := fmt.Sprint(strings.Split(administration.read("/changes?limit=1").body, `"`)[5])
	for _, token := range []string{first, at} {
		decisions.post("/v1/previews", `{"edits":[{"link":{"relation":"access","from":"rita","to":"cardio"}}]}`,
			"Caregate-Actor", "ada", "Caregate-At-Least", token).wantStatus(t, 200)
		administration.ada("PATCH", "/groups/later", `{"name":"Later"}`, "Caregate-At-Least", token).wantStatus(t, 200)
		administration.ada("GET", "/groups/later", "", "Caregate-At-Least", token).wantStatus(t, 200)
	}
	administration.ada("PATCH", "/groups/later", `{"name":"Later"}`, "Caregate-At-Least", "x").refused(t, 400, "malformed", "Caregate-At-Least")
}

// written sends a write with further headers.
func written(c *client, method, path, body string, headers []string) answer {
	return c.do(method, base+path, body, headers...)
}
