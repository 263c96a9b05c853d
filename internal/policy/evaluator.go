package policy

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/bounded"
	"github.com/caregate/caregate/internal/policy/machine"
)

// planned evaluates with the machine. An evaluation that the machine fails is left
// to the general evaluator: it evaluates less of a policy before it has an answer,
// and may not meet what failed.
type planned struct {
	program *machine.Program
	entries map[string]machine.Entry
	general evaluator
}

func newPlanned(ctx context.Context, source *Source, entries []string, general evaluator) (*planned, error) {
	if err := machine.Eligible(source.Modules); err != nil {
		return nil, err
	}
	program, err := plan(ctx, source.Modules, source.Data, entries)
	if err != nil {
		return nil, err
	}
	p := &planned{program: program, entries: map[string]machine.Entry{}, general: general}
	for _, name := range entries {
		entry, ok := program.Entry(name)
		if !ok {
			return nil, fmt.Errorf("%s is not one rule", name)
		}
		p.entries[name] = entry
	}
	return p, nil
}

// plan plans modules over data.
func plan(ctx context.Context, modules map[string]*ast.Module, data map[string]any, entries []string) (*machine.Program, error) {
	base, err := ast.InterfaceToValue(data)
	if err != nil {
		return nil, err
	}
	return machine.Plan(ctx, modules, base, bounded.Capabilities(), entries...)
}

func (p *planned) evaluate(ctx context.Context, input *ast.Term, entries ...string) ([]*ast.Term, error) {
	for _, name := range entries {
		if _, ok := p.entries[name]; !ok {
			return p.general.evaluate(ctx, input, entries...)
		}
	}
	values, err := p.watch(ctx, input, nil, entries)
	if err != nil && ctx.Err() == nil {
		return p.general.evaluate(ctx, input, entries...)
	}
	return values, err
}

// watch evaluates with the machine alone, and tells w what is asked; w may be nil.
func (p *planned) watch(ctx context.Context, input *ast.Term, w *machine.Watch, entries []string) (values []*ast.Term, err error) {
	e := p.program.New(ctx, cancelOf(ctx), input)
	e.Watch(w)
	defer func() {
		if r := recover(); r != nil { // e is left to the collector, as it was
			values, err = nil, fmt.Errorf("the machine panicked: %v", r)
			return
		}
		e.Release()
	}()
	values = make([]*ast.Term, len(entries))
	for i, name := range entries {
		if values[i], err = e.Get(p.entries[name]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// contextCancel is a topdown.Cancel that follows a context. An evaluation looks at it every
// few steps, so that one that is long work gives way there.
type contextCancel struct {
	ctx  context.Context //nolint:containedctx // it is the context, in OPA's terms
	long bool
}

func cancelOf(ctx context.Context) contextCancel { return contextCancel{ctx, authz.IsLongWork(ctx)} }

func (contextCancel) Cancel() {}

func (c contextCancel) Cancelled() bool {
	if c.long {
		authz.GiveWay(c.ctx)
	}
	return c.ctx.Err() != nil
}

// general evaluates with OPA's general evaluator.
type general struct {
	query map[string]rego.PreparedEvalQuery
	txn   storage.Transaction
}

func newGeneral(ctx context.Context, compiler *ast.Compiler, has map[string]bool, store storage.Store, txn storage.Transaction) (general, error) {
	g := general{query: map[string]rego.PreparedEvalQuery{}, txn: txn}
	for _, entry := range []string{entryAllow, entryDecision, entryGranted, entryAccount, entryCandidates, entryMasks} {
		if !has[entry] {
			continue
		}
		var err error
		g.query[entry], err = rego.New(append(bounded.Options(),
			rego.Query(query(entry)),
			rego.Compiler(compiler),
			rego.Store(store),
			rego.Transaction(txn),
			rego.StrictBuiltinErrors(true),
			rego.StackTraces(true), // of which only the places are read: the rest repeats values
			rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
		)...).PrepareForEval(ctx)
		if err != nil {
			return g, err
		}
	}
	return g, nil
}

// query is the query for an entry point.
func query(entry string) string { return "data." + strings.ReplaceAll(entry, "/", ".") }

func (g general) evaluate(ctx context.Context, input *ast.Term, entries ...string) ([]*ast.Term, error) {
	return g.with(ctx, input, entries)
}

// with evaluates with options of OPA's.
func (g general) with(ctx context.Context, input *ast.Term, entries []string, options ...rego.EvalOption) ([]*ast.Term, error) {
	options = append(options,
		rego.EvalParsedInput(input.Value),
		rego.EvalTransaction(g.txn),
		rego.EvalMetrics(metrics.NoOp()),
		rego.EvalExternalCancel(cancelOf(ctx)),
	)
	values := make([]*ast.Term, len(entries))
	for i, name := range entries {
		query := g.query[name]
		results, err := query.Eval(ctx, options...)
		if err != nil {
			return nil, err
		}
		if len(results) == 1 {
			values[i], _ = results[0].Expressions[0].Value.(*ast.Term)
		}
	}
	return values, nil
}
