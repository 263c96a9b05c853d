package policy

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/caregate/caregate/internal/policy/bounded"
)

// CheckConfig says how strict Check is. The zero value only warns of what
// works but is not as it should be.
type CheckConfig struct {
	// RequireFragment makes an error of an `allow` that cannot be turned into a
	// filter.
	RequireFragment bool
	// Limit is how long the check may take. 0 means a minute: a policy that takes longer
	// would answer no question in time.
	Limit time.Duration
}

// CheckReport is what Check found.
type CheckReport struct {
	// Findings are sorted by file and row.
	Findings []Finding
	// Notes say what was not checked, and why.
	Notes []string
	// Modules and Tests count the files that were checked.
	Modules, Tests int
}

// Errors counts the findings that are no warnings.
func (r *CheckReport) Errors() int {
	n := 0
	for _, f := range r.Findings {
		if !f.Warning {
			n++
		}
	}
	return n
}

// Warnings counts the findings that are warnings.
func (r *CheckReport) Warnings() int { return len(r.Findings) - r.Errors() }

// Check reports everything that is wrong with a policy: what does not compile,
// tests and types included; a catalogue that means nothing in some place; names
// that are declared for administration and mean nothing; packages and rules that
// do not say what they are for; and an `allow` outside the fragment that can be
// turned into a filter. An error means that the check itself failed.
func Check(ctx context.Context, source *Source, config CheckConfig) (*CheckReport, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(config.Limit, time.Minute))
	defer cancel()
	report := &CheckReport{Modules: len(source.Modules), Tests: len(source.Tests)}
	add := func(findings []Finding) {
		report.Findings = append(report.Findings, findings...)
		sortFindings(report.Findings)
	}
	add(undocumented(source))
	compiler, err := source.compile(ctx, true)
	if err != nil {
		findings, rest := Findings(err)
		add(findings)
		return report, rest
	}
	add(misnamed(source, compiler))
	snapshot, err := Compile(ctx, source, Config{})
	if err != nil {
		findings, rest := Findings(err)
		add(findings)
		return report, rest
	}
	if reason := snapshot.General(); reason != nil {
		add([]Finding{{Warning: true, Text: "the policy is evaluated by OPA's general evaluator, several times more slowly: " + reason.Error()}})
	}
	contradicting, notes, err := agreement(ctx, source, compiler, snapshot)
	if err != nil {
		return report, err
	}
	report.Notes = append(report.Notes, notes...)
	if add(contradicting); len(contradicting) > 0 {
		return report, nil // whatever else is asked of it would end in the same
	}
	if snapshot.Catalogue() == nil {
		report.Notes = append(report.Notes, "no data.catalogue, so whether allow can be turned into a filter was not checked")
		return report, nil
	}
	wrong, notes, err := misdeclared(ctx, source, compiler, snapshot)
	if err != nil {
		return report, err
	}
	add(wrong)
	report.Notes = append(report.Notes, notes...)
	outside, err := Fragment(ctx, source)
	if err != nil {
		return report, err
	}
	ofRows, err := masksOfRows(ctx, source, snapshot)
	outside = append(outside, ofRows...)
	for i := range outside {
		outside[i].Warning = !config.RequireFragment
	}
	add(outside)
	return report, err
}

// compile compiles the modules, and the tests where they are asked for.
func (source *Source) compile(ctx context.Context, tests bool) (*ast.Compiler, error) {
	modules := copies(source.Modules)
	if tests {
		maps.Copy(modules, copies(source.Tests))
	}
	compiler := source.compiler(ctx)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, bounded.Explain(compiler.Errors)
	}
	return compiler, nil
}

// compiler returns a compiler that has compiled nothing yet.
func (source *Source) compiler(ctx context.Context) *ast.Compiler {
	schemas := ast.NewSchemaSet()
	for name, schema := range source.Schemas {
		schemas.Put(ast.SchemaRootRef.Append(ast.StringTerm(name)), schema)
	}
	return bounded.Use(ast.NewCompiler(), bounded.Capabilities()).
		WithStrict(true).
		WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true).
		WithPathConflictsCheck(conflicts(ctx, inmem.NewFromObject(source.Data))).
		SetErrorLimit(0)
}

// untyped compiles a policy that was checked for partial evaluation. That leaves out a
// body which has a type error, as one that cannot hold, and a statement under not is one
// too: so there must be no types.
func (source *Source) untyped() (*ast.Compiler, error) {
	capabilities := bounded.Capabilities()
	for i, b := range capabilities.Builtins {
		declared := b.Decl.FuncArgs()
		if declared.Variadic != nil || b.Decl.Result() == nil {
			continue
		}
		args := make([]types.Type, len(declared.Args))
		for j := range args {
			args[j] = types.A
		}
		loose := *b
		loose.Decl = types.NewFunction(args, types.A)
		capabilities.Builtins[i] = &loose
	}
	compiler := bounded.Use(ast.NewCompiler(), capabilities).WithStrict(true)
	if compiler.Compile(copies(source.Modules)); compiler.Failed() {
		return nil, compiler.Errors
	}
	return compiler, nil
}

