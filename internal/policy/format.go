package policy

import (
	"bytes"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/caregate/caregate/internal/policy/bounded"
)

// Formatted is a file that is not as the formatter writes it.
type Formatted struct {
	File          string // as Source has it
	Before, After []byte
}

// Diff returns the change as a unified diff; name is what the file is called in
// it.
func (f Formatted) Diff(name string) []byte {
	return diff.Diff(name, f.Before, name+" (formatted)", f.After)
}

// Format returns the Rego files of a source, tests included, that differ from
// what `opa fmt` makes of them, sorted by name. failed are those that cannot be
// formatted.
func Format(source *Source) (differ []Formatted, failed []Finding) {
	for _, name := range slices.Sorted(maps.Keys(source.Texts)) {
		if !isRego(name) {
			continue
		}
		before := source.Texts[name]
		after, err := format.SourceWithOpts(name, before, format.Opts{
			RegoVersion:   ast.RegoV1,
			ParserOptions: &ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1, Capabilities: bounded.Capabilities()},
		})
		if err != nil {
			findings, rest := Findings(err)
			if rest != nil {
				findings = append(findings, Finding{File: name, Text: rest.Error()})
			}
			failed = append(failed, findings...)
			continue
		}
		if bytes.Equal(before, after) {
			continue
		}
		if f, changed := changed(name, before, after); changed {
			failed = append(failed, f)
		} else {
			differ = append(differ, Formatted{File: name, Before: before, After: after})
		}
	}
	return differ, failed
}

// changed reports the first rule that says something else after formatting:
// OPA's formatter drops parentheses that it takes for needless, as in
// x == (y in z).
func changed(name string, before, after []byte) (Finding, bool) {
	options := ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: bounded.Capabilities()}
	was, err := ast.ParseModuleWithOpts(name, string(before), options)
	if err != nil {
		return Finding{File: name, Text: err.Error()}, true
	}
	is, err := ast.ParseModuleWithOpts(name, string(after), options)
	if err != nil || len(is.Rules) != len(was.Rules) || !is.Package.Equal(was.Package) {
		return Finding{File: name, Text: "the formatter would break this file; it is left as it is"}, true
	}
	for i, rule := range was.Rules {
		if !rule.Equal(is.Rules[i]) {
			f := findingAt(rule.Location)
			f.Text = "the formatter would change what this rule says; give the part in parentheses a line and a name of its own"
			return f, true
		}
	}
	return Finding{}, false
}
