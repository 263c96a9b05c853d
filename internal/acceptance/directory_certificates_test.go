package acceptance

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// The usages of certificates.
var (
	forClients = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	forServers = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	forBoth    = append(forServers[:1:1], x509.ExtKeyUsageClientAuth)
)

// secured returns the flags of a sidecar that a signed, and that asks callers for a
// certificate of a.
func (a *authority) secured(t *testing.T, more ...string) []string {
	t.Helper()
	cert, key := a.sign(t, func(c *x509.Certificate) { c.ExtKeyUsage = forServers })
	return append([]string{
		"--tls-cert", writeFile(t, "cert.pem", cert), "--tls-key", writeFile(t, "key.pem", key), "--tls-client-ca", writeFile(t, "ca.pem", a.pem),
	}, more...)
}

// as asks over TLS with a certificate, or none, and answers the status, 0 where there is
// no connection, and the body.
func (a *authority) as(t *testing.T, shown []tls.Certificate, method, url, body string, headers ...string) (status int, answer string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: shown}}}
	request := try(http.NewRequestWithContext(t.Context(), method, strings.Replace(url, "http://", "https://", 1), strings.NewReader(body))).must(t)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	b := try(io.ReadAll(response.Body)).must(t)
	return response.StatusCode, string(b)
}

