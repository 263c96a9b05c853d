package httpapi_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/httpapi"
)

// raw sends a request as it is written and returns the status of its answer.
func (c *client) raw(target, rest string) int {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.server.Listener.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "%s\r\n%sConnection: close\r\n\r\n", target, rest); err != nil {
		c.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// Over loopback, where nobody is asked who they are, a page in a browser could come
// under a name of its own that leads here (DNS rebinding). Every path of every listener
// refuses it, those that there are not too.
func TestAnotherNameIsNotAnsweredOverLoopback(t *testing.T) {
	api := newAPI(t, httpapi.Config{
		Administration: &scripted{}, Policy: activePolicy{}, PublicURL: "https://pdp.example/care", AllowedHosts: []string{"caregate.internal", "Other.Example."},
	})
	for name, listener := range map[string]struct {
		handler http.Handler
		paths   []string
	}{
		"decisions": {api.Decisions(), []string{
			"POST /access/v1/evaluation", "POST /access/v1/evaluations", "GET /v1/permissions/mark", "HEAD /v1/permissions/mark", "POST /v1/permissions",
			"POST /v1/data/authz/allow", "POST /v1/data/authz/decision", "POST /v1/data", "POST /organisations/north/access/v1/evaluation",
			"GET /.well-known/authzen-configuration", "OPTIONS /access/v1/evaluation", "GET /nowhere", "PUT /access/v1/evaluation",
		}},
		"diagnostics": {api.Diagnostics(), []string{"GET /health/live", "GET /health/ready", "GET /metrics", "GET /nowhere"}},
		"admin": {api.Admin(), []string{
			"GET /policy/v1/policy", "GET /directory/v1/roles", "POST /directory/v1/edits", "GET /directory/v1/changes", "DELETE /directory/v1/patients/p-1",
		}},
	} {
		c := serve(t, listener.handler)
		for _, path := range listener.paths {
			for _, host := range []string{
				"rebound.example", "rebound.example:8181", "localhost.rebound.example", "127.0.0.1.rebound.example", "rebound.example.", "notlocalhost",
				"[rebound.example]", "2130706433", "xn--localhost", "pdp.example.rebound.example",
			} {
				if status := c.raw(path+" HTTP/1.1", "Host: "+host+"\r\n"); status != 403 {
					t.Errorf("%s: %s as %s: %d, expected 403", name, path, host, status)
				}
			}
			for _, origin := range []string{"http://rebound.example", "https://rebound.example:8181", "null", "http://192.0.2.1", "file://", "rubbish", "http://[2001:db8::1]:80"} {
				if status := c.raw(path+" HTTP/1.1", "Host: localhost\r\nOrigin: "+origin+"\r\n"); status != 403 {
					t.Errorf("%s: %s from a page of %s: %d, expected 403", name, path, origin, status)
				}
			}
			for _, host := range []string{
				"localhost", "localhost:8181", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1:8181", "127.8.8.8", "[::1]", "[::1]:8181", "::1", "10.1.2.3:8282",
				"[fd00::1]:80", "caregate.internal", "CareGate.Internal:80", "other.example", "other.example.", "pdp.example", "pdp.example:443",
			} {
				if status := c.raw(path+" HTTP/1.1", "Host: "+host+"\r\nOrigin: http://localhost:3000\r\n"); status == 403 {
					t.Errorf("%s: %s as %s: 403", name, path, host)
				}
			}
		}
		first := strings.Fields(listener.paths[0])
		if status := c.raw(first[0]+" http://rebound.example"+first[1]+" HTTP/1.1", "Host: localhost\r\n"); status != 403 {
			t.Errorf("%s: the whole URL as the target: %d", name, status)
		}
		// No browser leaves the name out; a probe of HTTP/1.0 does.
		for what, request := range map[string][2]string{
			"HTTP/1.0 without a Host": {" HTTP/1.0", ""}, "an empty Host": {" HTTP/1.1", "Host:\r\n"}, "a Host of blanks": {" HTTP/1.1", "Host: \t \r\n"},
		} {
			if status := c.raw(first[0]+" "+first[1]+request[0], request[1]); (status == 403) != (name != "diagnostics") {
				t.Errorf("%s: %s: %d", name, what, status)
			}
		}
		if status := c.raw(first[0]+" "+first[1]+" HTTP/1.1", "Host: :8181\r\n"); status != 403 {
			t.Errorf("%s: a port without a name: %d", name, status)
		}
		if status := c.raw(first[0]+" "+first[1]+" HTTP/1.1", "Host: localhost\r\nHost: rebound.example\r\n"); status != 400 {
			t.Errorf("%s: two hosts: %d", name, status)
		}
	}
}

// Who has to say who they are may ask under any name: a page in a browser has no token.
func TestAnyNameWillDoForThoseWhoBearTokens(t *testing.T) {
	tokens, _ := writeTokens(t, "console one-1")
	api := newAPI(t, httpapi.Config{Tokens: tokens, AdminTokens: tokens, Administration: &scripted{}})
	for path, c := range map[string]*client{"GET /v1/permissions/mark": serve(t, api.Decisions()), "GET /directory/v1/nowhere": serve(t, api.Admin())} {
		if status := c.raw(path+" HTTP/1.1", "Host: caregate.example\r\nOrigin: https://app.example\r\nAuthorization: Bearer one-1\r\n"); status == 403 {
			t.Errorf("%s: %d", path, status)
		}
		if status := c.raw(path+" HTTP/1.1", "Host: caregate.example\r\n"); status == 403 {
			t.Errorf("%s without a token: %d", path, status)
		}
	}
}

func TestAllowedHostsAreNames(t *testing.T) {
	for _, name := range []string{"", "http://x.example", "x.example:80", "x.example/", "*", "*.example", "[::1]", "a b", "u@x.example"} {
		if _, err := httpapi.New(httpapi.Config{Service: newService(), Organisation: "riverside", AllowedHosts: []string{name}}); err == nil || !strings.Contains(err.Error(), "--allowed-hosts") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
