package httpapi

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// Every kind of error has a problem of its own, and whoever meets one finds its type in
// docs/errors.md.
func TestEveryProblemIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	types := []problemType{unsupportedMediaType(), methodNotAllowed()}
	for _, kind := range authz.ErrorKinds() {
		types = append(types, problemOf(kind))
	}
	seen := map[string]bool{}
	for i, p := range types {
		if seen[p.code] {
			t.Errorf("problem %d is %s like another kind", i, p.code)
		}
		seen[p.code] = true
		if row := fmt.Sprintf("\n| `%s` | %d |", p.code, p.status); !strings.Contains(string(page), row) {
			t.Errorf("docs/errors.md lacks %q", row)
		}
	}
}
