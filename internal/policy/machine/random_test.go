package machine_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/policy/machine"
	"github.com/caregate/caregate/internal/soak"
)

// firstSeed is where TestRandomPrograms begins; each program has the next seed.
// CAREGATE_TEST_SEED begins elsewhere and CAREGATE_TEST_PROGRAMS makes more or
// fewer of them.
const (
	firstSeed    = 1
	programCount = 400
)

// TestRandomPrograms holds the machine to OPA's general evaluator on random
// programs that it is allowed to evaluate. An error of the machine alone is no
// difference: the general evaluator is asked again then.
func TestRandomPrograms(t *testing.T) {
	var (
		total     tally
		workers   sync.WaitGroup
		relations = machine.Relations()
		seed      atomic.Int64
	)
	seed.Store(int64(setting(t, "CAREGATE_TEST_SEED", firstSeed)))
	last := seed.Load() + int64(setting(t, "CAREGATE_TEST_PROGRAMS", max(120, soak.Cases(programCount)))) - 1
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for n := seed.Add(1) - 1; n <= last && !t.Failed(); n = seed.Add(1) - 1 {
				(&comparison{T: t, seed: n, relations: relations, parsed: map[string]*ast.Module{}, tally: &total}).run()
			}
		})
	}
	workers.Wait()
	t.Log(&total)
	if total.defined.Load() < total.evaluations.Load()/4 {
		t.Error("the programs have too little to say")
	}
	if total.failedAlone.Load() > total.evaluations.Load()/50 {
		t.Error("the machine fails too often where the general evaluator does not")
	}
}

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// tally counts what happened.
type tally struct {
	programs, unplanned, internal                   atomic.Int64
	evaluations, defined, failed, failedAlone, left atomic.Int64
}

func (c *tally) String() string {
	return fmt.Sprintf("%d programs, %d of which could not be planned; %d evaluations: %d defined, %d failed both ways, %d in the machine alone, %d in OPA's own code, %d left to OPA",
		c.programs.Load(), c.unplanned.Load(), c.evaluations.Load(), c.defined.Load(), c.failed.Load(), c.failedAlone.Load(), c.internal.Load(), c.left.Load())
}

// comparison is one program evaluated both ways.
type comparison struct {
	*testing.T
	*tally
	seed      int64
	relations map[string]bool
	program   program
	parsed    map[string]*ast.Module // by source
	modules   map[string]*ast.Module
	compiler  *ast.Compiler
}

func (c *comparison) run() {
	author := newAuthor(uint64(c.seed))
	c.program = author.program(c.accept)
	c.programs.Add(1)
	if len(c.program.entries) == 0 || !c.accept(c.program.modules) {
		return // the last rule was not accepted, so what was compiled last is not the program
	}
	plan, err := machine.PlanOnly(c.Context(), c.modules, c.program.entries...)
	if err != nil {
		c.unplanned.Add(1)
		return
	}
	for range 3 {
		data := ast.MustParseTerm(author.data())
		program, err := machine.Compile(plan, data.Value, c.relations)
		if err != nil {
			c.unplanned.Add(1)
			return
		}
		var inputs []*ast.Term
		for range 5 {
			inputs = append(inputs, ast.MustParseTerm(author.document()))
		}
		c.compare(program, data, inputs)
	}
}

// accept compiles sources. It reports whether OPA accepts them in strict mode and
// the machine may evaluate them.
func (c *comparison) accept(sources map[string]string) bool {
	c.modules = map[string]*ast.Module{}
	for name, source := range sources {
		module, known := c.parsed[source]
		if !known {
			var err error
			if module, err = ast.ParseModule(name, source); err != nil {
				c.Errorf("seed %d: %v\n%s", c.seed, err, source)
				return false
			}
			c.parsed[source] = module
		}
		c.modules[name] = module
	}
	if machine.Eligible(c.modules) != nil {
		return false
	}
	c.compiler = ast.NewCompiler().WithStrict(true)
	c.compiler.Compile(c.modules)
	return !c.compiler.Failed()
}

