package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// unreadable is a request to the Directory API that cannot be read, and the
// field that the answer has to name.
type unreadable struct {
	method, path, body, field string
	status                    int // 400 when 0
	headers                   []string
}

func repeated(n int, element string) string {
	return strings.TrimSuffix(strings.Repeat(element+",", n), ",")
}

// numbered are n ids in JSON, no two alike.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m-%d"`, i)
	}
	return b.String()[1:]
}

func unreadableRecords() []unreadable {
	const role, member, patient = "/roles/x", "/team-members/noor", "/patients/p-2"
	cases := []unreadable{
		{path: role, body: `{"name":"X","permissions":[],"colour":"red"}`, field: "colour"},
		{path: role, body: `{"Name":"X"}`, field: "Name"},
		{path: role, body: `{"name":"X","patient_group":"diabetes"}`, field: "patient_group"},
		{path: role, body: `{"name":"X","care_team_sources":{}}`, field: "care_team_sources"},
		{path: role, body: `{"name":null}`, field: "name"},
		{path: role, body: `{"name":"X","permissions":null}`, field: "permissions"},
		{path: role, body: `{"name":"X","permissions":"patient:view"}`, field: "permissions"},
		{path: role, body: `{"name":"X","permissions":["patient:view",7]}`, field: "permissions[1]"},
		{path: role, body: `{"name":"X","permissions":["patient:view",null]}`, field: "permissions[1]"},
		{path: role, body: `{"name":"X","permissions":["patient:view","patient:view"]}`, field: "permissions[1]"},
		{path: role, body: `{"name":"X","permissions":["patient"]}`, field: "permissions[0]"},
		{path: role, body: `{"name":"X","permissions":["*:view"]}`, field: "permissions[0]"},
		{path: role, body: `{"name":"X","name":"Y"}`, field: "name"},
		{path: role, body: `{"name":7}`, field: "name"},
		{path: role, body: `{"name":["X"]}`, field: "name"},
		{path: role, body: `{"name":"a\nb"}`, field: "name"},
		{path: role, body: `{"name":"\ud800"}`, field: "name"},
		{path: role, body: `{"kind":"group","name":"X"}`, field: "kind"},
		{path: role, body: `{"id":"y","name":"X"}`, field: "id"},
		{path: role, body: `{"kind":7,"name":"X"}`, field: "kind"},
		{path: member, body: `{"name":"N","provider":"true"}`, field: "provider"},
		{path: member, body: `{"name":"N","provider":1}`, field: "provider"},
		{path: member, body: `{"name":"N","role":7}`, field: "role"},
		{path: member, body: `{"name":"N","role":"nothing"}`, field: "role", status: http.StatusNotFound},
		{path: member, body: `{"name":"N","groups":["reporting","nothing"]}`, field: "groups[1]", status: http.StatusNotFound},
		{path: member, body: `{"name":"N","access":["nowhere"]}`, field: "access[0]", status: http.StatusNotFound},
		{path: member, body: `{"name":"N","access":[["diabetes"]]}`, field: "access[0]"},
		{path: member, body: `{"name":"N","booking":["diabetes"]}`, field: "provider"},
		{path: member, body: `{"name":"N","permissions":["*:*"]}`, field: "permissions"},
		{path: patient, body: `{"care_team":[]}`, field: "patient_group"},
		{path: patient, body: `{"patient_group":""}`, field: "patient_group"},
		{path: patient, body: `{"patient_group":["diabetes"]}`, field: "patient_group"},
		{path: patient, body: `{"patient_group":"nowhere"}`, field: "patient_group", status: http.StatusNotFound},
		{path: patient, body: `{"patient_group":"diabetes","care_team":["noor","nobody"]}`, field: "care_team[1]", status: http.StatusNotFound},
		{path: patient, body: `{"patient_group":"diabetes","care_team":["noor","noor"]}`, field: "care_team[1]"},
		{path: patient, body: `{"patient_group":"diabetes","name":"P"}`, field: "name"},
		{path: "/groups/x", body: `{"name":"` + strings.Repeat("x", 100_000) + `"}`, field: "name"},
		{path: "/groups/" + strings.Repeat("x", 257), body: `{"name":"X"}`, field: "id"},
		{path: role, body: `{"name":"X"}`, field: "If-Match", headers: []string{"If-Match", "*"}},
		{path: role, body: `{"name":"X"}`, field: "If-Match", headers: []string{"If-Match", `"1.a", "2.b"`}},
		{path: role, body: `{"name":"X"}`, field: "If-Match", headers: []string{"If-Match", `W/"1.a"`}},
		{path: role, body: `{"name":"X"}`, field: "If-Match", headers: []string{"If-Match", `1.a`}},
		{path: role, body: `{"name":"X"}`, field: "If-None-Match", headers: []string{"If-None-Match", `"1.a"`}},
		{path: role, body: `{"name":"X"}`, field: "Content-Type", headers: []string{"Content-Type", "text/plain"}},
		{path: role, body: `{"name":"X"}`, status: http.StatusUnsupportedMediaType, headers: []string{"Content-Encoding", "gzip"}},
	}
	for i := range cases {
		cases[i].method = http.MethodPut
	}
	return append(cases, unreadable{http.MethodPatch, patient, `{"care_team":null}`, "care_team", 0, nil}, unreadable{http.MethodPatch, patient, `{"shoe_size":43}`, "shoe_size", 0, nil},
		unreadable{http.MethodPatch, member, `{"booking":["diabetes"]}`, "", 0, nil}, unreadable{http.MethodPatch, member, `{"name":"A","name":"B"}`, "name", 0, nil},
		unreadable{http.MethodPatch, member, `{"id":"tomas"}`, "id", 0, nil}, unreadable{http.MethodDelete, "/roles/nurse?cascade=maybe", "", "cascade", 0, nil},
		unreadable{http.MethodDelete, "/roles/nurse?cascade=true&cascade=false", "", "cascade", 0, nil}, unreadable{http.MethodDelete, "/roles/nurse?force=true", "", "query", 0, nil},
		unreadable{http.MethodDelete, "/roles/nurse", "", "If-Match", 0, []string{"If-Match", "*"}})
}

