package httpapi

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// Whoever meets a problem finds its type in docs/errors.md.
func TestEveryProblemIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	types := []problemType{unsupportedMediaType(), methodNotAllowed()}
	for kind := authz.Internal; kind <= authz.Unsupported; kind++ {
		types = append(types, problemOf(kind))
	}
	for _, p := range types {
		if row := fmt.Sprintf("\n| `%s` | %d |", p.code, p.status); !strings.Contains(string(page), row) {
			t.Errorf("docs/errors.md lacks %q", row)
		}
	}
}
