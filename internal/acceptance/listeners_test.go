package acceptance

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPermissionsAreCacheable is P6 with an ETag.
func TestPermissionsAreCacheable(t *testing.T) {
	t.Parallel()
	overBothStores(t, func(t *testing.T, s store) {
		o := newOrganisation(t, s, role("r", "stock:view"), role("other", "stock:view"), teamMember("mark").holding("r"), teamMember("jordan").holding("r"))
		first := get(t, o.url("/v1/permissions/mark"), o.included()...)
		tag := first.header.Get("ETag")
		require(t, first.status == http.StatusOK && regexp.MustCompile(`^(W/)?"[^"]+"$`).MatchString(tag), "%v with the ETag %q", first, tag)
		for _, match := range []string{tag, `"something", ` + tag, "*"} {
			again := get(t, o.url("/v1/permissions/mark"), append(o.included(), "If-None-Match", match)...)
			if again.status != http.StatusNotModified || len(again.body) != 0 || again.header.Get("ETag") != tag {
				t.Errorf("If-None-Match %s: %v with the ETag %q, expected 304", match, again, again.header.Get("ETag"))
			}
		}
		answered(t, get(t, o.url("/v1/permissions/mark"), append(o.included(), "If-None-Match", `"something"`)...), http.StatusOK)
		answered(t, get(t, o.url("/v1/permissions/jordan"), append(o.included(), "If-None-Match", tag)...), http.StatusOK)
		o.change(t, role("r", "stock:view", "stock:update"))
		changed := get(t, o.url("/v1/permissions/mark"), append(o.included(), "If-None-Match", tag)...)
		check(t, changed.status == http.StatusOK && changed.header.Get("ETag") != tag, "%v after a change, expected 200 and another ETag than %s", changed, tag)
		o.change(t, teamMember("mark").holding("other"))
		answered(t, get(t, o.url("/v1/permissions/mark"), append(o.included(), "If-None-Match", tag)...), http.StatusOK)
	})
}

// TestMetadataComesFromConfiguration is AuthZEN 1.0, section 9: the Host
// header has no say in it.
func TestMetadataComesFromConfiguration(t *testing.T) {
	t.Parallel()
	facts := writeFacts(t, merge(nil, clinic()...))
	type metadata struct {
		PDP         string `json:"policy_decision_point"`
		Evaluation  string `json:"access_evaluation_endpoint"`
		Evaluations string `json:"access_evaluations_endpoint"`
	}
	const path = "/.well-known/authzen-configuration"
	t.Run("with a public URL", func(t *testing.T) {
		const public = "https://pdp.example.org"
		s := serve(t, "--facts", facts, "--public-url", public)
		for _, headers := range [][]string{nil, {"Host", "pdp.example.org"}, {"X-Forwarded-Host", "evil.example"}, {"Forwarded", "host=evil.example;proto=http"}} {
			r := get(t, s.decisions()+path, headers...)
			got := decode[metadata](t, r)
			if want := (metadata{public, public + "/access/v1/evaluation", public + "/access/v1/evaluations"}); got != want {
				t.Errorf("%v with %v, expected %v", got, headers, want)
			}
			if strings.Contains(string(r.body), "evil") || r.header.Get("Content-Type") != "application/json" && !strings.HasPrefix(r.header.Get("Content-Type"), "application/json;") {
				t.Errorf("%v %v", r, r.header)
			}
			of := decode[metadata](t, get(t, s.decisions()+path+"/organisations/hill%20side", headers...))
			base := public + "/organisations/hill%20side"
			if want := (metadata{base, base + "/access/v1/evaluation", base + "/access/v1/evaluations"}); of != want {
				t.Errorf("of an organisation: %v, expected %v", of, want)
			}
		}
	})
	t.Run("without one", func(t *testing.T) {
		s := serve(t, "--facts", facts)
		refused(t, get(t, s.decisions()+path, "Host", "evil.example"), http.StatusForbidden)
		r := get(t, s.decisions()+path, "X-Forwarded-Host", "evil.example")
		check(t, !strings.Contains(string(r.body), "evil"), "the Host header speaks: %v", r)
		got := decode[metadata](t, r)
		allowed(t, post(t, got.Evaluation, ask("ann", "view", patient("p-1"))), "the endpoint of the metadata answers")
	})
}

// TestUnixSocket serves the same answers where no port is.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "c.sock")
	s := serve(t, "--facts", writeFacts(t, merge(nil, clinic()...)), "--addr", "unix://"+socket, "--addr", "127.0.0.1:0")
	local := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	response, err := local.Post("http://localhost/access/v1/evaluation", "application/json", strings.NewReader(soundQuestion))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), `"decision":true`) {
		t.Errorf("%d %s %v", response.StatusCode, body, err)
	}
	conn, err := net.Dial("unix", socket) // out of every browser's reach, and so asked by any name, or none
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST /access/v1/evaluation HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(soundQuestion), soundQuestion); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), `"decision":true`) {
		t.Errorf("without a Host: %s %v", answer, err)
	}
	addrs := strings.Join(s.Addresses("decisions"), " ")
	check(t, strings.Contains(addrs, "unix://"+socket) && strings.Contains(addrs, "127.0.0.1:"), "it says that it listens at %q", addrs)
}

