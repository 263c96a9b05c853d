package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Certificates for Redis that cannot be used end every command that would need
// them, and the error names the setting.
func TestCertificatesForRedis(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	rubbish := filepath.Join(t.TempDir(), "rubbish")
	if err := os.WriteFile(rubbish, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := map[string][]string{
		"import": {"import"}, "export": {"export"}, "audit": {"audit"},
		"serve": {"serve", "--addr", "127.0.0.1:0", "--diagnostic-addr", "127.0.0.1:0"},
		"check": {"check", "--subject", "team_member:mark", "--action", "view", "--resource", "patient:p-1"},
	}
	for name, command := range commands {
		for what, test := range map[string]struct {
			args []string
			says string
		}{
			"a file that is missing": {[]string{"--redis", "rediss://127.0.0.1:1", "--redis-ca", missing}, "--redis-ca: cannot be read"},
			"a file of rubbish":      {[]string{"--redis", "rediss://127.0.0.1:1", "--redis-ca", rubbish}, "--redis-ca: has no certificate"},
			"no encryption":          {[]string{"--redis", "redis://127.0.0.1:1", "--redis-ca", rubbish}, "--redis-ca: is given and the connection"},
			"no key":                 {[]string{"--redis", "rediss://127.0.0.1:1", "--redis-cert", rubbish}, "--redis-key: is missing"},
			"no certificate":         {[]string{"--redis", "rediss://127.0.0.1:1", "--redis-key", rubbish}, "--redis-cert: is missing"},
			"no Redis":               {[]string{"--redis-ca", rubbish}, "--redis: is missing"},
		} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				code, stdout, stderr := moved(t, "", append(append([]string{}, command...), test.args...)...)
				if code != 1 || stdout != "" || !strings.Contains(stderr, test.says) {
					t.Errorf("%s with %s: exit code %d, expected %q\n%s%s", name, what, code, test.says, stdout, stderr)
				}
			}()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s with %s does not end", name, what)
			}
		}
	}
}
