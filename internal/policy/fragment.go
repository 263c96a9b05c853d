package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/bounded"
)

// filterless is the consequence of leaving the fragment for allow.
const filterless = "allow cannot be turned into a filter"

// The sizes of a subject's sets that a probe is compared for, with equal steps between
// them. What is left of a rule that walks such a set grows with it, and so the rule has no
// answer for a large one; where it walks two of them, one inside of the other, its cost grows
// by more with each step.
const (
	fewElements  = 2
	moreElements = 5
	manyElements = 8
)

// Fragment reports where `allow`, or the routes that reviews count by, leave the fragment
// that partial evaluation turns into a filter: with the facts of the resource unknown, what
// is left of them must consist of `leaf in known`, `known in leaf`, `leaf == known`, a leaf that is
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
	has, err := source.entries(compiler)
	if err != nil {
		return nil, err
	}
	f := fragment{seen: map[string]int{}, consequence: filterless}
	f.shapes(compiler)
	for _, e := range []struct{ entry, query, consequence string }{
		{entryAllow, query(entryAllow), filterless},
		{entryRoutes, query(entryRoutes) + "[" + routeVar + "]", "routes cannot be counted by reviews and previews"},
	} {
		if !has[e.entry] {
			continue
		}
		partial, err := newPartial(ctx, untyped, source.Data, e.query)
		if err != nil {
			return nil, err
		}
		f.consequence = e.consequence
		if err := f.probe(ctx, partial, catalogue, source.Data); err != nil {
			return nil, err
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

// probe asks every question of one entry point, for three sizes of the subject's sets.
func (f *fragment) probe(ctx context.Context, partial partialFunc, catalogue *authz.Catalogue, data map[string]any) error {
	more, many := probes(catalogue, data, moreElements), probes(catalogue, data, manyElements)
	for i, p := range probes(catalogue, data, fewElements) {
		var steps [3]map[Finding]int
		few, err := partial(ctx, &p, comprehensions{left: func(expr *ast.Expr) {
			f.add(expr.Location, "comprehension", fmt.Sprintf("a comprehension is left where %s; %s", &p, whyForm))
		}, steps: &steps[0]})
		if err != nil {
			return fmt.Errorf("%s: %w", &p, err)
		}
		if f.residual(ctx, &p, few); ctx.Err() != nil {
			return fmt.Errorf("%s: %w", &p, lateResidual())
		}
		grown, err := partial(ctx, &more[i], comprehensions{steps: &steps[1]})
		if err != nil {
			return fmt.Errorf("%s: %w", &p, err)
		}
		if f.enumerates(&p, few, grown, steps) {
			continue
		}
		if _, err := partial(ctx, &many[i], comprehensions{steps: &steps[2]}); err != nil {
			return fmt.Errorf("%s: %w", &p, err)
		}
		f.nested(&p, steps)
	}
	return nil
}

// partialFunc evaluates what is known of a probe, and leaves the rest.
type partialFunc func(context.Context, *probe, comprehensions) (*rego.PartialQueries, error)

func newPartial(
	ctx context.Context, compiler *ast.Compiler, data map[string]any, query string,
) (partialFunc, error) {
	places := placesOf(compiler.Modules)
	prepared, err := rego.New(append(bounded.Options(),
		rego.Query(query),
		rego.Compiler(compiler),
		rego.Store(inmem.NewFromObject(data)),
		rego.StrictBuiltinErrors(true),
	)...).PrepareForPartial(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *probe, tracer comprehensions) (*rego.PartialQueries, error) {
		c := &clock{contextCancel: cancelOf(ctx)}
		left, err := prepared.Partial(ctx, rego.EvalParsedInput(p.input.Value), rego.EvalParsedUnknowns(unknowns(p.leaves)),
			rego.EvalExternalCancel(c), rego.EvalQueryTracer(c), rego.EvalQueryTracer(tracer))
		if err = c.settled(err); ctx.Err() != nil {
			err = evaluationError(ctx, err, places)
		}
		return left, err
	}, nil
}

// fragment collects findings, each once, with how many questions show it.
type fragment struct {
	consequence string // of what is found, for the reader
	findings    []Finding
	counts      []int
	seen        map[string]int // index of a finding by its place and form
}

func (f *fragment) add(location *ast.Location, form, text string) {
	place := findingAt(location)
	key := fmt.Sprint(place, form)
	if i, ok := f.seen[key]; ok {
		f.counts[i]++
		return
	}
	f.seen[key] = len(f.findings)
	place.Text = f.consequence + ": " + text
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
func (f *fragment) residual(ctx context.Context, p *probe, left *rego.PartialQueries) {
	l := &leftover{ctx: ctx, leaves: p.leaves, outside: func(expr *ast.Expr, location *ast.Location, why string) {
		f.add(location, readable(expr), fmt.Sprintf("`%s` is left where %s; %s", readable(expr), p, why))
	}}
	for _, queries := range f.named(left.Queries) {
		if _, ok := l.formulaOf(&rego.PartialQueries{Queries: queries, Support: left.Support}).residual(ctx); !ok && ctx.Err() == nil {
			f.add(nil, "alternatives", fmt.Sprintf("there are more than %d alternatives where %s", maxAlternatives, p))
		}
	}
}

// named parts what is left of routes by the name of the route, and leaves what is left of
// allow together.
func (f *fragment) named(queries []ast.Body) map[string][]ast.Body {
	if f.consequence == filterless {
		return map[string][]ast.Body{"": queries}
	}
	out := map[string][]ast.Body{}
	for _, body := range queries {
		name, rest, ok := routeOf(body)
		if !ok {
			f.add(body.Loc(), "name", "a route must have a literal name")
			continue
		}
		out[name] = append(out[name], rest)
	}
	return out
}

// enumerates reports a rule that leaves more for larger sets of the subject's: an alternative,
// or a condition, for each element. It says whether there is one.
func (f *fragment) enumerates(p *probe, few, more *rego.PartialQueries, steps [3]map[Finding]int) bool {
	count := map[Finding]int{}
	total := 0
	expressions(few, func(expr *ast.Expr) { count[findingAt(expr.Location)]++; total++ })
	expressions(more, func(*ast.Expr) { total-- })
	if total >= 0 {
		return false
	}
	var grown *ast.Expr
	expressions(more, func(expr *ast.Expr) {
		place := findingAt(expr.Location)
		if count[place]--; count[place] < 0 && grown == nil {
			grown = expr
		}
	})
	location := grown.Location
	if location == nil { // it was made, of what was evaluated more often
		location = steepest(func(place Finding) int { return steps[1][place] - steps[0][place] }, steps[1])
	}
	f.add(location, "enumerates", fmt.Sprintf("one alternative or condition like `%s` would be left for each element of a set of the subject's where %s; "+
		"ask whether the fact is `in` the set, or `not` in it", readable(grown), p))
	return true
}

// expressions calls f for each expression of a residual, those of rules that were made included.
func expressions(left *rego.PartialQueries, f func(*ast.Expr)) {
	for _, query := range left.Queries {
		for _, expr := range query {
			f(expr)
		}
	}
	for _, module := range left.Support {
		for _, rule := range module.Rules {
			for _, expr := range rule.Body {
				f(expr)
			}
		}
	}
}

// nested reports the place whose evaluations grow by more with each step of the sizes.
func (f *fragment) nested(p *probe, steps [3]map[Finding]int) {
	bend := func(place Finding) int { return steps[2][place] - 2*steps[1][place] + steps[0][place] }
	if location := steepest(bend, steps[2]); location != nil {
		f.add(location, "nested", fmt.Sprintf("its cost grows with the square of the subject's groups, or faster, where %s; "+
			"walk one set, and ask whether its elements are `in` the other, or use &, | and -", p))
	}
}

// steepest returns the place of a file where something grows the most, nil where nothing does.
func steepest(growth func(Finding) int, places map[Finding]int) *ast.Location {
	var location *ast.Location
	most := 0
	for _, place := range slices.SortedFunc(maps.Keys(places), func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row))
	}) {
		if n := growth(place); n > most && place.File != "" {
			location, most = &ast.Location{File: place.File, Row: place.Row}, n
		}
	}
	return location
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
				t.Value = operator(bounded.Name(name))
			}
		}
		return false
	})
	return strings.TrimSpace(copied.String())
}

// operator is the ref of a built-in function, whose name may have parts.
func operator(name string) ast.Ref {
	parts := strings.Split(name, ".")
	ref := ast.Ref{ast.VarTerm(parts[0])}
	for _, part := range parts[1:] {
		ref = append(ref, ast.StringTerm(part))
	}
	return ref
}
