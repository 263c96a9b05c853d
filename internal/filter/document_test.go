package filter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
)

const document = "../../docs/filters.md"

// documented returns the mapping of the document.
func documented(t *testing.T) (*filter.Tables, string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```json\n")
	mapping, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the document has no mapping")
	}
	tables, err := filter.ParseTables([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	return tables, string(text)
}

// visible is what is left of the default policy for a team member with Access to two
// patient groups.
func visible(reference string) *authz.Residual {
	r := &authz.Residual{Any: [][]authz.Condition{
		{{Op: authz.In, Leaf: authz.Leaf{Reference: reference, Fact: authz.FactPatientGroup}, Values: []string{"aftercare", "diabetes"}}},
		{{Op: authz.Has, Leaf: authz.Leaf{Reference: reference, Fact: authz.FactCareTeam}, Values: []string{"mark"}}},
	}}
	r.Simplify()
	return r
}

// TestTheDocumentHasTheClauses compares the clauses in the document with what is
// written now: for SQL Server it is all there is to say that they are right.
func TestTheDocumentHasTheClauses(t *testing.T) {
	tables, text := documented(t)
	policy := &rules{left: func(open authz.Open) (*authz.Residual, error) {
		if len(open.References) > 0 {
			return visible("patient"), nil
		}
		return visible(""), nil
	}}
	service := filter.NewService(authz.NewService(&world{}, policy), policy, nil, tables)
	ask := func(typ string, dialect filter.Dialect) *filter.Filter {
		f, _, err := service.Filter(context.Background(), "clinic", question(typ, dialect), authz.Freshness{})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, typ := range []string{"patient", "note"} {
		for _, dialect := range []filter.Dialect{filter.PostgreSQL, filter.MySQL, filter.SQLite, filter.SQLServer, filter.UCAST} {
			if typ == "note" && dialect != filter.PostgreSQL && dialect != filter.UCAST {
				continue
			}
			f := ask(map[string]string{"patient": "patient", "note": "clinical_note"}[typ], dialect)
			clause := f.Where
			if dialect == filter.UCAST {
				var b bytes.Buffer
				if err := json.Indent(&b, f.UCAST, "", "  "); err != nil {
					t.Fatal(err)
				}
				clause = b.String()
			}
			if !strings.Contains(unspaced(text), unspaced(clause)) {
				t.Errorf("%s for %s is not in the document:\n%s\n%q", typ, dialect, clause, f.Args)
			}
		}
	}
}

// unspaced leaves out what is there for the reader.
func unspaced(text string) string { return strings.Join(strings.Fields(text), "") }