func unreadableSets() []unreadable {
	const set = "/groups/stockroom/members"
	edits := func(text, field string) unreadable {
		return unreadable{http.MethodPost, "/edits", `{"edits":[{"put":{"kind":"group","id":"half-done","name":"X"}},` + text + `]}`, field, 0, nil}
	}
	unknown := func(c unreadable) unreadable { c.status = http.StatusNotFound; return c }
	return []unreadable{
		{method: http.MethodPut, path: set, body: `{}`, field: "ids"},
		{method: http.MethodPut, path: set, body: `{"ids":null}`, field: "ids"},
		{method: http.MethodPut, path: set, body: `{"ids":"mark"}`, field: "ids"},
		{method: http.MethodPut, path: set, body: `{"ids":["noor",7]}`, field: "ids[1]"},
		{method: http.MethodPut, path: set, body: `{"ids":["noor",""]}`, field: "ids[1]"},
		{method: http.MethodPut, path: set, body: `{"ids":["noor","noor"]}`, field: "ids[1]"},
		{method: http.MethodPut, path: set, body: `{"ids":["noor","nobody"]}`, field: "ids[1]", status: http.StatusNotFound},
		{method: http.MethodPut, path: set, body: `{"ids":["noor"],"ids":[]}`, field: "ids"},
		{method: http.MethodPut, path: set, body: `{"ids":["noor"],"add":[]}`, field: "add"},
		{method: http.MethodPost, path: set, body: `{}`, field: "add"},
		{method: http.MethodPost, path: set, body: `{"add":["noor"],"remove":["noor"]}`, field: "remove[0]"},
		{method: http.MethodPost, path: set, body: `{"add":["noor","nobody"]}`, field: "add[1]", status: http.StatusNotFound},
		{method: http.MethodPost, path: set, body: `{"add":["noor"],"remove":null}`, field: "remove"},
		{method: http.MethodPost, path: set, body: `{"add":[` + numbered(1001) + `]}`, status: http.StatusRequestEntityTooLarge},
		{method: http.MethodPost, path: "/patient-groups/diabetes/patients", body: `{"remove":["p-1"]}`, field: "remove"},
		{method: http.MethodPost, path: "/bookings", body: `{"patient":"p-2","provider":"mark"}`, field: "id"},
		{method: http.MethodPost, path: "/bookings", body: `{"id":"b-x","patient":"p-2"}`, field: "provider"},
		{method: http.MethodPost, path: "/bookings", body: `{"id":"b-x","patient":"p-2","provider":"mark","state":"booked"}`, field: "state"},
		{method: http.MethodPost, path: "/bookings/b-1/cancel", body: `{"release":"yes"}`, field: "release"},
		{method: http.MethodPost, path: "/bookings/b-1/cancel", body: `{"release":null}`, field: "release"},
		{method: http.MethodPost, path: "/edits", body: `{}`, field: "edits"},
		{method: http.MethodPost, path: "/edits", body: `{"edits":[]}`, field: "edits"},
		{method: http.MethodPost, path: "/edits", body: `{"edits":null}`, field: "edits"},
		{method: http.MethodPost, path: "/edits", body: `{"edits":{}}`, field: "edits"},
		{method: http.MethodPost, path: "/edits", body: `{"edits":[` + repeated(1001, `{"put":{"kind":"group","id":"half-done"}}`) + `]}`, field: "edits", status: http.StatusRequestEntityTooLarge},
		edits(`{}`, "edits[1]"), edits(`null`, "edits[1]"), edits(`7`, "edits[1]"),
		edits(`{"put":{"kind":"group","id":"y"},"delete":{"kind":"group","id":"z"}}`, "edits[1]"),
		edits(`{"rename":{"kind":"group","id":"y"}}`, "edits[1].rename"),
		edits(`{"put":{"id":"y"}}`, "edits[1].put.kind"), edits(`{"put":{"kind":"group"}}`, "edits[1].put.id"),
		edits(`{"put":{"kind":"clan","id":"y"}}`, "edits[1].put.kind"), edits(`{"put":{"kind":"group","id":"y","colour":1}}`, "edits[1].put.colour"),
		edits(`{"put":{"kind":"role","id":"y","permissions":["a:b","c"]}}`, "edits[1].put.permissions[1]"),
		edits(`{"set":{"kind":"patient","id":"p-2","care_team":[]}}`, "edits[1].set.care_team"),
		edits(`{"set":{"kind":"team_member","id":"noor","provider":null}}`, "edits[1].set.provider"),
		edits(`{"link":{"relation":"role","from":"noor","to":"nurse"}}`, "edits[1].link.relation"),
		edits(`{"link":{"relation":"group","from":"noor"}}`, "edits[1].link.to"),
		unknown(edits(`{"link":{"relation":"group","from":"nobody","to":"stockroom"}}`, "edits[1].link.from")),
		unknown(edits(`{"link":{"relation":"group","from":"noor","to":"nothing"}}`, "edits[1].link.to")),
		unknown(edits(`{"put":{"kind":"team_member","id":"y","name":"Y","access":["nowhere"]}}`, "edits[1].put.access[0]")),
		edits(`{"delete":{"kind":"group","id":"y","cascade":"yes"}}`, "edits[1].delete.cascade"),
		edits(`{"book":{"id":"b-x","patient":"p-2"}}`, "edits[1].book.provider"),
		edits(`{"cancel":{"id":"b-1","release":1}}`, "edits[1].cancel.release"),
		edits(`{"set":{"kind":"group","id":"stockroom","name":"S"},"if_match":7}`, "edits[1].if_match"),
	}
}

