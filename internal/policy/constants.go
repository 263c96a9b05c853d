package policy

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Constants returns the texts that the rules compare with, each once and in order, and
// those of the data aside from the catalogue: whoever makes up identifiers to try a policy
// with does well to use them too. Names of fields and of rules are not among them.
func (s *Source) Constants() []string {
	found := s.compared()
	for name, document := range s.Data {
		if name != "catalogue" {
			textsIn(document, found)
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// compared are the texts that the rules compare with.
func (s *Source) compared() map[string]bool {
	found := map[string]bool{}
	visitor := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Annotations, *ast.Package, *ast.Import:
			return true
		case ast.Ref:
			return true
		case ast.String:
			found[string(x)] = true
		}
		return false
	})
	for _, m := range s.Modules {
		for _, rule := range m.Rules {
			visitor.Walk(rule)
		}
	}
	return found
}

// textsIn collects the texts of a document, names of members included.
func textsIn(document any, into map[string]bool) {
	switch v := document.(type) {
	case string:
		into[v] = true
	case []any:
		for _, item := range v {
			textsIn(item, into)
		}
	case map[string]any:
		for name, member := range v {
			into[name] = true
			textsIn(member, into)
		}
	}
}
