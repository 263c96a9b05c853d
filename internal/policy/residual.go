package policy

import (
	"context"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/bounded"
)

// routeVar stands for the name of a route in a query.
const routeVar = "route"

// partials evaluates what is known of a question and leaves the rest.
type partials struct {
	allow, routes *rego.PreparedPartialQuery // routes is nil for a policy without them
	txn           storage.Transaction
}

func newPartials(ctx context.Context, compiler *ast.Compiler, has map[string]bool, store storage.Store, txn storage.Transaction) (*partials, error) {
	p := &partials{txn: txn}
	prepare := func(query string) (*rego.PreparedPartialQuery, error) {
		prepared, err := rego.New(append(bounded.Options(),
			rego.Query(query),
			rego.Compiler(compiler),
			rego.Store(store),
			rego.Transaction(txn),
			rego.StrictBuiltinErrors(true),
		)...).PrepareForPartial(ctx)
		return &prepared, err
	}
	var err error
	if p.allow, err = prepare(query(entryAllow)); err != nil {
		return nil, err
	}
	if has[entryRoutes] {
		p.routes, err = prepare(query(entryRoutes) + "[" + routeVar + "]")
	}
	return p, err
}

// evaluate returns what is left of a query for an input.
func (p *partials) evaluate(ctx context.Context, query *rego.PreparedPartialQuery, o *opened) (*rego.PartialQueries, error) {
	var where []string
	c := &clock{contextCancel: cancelOf(ctx)}
	left, err := query.Partial(ctx,
		rego.EvalParsedInput(o.input.Value),
		rego.EvalParsedUnknowns(unknowns(o.leaves)),
		rego.EvalTransaction(p.txn),
		rego.EvalMetrics(metrics.NoOp()),
		rego.EvalExternalCancel(c),
		rego.EvalQueryTracer(c),
		rego.EvalQueryTracer(comprehensions{left: func(expr *ast.Expr) { where = append(where, place(expr.Location, whyForm)) }}),
	)
	if err = c.settled(err); err != nil {
		return nil, err
	}
	if len(where) > 0 {
		slices.Sort(where)
		return nil, outsideError(slices.Compact(where))
	}
	return left, nil
}

// comprehensions tells of each comprehension that partial evaluation leaves. Those have
// types, and a body that has a type error is left out as one that cannot hold, even where
// the error is under a not.
type comprehensions struct {
	left  func(*ast.Expr)  // nil for nobody
	steps *map[Finding]int // where not nil, how often what stands at each place was evaluated
}

// Enabled implements topdown.QueryTracer.
func (comprehensions) Enabled() bool { return true }

// Config implements topdown.QueryTracer.
func (comprehensions) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer.
func (c comprehensions) TraceEvent(e topdown.Event) {
	expr, ok := e.Node.(*ast.Expr)
	if ok && e.Op == topdown.EvalOp && c.steps != nil {
		if *c.steps == nil {
			*c.steps = map[Finding]int{}
		}
		(*c.steps)[findingAt(expr.Location)]++
	}
	if e.Op != topdown.SaveOp || !ok || c.left == nil {
		return
	}
	ast.WalkTerms(expr, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			c.left(expr)
			return true
		}
		return false
	})
}

// leftOf is partials.evaluate with its errors classed.
func (s *Snapshot) leftOf(ctx context.Context, query *rego.PreparedPartialQuery, o *opened) (*rego.PartialQueries, error) {
	left, err := s.partials.evaluate(ctx, query, o)
	if err == nil {
		return left, nil
	}
	return nil, s.classed(ctx, err, o.input, func(input *ast.Term) error {
		_, err := s.partials.evaluate(ctx, query, &opened{input: input, leaves: o.leaves, exists: o.exists})
		return err
	})
}