// TestWhoseCertificateAdministers lets nobody in to administration by the signer of their
// certificate alone, which signs those of servers as well.
func TestWhoseCertificateAdministers(t *testing.T) {
	t.Parallel()
	signer := newAuthority(t)
	const console, roster = "console.example", "spiffe://example/roster"
	s := serve(t, signer.secured(t, "--admin-client-names", console, "--admin-client-names", roster)...)
	link := s.admin() + "/directory/v1/team-members/noor/groups/administrators"
	for _, c := range []struct {
		what  string
		usage []x509.ExtKeyUsage
		names []string
		admin int
		lacks string
		asks  int // of the decisions, which every client of the signer's may ask
	}{
		{"the console", forClients, []string{console}, 204, "", 200},
		{"the console, by another of its names", forClients, []string{"other.example", "CONSOLE.example"}, 204, "", 200},
		{"the roster, by its URI", forClients, []string{roster}, 204, "", 200},
		{"the console, which is a server too", forBoth, []string{console}, 204, "", 200},
		{"a server", forServers, []string{"records.example"}, 0, "", 0},
		{"a server of the console's name", forServers, []string{console}, 0, "", 0},
		{"a server that may be a client", forBoth, []string{"records.example"}, 403, "no DNS name", 200},
		{"another client", forClients, []string{"portal.example"}, 403, "no DNS name", 200},
		{"a client of no name", forClients, nil, 403, "no DNS name", 200},
		{"a client of any name below", forClients, []string{"*.example"}, 403, "no DNS name", 200},
		{"a name below the console's", forClients, []string{"a." + console}, 403, "no DNS name", 200},
		{"a URI that begins so", forClients, []string{roster + "/a"}, 403, "no DNS name", 200},
		{"the console's name as a URI", forClients, []string{"spiffe://" + console}, 403, "no DNS name", 200},
		{"a certificate for nothing in particular", nil, []string{console}, 403, "clientAuth", 200},
		{"a certificate for anything", []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, []string{console}, 403, "clientAuth", 200},
	} {
		shown := []tls.Certificate{signer.client(t, c.usage, c.names...)}
		for _, ask := range [][2]string{{http.MethodPut, link}, {http.MethodGet, s.admin() + "/policy/v1/policy"}, {http.MethodGet, s.admin() + "/directory/v1/roles"}} {
			actor := "ines"
			if ask[0] == http.MethodGet {
				actor = "operator"
			}
			want := c.admin
			if want == 204 && ask[0] == http.MethodGet {
				want = 200
			}
			status, body := signer.as(t, shown, ask[0], ask[1], "", "Caregate-Actor", actor)
			if status != want || !strings.Contains(body, c.lacks) {
				t.Errorf("%s: %s %s: %d, expected %d and %q: %s", c.what, ask[0], ask[1], status, want, c.lacks, body)
			}
			check(t, status != 403 || !strings.Contains(body, console) && !strings.Contains(body, roster), "%s: who may is told: %s", c.what, body)
		}
		if status, body := signer.as(t, shown, http.MethodPost, s.decisions()+"/access/v1/evaluation", soundQuestion); status != c.asks {
			t.Errorf("%s: a decision %d, expected %d: %s", c.what, status, c.asks, body)
		}
	}
	another := newAuthority(t).client(t, forClients, console)
	for what, shown := range map[string][]tls.Certificate{"nobody": nil, "a client that another signed": {another}} {
		if status, body := signer.as(t, shown, http.MethodPut, link, "", "Caregate-Actor", "ines"); status != 0 {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
}

// TestCertificateAndTokenAreBothAsked takes neither for the other.
func TestCertificateAndTokenAreBothAsked(t *testing.T) {
	t.Parallel()
	signer, i := newAuthority(t), newIssuer(t)
	tokens := writeFile(t, "tokens", "portal "+serviceToken+"\n")
	named := []tls.Certificate{signer.client(t, forClients, "console.example")}
	other := []tls.Certificate{signer.client(t, forClients, "portal.example")}
	jwt := []string{"--jwt-jwks", i.keys(t), "--jwt-issuer", issuerURL, "--jwt-audience", audience}
	both := serve(t, signer.secured(t, append(jwt, "--admin-tokens", tokens, "--admin-client-names", "console.example")...)...)
	alone := serve(t, signer.secured(t, append(jwt, "--admin-tokens", tokens)...)...)
	service := []string{"Authorization", "Bearer " + serviceToken, "Caregate-Actor", "ines"}
	signed := []string{"Authorization", "Bearer " + i.rs256(t, claims("ines"))}
	for _, c := range []struct {
		what    string
		at      *server
		shown   []tls.Certificate
		headers []string
		want    int
	}{
		{"both, a service", both, named, service, 204},
		{"both, a member", both, named, signed, 204},
		{"the certificate alone", both, named, []string{"Caregate-Actor", "ines"}, 401},
		{"the token alone", both, other, service, 403},
		{"the JWT alone", both, other, signed, 403},
		{"without names, a service", alone, other, service, 204},
		{"without names, a member", alone, other, signed, 204},
		{"without names, the certificate alone", alone, named, []string{"Caregate-Actor", "ines"}, 401},
	} {
		status, body := signer.as(t, c.shown, http.MethodPut, c.at.admin()+"/directory/v1/team-members/noor/groups/administrators", "", c.headers...)
		check(t, status == c.want, "%s: %d, expected %d: %s", c.what, status, c.want, body)
	}
}

// TestNothingSaysWhoAdministers refuses to start where every certificate of a signer would
// administer, and where names were written that would keep nobody out.
func TestNothingSaysWhoAdministers(t *testing.T) {
	t.Parallel()
	signer := newAuthority(t)
	facts := writeFacts(t, merge(nil, clinic()...))
	socket := "unix://" + filepath.Join(t.TempDir(), "a.sock")
	names := []string{"--admin-client-names", "console.example"}
	config := writeFile(t, "caregate.yaml", "admin-client-names: [console.example, 'spiffe://example/roster']\n")
	for _, c := range []struct {
		what  string
		flags []string
		says  []string
	}{
		{"a signer and no names", signer.secured(t), []string{"--tls-client-ca", "--admin-client-names", "--admin-tokens", "--jwt-jwks", "unix:///path"}},
		{"a signer, no names, and everybody at the decisions", signer.secured(t, "--allow-unauthenticated"), []string{"--admin-client-names"}},
		{"a signer, no names, and tokens for decisions", signer.secured(t, "--tokens", writeFile(t, "tokens", "portal abc\n")), []string{"--admin-client-names"}},
		{"names and no signer", names, []string{"--admin-client-names", "--tls-client-ca"}},
		{"names where callers bear tokens, and no administration", signer.secured(t, append(names, "--facts", facts, "--tokens", writeFile(t, "tokens", "portal abc\n"))...),
			[]string{"--admin-client-names", "--admin-addr"}},
		{"names and a socket", signer.secured(t, append(names, "--admin-addr", socket)...), []string{"--admin-client-names", "unix socket"}},
		{"names in the file and no signer", []string{"--config", config}, []string{"caregate.yaml:1: admin-client-names", "--tls-client-ca"}},
		{"a name with a *", signer.secured(t, "--admin-client-names", "*.example"), []string{"--admin-client-names", `"*.example"`, "without a *"}},
		{"an address", signer.secured(t, "--admin-client-names", "127.0.0.1"), []string{"--admin-client-names", "neither a DNS name nor a URI"}},
		{"no name", signer.secured(t, "--admin-client-names="), []string{"--admin-client-names", "is empty"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			said := refusesToStart(t, c.flags...)
			for _, says := range c.says {
				check(t, strings.Contains(said, says), "it does not say %q: %s", says, said)
			}
		})
	}
	// A socket is the file system's, and decisions alone are for every client of the signer's.
	serve(t, signer.secured(t, "--admin-addr", socket)...)
	serve(t, signer.secured(t, "--facts", facts)...)
	serve(t, signer.secured(t, append(names, "--facts", facts)...)...) // which may name who asks for an explanation
	// Names are a setting like the others.
	named := []tls.Certificate{signer.client(t, forClients, "spiffe://example/roster")}
	for what, s := range map[string]*server{
		"the file":        serve(t, signer.secured(t, "--config", config)...),
		"the environment": serveWith(t, []string{"CAREGATE_ADMIN_CLIENT_NAMES=console.example, spiffe://example/roster"}, signer.secured(t)...),
		"a list":          serve(t, signer.secured(t, "--admin-client-names", "console.example,spiffe://example/roster")...),
	} {
		if status, body := signer.as(t, named, http.MethodGet, s.admin()+"/directory/v1/roles", "", "Caregate-Actor", "operator"); status != 200 {
			t.Errorf("names in %s: %d %s", what, status, body)
		}
	}
}
