package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A2: what is set from one side is read from the other.
func TestRelationsFromBothSides(t *testing.T) {
	c := administration(t)
	for _, test := range []struct{ here, one, there, other string }{
		{"/team-members/rita/groups", "ward", "/groups/ward/members", "rita"},
		{"/team-members/rita/access", "cardio", "/patient-groups/cardio/access", "rita"},
		{"/team-members/mark/booking", "cardio", "/patient-groups/cardio/booking", "mark"},
		{"/team-members/ada/patients", "p-2", "/patients/p-2/care-team", "ada"},
	} {
		sides := []struct{ mine, id, theirs, me string }{
			{test.here, test.one, test.there, test.other}, {test.there, test.other, test.here, test.one},
		}
		for _, s := range sides {
			both := func(ids, others string) {
				t.Helper()
				c.read(s.mine).wantBody(t, 200, ids)
				c.read(s.theirs).wantBody(t, 200, others)
			}
			c.ada(http.MethodPut, s.mine, `{"ids":[]}`).wantStatus(t, 200)
			both(`{"ids":[]}`, `{"ids":[]}`)
			empty := c.read(s.mine).header.Get("ETag")
			c.ada(http.MethodPut, s.mine+"/"+s.id, "").wantBody(t, 204, "")
			both(fmt.Sprintf(`{"ids":[%q]}`, s.id), fmt.Sprintf(`{"ids":[%q]}`, s.me))
			one := c.read(s.mine).header.Get("ETag")
			if one == empty || one == "" {
				t.Errorf("ETags %s %s", empty, one)
			}
			c.read(s.mine, "If-None-Match", one).wantBody(t, 304, "")
			c.ada(http.MethodPut, s.mine, `{"ids":[]}`, "If-Match", empty).refused(t, 412, "changed", "")
			c.ada(http.MethodPut, s.mine, fmt.Sprintf(`{"ids":[%q]}`, s.id), "If-Match", one).wantStatus(t, 200)
			c.ada(http.MethodPut, s.mine, `{"ids":[]}`, "If-Match", one).wantStatus(t, 200)
			both(`{"ids":[]}`, `{"ids":[]}`)
			c.ada(http.MethodPost, s.mine, fmt.Sprintf(`{"add":[%q]}`, s.id)).wantStatus(t, 200)
			c.ada(http.MethodDelete, s.mine+"/"+s.id, "").wantBody(t, 204, "")
			c.ada(http.MethodDelete, s.mine+"/"+s.id, "").wantBody(t, 204, "")
			both(`{"ids":[]}`, `{"ids":[]}`)
			c.as("rita", http.MethodPut, s.mine+"/"+s.id, "").wantStatus(t, 403)
			c.ada(http.MethodPut, s.mine+"/nowhere", "").refused(t, 404, "not-found", "")
			c.ada(http.MethodPut, s.mine+"/"+s.id, "", "If-Match", one).refused(t, 400, "malformed", "If-Match")
		}
	}
}

// "Assign these people to this group" is one request and one revision.
func TestManyAtOnce(t *testing.T) {
	c := administration(t)
	var edits, ids []string
	for i := range 40 {
		id := fmt.Sprintf("m-%02d", i)
		ids = append(ids, `"`+id+`"`)
		edits = append(edits, fmt.Sprintf(`{"put":{"kind":"team_member","id":%q}}`, id))
	}
	list := strings.Join(ids, ",")
	c.ada(http.MethodPost, "/edits", `{"edits":[`+strings.Join(edits, ",")+`]}`).wantStatus(t, 200)
	got := c.ada(http.MethodPost, "/groups/ward/members", `{"add":[`+list+`],"remove":["rita"]}`)
	got.wantBody(t, 200, `{"revision":"`+got.header.Get("Caregate-Revision")+`","changed":true}`)
	if !strings.HasPrefix(got.header.Get("Caregate-Revision"), "3.") {
		t.Errorf("revision %s", got.header.Get("Caregate-Revision"))
	}
	c.read("/groups/ward/members").wantBody(t, 200, `{"ids":[`+list+`]}`)
	again := c.ada(http.MethodPost, "/groups/ward/members", `{"add":[`+list+`]}`)
	again.wantBody(t, 200, strings.Replace(got.body, "true", "false", 1))

	first := c.read("/groups/ward/members?limit=30")
	if first.header.Get("ETag") != "" || !strings.Contains(first.body, `"next"`) {
		t.Errorf("part of a set: %s %v", first.body, first.header)
	}
	c.as("operator", http.MethodPost, "/relations", `{"relation":"group","to":"ward"}`).wantBody(t, 200, `{"ids":[`+list+`]}`)
	c.as("operator", http.MethodPost, "/relations", `{"relation":"group","from":"m-07"}`).wantBody(t, 200, `{"ids":["ward"]}`)
	c.as("operator", http.MethodPost, "/relations", `{"relation":"patient_group","from":"p-1"}`).wantBody(t, 200, `{"ids":["diabetes"]}`)
	c.as("operator", http.MethodPost, "/relations", `{"relation":"provider","to":"mark"}`).wantBody(t, 200, `{"ids":["b-1"]}`)
	c.as("operator", http.MethodPost, "/relations", `{"relation":"friend","to":"mark"}`).refused(t, 400, "malformed", "relation")
	c.as("operator", http.MethodPost, "/relations", `{"relation":"group"}`).refused(t, 400, "malformed", "to")
	c.as("operator", http.MethodPost, "/relations", `{"relation":"group","from":"a","to":"b"}`).refused(t, 400, "malformed", "to")

	for body, field := range map[string]string{
		`{}`: "add", `{"add":[]}`: "add", `{"add":["rita","rita"]}`: "add[1]", `{"add":["rita"],"remove":["rita"]}`: "remove[0]",
		`{"add":[""]}`: "add[0]", `{"remove":["a\u0000"]}`: "remove[0]", `{"ids":[]}`: "ids",
	} {
		c.ada(http.MethodPost, "/groups/ward/members", body).refused(t, 400, "malformed", field)
	}
	c.ada(http.MethodPost, "/groups/ward/members", `{"add":["rita","nobody"]}`).refused(t, 404, "not-found", "add[1]")
	c.ada(http.MethodPut, "/groups/ward/members", `{}`).refused(t, 400, "malformed", "ids")
	c.ada(http.MethodPut, "/groups/ward/members", `{"ids":["rita","nobody"]}`).wantStatus(t, 404)
	c.ada(http.MethodPut, "/team-members/rita/groups", `{"ids":["ward","nowhere"]}`).refused(t, 400, "malformed", "ids[1]")
}

