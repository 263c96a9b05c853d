package acceptance

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestEveryEndpointAndEveryCaller is the table of who is answered where, at a sidecar that
// asks services for tokens, on both listeners, and takes the JWTs of an issuer: each cell is
// a status. What is not in the table is not promised.
func TestEveryEndpointAndEveryCaller(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	const adminToken = "c1a55e5d0c5f4f1c8b7e3a2d9f60b4e1"
	s := serve(t, "--tokens", writeFile(t, "tokens", "portal "+serviceToken+"\n"), "--admin-tokens", writeFile(t, "admin-tokens", "console "+adminToken+"\n"),
		"--jwt-jwks", i.keys(t), "--jwt-issuer", issuerURL, "--jwt-audience", audience, "--jwt-type-claim", "kind", "--jwt-organisation-claim", "clinic")
	bearer := func(token string, more ...string) []string {
		return append([]string{"Authorization", "Bearer " + token}, more...)
	}
	jwt := func(kind, id string) []string {
		return bearer(i.rs256(t, claimsOf(claims(id)).but("kind", kind)))
	}
	callers := []struct {
		what    string
		headers []string
	}{
		{"nobody", nil},
		{"a mere name", []string{"Caregate-Actor", "amara"}},
		{"a wrong token", bearer("wrong", "Caregate-Actor", "amara")},
		{"a service of decisions", bearer(serviceToken)},
		{"a service of decisions, for amara", bearer(serviceToken, "Caregate-Actor", "amara")},
		{"a service of administration", bearer(adminToken)},
		{"a service of administration, as the operator", bearer(adminToken, "Caregate-Actor", "operator")},
		{"a service of administration, for amara", bearer(adminToken, "Caregate-Actor", "amara")},
		{"a service of administration, for mark", bearer(adminToken, "Caregate-Actor", "mark")},
		{"an expired JWT of amara", bearer(i.rs256(t, claimsOf(claimsOf(claims("amara")).but("kind", "team_member")).but("exp", time.Now().Add(-time.Hour).Unix())))},
		{"a JWT of amara elsewhere", bearer(i.rs256(t, claimsOf(claimsOf(claims("amara")).but("kind", "team_member")).but("clinic", "hillside")))},
		{"a JWT of a patient", jwt("patient", "p-1")},
		{"a JWT of somebody unknown", jwt("team_member", "stranger")},
		{"a JWT of a member", jwt("team_member", "mark")},
		{"a JWT of an administrator", jwt("team_member", "amara")},
	}
	question := func(who string) object {
		return object{"subject": member(who), "action": action{Name: "view"}, "resource": patient("p-1")}
	}
	ask := everyQuestion("mark", "p-1")
	const directory = "/directory/v1"
	// A column for each caller, in their order.
	for _, row := range []struct {
		what, method, at, path string
		body                   any
		statuses               string
	}{
		{"an evaluation", http.MethodPost, "decisions", "/access/v1/evaluation", question("mark"), "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"evaluations", http.MethodPost, "decisions", "/access/v1/evaluations", object{"evaluations": array{question("mark")}}, "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"a search for subjects", http.MethodPost, "decisions", searchSubject, ask[searchSubject], "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"a search for resources", http.MethodPost, "decisions", searchResource, ask[searchResource], "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"a search for actions", http.MethodPost, "decisions", searchAction, ask[searchAction], "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"the metadata", http.MethodGet, "decisions", "/.well-known/authzen-configuration", nil, "200 200 200 200 200 200 200 200 200 200 200 200 200 200 200"},
		{"the data API", http.MethodPost, "decisions", "/v1/data/authz/allow", object{"input": question("mark")}, "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"permissions", http.MethodGet, "decisions", "/v1/permissions/mark", nil, "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"permissions by POST", http.MethodPost, "decisions", "/v1/permissions", object{"team_member": "mark"}, "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"a filter", http.MethodPost, "decisions", "/v1/filters", ask["/v1/filters"], "401 401 401 200 200 401 401 401 401 401 401 401 401 401 401"},
		{"an explanation of mark", http.MethodPost, "decisions", "/v1/explanations", question("mark"), "401 401 401 200 200 401 401 401 401 401 403 403 403 200 200"},
		{"an explanation of amara", http.MethodPost, "decisions", "/v1/explanations", question("amara"), "401 401 401 200 200 401 401 401 401 401 403 403 403 403 200"},
		{"a review", http.MethodPost, "decisions", "/v1/reviews", ask["/v1/reviews"], "401 401 401 403 200 401 401 401 401 401 403 403 403 403 200"},
		{"a preview", http.MethodPost, "decisions", "/v1/previews", ask["/v1/previews"], "401 401 401 403 200 401 401 401 401 401 403 403 403 403 200"},
		{"roles", http.MethodGet, "admin", directory + "/roles", nil, "401 401 401 401 401 400 200 200 403 401 403 403 403 403 200"},
		{"a patient", http.MethodGet, "admin", directory + "/patients/p-1", nil, "401 401 401 401 401 400 200 200 200 401 403 403 403 200 200"},
		{"a list", http.MethodPost, "admin", directory + "/lists", object{"kind": "role"}, "401 401 401 401 401 400 200 200 403 401 403 403 403 403 200"},
		{"changes", http.MethodGet, "admin", directory + "/changes", nil, "401 401 401 401 401 400 200 200 403 401 403 403 403 403 200"},
		{"the policy", http.MethodGet, "admin", "/policy/v1/policy", nil, "401 401 401 401 401 200 200 200 403 401 403 403 403 403 200"},
		{"the policy, of an organisation", http.MethodGet, "admin", "/organisations/riverside/policy/v1/policy", nil, "401 401 401 401 401 200 200 200 403 401 403 403 403 403 200"},
		{"the policy, of another", http.MethodGet, "admin", "/organisations/hillside/policy/v1/policy", nil, "401 401 401 401 401 200 200 403 403 401 403 403 403 403 403"},
		{"a role that is written", http.MethodPut, "admin", directory + "/roles/volunteer", object{"permissions": array{"stock:view"}}, "401 401 401 401 401 400 403 201 403 401 403 403 403 403 200"},
		{"an edge that is written", http.MethodPut, "admin", directory + "/team-members/noor/groups/administrators", nil, "401 401 401 401 401 400 403 204 403 401 403 403 403 403 204"},
		{"edits", http.MethodPost, "admin", directory + "/edits", object{"edits": array{object{"link": object{"relation": "group", "from": "noor", "to": "administrators"}}}}, "401 401 401 401 401 400 403 200 403 401 403 403 403 403 200"},
		{"readiness", http.MethodGet, "diagnostic", "/health/ready", nil, "200 200 200 200 200 200 200 200 200 200 200 200 200 200 200"},
	} {
		want := strings.Fields(row.statuses)
		require(t, len(want) == len(callers), "%s: %d cells for %d callers", row.what, len(want), len(callers))
		for column, c := range callers {
			r := sent(t, row.method, s.URL(row.at)+row.path, row.body, c.headers...)
			if fmt.Sprint(r.status) != want[column] {
				t.Errorf("%s, %s: %v, expected %s", row.what, c.what, r, want[column])
			}
		}
	}
}

// TestEveryCallerWithoutTokens is the same for explanations, reviews and previews of sidecars
// that ask for no tokens. Whoever can ask is a service, which is told about everybody what a
// decision says; whom it names is told about themselves, or administers. Where there are
// certificates, those with a name of --admin-client-names name somebody, and others nobody.
func TestEveryCallerWithoutTokens(t *testing.T) {
	t.Parallel()
	signer := newAuthority(t)
	certificate := func(name string) []tls.Certificate { return []tls.Certificate{signer.client(t, forClients, name)} }
	named := serve(t, signer.secured(t, "--admin-client-names", "console.example")...)
	example := try(os.ReadFile("../../data/example/organisation.jsonl")).must(t)
	facts := writeFile(t, "organisation.jsonl", string(example))
	nameless := serve(t, signer.secured(t, "--facts", facts)...)
	decides := serve(t, signer.secured(t, "--facts", facts, "--admin-client-names", "console.example")...)
	question := func(who string) string {
		return `{"subject":{"type":"team_member","id":"` + who + `"},"action":{"name":"view"},"resource":{"type":"patient","id":"p-1"}}`
	}
	actors := []string{"", "operator", "mark", "stranger", "patient:p-1", "amara"}
	const believed, unbelieved = "200 200 200 403 403 200", "200 200 403 403 403 403"
	for _, c := range []struct {
		what                 string
		at                   *server
		shown                []tls.Certificate
		ofMark, ofAmara, all string // a status for each actor
	}{
		{"loopback", serve(t), nil, believed, "200 200 403 403 403 200", "403 403 403 403 403 200"},
		{"a certificate that administers", named, certificate("console.example"), believed, "200 200 403 403 403 200", "403 403 403 403 403 200"},
		{"one that does where nothing is administered", decides, certificate("console.example"), believed, "200 200 403 403 403 200", "403 403 403 403 403 200"},
		{"another certificate", named, certificate("portal.example"), unbelieved, unbelieved, "403 403 403 403 403 403"},
		{"another where nothing is administered", decides, certificate("portal.example"), unbelieved, unbelieved, "403 403 403 403 403 403"},
		{"any certificate where no names are said", nameless, certificate("console.example"), unbelieved, unbelieved, "403 403 403 403 403 403"},
	} {
		for _, row := range []struct{ path, body, want string }{
			{"/v1/explanations", question("mark"), c.ofMark},
			{"/v1/explanations", question("amara"), c.ofAmara},
			{"/v1/reviews", `{"team_member":"mark"}`, c.all},
			{"/v1/previews", `{"edits":[{"unlink":{"relation":"access","from":"mark","to":"diabetes"}}]}`, c.all},
		} {
			for i, want := range strings.Fields(row.want) {
				var headers []string
				if actors[i] != "" {
					headers = []string{"Caregate-Actor", actors[i]}
				}
				var status int
				var body string
				if c.shown == nil {
					r := sent(t, http.MethodPost, c.at.decisions()+row.path, row.body, headers...)
					status, body = r.status, string(r.body)
				} else {
					status, body = signer.as(t, c.shown, http.MethodPost, c.at.decisions()+row.path, row.body, headers...)
				}
				if fmt.Sprint(status) != want {
					t.Errorf("%s, in the name of %q, %s %s: %d, expected %s: %s", c.what, actors[i], row.path, row.body, status, want, body)
				}
				if administers := actors[i] == "amara" && want == "200"; row.path == "/v1/explanations" && strings.Contains(body, `"reason_admin"`) != administers {
					t.Errorf("%s, in the name of %q, is told %s", c.what, actors[i], body)
				}
			}
		}
	}
}
