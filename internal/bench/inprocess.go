package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
)

// files are the one-line rule, and the policy that was written for OPA's server.
//
//go:embed oneline opa
var files embed.FS

// hot is how many questions of a kind are asked in process: different ones, and
// no more than the processor's caches hold, as they hold the one-line rule.
const hot = 16

// boundInProcess is how many times the one-line rule a decision may cost.
const boundInProcess = 4

// contender answers the question i, wrapped around.
type contender struct {
	name string
	ask  func(ctx context.Context, i int) error
}

// defaultService answers by the embedded policy.
func defaultService(ctx context.Context, facts authz.Directory, config policy.Config) (*authz.Service, *policy.Snapshot, error) {
	snapshot, err := compile(ctx, policies.Files, data.Files(), config)
	if err != nil {
		return nil, nil, err
	}
	if reason := snapshot.General(); reason != nil {
		return nil, nil, fmt.Errorf("the policy is evaluated by the general evaluator: %w", reason)
	}
	return authz.NewService(facts, snapshot), snapshot, nil
}

func compile(ctx context.Context, rego, documents fs.FS, config policy.Config) (*policy.Snapshot, error) {
	source, err := policy.Read(rego, documents)
	if err != nil {
		return nil, err
	}
	return policy.Compile(ctx, source, config)
}

// inProcess measures decisions with facts at hand.
func inProcess(ctx context.Context, o *organisation, all []question, rounds int, slice time.Duration) (*result, error) {
	var inside []question
	for _, k := range kinds() {
		if k.inside {
			inside = append(inside, of(all, k, hot)...)
		}
	}
	matching, err := by("m-1", inside) // whom the one-line rule allows
	if err != nil {
		return nil, err
	}
	base, err := oneLineOPA(ctx, "one-line rule on OPA: allow if …, equal", "allow", matching)
	if err != nil {
		return nil, err
	}
	skipped, err := oneLineOPA(ctx, "the same, not equal: its index skips the rule", "allow", inside)
	if err != nil {
		return nil, err
	}
	assigned, err := oneLineOPA(ctx, "one-line rule on OPA: same := …, not equal", "same", inside)
	if err != nil {
		return nil, err
	}
	// What is compared is how decisions are made, so nothing is remembered.
	service, _, err := defaultService(ctx, o, policy.Config{MemoBytes: -1})
	if err != nil {
		return nil, err
	}
	remembering, _, err := defaultService(ctx, newOrganisation(), policy.Config{})
	if err != nil {
		return nil, err
	}
	contenders := []contender{base, skipped, assigned}
	var allows, denies []int
	for _, k := range kinds() {
		if !k.inside {
			continue
		}
		if k.allow {
			allows = append(allows, len(contenders))
		} else {
			denies = append(denies, len(contenders))
		}
		contenders = append(contenders, asking(service, k.name, of(all, k, hot)))
	}
	// With facts of its own: what is prepared on a fact is one snapshot's.
	general, _, err := defaultService(ctx, newOrganisation(), policy.Config{General: true, MemoBytes: -1})
	if err != nil {
		return nil, err
	}
	rule, err := fs.Sub(files, "oneline")
	if err != nil {
		return nil, err
	}
	machine, err := compile(ctx, rule, nil, policy.Config{MemoBytes: -1})
	if err != nil {
		return nil, err
	}
	contenders = append(contenders,
		asking(service, fmt.Sprintf("all %d questions in turn, out of the caches", len(all)), all),
		asking(remembering, "the same, decisions remembered", all),
		asking(general, "the same mix, OPA's general evaluator", inside),
		asking(authz.NewService(o, machine), "one-line rule on Caregate's machine", matching))

	costs, bytes, err := take(ctx, contenders, rounds, slice)
	if err != nil {
		return nil, err
	}
	res := &result{title: "In process: one decision, facts at hand, reasons included", unit: "µs of CPU", ratioTo: "one-line rule", extra: "bytes allocated"}
	one := costs[0]
	res.add(base.name, one, nil, bytes[0])
	res.add(skipped.name, costs[1], costs[1].over(one), bytes[1])
	res.add(assigned.name, costs[2], costs[2].over(one), bytes[2])
	group := func(name string, members []int) {
		var each, allocated []spread
		for _, i := range members {
			res.add(name+": "+contenders[i].name, costs[i], costs[i].over(one), bytes[i])
			each, allocated = append(each, costs[i]), append(allocated, bytes[i])
		}
		m := mean(each)
		res.add(name+": mean of the above", m, m.over(one), mean(allocated))
		res.check("in process, "+name+" ÷ one-line rule on OPA", m.over(one), atMost, boundInProcess)
	}
	group("allow", allows)
	group("deny", denies)
	for i := len(contenders) - 4; i < len(contenders); i++ {
		res.add(contenders[i].name, costs[i], costs[i].over(one), bytes[i])
	}
	return res, nil
}

