package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/policy/bounded"
)

// deterministic reports whether a policy is a function of its input and data: that
// it names no built-in function of which OPA says that it may answer otherwise the
// next time, such as time.now_ns, nor one that is known to.
func deterministic(compiler *ast.Compiler) bool {
	varying := map[string]bool{
		// Certificates are verified as of now when no time is given.
		ast.CryptoX509ParseAndVerifyCertificates.Name:            true,
		ast.CryptoX509ParseAndVerifyCertificatesWithOptions.Name: true,
	}
	for _, b := range ast.Builtins {
		if b.IsNondeterministic() {
			varying[b.Name] = true
		}
	}
	found := false
	for _, module := range compiler.Modules {
		ast.WalkRefs(module, func(ref ast.Ref) bool {
			found = found || varying[bounded.Name(ref.String())]
			return found
		})
	}
	return !found
}
