package machine_test

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/test/cases/testdata"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/caregate/caregate/internal/policy/machine"
)

// TestConformance runs OPA's own evaluation suite through the machine and holds
// each answer to the one that OPA's general evaluator gives in the same mode.
func TestConformance(t *testing.T) {
	ran, left := 0, map[string]int{}
	for _, c := range suite(t) {
		reason := conform(t, c)
		if reason == "" {
			ran++
		} else {
			left[reason]++
		}
	}
	t.Logf("%d cases agree", ran)
	for _, reason := range slices.Sorted(maps.Keys(left)) {
		t.Logf("%d cases left out: %s", left[reason], reason)
	}
	if ran < 1500 {
		t.Errorf("only %d cases ran; the suite has more", ran)
	}
}

func suite(t *testing.T) []cases.TestCase {
	t.Helper()
	var all []cases.TestCase
	err := fs.WalkDir(testdata.V1, "v1", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(testdata.V1, path)
		if err != nil {
			return err
		}
		var set cases.Set
		if err := util.Unmarshal(raw, &set); err != nil {
			return err
		}
		all = append(all, set.Cases...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// conform runs one case both ways. It returns why the case was left out, "" if
// it was not.
func conform(t *testing.T, c cases.TestCase) (left string) {
	t.Helper()
	entry, ok := entrypoint(c.Query)
	if !ok {
		return "the query is not one document"
	}
	for name, value := range c.Env {
		t.Setenv(name, value)
	}
	modules := map[string]*ast.Module{}
	for i, source := range c.Modules {
		name := string(rune('a'+i)) + ".rego"
		m, err := ast.ParseModuleWithOpts(name, source, ast.ParserOptions{AllFutureKeywords: true})
		if err != nil {
			return "OPA does not parse it"
		}
		modules[name] = m
	}
	var data map[string]any
	if c.Data != nil {
		data = *c.Data
	}
	input := inputOf(t, c)

	want, wantErr := general(t, modules, data, input, entry)
	base, err := ast.InterfaceToValue(data)
	if err != nil {
		t.Fatal(err)
	}
	if data == nil {
		base = ast.NewObject()
	}
	program, err := machine.Plan(t.Context(), modules, base, ast.CapabilitiesForThisVersion(), entry)
	if err != nil {
		if wantErr != nil {
			return "" // neither accepts it
		}
		return "OPA does not plan it: " + strings.SplitN(err.Error(), "\n", 2)[0]
	}
	e, ok := program.Entry(entry)
	if !ok {
		return "the query is no rule"
	}
	form := input
	if input != nil {
		form = lazily(input)
	}
	got, gotErr := program.New(t.Context(), nil, form).Get(e)
	switch {
	case errors.Is(gotErr, machine.ErrNumbers):
		return "the machine leaves it to the general evaluator"
	case (gotErr != nil) != (wantErr != nil):
		t.Errorf("%s: error %v, want %v", c.Note, gotErr, wantErr)
	case gotErr != nil:
	case (got == nil) != (want == nil):
		t.Errorf("%s: %v, want %v", c.Note, got, want)
	case got != nil && got.Value.Compare(want.Value) != 0:
		t.Errorf("%s: %v, want %v", c.Note, got, want)
	}
	return ""
}

// entrypoint returns the path of the document that a query asks for.
func entrypoint(query string) (string, bool) {
	body, err := ast.ParseBody(query)
	if err != nil || len(body) != 1 {
		return "", false
	}
	expr := body[0]
	term, ok := expr.Terms.(*ast.Term)
	if expr.IsEquality() {
		term, ok = expr.Operand(0), true
	}
	if !ok || len(expr.With) > 0 {
		return "", false
	}
	ref, ok := term.Value.(ast.Ref)
	if !ok || !ref.HasPrefix(ast.DefaultRootRef) || !ref.IsGround() || len(ref) < 2 {
		return "", false
	}
	path, err := ref.Ptr()
	return path, err == nil
}

func inputOf(t *testing.T, c cases.TestCase) *ast.Term {
	t.Helper()
	switch {
	case c.InputTerm != nil:
		return ast.MustParseTerm(*c.InputTerm)
	case c.Input != nil:
		return ast.NewTerm(ast.MustInterfaceToValue(*c.Input))
	}
	return nil
}

// general evaluates with OPA's general evaluator, built-in errors strict.
func general(
	t *testing.T, modules map[string]*ast.Module, data map[string]any, input *ast.Term, entry string,
) (*ast.Term, error) {
	t.Helper()
	options := []func(*rego.Rego){
		rego.Query("data." + strings.ReplaceAll(entry, "/", ".")),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
	}
	if data != nil {
		options = append(options, rego.Store(inmem.NewFromObject(data)))
	}
	if input != nil {
		options = append(options, rego.ParsedInput(input.Value))
	}
	for name, m := range modules {
		options = append(options, rego.ParsedModule(m.Copy()))
		_ = name
	}
	results, err := rego.New(options...).Eval(t.Context())
	if err != nil || len(results) == 0 {
		return nil, err
	}
	term, ok := results[0].Expressions[0].Value.(*ast.Term)
	if !ok {
		t.Fatalf("%T is no term", results[0].Expressions[0].Value)
	}
	return term, nil
}