// Residual implements authz.Rules.
func (s *Snapshot) Residual(ctx context.Context, q authz.Question, open authz.Open) (*authz.Residual, error) {
	key := s.residuals.key(s.memo, q, open)
	if r := s.residuals.get(key); r != nil {
		return r, nil
	}
	o, err := s.opened(ctx, q, open)
	if err != nil {
		return nil, err
	}
	left, err := s.leftOf(ctx, s.partials.allow, o)
	if err != nil {
		return nil, err
	}
	r, err := o.residual(ctx, left.Queries, left.Support)
	if err == nil {
		s.residuals.put(key, r)
	}
	return r, err
}

// Routes implements authz.Rules.
func (s *Snapshot) Routes(ctx context.Context, q authz.Question, open authz.Open) (map[string]*authz.Residual, error) {
	if s.partials.routes == nil {
		return nil, nil //nolint:nilnil // a policy without routes has none to tell
	}
	o, err := s.opened(ctx, q, open)
	if err != nil {
		return nil, err
	}
	left, err := s.leftOf(ctx, s.partials.routes, o)
	if err != nil {
		return nil, err
	}
	queries := map[string][]ast.Body{}
	for _, body := range left.Queries {
		name, rest, ok := routeOf(body)
		if !ok {
			return nil, outsideError([]string{place(body.Loc(), "a route must have a literal name")})
		}
		queries[name] = append(queries[name], rest)
	}
	routes := make(map[string]*authz.Residual, len(queries))
	for name, bodies := range queries {
		if routes[name], err = o.residual(ctx, bodies, left.Support); err != nil {
			return nil, err
		}
	}
	return routes, nil
}

// routeOf takes the name of the route out of what is left of a query for one.
func routeOf(body ast.Body) (name string, rest ast.Body, ok bool) {
	for _, expr := range body {
		if expr.IsEquality() {
			a, b := expr.Operand(0), expr.Operand(1)
			if !a.Equal(ast.VarTerm(routeVar)) {
				a, b = b, a
			}
			if text, isText := b.Value.(ast.String); isText && a.Equal(ast.VarTerm(routeVar)) && !ok {
				name, ok = string(text), true
				continue
			}
		}
		rest = append(rest, expr)
	}
	return name, rest, ok
}

// opened is a question that leaves something open, as the policy sees it.
type opened struct {
	input  *ast.Term
	leaves []openLeaf
	// exists are what has to hold for what is open to exist as its type.
	exists []authz.Condition
}

// residual reads what partial evaluation left.
func (o *opened) residual(ctx context.Context, queries []ast.Body, support []*ast.Module) (*authz.Residual, error) {
	var where []string
	l := &leftover{ctx: ctx, leaves: o.leaves, outside: func(_ *ast.Expr, location *ast.Location, why string) {
		where = append(where, place(location, why))
	}}
	f := l.formulaOf(&rego.PartialQueries{Queries: queries, Support: support})
	if ctx.Err() != nil {
		return nil, lateResidual()
	}
	if len(where) > 0 {
		slices.Sort(where)
		return nil, outsideError(slices.Compact(where))
	}
	parts := []*formula{f}
	for _, c := range o.exists {
		parts = append(parts, condition(c))
	}
	r, ok := allOf(parts...).residual(ctx)
	if ctx.Err() != nil {
		return nil, lateResidual()
	}
	if !ok {
		return nil, outsideError([]string{"it would have more alternatives than anybody can read"})
	}
	return r, nil
}

// lateResidual says that there was no time to read what partial evaluation left.
func lateResidual() error {
	return &authz.Error{Kind: authz.Timeout, Message: "what is left of the policy was not put into a filter in time; caregate policy check says where it grows"}
}

// outsideError says that the policy leaves the fragment at these places.
func outsideError(where []string) error {
	return &authz.Error{
		Kind:    authz.Unsupported,
		Message: "the policy cannot be turned into a filter; caregate policy check says where, and single checks still answer",
		Err:     &authz.Outside{Where: where},
	}
}