func unreadableReads() []unreadable {
	const g, p = http.MethodGet, http.MethodPost
	return []unreadable{
		{g, "/roles?limit=0", "", "limit", 0, nil}, {g, "/roles?limit=1001", "", "limit", 0, nil}, {g, "/roles?limit=-1", "", "limit", 0, nil}, {g, "/roles?limit=1e2", "", "limit", 0, nil},
		{g, "/roles?limit=1&limit=2", "", "limit", 0, nil}, {g, "/roles?sort=name", "", "query", 0, nil}, {g, "/roles?Limit=3", "", "query", 0, nil},
		{g, "/roles?after=!", "", "after", 0, nil}, {g, "/roles/nurse?fields=name", "", "query", 0, nil}, {g, "/roles/nurse/members?limit=x", "", "limit", 0, nil},
		{g, "/changes?limit=0", "", "limit", 0, nil}, {g, "/changes?since=1", "", "query", 0, nil},
		{p, "/records", `{"kind":"role"}`, "id", 0, nil}, {p, "/records", `{"id":"nurse"}`, "kind", 0, nil}, {p, "/records", `{"kind":"roles","id":"nurse"}`, "kind", 0, nil},
		{p, "/records", `{"kind":"role","id":"nurse","x":1}`, "x", 0, nil}, {p, "/lists", `{"kind":"role","limit":"3"}`, "limit", 0, nil}, {p, "/lists", `{"kind":"role","limit":0}`, "limit", 0, nil},
		{p, "/lists", `{"kind":"role","limit":1.5}`, "limit", 0, nil}, {p, "/lists", `{}`, "kind", 0, nil}, {p, "/relations", `{"relation":"kin","from":"p-1"}`, "relation", 0, nil},
		{p, "/relations", `{"relation":"group","from":"mark","to":"stockroom"}`, "to", 0, nil}, {p, "/relations", `{"relation":"group"}`, "", 0, nil},
		{p, "/changes", `{"after":["1.a"]}`, "after", 0, nil}, {p, "/changes", `{"limit":1001}`, "limit", 0, nil},
	}
}

