package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestEdits(t *testing.T) {
	c := administration(t)
	tag := strings.Trim(c.read("/team-members/mark").header.Get("ETag"), `"`)
	got := c.ada(http.MethodPost, "/edits", `{"edits":[
		{"put":{"id":"renal","kind":"patient_group","name":"Renal"}},
		{"set":{"kind":"team_member","id":"mark","name":"M. Smith","role":"spare"},"if_match":"`+tag+`"},
		{"link":{"relation":"access","from":"mark","to":"renal"}},
		{"unlink":{"relation":"care_team","from":"p-1","to":"rita"}},
		{"book":{"id":"b-2","patient":"p-3","provider":"mark"}},
		{"cancel":{"id":"b-1","release":true}},
		{"delete":{"kind":"patient_group","id":"cardio","cascade":true}},
		{"put":{"kind":"group","id":"made"},"if_match":"0.0"}]}`)
	if got.status != 400 { // nobody books with a provider whom an earlier edit changes
		t.Errorf("%d %s", got.status, got.body)
	}
	got = c.ada(http.MethodPost, "/edits", `{"edits":[
		{"put":{"id":"renal","kind":"patient_group","name":"Renal"}},
		{"set":{"kind":"team_member","id":"mark","name":"M. Smith","role":"spare"},"if_match":"`+tag+`"},
		{"link":{"relation":"access","from":"mark","to":"renal"}},
		{"unlink":{"relation":"care_team","from":"p-1","to":"rita"}},
		{"cancel":{"id":"b-1","release":true}},
		{"delete":{"kind":"patient_group","id":"cardio","cascade":true}},
		{"put":{"kind":"group","id":"made"},"if_match":"0.0"}]}`)
	got.wantStatus(t, 200)
	if !strings.HasPrefix(got.header.Get("Caregate-Revision"), "2.") || !strings.HasPrefix(got.body, `{"revision":"2.`) {
		t.Errorf("%s", got.body)
	}
	c.read("/team-members/mark").wantBody(t, 200,
		`{"kind":"team_member","id":"mark","name":"M. Smith","role":"spare","groups":[],"provider":true,"access":["diabetes","renal"],"booking":["diabetes"]}`)
	c.read("/patients/p-1/care-team").wantBody(t, 200, `{"ids":[]}`)
	c.read("/patients/p-2").wantStatus(t, 404)
}

func TestBadEdits(t *testing.T) {
	c := administration(t)
	for body, field := range map[string]string{
		`{}`:                                  "edits",
		`{"edits":[]}`:                        "edits",
		`{"edits":{}}`:                        "edits",
		`{"edit":[]}`:                         "edit",
		`{"edits":[7]}`:                       "edits[0]",
		`{"edits":[{}]}`:                      "edits[0]",
		`{"edits":[{"make":{}}]}`:             "edits[0].make",
		`{"edits":[{"put":[]}]}`:              "edits[0].put",
		`{"edits":[{"put":{}}]}`:              "edits[0].put.kind",
		`{"edits":[{"put":{"kind":"role"}}]}`: "edits[0].put.id",
		`{"edits":[{"put":{"kind":"role","id":"a","access":[]}}]}`:                                    "edits[0].put.access",
		`{"edits":[{"put":{"kind":"team_member","id":"a","access":["diabetes",1]}}]}`:                 "edits[0].put.access[1]",
		`{"edits":[{"put":{"kind":"team_member","id":"a","access":["diabetes","nowhere"]}}]}`:         "edits[0].put.access[1]",
		`{"edits":[{"put":{"kind":"group","id":"a"},"delete":{"kind":"group","id":"a"}}]}`:            "edits[0]",
		`{"edits":[{"delete":{"kind":"group","id":"made"},"if_match":"x"}]}`:                          "edits[0].if_match",
		`{"edits":[{"delete":{"kind":"group","id":"made"},"if_match":7}]}`:                            "edits[0].if_match",
		`{"edits":[{"put":{"kind":"group","id":"a"}},{"set":{"kind":"group","id":"a","role":"x"}}]}`:  "edits[1].set.role",
		`{"edits":[{"put":{"kind":"group","id":"a"}},{"set":{"kind":"group","id":"a","groups":[]}}]}`: "edits[1].set.groups",
		`{"edits":[{"set":{"kind":"group","id":"ward","permissions":["x"]}}]}`:                        "edits[0].set.permissions[0]",
		`{"edits":[{"set":{"kind":"team_member","id":"rita","role":"nowhere"}}]}`:                     "edits[0].set.role",
		`{"edits":[{"link":{"relation":"role","from":"mark","to":"spare"}}]}`:                         "edits[0].link.relation",
		`{"edits":[{"link":{"relation":"access","from":"mark"}}]}`:                                    "edits[0].link.to",
		`{"edits":[{"link":{"relation":"access","from":"mark","to":"nowhere"}}]}`:                     "edits[0].link.to",
		`{"edits":[{"book":{"id":"b-9","patient":"p-1","provider":"nobody"}}]}`:                       "edits[0].book",
		`{"edits":[{"cancel":{}}]}`: "edits[0].cancel.id",
		`{"edits":[{"delete":{"kind":"group","id":"ward","cascade":"yes"}}]}`: "edits[0].delete.cascade",
		`{"edits":[{"put":{"kind":"group","id":"a"}}`:                         "edits",
		`{"edits":[{"put":{"kind":"group","id":"a"}}]}x`:                      "",
	} {
		got := c.ada(http.MethodPost, "/edits", body)
		if !strings.Contains(got.body, `"field":"`+field+`"`) && field != "" || got.status != 400 && got.status != 403 && got.status != 404 {
			t.Errorf("%s\ngot %d %s\nwant %q", body, got.status, got.body, field)
		}
	}
	many := strings.Repeat(`{"delete":{"kind":"group","id":"none"}},`, 1000) + `{"delete":{"kind":"group","id":"none"}}`
	c.ada(http.MethodPost, "/edits", `{"edits":[`+many+`]}`).refused(t, 413, "too-large", "edits")
	c.ada(http.MethodPost, "/edits", `{"edits":[{"delete":{"kind":"group","id":"ward"}}]}`, "If-Match", `"1.x"`).refused(t, 400, "malformed", "If-Match")
	if revision := c.read("/roles").header.Get("Caregate-Revision"); !strings.HasPrefix(revision, "1.") {
		t.Errorf("something was committed: %s", revision)
	}
}
