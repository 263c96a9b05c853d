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

// evaluator evaluates entry points for one input, which may have values of the machine's.
type evaluator interface {
	// evaluate returns the values of entries in their order, nil for undefined. They are
	// OPA's own, and stay good.
	evaluate(ctx context.Context, input *ast.Term, entries ...string) ([]*ast.Term, error)
	// decide makes a decision. failed is true for an error of the evaluation, and false
	// for one of what the policy answered.
	decide(ctx context.Context, input *ast.Term) (d authz.Decision, failed bool, err error)
}

// planned evaluates with the machine.
type planned struct {
	snapshot *Snapshot
	program  *machine.Program
	entries  map[string]machine.Entry
	// allow and decision are the entries of a decision.
	allow, decision machine.Entry
}

func (s *Snapshot) newPlanned(ctx context.Context, source *Source, entries []string) (*planned, error) {
	if err := machine.Eligible(source.Modules); err != nil {
		return nil, err
	}
	program, err := plan(ctx, source.Modules, source.Data, entries)
	if err != nil {
		return nil, err
	}
	p := &planned{snapshot: s, program: program, entries: map[string]machine.Entry{}}
	for _, name := range entries {
		entry, ok := program.Entry(name)
		if !ok {
			return nil, fmt.Errorf("%s is not one rule", name)
		}
		p.entries[name] = entry
	}
	p.allow, p.decision = p.entries[entryAllow], p.entries[entryDecision]
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

func (p *planned) evaluate(ctx context.Context, input *ast.Term, entries ...string) (values []*ast.Term, err error) {
	err = p.evaluating(ctx, input, nil, func(e *machine.Evaluation) error {
		values = make([]*ast.Term, len(entries))
		for i, name := range entries {
			entry, ok := p.entries[name]
			if !ok {
				return fmt.Errorf("%s is not planned", name)
			}
			if values[i], err = e.Get(entry); err != nil {
				return err
			}
		}
		return nil
	})
	return values, err
}

func (p *planned) decide(ctx context.Context, input *ast.Term) (authz.Decision, bool, error) {
	return p.watch(ctx, input, nil)
}

// watch decides, and tells w what is asked; w may be nil.
func (p *planned) watch(ctx context.Context, input *ast.Term, w *machine.Watch) (d authz.Decision, failed bool, err error) {
	failed = true
	err = p.evaluating(ctx, input, w, func(e *machine.Evaluation) error {
		allow, err := e.Peek(p.allow)
		if err != nil {
			return err
		}
		var decision *ast.Term
		if p.snapshot.has[entryDecision] {
			if decision, err = e.Peek(p.decision); err != nil {
				return err
			}
		}
		failed = false
		d, err = p.snapshot.readDecision(allow, decision, e.JSON)
		return err
	})
	return d, failed, err
}

// evaluating calls ask with an evaluation, which is over when it returns.
func (p *planned) evaluating(ctx context.Context, input *ast.Term, w *machine.Watch, ask func(*machine.Evaluation) error) (err error) {
	e := p.program.New(ctx, cancelOf(ctx), input)
	e.Watch(w)
	defer func() {
		if r := recover(); r != nil { // e is left to the collector, as it was
			err = fmt.Errorf("the machine panicked: %v", r)
			return
		}
		e.Release()
	}()
	return ask(e)
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
	snapshot *Snapshot
	query    map[string]rego.PreparedEvalQuery
	txn      storage.Transaction
}

func (s *Snapshot) newGeneral(ctx context.Context, compiler *ast.Compiler, store storage.Store, txn storage.Transaction) (general, error) {
	g := general{snapshot: s, query: map[string]rego.PreparedEvalQuery{}, txn: txn}
	for _, entry := range []string{entryAllow, entryDecision, entryGranted, entryAccount, entryCandidates, entryMasks} {
		if !s.has[entry] {
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

func (g general) decide(ctx context.Context, input *ast.Term) (authz.Decision, bool, error) {
	entries := []string{entryAllow, entryDecision}
	if !g.snapshot.has[entryDecision] {
		entries = entries[:1]
	}
	values, err := g.evaluate(ctx, input, entries...)
	if err != nil {
		return authz.Decision{}, true, err
	}
	d, err := g.snapshot.readDecision(values[0], append(values, nil)[1], func(t *ast.Term) ([]byte, error) { return machine.AppendJSON(nil, t.Value, nil) })
	return d, false, err
}

// with evaluates with options of OPA's.
func (g general) with(ctx context.Context, input *ast.Term, entries []string, options ...rego.EvalOption) ([]*ast.Term, error) {
	options = append(options,
		rego.EvalParsedInput(machine.Whole(input).Value),
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
