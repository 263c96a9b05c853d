package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/caregate/caregate/internal/policy/bounded"
)

// The sizes of a subject's sets that the residual of a probe is compared for. A
// rule that walks such a set leaves an alternative for each element of it.
const (
	fewElements  = 2
	manyElements = 5
)

// Fragment reports where `allow` leaves the fragment that partial evaluation
// turns into a filter: with the facts of the resource unknown, what is left of
// it must consist of `leaf in known`, `known in leaf`, `leaf == known`, a leaf that is
// true or false, comparisons of two leaves, and the negation of all these, where a leaf
// is one fact of the resource or of what it refers to. It asks every question that the
// catalogue can make, without properties but references and without context.
func Fragment(ctx context.Context, source *Source) ([]Finding, error) {
	compiler, err := source.Check(ctx)
	if err != nil {
		return nil, err
	}
	catalogue, err := readCatalogue(source.Data)
	if err != nil {
		return nil, err
	}
	if catalogue == nil {
		return nil, errors.New("a policy without data.catalogue does not say what can be asked of it")
	}
	untyped, err := source.untyped()
	if err != nil {
		return nil, err
	}
	partial, err := newPartial(ctx, untyped, source.Data)
	if err != nil {
		return nil, err
	}
	f := fragment{seen: map[string]int{}}
	f.shapes(compiler)
	many := probes(catalogue, source.Data, manyElements)
	for i, p := range probes(catalogue, source.Data, fewElements) {
		few, err := partial(ctx, &p, func(expr *ast.Expr) {
			f.add(expr.Location, "comprehension", fmt.Sprintf("a comprehension is left where %s; %s", &p, whyForm))
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", &p, err)
		}
		f.residual(&p, few)
		all, err := partial(ctx, &many[i], func(*ast.Expr) {})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", &p, err)
		}
		if len(few.Queries) != len(all.Queries) {
			f.enumerates(&p, few, all)
		}
	}
	for i := range f.findings {
		if n := f.counts[i]; n > 1 {
			f.findings[i].Text += fmt.Sprintf(" (and %d questions more)", n-1)
		}
	}
	sortFindings(f.findings)
	return f.findings, nil
}

func newPartial(
	ctx context.Context, compiler *ast.Compiler, data map[string]any,
) (func(context.Context, *probe, func(*ast.Expr)) (*rego.PartialQueries, error), error) {
	query, err := rego.New(append(bounded.Options(),
		rego.Query(query(entryAllow)),
		rego.Compiler(compiler),
		rego.Store(inmem.NewFromObject(data)),
		rego.StrictBuiltinErrors(true),
	)...).PrepareForPartial(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *probe, comprehension func(*ast.Expr)) (*rego.PartialQueries, error) {
		return query.Partial(ctx, rego.EvalParsedInput(p.input.Value), rego.EvalParsedUnknowns(unknowns(p.leaves)),
			rego.EvalQueryTracer(comprehensions{comprehension}))
	}, nil
}

// fragment collects findings, each once, with how many questions show it.
type fragment struct {
	findings []Finding
	counts   []int
	seen     map[string]int // index of a finding by its place and form
}

func (f *fragment) add(location *ast.Location, form, text string) {
	place := at(location)
	key := fmt.Sprint(place, form)
	if i, ok := f.seen[key]; ok {
		f.counts[i]++
		return
	}
	f.seen[key] = len(f.findings)
	place.Text = "allow cannot be turned into a filter: " + text
	f.findings, f.counts = append(f.findings, place), append(f.counts, 1)
}

// shapes reports default and else in whatever allow depends on.
func (f *fragment) shapes(compiler *ast.Compiler) {
	visited := map[*ast.Rule]bool{}
	var visit func(rule *ast.Rule)
	visit = func(rule *ast.Rule) {
		if visited[rule] {
			return
		}
		visited[rule] = true
		name := strings.TrimPrefix(rule.Ref().GroundPrefix().String(), "data.")
		if rule.Default {
			f.add(rule.Location, "default", name+" has a default; leave it undefined instead, and ask with not")
		}
		if rule.Else != nil {
			f.add(rule.Else.Location, "else", name+" has an else; write a rule for each case")
		}
		for on := range compiler.Graph.Dependencies(rule) {
			if next, ok := on.(*ast.Rule); ok {
				visit(next)
			}
		}
	}
	ref, err := ast.PtrRef(ast.DefaultRootDocument, entryAllow)
	if err != nil {
		return
	}
	for _, rule := range compiler.GetRulesExact(ref) {
		visit(rule)
	}
}

// residual holds what is left of allow to the fragment.
func (f *fragment) residual(p *probe, left *rego.PartialQueries) {
	l := &leftover{leaves: p.leaves, outside: func(expr *ast.Expr, location *ast.Location, why string) {
		f.add(location, readable(expr), fmt.Sprintf("`%s` is left where %s; %s", readable(expr), p, why))
	}}
	if _, ok := l.read(left).residual(); !ok {
		f.add(nil, "alternatives", fmt.Sprintf("there are more than %d alternatives where %s", maxAlternatives, p))
	}
}

// enumerates reports a rule that leaves an alternative for each element of a set
// of the subject's: it is the one that leaves more of them for larger sets.
func (f *fragment) enumerates(p *probe, few, many *rego.PartialQueries) {
	count := places(few)
	for _, query := range many.Queries {
		for _, expr := range query {
			if places(many)[at(expr.Location)] <= count[at(expr.Location)] {
				continue
			}
			f.add(expr.Location, "enumerates", fmt.Sprintf("one alternative like `%s` would be left for each element of a set of the subject's where %s; "+
				"ask whether the fact is `in` the set", readable(expr), p))
			return
		}
	}
}

// places counts the expressions of a residual by where they stand in the policy.
func places(left *rego.PartialQueries) map[Finding]int {
	count := map[Finding]int{}
	for _, query := range left.Queries {
		for _, expr := range query {
			count[at(expr.Location)]++
		}
	}
	return count
}

// readable writes an expression without the numbers of made-up variables.
func readable(expr *ast.Expr) string {
	copied := expr.Copy()
	ast.WalkTerms(copied, func(t *ast.Term) bool {
		switch v := t.Value.(type) {
		case ast.Var:
			if v.IsGenerated() {
				t.Value = ast.Var("_")
			}
		case ast.Ref:
			if name := v.String(); bounded.Name(name) != name {
				t.Value = ast.MustParseRef(bounded.Name(name))
			}
		}
		return false
	})
	return strings.TrimSpace(copied.String())
}