// opened assembles what the policy sees of a question that leaves something open.
func (s *Snapshot) opened(ctx context.Context, q authz.Question, open authz.Open) (*opened, error) {
	o, in := &opened{}, &input{}
	known := func(e *entity, side string, from *authz.Entity, fact *authz.Fact) error {
		return s.withFacts(ctx, e, side, from, fact, q.Facts)
	}
	var err error
	if open.Subject || open.Both {
		err = o.entity(&in.subject, s.catalogue, "subject", &q.Request.Subject, nil)
	} else {
		err = known(&in.subject, "subject", &q.Request.Subject, q.Subject)
	}
	if err != nil {
		return nil, err
	}
	if open.Both {
		o.ofSubject()
	}
	if open.Subject {
		err = known(&in.resource, "resource", &q.Request.Resource, q.Resource)
	} else {
		err = o.entity(&in.resource, s.catalogue, "resource", &q.Request.Resource, open.References)
	}
	if err != nil {
		return nil, err
	}
	if err := s.referred(ctx, &in.resource, &q); err != nil {
		return nil, err
	}
	if err := s.complete(in, &q); err != nil {
		return nil, err
	}
	o.input = in.Whole()
	return o, nil
}

// entity makes an entity that is left open: what is known of it is its type, that it
// exists, its properties, and what is given of its references. What is not known is added to
// the leaves of o. references are those that are left open too.
func (o *opened) entity(e *entity, catalogue *authz.Catalogue, side string, from *authz.Entity, references []string) error {
	at := ast.InputRootRef.Append(ast.StringTerm(side))
	spec := specOf(catalogue, from.Type)
	e.typ, e.open, e.exists = from.Type, true, spec.Facts != ""
	e.object.Members, e.term.Value = e, &e.object
	o.open(at, "", spec)
	properties := from.Properties
	if properties == nil && len(references) > 0 {
		properties = map[string]any{}
	}
	if err := e.properties.make(side+".properties", properties); err != nil {
		return err
	}
	e.properties.instead = map[string]*ast.Term{}
	for _, name := range references {
		e.properties.instead[name] = nil
		o.open(at.Append(ast.StringTerm(name)), name, specOf(catalogue, name))
		o.leaves = append(o.leaves, openLeaf{ // its property is the id
			ref:  at.Append(ast.StringTerm("properties")).Append(ast.StringTerm(name)),
			leaf: authz.Leaf{Reference: name, Fact: authz.FactID},
		})
		reference := &entity{typ: name, open: true, exists: true}
		reference.object.Members, reference.term.Value = reference, &reference.object
		e.references = append(e.references, reference)
	}
	return nil
}

// ofSubject says of everything open so far that it is the subject's.
func (o *opened) ofSubject() {
	for i := range o.leaves {
		o.leaves[i].leaf.Reference = authz.SubjectLeaf
	}
	for i := range o.exists {
		o.exists[i].Leaf.Reference = authz.SubjectLeaf
	}
}

// specOf returns what a catalogue says of a type, the zero value for nothing.
func specOf(catalogue *authz.Catalogue, typ string) authz.TypeSpec {
	if catalogue == nil {
		return authz.TypeSpec{}
	}
	return catalogue.Types[typ]
}

// open adds the id and the facts of an entity at a place to what is not known.
func (o *opened) open(at ast.Ref, reference string, spec authz.TypeSpec) {
	for _, fact := range append([]string{authz.FactID}, factsOf(spec.Facts)...) {
		o.leaves = append(o.leaves, openLeaf{ref: at.Append(ast.StringTerm(fact)), leaf: authz.Leaf{Reference: reference, Fact: fact}})
	}
	if spec.RequireProvider {
		o.exists = append(o.exists, authz.Condition{Op: authz.IsTrue, Leaf: authz.Leaf{Reference: reference, Fact: authz.FactProvider}})
	}
}

// unknowns are the leaves as partial evaluation takes them.
func unknowns(leaves []openLeaf) []*ast.Term {
	terms := make([]*ast.Term, len(leaves))
	for i, leaf := range leaves {
		terms[i] = ast.NewTerm(leaf.ref)
	}
	return terms
}
