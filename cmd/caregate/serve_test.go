package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/data"
)

// issuer signs tokens, with its key set in a file.
type issuer struct {
	private ed25519.PrivateKey
	jwks    string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	set := `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + base64.RawURLEncoding.EncodeToString(public) + `"}]}`
	if err := os.WriteFile(path, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	return &issuer{private, path}
}

func (i *issuer) token(t *testing.T, member string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://login.example.org", "aud": "caregate", "staff": member, "exp": time.Now().Add(time.Minute).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.private, []byte(input)))
}

// A member administers with their own token, of an issuer that the settings name,
// and a listener ends with the process.
func TestServeAdministration(t *testing.T) {
	folder := t.TempDir()
	socket := filepath.Join(folder, "a")
	i := newIssuer(t)
	ctx, stop := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{
			"serve", "--addr", "unix://" + filepath.Join(folder, "d"), "--diagnostic-addr", "127.0.0.1:0", "--admin-addr", "unix://" + socket,
			"--jwt-jwks", i.jwks, "--jwt-issuer", "https://login.example.org", "--jwt-audience", "caregate", "--jwt-member-claim", "staff",
			"--changes-kept", "2",
		}, nil, strings.NewReader(""), io.Discard, &stderr)
	}()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	ask := func(method, path, body, member string, headers ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://admin/directory/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if member != "" {
			r.Header.Set("Authorization", "Bearer "+i.token(t, member))
		}
		for n := 0; n < len(headers); n += 2 {
			r.Header.Set(headers[n], headers[n+1])
		}
		w, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if w.Header.Get("Content-Type") == "text/event-stream" {
			return w, ""
		}
		defer func() { _ = w.Body.Close() }()
		b, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w, string(b)
	}
	for range 500 {
		if conn, err := new(net.Dialer).DialContext(t.Context(), "unix", socket); err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	want := func(status int, w *http.Response, body string) {
		t.Helper()
		if w.StatusCode != status {
			t.Errorf("got %d %s, want %d", w.StatusCode, body, status)
		}
	}
	status := func(code int, method, path, body, member string, headers ...string) string {
		t.Helper()
		w, got := ask(method, path, body, member, headers...) //nolint:bodyclose // ask has read it
		want(code, w, got)
		return got
	}
	status(401, http.MethodGet, "/roles", "", "")
	status(401, http.MethodPut, "/groups/g", "{}", "", "Caregate-Actor", "amara")
	status(403, http.MethodPut, "/groups/g", "{}", "noor")
	status(403, http.MethodPut, "/groups/g", "{}", "amara", "Caregate-Actor", "noor")
	status(201, http.MethodPut, "/groups/g", "{}", "amara")
	status(201, http.MethodPut, "/groups/h", "{}", "amara")
	stream, _ := ask(http.MethodGet, "/changes", "", "amara", "Accept", "text/event-stream")
	if stream.StatusCode != http.StatusOK {
		t.Errorf("a stream answers %d", stream.StatusCode)
	}
	changes := status(200, http.MethodGet, "/changes", "", "amara")
	if strings.Count(changes, `"previous"`) != 2 || !strings.Contains(changes, `"actor":"team_member:amara"`) {
		t.Errorf("2 changes are kept, and there are %s", changes)
	}

	stop()
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream was cut off: %v", err)
	}
	_ = stream.Body.Close()
	select {
	case c := <-code:
		if c != 0 {
			t.Errorf("exit code %d: %s", c, stderr.String())
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
	if strings.Contains(stderr.String(), "amara") {
		t.Errorf("somebody is named in the log: %s", stderr.String())
	}
}

func TestServeRefusesHalfASetting(t *testing.T) {
	i := newIssuer(t)
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"--jwt-jwks", i.jwks}, []string{"--jwt-issuer is missing", "--jwt-audience is missing"}},
		{[]string{"--jwt-issuer", "i", "--jwt-audience", "a"}, []string{"--jwt-jwks is missing"}},
		{[]string{"--jwt-type-claim", "t"}, []string{"--jwt-jwks is missing"}},
		{[]string{"--jwt-jwks", i.jwks + ".gone", "--jwt-issuer", "i", "--jwt-audience", "a"}, []string{"--jwt-jwks: ", "jwks.json.gone"}},
		{[]string{"--jwt-jwks", i.jwks, "--jwt-issuer", "i", "--jwt-audience", "a", "--jwt-algorithms", "HS256"}, []string{"--jwt-jwks: ", `"HS256"`}},
		{[]string{"--changes-kept", "0"}, []string{"--changes-kept: must be at least 1"}},
		{[]string{"--changes-bytes", "0"}, []string{"--changes-bytes: must be at least 1"}},
		{[]string{"--admin-addr", ":0"}, []string{"--admin-addr :0 can be reached", "--jwt-jwks"}},
	} {
		var stderr bytes.Buffer
		args := append([]string{"serve", "--addr", "127.0.0.1:0", "--diagnostic-addr", "127.0.0.1:0"}, test.args...)
		if !strings.Contains(strings.Join(test.args, " "), "--admin-addr") {
			args = append(args, "--admin-addr", "127.0.0.1:0")
		}
		if code := run(t.Context(), args, nil, strings.NewReader(""), io.Discard, &stderr); code != 1 {
			t.Errorf("%v: exit code %d", test.args, code)
		}
		for _, want := range test.want {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%v: %s", test.args, stderr.String())
			}
		}
	}
}

// TestAdministrationIsServedOnlyByAPolicyThatDeclaresIt starts with a policy by which
// nobody could administer: asked for, it is refused, and with the example it is left out.
func TestAdministrationIsServedOnlyByAPolicyThatDeclaresIt(t *testing.T) {
	folder := t.TempDir()
	catalogue, err := fs.ReadFile(data.Files(), "catalogue/data.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "catalogue"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "catalogue", "data.json"), catalogue, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"serve", "--data", folder, "--addr", "127.0.0.1:0", "--diagnostic-addr", "127.0.0.1:0"}
	var stderr bytes.Buffer
	if code := run(t.Context(), append(args, "--admin-addr", "127.0.0.1:0"), nil, strings.NewReader(""), io.Discard, &stderr); code != 1 {
		t.Errorf("exit code %d", code)
	}
	want := "--admin-addr: nobody can administer by this policy: its data declares no administration; add administration/data.json to the folder of --data"
	if !strings.Contains(stderr.String(), want) {
		t.Errorf("%s", stderr.String())
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stderr.Reset()
	if code := run(ctx, args, nil, strings.NewReader(""), stopper{stop}, &stderr); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if text := stderr.String(); !strings.Contains(text, "administration is off") || strings.Contains(text, defaultAdminAddr) {
		t.Errorf("%s", text)
	}
}

// stopper ends a process that has something to say: it serves.
type stopper struct{ stop func() }

func (s stopper) Write(text []byte) (int, error) {
	s.stop()
	return len(text), nil
}
