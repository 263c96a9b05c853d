package bounded_test

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/policy/bounded"
)

// bySize are the functions whose cost is bounded by the size of what they are given, about
// linearly, so that the limits on requests and on what is made here are limits on them.
const bySize = `
	eq assign internal.member_2 internal.member_3 gt gte lt lte neq equal
	plus minus ceil floor round abs rem
	bits.or bits.and bits.negate bits.xor bits.rsh
	and or count sum max min any all set_diff intersection union sort
	array.flatten array.slice array.reverse
	to_number cast_object cast_null cast_boolean cast_string cast_set cast_array
	regex.is_valid
	strings.any_prefix_match strings.any_suffix_match format_int indexof indexof_n substring lower upper contains strings.count
	startswith endswith split strings.split_n trim trim_left trim_prefix trim_right trim_suffix trim_space strings.reverse
	rand.intn
	json.unmarshal json.is_valid json.filter json.remove
	base64.decode base64.is_valid base64url.decode hex.decode urlquery.decode urlquery.decode_object uri.parse uri.is_valid
	object.union object.union_n object.remove object.filter object.get object.keys object.subset
	io.jwt.decode io.jwt.verify_hs256 io.jwt.verify_hs384 io.jwt.verify_hs512
	time.now_ns time.parse_ns time.parse_rfc3339_ns time.parse_duration_ns time.format time.date time.clock time.weekday
	time.add_date time.diff
	crypto.md5 crypto.sha1 crypto.sha256 crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512 crypto.hmac.equal
	graph.reachable
	is_number is_string is_boolean is_array is_set is_object is_null type_name
	rego.metadata.chain rego.metadata.rule trace print internal.print internal.test_case
	net.cidr_overlap net.cidr_intersects net.cidr_contains net.cidr_merge net.cidr_is_valid
	glob.quote_meta units.parse units.parse_bytes uuid.rfc4122 uuid.parse semver.is_valid semver.compare`

// A function that a new version of OPA brings is looked at before a policy can call it.
func TestEveryBuiltInFunctionIsClassified(t *testing.T) {
	classes := map[string]int{}
	for name := range strings.FieldsSeq(bySize) {
		classes[name]++
	}
	for name := range bounded.Refused() {
		classes[name]++
	}
	for _, b := range ast.Builtins {
		if bounded.Limited(b.Name) {
			classes[b.Name]++
		}
		if classes[b.Name] != 1 {
			t.Errorf("%s is in %d classes; decide whether its cost is bounded by its arguments, limited in limits.go, or not for policies", b.Name, classes[b.Name])
		}
		delete(classes, b.Name)
	}
	for name := range classes {
		t.Errorf("OPA has no %s", name)
	}
}

// What is refused is said to be, and why.
func TestRefusedFunctionsSayWhy(t *testing.T) {
	for name, why := range bounded.Refused() {
		module := ast.MustParseModule("package a\n\nx if input.y\n\nz := " + name + "(" + strings.Repeat("input.y, ", ast.BuiltinMap[name].Decl.Arity()) + ")\n")
		compiler := bounded.Use(ast.NewCompiler(), bounded.Capabilities())
		compiler.Compile(map[string]*ast.Module{"a.rego": module})
		errs := bounded.Explain(compiler.Errors)
		if len(errs) != 1 || errs[0].Message != name+" is not for policies: "+why || errs[0].Location.Row != 5 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}
