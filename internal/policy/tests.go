package policy

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/policy/bounded"
)

// How long one test of a policy may take on each evaluator, and all of them together.
const (
	testTimeout  = 30 * time.Second
	testsTimeout = 5 * time.Minute
)

// TestConfig says which tests run. The zero value runs all of them.
type TestConfig struct {
	// Run is a regular expression that the full name of a test has to match,
	// such as data.authz.booking_test.test_b1; "" for all.
	Run string
	// Timeout is how long one test may take, 0 for half a minute; Limit how long all of them
	// may together, 0 for five minutes. What does not end by then is an error of the test, with
	// the rule that it was in.
	Timeout, Limit time.Duration
}

// Outcome is how a test ended.
type Outcome string

// The outcomes of a test.
const (
	Passed  Outcome = "PASS"
	Failed  Outcome = "FAIL"
	Errored Outcome = "ERROR"
	Skipped Outcome = "SKIP" // its name begins with todo_
)

// TestResult is how one test ended.
type TestResult struct {
	File    string
	Row     int
	Package string // as it is written in Rego, without data
	Name    string
	Outcome Outcome
	// Text says why it did not pass.
	Text string
	// Output is what the test printed.
	Output   string
	Duration time.Duration
}

// TestReport is what the tests of a policy showed.
type TestReport struct {
	// Results are sorted by file and row.
	Results []TestResult
	// Coverage has each file that is no test, sorted by name.
	Coverage []FileCoverage
}

// Count counts the tests that ended in one way.
func (r *TestReport) Count(outcome Outcome) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == outcome {
			n++
		}
	}
	return n
}

// Percent is the share of all lines that the tests evaluated.
func (r *TestReport) Percent() float64 {
	lines, uncovered := 0, 0
	for _, f := range r.Coverage {
		lines += f.Lines
		uncovered += len(f.Uncovered)
	}
	return percent(lines-uncovered, lines)
}

// RunTests runs the tests of a policy in the world that the policy lives in:
// compiled as strictly, with the same built-in functions, over the same data, and
// on the evaluator that serves as well as on OPA's. A
// test in which a built-in function fails is an error, whatever came of it. An
// error is one of compilation, for Findings to take apart, or means that the
// tests could not be run.
func RunTests(ctx context.Context, source *Source, config TestConfig) (*TestReport, error) {
	if _, err := regexp.Compile(config.Run); err != nil {
		return nil, fmt.Errorf("%q is no regular expression: %w", config.Run, err)
	}
	if _, err := source.compile(ctx, true); err != nil {
		return nil, err
	}
	store := inmem.NewFromObject(source.Data)
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)

	modules := copies(source.Modules)
	for name, module := range copies(source.Tests) {
		modules[name] = module
	}
	compiler := source.compiler(ctx).WithEnablePrintStatements(true)
	tracer := cover.New()
	r := &testRun{
		source: source, compiler: compiler, store: store, txn: txn, places: placesOf(modules),
		timeout: cmp.Or(config.Timeout, testTimeout), limit: cmp.Or(config.Limit, testsTimeout), report: &TestReport{},
	}
	within, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	results, err := r.runner().
		SetModules(modules).
		SetCoverageQueryTracer(tracer).
		SetCoverageRuns(nil).
		Filter(config.Run).
		RunTests(within, txn)
	if err != nil {
		return nil, err
	}
	var failed []ast.Ref
	for result := range results {
		one := r.resultOf(result)
		r.report.Results = append(r.report.Results, one)
		if one.Outcome == Failed {
			failed = append(failed, ast.MustParseRef(result.Package+"."+result.Name))
		}
	}
	r.confirm(within)
	r.report.Coverage = coverageOf(tracer, source.Modules)
	slices.SortFunc(r.report.Results, func(a, b TestResult) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), strings.Compare(a.Name, b.Name))
	})
	if err := r.locate(within, failed); err != nil {
		return nil, err
	}
	return r.report, ctx.Err()
}

// testRun is one run of the tests of a policy.
type testRun struct {
	source   *Source
	compiler *ast.Compiler
	store    storage.Store
	txn      storage.Transaction
	places   rulePlaces    // of the tests as well
	timeout  time.Duration // of one test
	limit    time.Duration // of all
	report   *TestReport
}

func (r *testRun) runner() *tester.Runner {
	return tester.NewRunner().
		SetCompiler(r.compiler).
		SetStore(r.store).
		SetTimeout(r.timeout).
		AddCustomBuiltins(bounded.Tested()).
		RaiseBuiltinErrors(true).
		StackTraces(true).
		CapturePrintOutput(true)
}

// unended says that a test did not end.
func (r *testRun) unended(err error, where string) string {
	text := fmt.Sprintf("it did not end in time%s (a test has %v, and all together %v)", where, r.timeout, r.limit)
	if rule := r.places.stopped(err); rule != "" {
		text += "; it was in the rule " + rule
	}
	return text
}

func (r *testRun) resultOf(result *tester.Result) TestResult {
	out := TestResult{
		File: result.Location.File, Row: result.Location.Row, Duration: result.Duration, Output: string(result.Output),
		Package: strings.TrimPrefix(result.Package, "data."), Name: result.Name, Outcome: Passed,
	}
	switch {
	case result.Skip:
		out.Outcome = Skipped
	case topdown.IsCancel(result.Error):
		out.Outcome, out.Text = Errored, r.unended(result.Error, "")
	case result.Error != nil:
		out.Outcome, out.Text = Errored, firstLine(result.Error.Error())
	case result.Fail:
		out.Outcome, out.Text = Failed, "it is not true"
		var cases []string
		for name, sub := range result.SubResults.Iter {
			if sub.Fail && len(sub.SubResults) == 0 {
				cases = append(cases, strings.Join(name, "/"))
			}
		}
		if len(cases) > 0 {
			out.Text = "not true in the cases " + strings.Join(cases, ", ")
		}
	}
	return out
}

// locate runs the failed tests again with a trace, to say on which line each
// one ended.
func (r *testRun) locate(ctx context.Context, failed []ast.Ref) error {
	if len(failed) == 0 {
		return nil
	}
	results, err := r.runner().EnableTracing(true).SetPrefixMatchers(failed...).RunTests(ctx, r.txn)
	if err != nil {
		return err
	}
	for result := range results {
		expr := endedAt(result)
		if expr == nil {
			continue
		}
		for i := range r.report.Results {
			own := &r.report.Results[i]
			if own.Outcome == Failed && own.Name == result.Name && "data."+own.Package == result.Package && len(result.SubResults) == 0 {
				own.Row = expr.Location.Row
				own.Text = "not true: " + firstLine(string(expr.Location.Text))
			}
		}
	}
	return nil
}

// endedAt returns the last expression in the file of a test that failed.
func endedAt(result *tester.Result) *ast.Expr {
	for _, event := range slices.Backward(result.Trace) {
		expr, ok := event.Node.(*ast.Expr)
		if ok && event.Op == topdown.FailOp && expr.Location != nil && expr.Location.File == result.Location.File {
			return expr
		}
	}
	return nil
}

func firstLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if more {
		line += " …"
	}
	return line
}
