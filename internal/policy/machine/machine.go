package machine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// signal says how a block ended: by falling off its end, by breaking out of n
// blocks, by returning, or by an error.
type signal int

const (
	end    signal = -1
	leave  signal = -2 // the function returns
	failed signal = -3
	broken signal = 0 // break out of the block in hand: something was undefined
)

// depthLimit bounds calls. Rego has no recursion, so only a plan as deep as this
// could reach it.
const depthLimit = 1024

// Evaluation is one input being asked about. Rules that were evaluated for one
// entry are not evaluated again for the next. It is not safe for concurrent use.
type Evaluation struct {
	program *Program
	ctx     context.Context //nolint:containedctx // an Evaluation is one call's, and lives no longer
	cancel  topdown.Cancel
	input   *ast.Term
	memo    []memo // by function
	paths   []memo // by path
	stack   []*ast.Term
	depth   int
	steps   uint // calls and elements of scans so far
	err     error
	builtin topdown.BuiltinContext
	ready   bool        // builtin is filled in
	result  *ast.Term   // of the function that just returned
	output  *ast.Term   // of the built-in function that just returned
	outputs []*ast.Term // the same, of one that has many
	collect func(*ast.Term) error
	watch   *Watch // nil for none
	text    []byte // the last value in JSON
	drafts  []draft
	used    int  // of drafts
	kept    bool // somebody has a value that is made of drafts
}

// memo is the result of one function, or the end of one path, for the documents
// in hand.
type memo struct {
	done  bool
	value *ast.Term // nil for undefined
}

// New starts an evaluation of input, in which there may be values of the types Object and
// Texts, the input itself included. cancel stops it from outside and may be
// nil; ctx is what built-in functions see.
func (p *Program) New(ctx context.Context, cancel topdown.Cancel, input *ast.Term) *Evaluation {
	e, ok := p.idle.Get().(*Evaluation)
	if !ok {
		e = &Evaluation{program: p, memo: make([]memo, len(p.functions)), paths: make([]memo, len(p.paths)), stack: make([]*ast.Term, 0, 256)}
		e.collect = func(t *ast.Term) error {
			e.output = t
			e.outputs = append(e.outputs, t)
			return nil
		}
	}
	e.ctx, e.cancel, e.input, e.steps = ctx, cancel, input, 0
	copy(e.paths, p.paths)
	return e
}

// Release ends the evaluation and lets another one use its memory. Values that
// Get returned stay good, those of Peek do not.
func (e *Evaluation) Release() {
	if e.err != nil {
		return // frames were left as they were
	}
	if e.kept || e.watch != nil {
		e.drafts = nil
	}
	clear(e.drafts[:min(e.used, len(e.drafts))])
	e.used, e.kept = 0, false
	clear(e.memo)
	clear(e.paths)
	clear(e.outputs)
	clear(e.builtin.Cache)
	e.builtin.Context, e.builtin.Cancel, e.builtin.Time, e.ready = nil, nil, nil, false
	e.ctx, e.cancel, e.input, e.result, e.output, e.watch = nil, nil, nil, nil, nil, nil
	e.program.idle.Put(e)
}

// Get evaluates one entry and returns its value, nil when it is undefined. The
// value may share parts with the input and with data and must not be changed.
func (e *Evaluation) Get(entry Entry) (*ast.Term, error) {
	v, err := e.Peek(entry)
	e.kept = true
	return whole(v), err
}

// Peek is Get for a value that is good until Release, and for Lookup, IsObject, Whole and JSON only.
func (e *Evaluation) Peek(entry Entry) (*ast.Term, error) {
	v := e.call(int(entry), e.input, e.program.data, nil)
	if e.err != nil {
		return nil, e.err
	}
	e.uses(v) // whoever asked does as they like
	return v, nil
}

