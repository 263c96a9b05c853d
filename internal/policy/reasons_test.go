package policy_test

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Every reason that a decision can give has a phrase: an explanation says nothing of one
// without, and nobody would notice.
func TestEveryReasonHasAPhrase(t *testing.T) {
	codes, phrases := map[string]bool{}, map[string]bool{}
	text := func(term *ast.Term) string {
		s, _ := term.Value.(ast.String)
		return string(s)
	}
	for _, module := range embedded(t).Modules {
		for _, rule := range module.Rules {
			switch {
			case module.Package.Path.String() == "data.authz.reason" && rule.Head.Key != nil:
				codes[text(rule.Head.Key)] = true
			case module.Package.Path.String() == "data.authz.explanation" && rule.Head.Name == "_plain":
				all, ok := rule.Head.Value.Value.(ast.Object)
				if !ok {
					t.Fatal("the phrases are no object")
				}
				all.Foreach(func(code, phrase *ast.Term) { phrases[text(code)] = text(phrase) != "" })
			}
		}
	}
	if len(codes) < 15 || codes[""] {
		t.Fatalf("the reasons are not literal codes: %v", codes)
	}
	for code := range codes {
		if !phrases[code] {
			t.Errorf("the reason %s has no phrase in authz/explanation", code)
		}
	}
	for code := range phrases {
		if !codes[code] {
			t.Errorf("the phrase for %s is of no reason", code)
		}
	}
}
