package httpapi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// errorKinds returns how many kinds of error the domain has, by its source: they count up
// from Internal.
func errorKinds(t *testing.T) (n authz.ErrorKind) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../authz/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		consts, ok := decl.(*ast.GenDecl)
		if !ok || consts.Tok != token.CONST {
			continue
		}
		if first, ok := consts.Specs[0].(*ast.ValueSpec); ok && fmt.Sprint(first.Type) == "ErrorKind" {
			n += authz.ErrorKind(len(consts.Specs))
		}
	}
	if n <= authz.Unsupported {
		t.Fatalf("only %d kinds of error are found", n)
	}
	return n
}

// Every kind of error has a problem of its own, and whoever meets one finds its type in
// docs/errors.md.
func TestEveryProblemIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	types := []problemType{unsupportedMediaType(), methodNotAllowed()}
	for kind := range errorKinds(t) {
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
