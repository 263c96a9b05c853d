package machine

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/policy/bounded"
)

// Program is a lowered plan over one version of data. It is immutable and safe
// for concurrent use.
type Program struct {
	data      *ast.Term
	runtime   *ast.Term // what built-in functions see of the host: nothing
	functions []function
	paths     []memo // what is known of each path before there is an input
	byPath    map[string]int
	idle      sync.Pool // of *Evaluation
}

// function is one planned rule or function.
type function struct {
	name   string
	params []int
	locals int // size of its frame
	blocks []block
	memo   bool // takes input and data alone, so one result serves an evaluation
}

type block []instr

// opcode names an instruction. Those that have the form of an ir.Stmt carry its
// name; see the ir package for what they mean.
type opcode uint8

const (
	opNop opcode = iota
	opReturn
	opCall
	opBuiltin
	opMember
	opEqualCall
	opNotEqualCall
	opConcat
	opBlocks
	opBreak
	opDot
	opPath    // a look-up that is the same wherever it is made
	opDataDot // a look-up in data by what depends on the question
	opLen
	opScan
	opNot
	opAssign
	opAssignOnce
	opReset
	opMakeArray
	opMakeObject
	opMakeSet
	opEqual
	opNotEqual
	opIsArray
	opIsObject
	opIsSet
	opIsDefined
	opIsUndefined
	opAppend
	opInsert
	opInsertOnce
	opMerge
	opAdd
	opWith
)

// writes reports whether an instruction assigns its target.
func (op opcode) writes() bool {
	switch op {
	case opCall, opBuiltin, opMember, opEqualCall, opNotEqualCall, opConcat, opDot, opPath, opDataDot, opLen, opScan,
		opAssign, opAssignOnce, opReset, opMakeArray, opMakeObject, opMakeSet, opMerge, opWith:
		return true
	}
	return false
}

// each calls f for every instruction of blocks, nested ones included.
func each(blocks []block, f func(*instr)) {
	for _, b := range blocks {
		for i := range b {
			f(&b[i])
			each(b[i].blocks, f)
		}
	}
}

// isUsed reports whether blocks do more with a slot than to give its value other
// names that nothing reads.
func isUsed(blocks []block, slot int) bool {
	names := map[int]bool{slot: true}
	is := func(o operand) bool { return o.constant == nil && names[o.slot] }
	for more := true; more; {
		before := len(names)
		each(blocks, func(in *instr) {
			if in.op == opAssign && is(in.a) {
				names[in.target] = true
			}
		})
		more = len(names) > before
	}
	found := false
	each(blocks, func(in *instr) {
		found = found || in.op != opAssign && (is(in.a) || is(in.b) || slices.ContainsFunc(in.args, is))
	})
	return found
}

// operand is a constant, or the frame slot of a local when constant is nil.
type operand struct {
	constant *ast.Term
	slot     int
}

// instr is one instruction. Which fields mean something depends on op.
type instr struct {
	op      opcode
	target  int
	a, b    operand
	index   int  // break depth, called function, path, or scan's key slot
	inData  bool // of opPath: it leads into data; of opScan: what is scanned is there, and its keys are read
	args    []operand
	blocks  []block
	path    []*ast.Term
	builtin *builtin
}

// builtin is a built-in function that the plan calls.
type builtin struct {
	name     string
	call     topdown.BuiltinFunc
	relation bool // the results are collected into an array
}

// unsupported is the panic value by which lowering gives up; Compile recovers it.
type unsupported string

// Compile lowers a plan. data is the base document. It fails for a plan that
// uses what this evaluator does not know, never halfway through an evaluation.
func Compile(plan *ir.Policy, data ast.Value, relations map[string]bool) (p *Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			reason, ok := r.(unsupported)
			if !ok {
				panic(r)
			}
			p, err = nil, fmt.Errorf("plan not supported: %s", string(reason))
		}
	}()
	l := lowering{
		program:   &Program{data: Table(ast.NewTerm(data)), runtime: ast.ObjectTerm(), byPath: map[string]int{}},
		functions: map[string]int{},
		builtins:  map[string]*builtin{},
		paths:     newPaths(),
	}
	if plan.Static != nil {
		for _, s := range plan.Static.Strings {
			l.strings = append(l.strings, ast.StringTerm(s.Value))
		}
		for _, b := range plan.Static.BuiltinFuncs {
			call := bounded.Function(b.Name)
			if call == nil {
				return nil, fmt.Errorf("plan not supported: no built-in function %s", b.Name)
			}
			l.builtins[b.Name] = &builtin{name: b.Name, call: call, relation: relations[b.Name]}
		}
	}
	if plan.Funcs == nil {
		return l.program, nil
	}
	for i, f := range plan.Funcs.Funcs {
		l.functions[f.Name] = i
		l.arity = append(l.arity, len(f.Params))
		if len(f.Path) > 0 && len(f.Params) == 2 && f.Path[0] == "g0" {
			l.program.byPath[strings.Join(f.Path[1:], "/")] = i
		}
	}
	for _, f := range plan.Funcs.Funcs {
		l.program.functions = append(l.program.functions, l.function(f))
	}
	l.program.paths = l.paths.resolve(l.program.data)
	return l.program, nil
}

// Entry returns the rule at a path such as "authz/allow".
func (p *Program) Entry(path string) (Entry, bool) {
	i, ok := p.byPath[path]
	return Entry(i), ok
}

// Entry is a rule that can be asked for.
type Entry int