// call runs a function. input and data are the first two arguments of every
// planned function; args, when not nil, are all of its arguments in order.
func (e *Evaluation) call(index int, input, data *ast.Term, args []*ast.Term) *ast.Term {
	f := &e.program.functions[index]
	if f.memo && e.memo[index].done {
		return e.memo[index].value
	}
	if e.depth++; e.depth > depthLimit {
		e.fail(fmt.Errorf("%s: calls nest deeper than %d", f.name, depthLimit))
	}
	if e.cancelled(); e.err != nil {
		e.stopped(f)
		return nil
	}
	base := len(e.stack)
	frame := e.grow(f.locals)
	if args == nil {
		frame[f.params[0]], frame[f.params[1]] = input, data
	} else {
		for i, slot := range f.params {
			frame[slot] = args[i]
		}
	}
	var value *ast.Term
	for _, b := range f.blocks {
		sig := e.run(b, frame)
		if sig == leave {
			value = e.result
			break
		}
		if sig == failed {
			break
		}
	}
	clear(frame)
	e.stack = e.stack[:base]
	e.depth--
	if e.err != nil {
		e.stopped(f)
		return nil
	}
	if f.memo {
		e.memo[index] = memo{done: true, value: value}
	}
	return value
}

// grow returns a cleared frame of n slots. Frames that are in use stay where
// they are when the stack has to move.
func (e *Evaluation) grow(n int) []*ast.Term {
	base := len(e.stack)
	if base+n > cap(e.stack) {
		e.stack = make([]*ast.Term, base, 2*cap(e.stack)+n)
	}
	e.stack = e.stack[:base+n]
	return e.stack[base : base+n : base+n]
}

// patience is how many steps an evaluation takes between two looks at whether it
// was cancelled. It looks at the first one.
const patience = 16

// cancelled counts a step, and fails the evaluation if it was cancelled.
func (e *Evaluation) cancelled() bool {
	look := e.steps%patience == 0
	e.steps++
	if !look || e.cancel == nil || !e.cancel.Cancelled() {
		return false
	}
	e.fail(errCancelled)
	return true
}

func (e *Evaluation) fail(err error) signal {
	if e.err == nil {
		e.err = err
	}
	return failed
}

// Stopped is the error of an evaluation that was cancelled, with the rule that it was in.
type Stopped struct {
	Rule string // as data.authz.allow
}

func (s *Stopped) Error() string { return s.Rule + ": " + errCancelled.Error() }

func (*Stopped) Unwrap() error { return errCancelled }

// stopped names the innermost rule that was cancelled.
func (e *Evaluation) stopped(f *function) {
	if _, named := errors.AsType[*Stopped](e.err); !named && topdown.IsCancel(e.err) {
		e.err = &Stopped{Rule: strings.TrimPrefix(f.name, "g0.")}
	}
}

// errCancelled is the error that OPA gives for a cancelled query.
var errCancelled = &topdown.Error{Code: topdown.CancelErr, Message: "caller cancelled query execution"}

// callBuiltin calls one of OPA's built-in functions, nil meaning undefined.
func (e *Evaluation) callBuiltin(b *builtin, args []*ast.Term) *ast.Term {
	if !e.ready {
		e.prepare()
	}
	e.output, e.outputs = nil, e.outputs[:0]
	if err := b.call(e.builtin, args, e.collect); err != nil {
		e.fail(fmt.Errorf("%s: %w", b.name, err))
		return nil
	}
	if b.relation {
		return ast.ArrayTerm(slices.Clone(e.outputs)...)
	}
	return e.output
}

// prepare fills in what built-in functions get to see of the evaluation. All of
// them see the same clock and the same cache.
func (e *Evaluation) prepare() {
	e.ready = true
	if e.builtin.Cache == nil {
		e.builtin.Seed, e.builtin.Cache, e.builtin.Runtime = rand.Reader, make(builtins.Cache), e.program.runtime
	}
	e.builtin.Context, e.builtin.Time = e.ctx, intTerm(time.Now().UnixNano())
	if e.builtin.Cancel = e.cancel; e.cancel == nil {
		e.builtin.Cancel = topdown.NewCancel()
	}
}