// copies returns copies of modules: compiling changes them.
func copies(modules map[string]*ast.Module) map[string]*ast.Module {
	out := make(map[string]*ast.Module, len(modules))
	for name, module := range modules {
		out[name] = module.Copy()
	}
	return out
}

// undocumented reports the packages and rules whose METADATA has neither a title
// nor a description. Private rules, whose names begin with an underscore, are
// their authors' own business; a rule of several parts says it at one of them.
func undocumented(source *Source) []Finding {
	packages := map[string]Finding{}
	rules := map[string]Finding{}
	documented := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(source.Modules)) {
		module := source.Modules[name]
		pkg := module.Package.Path.String()
		if _, seen := packages[pkg]; !seen {
			packages[pkg] = findingAt(module.Package.Location)
		}
		for _, a := range module.Annotations {
			if (a.Scope == "package" || a.Scope == "subpackages") && says(a) {
				documented[pkg] = true
			}
		}
		for _, rule := range module.Rules {
			ref := rule.Head.Ref()
			if private(ref) {
				continue
			}
			full := rule.Ref().GroundPrefix().String()
			if _, seen := rules[full]; !seen {
				rules[full] = findingAt(rule.Location)
			}
			if slices.ContainsFunc(rule.Annotations, says) {
				documented[full] = true
			}
		}
	}
	var findings []Finding
	report := func(places map[string]Finding, what string) {
		for _, name := range slices.Sorted(maps.Keys(places)) {
			if f := places[name]; !documented[name] {
				f.Text = what + " " + strings.TrimPrefix(name, "data.") + " has no METADATA with a title or a description; say what it is for"
				findings = append(findings, f)
			}
		}
	}
	report(packages, "package")
	report(rules, "rule")
	return findings
}

// misnamed reports references that no rule and no data answers to. To OPA they
// are undefined, which under not is true. Data may be meant to be absent, so that
// is a warning; a rule that is not in its package is a mistake.
func misnamed(source *Source, compiler *ast.Compiler) []Finding {
	var findings []Finding
	seen := map[Finding]bool{}
	var visitor *ast.GenericVisitor
	visitor = ast.NewGenericVisitor(func(node any) bool {
		switch x := node.(type) {
		case *ast.With:
			visitor.Walk(x.Value) // its target may be what is not there yet
			return true
		case *ast.Term:
			ref, ok := x.Value.(ast.Ref)
			if !ok || !ref.HasPrefix(ast.DefaultRootRef) {
				break
			}
			found, inPackage := answered(ref, compiler.RuleTree, source.Data)
			f := findingAt(x.Location)
			f.Text = "nothing is called " + ref.ConstantPrefix().String() + "; correct the name, or give it a rule or a value"
			f.Warning = !inPackage
			if !found && !seen[f] {
				seen[f] = true
				findings = append(findings, f)
			}
		}
		return false
	})
	for _, module := range compiler.Modules {
		visitor.Walk(module)
	}
	return findings
}

// answered reports whether rules or data have something at a reference, as far
// as it is constant; and, where they have not, whether it ends in a package.
func answered(ref ast.Ref, rules *ast.TreeNode, data any) (found, inPackage bool) {
	node := rules.Child(ast.DefaultRootDocument.Value)
	for _, part := range ref[1:] {
		name, constant := part.Value.(ast.String)
		if !constant || node != nil && len(node.Values) > 0 {
			return true, false // what is inside of a rule is for the types to say
		}
		inPackage = node != nil && slices.ContainsFunc(node.Sorted, func(key ast.Value) bool {
			return len(node.Child(key).Values) > 0
		})
		if node != nil {
			node = node.Child(part.Value)
		}
		object, isObject := data.(map[string]any)
		if data = object[string(name)]; node == nil && data == nil {
			return false, inPackage && !isObject
		}
	}
	return true, false
}

func says(a *ast.Annotations) bool { return a.Title != "" || a.Description != "" }

// private reports whether a rule's name begins with an underscore.
func private(ref ast.Ref) bool {
	name, ok := ref[0].Value.(ast.Var)
	return ok && strings.HasPrefix(string(name), "_")
}

// isRego reports whether a file of a Source is Rego.
func isRego(name string) bool { return path.Ext(name) == ".rego" }