// compare asks for all rules with each input. The rules share an evaluation, as
// those of a decision do.
func (c *comparison) compare(program *machine.Program, data *ast.Term, inputs []*ast.Term) {
	queries := c.queries(data)
	before := data.String()
	for i, input := range inputs {
		asked, form := input.String(), input
		if i%2 == 1 {
			form = lazily(input)
		}
		evaluation := program.New(c.Context(), nil, form)
		for _, name := range c.program.entries {
			entry, ok := program.Entry(name)
			if !ok {
				continue // a rule of constant names alone, which is no function of the plan
			}
			text := jsonOf(evaluation.Peek(entry))
			got, gotErr := evaluation.Get(entry)
			want, wantErr := ask(c.T, queries[name], input)
			if written := jsonOf(got, gotErr); text != written {
				c.Errorf("seed %d: %s was written as %s before it was %s", c.seed, name, text, written)
			}
			if difference := c.judge(got, want, gotErr, wantErr); difference != "" {
				c.Errorf("seed %d: %s of %s\ninput %v\ndata %v\n%v", c.seed, difference, name, input, data, c.program)
				return
			}
			if gotErr != nil {
				evaluation.Release()
				evaluation = program.New(c.Context(), nil, form)
			}
		}
		evaluation.Release()
		if input.String() != asked || data.String() != before {
			c.Errorf("seed %d: the input or data was changed\ninput %s\ndata %s\n%v", c.seed, asked, before, c.program)
		}
	}
}

// jsonOf writes what was answered, in order.
func jsonOf(value *ast.Term, err error) string {
	if value == nil || err != nil {
		return fmt.Sprint(err)
	}
	text, err := machine.AppendJSON(nil, value.Value, nil)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// judge counts an evaluation and says how the two differ, "" if they do not.
func (c *comparison) judge(got, want *ast.Term, gotErr, wantErr error) string {
	c.evaluations.Add(1)
	switch {
	case errors.Is(gotErr, machine.ErrNumbers):
		c.left.Add(1)
	case gotErr != nil && wantErr != nil:
		c.failed.Add(1)
	case gotErr != nil:
		c.failedAlone.Add(1)
	case isInternal(wantErr):
		c.internal.Add(1)
	case wantErr != nil:
		return fmt.Sprintf("%v, want error %v", got, wantErr)
	case (got == nil) != (want == nil):
		return fmt.Sprintf("%v, want %v", got, want)
	case got != nil && got.Value.Compare(want.Value) != 0:
		return fmt.Sprintf("%v, want %v", got, want)
	case got != nil:
		c.defined.Add(1)
	}
	return ""
}

// isInternal reports whether the general evaluator lost its way, which says nothing
// of the machine: some comprehensions in the body of every have it call a built-in
// function with a variable that it has not bound.
func isInternal(err error) bool {
	e, ok := errors.AsType[*topdown.Error](err)
	return ok && e.Code == topdown.InternalErr
}

// queries prepares the general evaluator for each rule.
func (c *comparison) queries(data *ast.Term) map[string]rego.PreparedEvalQuery {
	object, err := ast.JSON(data.Value)
	if err != nil {
		c.Error(err)
	}
	store := inmem.NewFromObjectWithOpts(object.(map[string]any), inmem.OptReturnASTValuesOnRead(true))
	queries := map[string]rego.PreparedEvalQuery{}
	for _, name := range c.program.entries {
		queries[name], err = rego.New(
			rego.Query("data."+strings.ReplaceAll(name, "/", ".")),
			rego.Compiler(c.compiler),
			rego.Store(store),
			rego.StrictBuiltinErrors(true),
			rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
		).PrepareForEval(c.Context())
		if err != nil {
			c.Error(err)
		}
	}
	return queries
}

func ask(t *testing.T, query rego.PreparedEvalQuery, input *ast.Term) (*ast.Term, error) {
	t.Helper()
	results, err := query.Eval(t.Context(), rego.EvalParsedInput(input.Value))
	if err != nil || len(results) == 0 {
		return nil, err
	}
	return results[0].Expressions[0].Value.(*ast.Term), nil
}

func (p program) String() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.modules)) {
		text.WriteString(p.modules[name] + "\n")
	}
	return text.String()
}