// TestStrictDecoding refuses what is not exactly a request, names the place,
// and takes nothing of it.
func TestStrictDecoding(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.unchanged(t, "unreadable requests", func() {
			for _, cases := range [][]unreadable{unreadableRecords(), unreadableSets(), unreadableReads()} {
				for _, c := range cases {
					var body any
					if c.body != "" {
						body = c.body
					}
					status := c.status
					if status == 0 {
						status = http.StatusBadRequest
					}
					r := d.send(t, c.method, c.path, body, c.headers...)
					if unknown := c.status == http.StatusNotFound && r.status == http.StatusBadRequest; r.status != status && !unknown {
						t.Errorf("%s %s %.100s: %v, expected %d", c.method, c.path, c.body, r, status)
						continue
					}
					if p := refused(t, r, r.status); p.Field != c.field && c.field != "" {
						t.Errorf("%s %s %.100s: it names the field %q, expected %q: %v", c.method, c.path, c.body, p.Field, c.field, r)
					}
				}
			}
			for _, path := range []string{"/roles/x", "/team-members/noor/access", "/groups/stockroom/members"} {
				for _, c := range brokenBodies(`{"ids":["noor"]}`) {
					r := d.put(t, path, c.body)
					refused(t, r, http.StatusBadRequest)
				}
			}
			for _, path := range []string{"/edits", "/bookings", "/records", "/lists", "/relations", "/changes", "/bookings/b-1/cancel"} {
				for _, c := range brokenBodies(`{"edits":[{"put":{"kind":"group","id":"half-done"}}]}`) {
					refused(t, d.post(t, path, c.body), http.StatusBadRequest)
				}
			}
		})
		refused(t, d.get(t, "/groups/half-done"), http.StatusNotFound)
	})
}

// TestHugeBodies are refused before they are read.
func TestHugeBodies(t *testing.T) {
	t.Parallel()
	d := directory{&organisation{name: "riverside", server: serve(t, "--max-body", "65536")}, "amara"}
	huge := `{"name":"` + strings.Repeat("x", 70_000) + `"}`
	d.unchanged(t, "huge bodies", func() {
		for _, c := range [][2]string{{http.MethodPut, "/roles/x"}, {http.MethodPatch, "/roles/nurse"}, {http.MethodPost, "/edits"}, {http.MethodPost, "/bookings"},
			{http.MethodPut, "/roles/nurse/members"}, {http.MethodPost, "/records"}, {http.MethodPost, "/changes"}} {
			refused(t, d.send(t, c[0], c[1], huge), http.StatusRequestEntityTooLarge)
		}
	})
}