// take measures every contender in each round, in µs of CPU and in bytes allocated
// an answer.
func take(ctx context.Context, contenders []contender, rounds int, slice time.Duration) (costs, bytes []spread, err error) {
	costs, bytes = make([]spread, len(contenders)), make([]spread, len(contenders))
	for _, c := range contenders { // warm up, and see that each works
		if _, _, err := c.run(ctx, slice); err != nil {
			return nil, nil, err
		}
	}
	for round := range rounds {
		for _, i := range turns(len(contenders), round) {
			cost, allocated, err := contenders[i].run(ctx, slice)
			if err != nil {
				return nil, nil, err
			}
			costs[i], bytes[i] = append(costs[i], cost), append(bytes[i], allocated)
		}
	}
	return costs, bytes, nil
}

// run asks for about as long as slice, and returns the µs of CPU and the bytes that
// an answer took. The collector waits meanwhile: a turn is too short to charge it
// to those who make it run, and the bytes say who does.
func (c contender) run(ctx context.Context, slice time.Duration) (cost, allocated float64, err error) {
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, err := cpuTime()
	if err != nil {
		return 0, 0, err
	}
	n := 0
	for start := time.Now(); time.Since(start) < slice; {
		for range 64 {
			if err := c.ask(ctx, n); err != nil {
				return 0, 0, fmt.Errorf("%s: %w", c.name, err)
			}
			n++
		}
	}
	now, err := cpuTime()
	runtime.ReadMemStats(&after)
	cost = float64((now - used).Nanoseconds()) / 1e3 / float64(n)
	return cost, float64(after.TotalAlloc-before.TotalAlloc) / float64(n), errors.Join(err, ctx.Err())
}

// asking makes a contender of a service.
func asking(service *authz.Service, name string, questions []question) contender {
	return contender{name, func(ctx context.Context, i int) error {
		_, _, err := service.Decide(ctx, organisationName, questions[i%len(questions)].request, authz.Freshness{})
		return err
	}}
}

// of returns the first few questions of a kind.
func of(all []question, k *kind, few int) (chosen []question) {
	for _, q := range all {
		if q.kind.name == k.name && len(chosen) < few {
			chosen = append(chosen, q)
		}
	}
	return chosen
}

// by returns the questions asked by one member.
func by(id string, all []question) ([]question, error) {
	same := make([]question, len(all))
	for i, q := range all {
		r := *q.request
		r.Subject.ID = id
		body, err := encode(&r)
		if err != nil {
			return nil, err
		}
		same[i] = question{q.kind, &r, body}
	}
	return same, nil
}

// oneLineOPA evaluates the one-line rule with OPA as an embedder would who wants
// it fast: a prepared query, parsed input, no metrics, one transaction over a
// store that nobody writes to, and the cancellation and strictness that Caregate
// has too.
func oneLineOPA(ctx context.Context, name, rule string, questions []question) (contender, error) {
	text, err := files.ReadFile("oneline/" + rule + ".rego")
	if err != nil {
		return contender{}, err
	}
	store := inmem.NewFromObjectWithOpts(map[string]any{}, inmem.OptReturnASTValuesOnRead(true))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return contender{}, err
	}
	query, err := rego.New(
		rego.Query("data.authz."+rule), rego.Module(rule+".rego", string(text)),
		rego.Store(store), rego.Transaction(txn), rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return contender{}, err
	}
	inputs := make([]ast.Value, len(questions))
	for i, q := range questions {
		if inputs[i], err = ast.ValueFromReader(bytes.NewReader(q.body)); err != nil {
			return contender{}, err
		}
	}
	return contender{name, func(ctx context.Context, i int) error {
		return evaluate(ctx, &query, inputs[i%len(inputs)], txn)
	}}, nil
}

func evaluate(ctx context.Context, query *rego.PreparedEvalQuery, input ast.Value, txn storage.Transaction) error {
	_, err := query.Eval(ctx,
		rego.EvalParsedInput(input),
		rego.EvalTransaction(txn),
		rego.EvalMetrics(metrics.NoOp()),
		rego.EvalExternalCancel(contextCancel{ctx}),
	)
	return err
}

// contextCancel is a topdown.Cancel that follows a context.
type contextCancel struct{ ctx context.Context } //nolint:containedctx // it is the context, in OPA's terms

func (contextCancel) Cancel()           {}
func (c contextCancel) Cancelled() bool { return c.ctx.Err() != nil }