// TestRequestID echoes what the caller calls a request, on good answers and on
// bad ones, and makes a name up when there is none.
func TestRequestID(t *testing.T) {
	t.Parallel()
	o := newOrganisation(t, embeddedStore{}, clinic()...)
	for i, path := range []string{"/access/v1/evaluation", "/access/v1/evaluations", "/v1/data/authz/allow", "/v1/permissions", "/nowhere"} {
		for _, body := range []any{soundQuestion, `{"input":` + soundQuestion + `}`, `{"team_member":"ann"}`, `{`} {
			id := fmt.Sprintf("bfe9eb29-ab87-4ca3-be83-a1d5d8305716-%d", i)
			if r := post(t, o.url(path), body, "X-Request-ID", id); r.header.Get("X-Request-ID") != id {
				t.Errorf("%s: X-Request-ID %q, expected %q: %v", path, r.header.Get("X-Request-ID"), id, r)
			}
			if r := post(t, o.url(path), body); r.header.Get("X-Request-ID") == "" {
				t.Errorf("%s: no X-Request-ID: %v", path, r)
			}
		}
	}
}

// TestOrganisationNames keeps organisations with unruly names apart.
func TestOrganisationNames(t *testing.T) {
	t.Parallel()
	names := []string{"Clinic", "clinic", "clinic ", "clinic:1", "clinic{1}", "{clinic}", "clinic}", "clinic/1", "clinic%2F1", "日本", "e\u0301", "é", "..", "a*", "a?b", "#1", "clinic:1:patient:p-1"}
	served := map[string]*organisation{}
	for i, name := range names {
		who := fmt.Sprintf("member-%d", i)
		file := writeFacts(t, []record{role("r", "stock:view"), teamMember(who).holding("r")})
		got := run(t, "", "import", "--redis", workbench.redis.URL(), "--organisation", name, file)
		if got.code == 0 {
			served[who] = &organisation{name: name, server: workbench.server(t)}
		} else if !strings.Contains(strings.ToLower(got.stderr), "organisation") {
			t.Errorf("the organisation %q is refused without saying so: %s", name, got.stderr)
		}
	}
	t.Logf("%d of %d names are taken", len(served), len(names))
	require(t, len(served) >= 2, "only %d of the names are taken", len(served))
	for own, o := range served {
		for who := range served {
			r := post(t, o.server.decisions()+"/organisations/"+escape(o.name)+"/access/v1/evaluation", ask(who, "view", thing("stock")))
			if got := decode[decision](t, r); got.allowed() != (who == own) {
				t.Errorf("%s in %q: %v", who, o.name, got)
			}
		}
	}
}

// escape writes a path segment that no proxy takes for a way up.
func escape(segment string) string {
	if strings.Trim(segment, ".") == "" {
		return strings.ReplaceAll(segment, ".", "%2E")
	}
	return url.PathEscape(segment)
}

// TestHealth has both paths and the metrics on the diagnostic address, and
// nowhere else.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, path := range []string{"/health/live", "/health/ready"} {
		equal(t, s.health(path), http.StatusOK, "%s answers", path)
		refused(t, get(t, s.decisions()+path), http.StatusNotFound)
	}
	refused(t, get(t, s.decisions()+"/metrics"), http.StatusNotFound)
	answered(t, post(t, s.diagnostic()+"/access/v1/evaluation", soundQuestion), http.StatusNotFound, "the diagnostic address decides")
	address := strings.TrimPrefix(s.diagnostic(), "http://")
	if got := run(t, "", "healthcheck", "--diagnostic-addr", address); got.code != 0 || got.stdout+got.stderr != "" {
		t.Errorf("healthcheck: exit code %d, %q %q, expected 0 and silence", got.code, got.stdout, got.stderr)
	}
	s.end(t)
	if got := run(t, "", "healthcheck", "--diagnostic-addr", address); got.code != 1 || got.stderr == "" {
		t.Errorf("healthcheck of nobody: exit code %d, %q, expected 1 and why", got.code, got.stderr)
	}
}

// TestTokens lets in who bears a token of the file, and nobody else.
func TestTokens(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "tokens", "# callers\nbilling 5f2b0a9d4c7e4c1e8d3a\n\nfrontdesk 0c8d7b6a5f4e3d2c1b0a\n")
	s := serve(t, "--facts", writeFacts(t, merge(nil, clinic()...)), "--tokens", file)
	const path = "/access/v1/evaluation"
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer 5f2b0a9d4c7e4c1e8d3", "Bearer 5f2b0a9d4c7e4c1e8d3a0", "Bearer billing", "Bearer 5F2B0A9D4C7E4C1E8D3A",
		"Basic 5f2b0a9d4c7e4c1e8d3a", "5f2b0a9d4c7e4c1e8d3a", "Bearer billing 5f2b0a9d4c7e4c1e8d3a", "Bearer # callers"} {
		for _, path := range []string{path, "/access/v1/evaluations", "/v1/data/authz/allow", "/v1/permissions", "/organisations/riverside" + path} {
			r := post(t, s.decisions()+path, soundQuestion, "Authorization", header)
			refused(t, r, http.StatusUnauthorized)
			check(t, r.header.Get("WWW-Authenticate") != "", "%s with %q: no WWW-Authenticate", path, header)
		}
		refused(t, post(t, s.decisions()+path, "{", "Authorization", header), http.StatusUnauthorized) // who it is comes before what it says
	}
	for _, token := range []string{"5f2b0a9d4c7e4c1e8d3a", "0c8d7b6a5f4e3d2c1b0a"} {
		allowed(t, post(t, s.decisions()+path, soundQuestion, "Authorization", "Bearer "+token))
	}
	if log := s.Log.String(); strings.Contains(log, "5f2b0a9d4c7e4c1e8d3a") || strings.Contains(log, "0c8d7b6a5f4e3d2c1b0a") {
		t.Error("a token is in the log")
	}
	equal(t, s.health("/health/ready"), http.StatusOK, "a probe without a token gets")
}