// TestTooManyNamesTheList has the field of a request over a limit be one that
// the request has.
func TestTooManyNamesTheList(t *testing.T) {
	t.Parallel()
	d := directory{&organisation{name: "riverside", server: serve(t)}, "amara"}
	for list, method := range map[string]string{"add": http.MethodPost, "remove": http.MethodPost, "ids": http.MethodPut} {
		r := d.send(t, method, "/groups/stockroom/members", `{"`+list+`":[`+numbered(1001)+`]}`)
		refusedFor(t, r, http.StatusRequestEntityTooLarge, list, "%s", list)
	}
}

// TestWhatIsNotLookedAt is refused, with the name of the place.
func TestWhatIsNotLookedAt(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		tag := d.tag(t, "/groups/stockroom")
		set := d.tag(t, "/groups/stockroom/members")
		ifMatch, ifNoneMatch := []string{"If-Match", tag}, []string{"If-None-Match", tag}
		for _, c := range []unreadable{
			{http.MethodGet, "/groups/stockroom", "", "If-Match", 0, ifMatch},
			{http.MethodGet, "/groups", "", "If-Match", 0, ifMatch},
			{http.MethodGet, "/groups", "", "If-None-Match", 0, ifNoneMatch},
			{http.MethodGet, "/changes", "", "If-None-Match", 0, ifNoneMatch},
			{http.MethodPatch, "/groups/stockroom", `{"name":"S"}`, "If-None-Match", 0, []string{"If-None-Match", "*"}},
			{http.MethodDelete, "/groups/wound-care?cascade=true", "", "If-None-Match", 0, ifNoneMatch},
			{http.MethodPut, "/groups/stockroom/members", `{"ids":[]}`, "If-None-Match", 0, []string{"If-None-Match", "*"}},
			{http.MethodPost, "/groups/stockroom/members", `{"add":["noor"]}`, "If-Match", 0, []string{"If-Match", set}},
			{http.MethodPut, "/groups/stockroom/members/noor", "", "If-Match", 0, []string{"If-Match", set}},
			{http.MethodDelete, "/groups/stockroom/members/sam", "", "If-Match", 0, []string{"If-Match", set}},
			{http.MethodPost, "/edits", `{"edits":[{"put":{"kind":"group","id":"x"}}]}`, "If-Match", 0, ifMatch},
			{http.MethodPost, "/bookings", `{"id":"b-x","patient":"p-2","provider":"mark"}`, "If-Match", 0, ifMatch},
			{http.MethodPost, "/bookings", `{"id":"b-y","patient":"p-2","provider":"mark"}`, "If-None-Match", 0, []string{"If-None-Match", "*"}},
			{http.MethodPut, "/groups/stockroom/members/noor", `{"until":"tomorrow"}`, "", 0, nil},
			{http.MethodPut, "/groups/x?colour=red", `{"name":"X"}`, "query", 0, nil},
			{http.MethodPost, "/groups/stockroom/members?dry_run=true", `{"add":["noor"]}`, "query", 0, nil},
			{http.MethodPost, "/edits?dry_run=true", `{"edits":[{"put":{"kind":"group","id":"x"}}]}`, "query", 0, nil},
			{http.MethodPost, "/bookings?dry_run=true", `{"id":"b-z","patient":"p-2","provider":"mark"}`, "query", 0, nil},
			{http.MethodPatch, "/groups/stockroom?dry_run=true", `{"name":"S"}`, "query", 0, nil},
			{http.MethodPost, "/changes", `{"after":true}`, "after", 0, nil},
			{http.MethodGet, "/roles?limit=", "", "limit", 0, nil},
			{http.MethodGet, "/groups?after=%zz", "", "", 0, nil},
			{http.MethodDelete, "/groups/reporting?cascade=true&dry_run=%zz", "", "", 0, nil},
			{http.MethodPut, "/groups/x?only_if=%zz", `{"name":"X"}`, "", 0, nil},
		} {
			t.Run(strings.Join(append([]string{c.method, c.path[1:]}, c.headers[:min(1, len(c.headers))]...), " "), func(t *testing.T) {
				var body any
				if c.body != "" {
					body = c.body
				}
				d.unchanged(t, "it", func() {
					if p := refused(t, d.send(t, c.method, c.path, body, c.headers...), http.StatusBadRequest); c.field != "" && p.Field != c.field {
						t.Errorf("it names the field %q, expected %q", p.Field, c.field)
					}
				})
			})
		}
	})
}
