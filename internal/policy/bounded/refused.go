package bounded

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Reasons for which a function is not for policies.
const (
	reachesOut   = "it reaches outside of the process"
	explodes     = "what it costs is not bounded by the size of what it is given"
	notDecisions = "it signs, or reads private keys, which a decision does not need"
	languages    = "it parses a language whose texts can cost far more than their size"
)

// refused are the functions that a policy cannot call, and why.
func refused() map[string]string {
	return map[string]string{
		ast.HTTPSend.Name:        reachesOut,
		ast.NetLookupIPAddr.Name: reachesOut,
		ast.OPARuntime.Name:      reachesOut,

		ast.NetCIDRExpand.Name:          explodes + "; ask net.cidr_contains",
		ast.ReachablePathsBuiltin.Name:  explodes + "; ask graph.reachable",
		ast.GlobsMatch.Name:             explodes + "; match a text against one pattern",
		ast.RegexTemplateMatch.Name:     explodes + "; use regex.match",
		ast.JSONPatch.Name:              explodes + "; use object.union, object.remove or json.remove",
		ast.JSONMarshalWithOptions.Name: explodes + "; use json.marshal",
		ast.RenderTemplate.Name:         explodes + "; use sprintf or a template string",

		ast.JWTEncodeSign.Name:                notDecisions,
		ast.JWTEncodeSignRaw.Name:             notDecisions,
		ast.ProvidersAWSSignReqObj.Name:       notDecisions,
		ast.CryptoX509ParseRSAPrivateKey.Name: notDecisions,
		ast.CryptoX509ParseKeyPair.Name:       notDecisions,
		ast.CryptoParsePrivateKeys.Name:       notDecisions,

		ast.GraphQLParse.Name:          languages,
		ast.GraphQLParseAndVerify.Name: languages,
		ast.GraphQLParseQuery.Name:     languages,
		ast.GraphQLParseSchema.Name:    languages,
		ast.GraphQLIsValid.Name:        languages,
		ast.GraphQLSchemaIsValid.Name:  languages,
		ast.JSONSchemaVerify.Name:      languages + "; test the members that you need",
		ast.JSONMatchSchema.Name:       languages + "; test the members that you need",
		ast.RegoParseModule.Name:       languages,
		ast.YAMLUnmarshal.Name:         languages + "; use json.unmarshal",
		ast.YAMLIsValid.Name:           languages + "; use json.is_valid",
	}
}

// Capabilities are what a policy may use: OPA's language, and its built-in functions
// without those that are refused.
func Capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	not := refused()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool {
		_, refused := not[b.Name]
		return refused
	})
	c.AllowNet = []string{}
	return c
}

// Explain says of each error about an undefined function that is one which is refused why
// it is, in place of that it is not defined.
func Explain(errs ast.Errors) ast.Errors {
	not := refused()
	names := slices.Sorted(maps.Keys(not))
	for i, err := range errs {
		name, undefined := strings.CutPrefix(err.Message, "undefined function ")
		if _, known := slices.BinarySearch(names, name); undefined && known {
			said := *err
			said.Message = name + " is not for policies: " + not[name]
			errs[i] = &said
		}
	}
	return errs
}
