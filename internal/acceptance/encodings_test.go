package acceptance

import (
	"crypto/x509"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// inUTF16 is text as an editor that saves "Unicode" writes it.
func inUTF16(text string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune("\uFEFF" + text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

// TestFilesOfOtherEncodingsAreRefused gives every file that an operator can name in the
// encodings that editors save: each is refused by its name, before anything is served.
func TestFilesOfOtherEncodingsAreRefused(t *testing.T) {
	t.Parallel()
	keys := try(os.ReadFile(newIssuer(t).keys(t))).must(t)
	signer := newAuthority(t)
	ca := signer.pem
	cert, key := signer.sign(t, func(*x509.Certificate) {})
	facts := string(lines(merge(nil, clinic()...)))
	jwt := []string{"--jwt-issuer", issuerURL, "--jwt-audience", audience}
	serving := func(flags ...string) []string {
		return append([]string{"serve", "--addr", "127.0.0.1:0", "--diagnostic-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"}, flags...)
	}
	files := map[string]struct {
		text string
		with func(file string) []string
	}{
		"tokens":       {"#old " + serviceToken + "\nportal abc\n", func(file string) []string { return serving("--tokens", file) }},
		"admin-tokens": {"#old " + serviceToken + "\nportal abc\n", func(file string) []string { return serving("--admin-tokens", file) }},
		"config":       {"log-level: warn\n", func(file string) []string { return serving("--config", file) }},
		"facts":        {facts, func(file string) []string { return serving("--facts", file) }},
		"import": {facts, func(file string) []string {
			return []string{"import", file, "--redis", workbench.redis.URL(), "--organisation", "encodings"}
		}},
		"jwks":    {string(keys), func(file string) []string { return serving(append(jwt, "--jwt-jwks", file)...) }},
		"filters": {`{"tables":{}}`, func(file string) []string { return serving("--filters", file) }},
		"tls-cert": {cert, func(file string) []string {
			return serving("--tls-cert", file, "--tls-key", writeFile(t, "key.pem", key))
		}},
		"tls-key": {key, func(file string) []string {
			return serving("--tls-cert", writeFile(t, "cert.pem", cert), "--tls-key", file)
		}},
		"tls-client-ca": {ca, func(file string) []string {
			return serving("--tls-cert", writeFile(t, "cert.pem", cert), "--tls-key", writeFile(t, "key.pem", key), "--tls-client-ca", file, "--admin-client-names", "console.example")
		}},
		"redis-ca": {ca, func(file string) []string { return serving("--redis", "rediss://127.0.0.1:1", "--redis-ca", file) }},
		"redis-cert": {cert, func(file string) []string {
			return serving("--redis", "rediss://127.0.0.1:1", "--redis-cert", file, "--redis-key", writeFile(t, "key.pem", key))
		}},
		"token-file": {"abc\n", func(file string) []string {
			return []string{"check", "--server", "http://127.0.0.1:1", "--token-file", file, "--subject", "team_member:a", "--action", "view", "--resource", "patient:p"}
		}},
		"rego": {"package authz\n\nallow if input.a == 1\n", func(file string) []string { return serving("--policies", filepath.Dir(file)) }},
		"data": {`{"a":1}`, func(file string) []string { return serving("--data", filepath.Dir(file)) }},
	}
	for name, f := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for encoding, c := range map[string]struct{ text, says string }{
				"UTF-8 with a mark": {"\uFEFF" + f.text, "byte order mark"},
				"UTF-16":            {inUTF16(f.text), "is UTF-16; save it as UTF-8 without a byte order mark"},
			} {
				base := map[string]string{"rego": "a.rego", "data": "data.json"}[name]
				if base == "" {
					base = "file"
				}
				got := run(t, "", f.with(writeFile(t, base, c.text))...)
				said := got.stdout + got.stderr
				check(t, got.code == 1 && strings.Contains(said, c.says), "%s: exit code %d, expected 1 and %q:\n%s", encoding, got.code, c.says, said)
				check(t, !strings.Contains(said, serviceToken) && !strings.Contains(said, "PRIVATE"), "%s: what is in the file is repeated:\n%s", encoding, said)
			}
		})
	}
}