func TestPagesOfASet(t *testing.T) {
	c := administration(t)
	c.ada(http.MethodPut, "/team-members/ada/access", `{"ids":["diabetes","cardio"]}`).wantStatus(t, 200)
	c.read("/team-members/ada/access?limit=1").wantBody(t, 200, `{"ids":["cardio"],"next":"Y2FyZGlv"}`)
	c.read("/team-members/ada/access?limit=1&after=Y2FyZGlv").wantBody(t, 200, `{"ids":["diabetes"]}`)
	c.read("/team-members/ada/access?after=ZA").wantBody(t, 200, `{"ids":["diabetes"]}`) // after d, which is not there
}

// V5: a move is one change, from wherever it is made.
func TestMoves(t *testing.T) {
	c := administration(t)
	c.ada(http.MethodPost, "/patient-groups/cardio/patients", `{"add":["p-1","p-3"]}`).wantStatus(t, 200)
	c.read("/patient-groups/cardio/patients").wantBody(t, 200, `{"ids":["p-1","p-2","p-3"]}`)
	c.read("/patient-groups/diabetes/patients").wantBody(t, 200, `{"ids":[]}`)
	c.ada(http.MethodPut, "/patient-groups/diabetes/patients/p-2", "").wantStatus(t, 204)
	c.read("/patient-groups/diabetes/patients").wantBody(t, 200, `{"ids":["p-2"]}`)
	c.ada(http.MethodDelete, "/patient-groups/diabetes/patients/p-2", "").refused(t, 405, "method-not-allowed", "")
	c.ada(http.MethodPut, "/patient-groups/diabetes/patients", `{"ids":[]}`).refused(t, 405, "method-not-allowed", "")
	c.ada(http.MethodPost, "/patient-groups/diabetes/patients", `{"remove":["p-2"]}`).refused(t, 400, "malformed", "remove")
}

func TestRoleMembers(t *testing.T) {
	c := administration(t)
	c.ada(http.MethodPost, "/roles/spare/members", `{"add":["mark","rita"]}`).wantStatus(t, 200)
	c.read("/roles/spare/members").wantBody(t, 200, `{"ids":["mark","rita"]}`)
	c.read("/roles/doctor/members").wantBody(t, 200, `{"ids":[]}`)
	c.ada(http.MethodPut, "/roles/spare/members", `{"ids":["rita"]}`).wantStatus(t, 200)
	c.read("/roles/spare/members").wantBody(t, 200, `{"ids":["rita"]}`)
	c.ada(http.MethodDelete, "/roles/spare/members/rita", "").refused(t, 405, "method-not-allowed", "")
}

// A place by a booking is neither made nor ended by hand (B6).
func TestCareTeamByBooking(t *testing.T) {
	c := administration(t)
	const path = "/patients/p-1/care-team"
	c.read(path).wantBody(t, 200, `{"ids":["mark","rita"]}`)
	same := c.ada(http.MethodPut, path, `{"ids":["rita","mark"]}`, "If-Match", c.read(path).header.Get("ETag"))
	if !strings.Contains(same.body, `"changed":false`) {
		t.Errorf("what was read and written back changes something: %s", same.body)
	}
	c.ada(http.MethodPut, path, `{"ids":["ada","mark"]}`).wantStatus(t, 200)
	c.read(path).wantBody(t, 200, `{"ids":["ada","mark"]}`)
	c.ada(http.MethodPut, path, `{"ids":[]}`).wantStatus(t, 200)
	c.read(path).wantBody(t, 200, `{"ids":["mark"]}`)
	c.ada(http.MethodPut, path, `{"ids":["mark","rita","nobody"]}`).refused(t, 400, "malformed", "ids[2]")
	c.ada(http.MethodPut, path+"/mark", "").wantStatus(t, 204)
	c.read("/patients/p-1").wantBody(t, 200,
		`{"kind":"patient","id":"p-1","patient_group":"diabetes","care_team":["mark"],"care_team_sources":{"mark":["booking:b-1","manual"]}}`)
}
