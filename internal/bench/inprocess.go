package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
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

// inProcess measures decisions with facts at hand. A decision may cost 4 times the
// one-line rule, and 3 times where the facts and the questions are out of the caches.
func inProcess(ctx context.Context, s *stage) *table {
	// What is compared is how decisions are made, so nothing is remembered.
	const remembersNothing = -1
	o := s.organisation
	// Prepared facts are one snapshot's, so that others need facts of their own.
	service := authz.NewService(o, defaultPolicy(ctx, policy.Config{MemoBytes: remembersNothing}))
	remembering := authz.NewService(newOrganisation(patientCount), defaultPolicy(ctx, policy.Config{}))
	general := authz.NewService(newOrganisation(patientCount), defaultPolicy(ctx, policy.Config{General: true, MemoBytes: remembersNothing}))
	machine := authz.NewService(o, compile(ctx, must(fs.Sub(files, "oneline")), nil, policy.Config{MemoBytes: remembersNothing}))

	var inside []question
	var allows, denies []*contender
	for _, k := range kinds() {
		if !k.inside {
			continue
		}
		few := slices.DeleteFunc(slices.Clone(s.questions), func(q question) bool { return q.kind != k.name })
		few = few[:min(len(few), hot)]
		inside = append(inside, few...)
		if k.allow {
			allows = append(allows, s.deciding("allow: "+k.name, service, few))
		} else {
			denies = append(denies, s.deciding("deny: "+k.name, service, few))
		}
	}
	matching := slices.Clone(inside)
	for i := range matching {
		matching[i].request.Subject.ID = "m-1" // whom the one-line rule allows
	}
	oneLine := s.evaluating(ctx, "one-line rule on OPA: allow if …, equal", "allow", matching)
	rules := []*contender{
		oneLine,
		s.evaluating(ctx, "the same, not equal: its index skips the rule", "allow", inside),
		s.evaluating(ctx, "one-line rule on OPA: same := …, not equal", "same", inside),
	}
	mixes := []*contender{
		s.deciding(fmt.Sprintf("all %d questions in turn, out of the caches", len(s.questions)), service, s.questions),
		s.deciding("the same, decisions remembered", remembering, s.questions),
		s.deciding("the same mix, OPA's general evaluator", general, inside),
		s.deciding("one-line rule on Caregate's machine", machine, matching),
	}
	contenders := slices.Concat(rules, allows, denies, mixes)
	warmUp(ctx, contenders)
	s.takeTurns(ctx, s.rounds, "µs of CPU", contenders)

	allow, deny := mean("allow: mean of the above", allows), mean("deny: mean of the above", denies)
	t := &table{
		title:  "In process: one decision, facts at hand, reasons included",
		header: []string{"", "µs of CPU", "min–max", "÷ one-line rule", "min–max", "bytes allocated"},
		bounds: []bound{
			{"in process, allow ÷ one-line rule on OPA", allow.over(oneLine), atMost, 4},
			{"in process, deny ÷ one-line rule on OPA", deny.over(oneLine), atMost, 4},
			{"in process, all questions in turn, out of the caches ÷ one-line rule on OPA", mixes[0].over(oneLine), atMost, 3},
		},
	}
	for _, c := range slices.Concat(rules, append(allows, allow), append(denies, deny), mixes) {
		t.row(c.name, c.value, c.over(oneLine), c.further.median())
	}
	return t
}

// defaultPolicy is the embedded one.
func defaultPolicy(ctx context.Context, config policy.Config) *policy.Snapshot {
	snapshot := compile(ctx, policies.Files, data.Files(), config)
	if reason := snapshot.General(); reason != nil {
		check(fmt.Errorf("the policy is evaluated by the general evaluator: %w", reason))
	}
	return snapshot
}

func compile(ctx context.Context, rego, documents fs.FS, config policy.Config) *policy.Snapshot {
	return must(policy.Compile(ctx, must(policy.Read(rego, documents)), config))
}

// deciding is a service that is asked questions.
func (s *stage) deciding(name string, service *authz.Service, questions []question) *contender {
	return s.costing(name, func(ctx context.Context, i int) error {
		_, _, err := service.Decide(ctx, organisationName, &questions[i%len(questions)].request, authz.Freshness{})
		return err
	})
}

// evaluating is OPA with the one-line rule as an embedder has it who wants it fast: a
// prepared query, parsed input, no metrics, one transaction over a store that nobody
// writes to, and the cancellation and strictness that Caregate has too.
func (s *stage) evaluating(ctx context.Context, name, rule string, questions []question) *contender {
	store := inmem.NewFromObjectWithOpts(map[string]any{}, inmem.OptReturnASTValuesOnRead(true))
	txn := must(store.NewTransaction(ctx))
	query := must(rego.New(
		rego.Query("data.authz."+rule), rego.Module(rule+".rego", string(must(files.ReadFile("oneline/"+rule+".rego")))),
		rego.Store(store), rego.Transaction(txn), rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
	).PrepareForEval(ctx))
	inputs := make([]ast.Value, len(questions))
	for i, q := range questions {
		inputs[i] = must(ast.ValueFromReader(bytes.NewReader(encode(q.wire()))))
	}
	return s.costing(name, func(ctx context.Context, i int) error {
		_, err := query.Eval(ctx,
			rego.EvalParsedInput(inputs[i%len(inputs)]),
			rego.EvalTransaction(txn),
			rego.EvalMetrics(metrics.NoOp()),
			rego.EvalExternalCancel(contextCancel{ctx}),
		)
		return err
	})
}

// contextCancel is a topdown.Cancel that follows a context.
type contextCancel struct{ ctx context.Context } //nolint:containedctx // it is the context, in OPA's terms

func (contextCancel) Cancel()           {}
func (c contextCancel) Cancelled() bool { return c.ctx.Err() != nil }

// costing is a contender in this process: ask has question i answered, wrapped around.
// It gives the µs of CPU and the bytes that an answer takes. The collector waits
// meanwhile: a turn is too short to charge it to those who make it run, and the bytes
// say who does.
func (s *stage) costing(name string, ask func(ctx context.Context, i int) error) *contender {
	return &contender{name: name, turn: func(ctx context.Context) (cost, allocated float64) {
		runtime.GC()
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		used, n := cpuTime(), 0
		for start := time.Now(); time.Since(start) < s.slice; {
			for range 64 {
				check(ask(ctx, n))
				n++
			}
		}
		used = cpuTime() - used
		runtime.ReadMemStats(&after)
		return float64(used.Nanoseconds()) / 1e3 / float64(n), float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
	}}
}

// cpuTime is the CPU time that this process has used. On a machine with other things to
// do it says what work costs, and the clock says how long it had to wait.
func cpuTime() time.Duration {
	var used syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
