package httpapi_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/httpapi"
)

// ward is the clinic with everything that answers questions about it.
func ward(t *testing.T, cfg httpapi.Config) (decisions, administration *client) {
	t.Helper()
	api := newAPI(t, everything(t, clinics(t, "riverside"), cfg))
	return serve(t, api.Decisions()), serve(t, api.Admin())
}

// What a search finds, page by page, is what checks allow (V8).
func TestSearchesAgreeWithChecks(t *testing.T) {
	c, _ := ward(t, httpapi.Config{})
	results := 0
	for _, member := range []string{"ada", "mark", "rita", "nobody"} {
		for _, act := range []string{"view", "update", "delete"} {
			question := func(resource string) string {
				return fmt.Sprintf(`{"subject":{"type":"team_member","id":%q},"action":{"name":%q},"resource":{"type":"patient"%s}`, member, act, resource)
			}
			var want, found []string
			for _, id := range []string{"p-1", "p-2", "p-3", "p-4"} {
				if strings.HasPrefix(c.post("/access/v1/evaluation", question(`,"id":"`+id+`"`)+`}`).body, `{"decision":true`) {
					want = append(want, id)
				}
			}
			token := ""
			for range 9 {
				got := c.post(searchBase+"resource", question(``)+`,"page":{"limit":1`+token+`}}`).wantStatus(t, 200)
				var page struct {
					Page struct {
						Next string `json:"next_token"`
					}
					Results []struct{ Type, ID string }
				}
				if err := json.Unmarshal([]byte(got.body), &page); err != nil {
					t.Fatalf("%s: %v", got.body, err)
				}
				for _, r := range page.Results {
					found = append(found, r.ID)
				}
				if page.Page.Next == "" {
					token = "end"
					break
				}
				token = `,"token":"` + page.Page.Next + `"`
			}
			if !slices.Equal(found, want) || token != "end" {
				t.Errorf("%s may %s %v, and a search finds %v", member, act, want, found)
			}
			results += len(found)
		}
	}
	if results < 10 {
		t.Errorf("there are only %d results", results)
	}
}

// A remedy can be previewed and made as it stands, and then allows what was denied.
func TestARemedyCanBeSentAsItStands(t *testing.T) {
	c, a := ward(t, httpapi.Config{})
	question := `{` + mark + `,` + view + `,"resource":{"type":"patient","id":"p-2"}}`
	ada := []string{"Caregate-Actor", "ada"}
	var told struct {
		Decision bool
		Context  struct {
			Remedies []struct {
				Edit     json.RawMessage
				Patients int
			}
		}
	}
	got := c.post("/v1/explanations", question, ada...).wantStatus(t, 200)
	if err := json.Unmarshal([]byte(got.body), &told); err != nil || told.Decision || len(told.Context.Remedies) == 0 {
		t.Fatalf("%s: %v", got.body, err)
	}
	remedy := told.Context.Remedies[0]
	change := `{"edits":[` + string(remedy.Edit) + `]}`
	var preview struct{ Gained struct{ Patients int } }
	got = c.post("/v1/previews", change, ada...).wantStatus(t, 200)
	if err := json.Unmarshal([]byte(got.body), &preview); err != nil || preview.Gained.Patients != remedy.Patients || remedy.Patients < 1 {
		t.Errorf("%s would open %d, and a preview says %s", change, remedy.Patients, got.body)
	}
	if c.post("/access/v1/evaluation", question).body[:17] != `{"decision":false` {
		t.Error("a preview has changed something")
	}
	a.ada(http.MethodPost, "/edits", change).wantStatus(t, 200)
	if body := c.post("/access/v1/evaluation", question).body; !strings.HasPrefix(body, `{"decision":true`) {
		t.Errorf("%s was made, and: %s", change, body)
	}
}

// Who is asked about is in no log, at any level, and in no span.
func TestQuestionsAreNotLogged(t *testing.T) {
	tr := new(tracer)
	logged, logger := newLog(slog.LevelDebug)
	c, _ := ward(t, httpapi.Config{Tracer: tr, Logger: logger})
	for _, ask := range []struct {
		path, body string
		status     int
	}{
		{searchBase + "resource", `{` + mark + `,` + view + `,"resource":{"type":"patient"}}`, 200},
		{searchBase + "subject", `{"subject":{"type":"team_member"},` + view + `,` + p1 + `}`, 200},
		{searchBase + "action", `{` + mark + `,` + p1 + `}`, 200},
		{searchBase + "action", `{` + mark + `,` + p1 + `,"page":{"token":"1.x"}}`, 400},
		{"/v1/filters", `{` + mark + `,` + view + `,"resource":{"type":"patient"},"dialect":"sqlite"}`, 200},
		{"/v1/filters", `{` + mark + `,` + view + `,"resource":{"type":"appointment"},"dialect":"sqlite"}`, 404},
		{"/v1/explanations", good, 200},
		{"/v1/reviews", `{"team_member":"mark"}`, 200},
		{"/v1/reviews", `{"patient":"p-1"}`, 200},
		{"/v1/previews", `{"edits":[{"link":{"relation":"access","from":"rita","to":"cardio"}}]}`, 200},
		{"/v1/previews", `{"edits":[{"link":{"relation":"care_team","from":"p-1","to":"nobody"}}]}`, 404},
	} {
		if got := c.post(ask.path, ask.body, "Caregate-Actor", "ada"); got.status != ask.status {
			t.Errorf("%s %s: %d %s", ask.path, ask.body, got.status, got.body)
		}
	}
	said := logged.String()
	for _, s := range tr.spans {
		said += s.name + fmt.Sprint(s.attrs)
	}
	if !strings.Contains(said, "/v1/previews") || len(tr.spans) != 11 {
		t.Errorf("nothing is said at all: %s", said)
	}
	// A request id is made of hexadecimal digits, and so is ada.
	said = regexp.MustCompile(`"request_id":"[0-9a-f]+"`).ReplaceAllString(said, "")
	for _, id := range []string{"mark", "rita", "p-1", "ada", "nobody", "diabetes"} {
		if strings.Contains(said, id) {
			t.Errorf("%s is named", id)
		}
	}
}
