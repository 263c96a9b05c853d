package httpapi_test

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/httpapi"
)

// What could never be a name in a certificate would keep everybody out, or let in more
// than was meant, and is refused.
func TestClientNamesAreChecked(t *testing.T) {
	made := func(name string) error {
		_, err := httpapi.New(httpapi.Config{Service: newService(), Organisation: "riverside", AdminClientNames: []string{name}})
		return err
	}
	for _, name := range []string{"console", "console.example", "Console.example.", "spiffe://example/console", "urn:example:console", "https://example/?a=b"} {
		if err := made(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "*", "*.example", "a b", "console:8383", "127.0.0.1", "::1", "ops@example", "spiffe://*/console", "spiffe:///console", "/console", "CN=console", "a=b.example"} {
		if err := made(name); err == nil || !strings.Contains(err.Error(), "--admin-client-names") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A handler that asks for certificates lets nobody in where there is no TLS.
func TestNoCertificateWithoutTLS(t *testing.T) {
	c, last := actors(t, httpapi.Config{AdminClientNames: []string{"console.example"}})
	got := c.read("/roles")
	got.refused(t, 403, "forbidden", "")
	if !strings.Contains(got.body, "certificate") || strings.Contains(got.body, "console.example") || last.ID != "" {
		t.Errorf("%s", got.body)
	}
}
