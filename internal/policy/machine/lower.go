package machine

import (
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
)

// lowering turns ir statements into instructions.
type lowering struct {
	program   *Program
	strings   []*ast.Term
	functions map[string]int
	arity     []int // of each function
	builtins  map[string]*builtin
	slots     map[ir.Local]int // of the function in hand
	paths     paths
	known     map[int]int // slots that hold the value of a path at this point
}

func (l *lowering) function(f *ir.Func) function {
	l.slots = map[ir.Local]int{}
	l.slot(ir.Input)
	l.slot(ir.Data)
	out := function{name: f.Name, memo: len(f.Params) == 2}
	for _, param := range f.Params {
		out.params = append(out.params, l.slot(param))
	}
	l.known = map[int]int{}
	if len(out.params) >= 2 { // by convention the first two are input and data
		l.known[out.params[0]], l.known[out.params[1]] = inputPath, dataPath
	}
	out.blocks = l.blockList(f.Blocks)
	each(out.blocks, func(in *instr) {
		if in.op == opScan && in.inData {
			in.inData = isUsed(out.blocks, in.index)
		}
	})
	out.locals = len(l.slots)
	return out
}

// slot returns the dense frame index of a local.
func (l *lowering) slot(local ir.Local) int {
	s, ok := l.slots[local]
	if !ok {
		s = len(l.slots)
		l.slots[local] = s
	}
	return s
}

func (l *lowering) operand(o ir.Operand) operand {
	switch v := o.Value.(type) { // pointers: that is how a plan is read back
	case *ir.Local:
		return operand{slot: l.slot(*v)}
	case *ir.StringIndex:
		return operand{constant: l.strings[*v]}
	case *ir.Bool:
		return operand{constant: ast.InternedTerm(bool(*v))}
	}
	panic(unsupported(fmt.Sprintf("operand %T", o.Value)))
}

func (l *lowering) local(v ir.Local) operand { return operand{slot: l.slot(v)} }

func (l *lowering) operands(list []ir.Operand) []operand {
	out := make([]operand, len(list))
	for i, o := range list {
		out[i] = l.operand(o)
	}
	return out
}

func (l *lowering) blockList(blocks []*ir.Block) []block {
	out := make([]block, len(blocks))
	for i, b := range blocks {
		out[i] = l.block(b)
	}
	return out
}

// block lowers a block. What is known before it is known inside; afterwards what
// it may have written is not, for it may have been left anywhere.
func (l *lowering) block(b *ir.Block) block {
	before := maps.Clone(l.known)
	out := make(block, 0, len(b.Stmts))
	for _, s := range b.Stmts {
		if in := l.statement(s); in.op != opNop {
			out = append(out, in)
		}
	}
	l.known = before
	l.forget(out)
	return out
}

// loop lowers the block of a scan. It runs many times: what it writes is not known
// at its start either.
func (l *lowering) loop(b *ir.Block, scan instr) block {
	source, known := l.known[scan.a.slot]
	before := l.known
	l.known = map[int]int{}
	first := l.block(b)
	l.known = maps.Clone(before)
	l.forget(first)
	delete(l.known, scan.index)
	delete(l.known, scan.target)
	if known && l.paths.inData(source) {
		l.known[scan.target] = somewhereInData
	}
	out := l.block(b)
	l.known = before
	l.forget(out)
	return out
}

// forget removes what instructions write from what is known.
func (l *lowering) forget(b block) {
	for i := range b {
		in := &b[i]
		if in.op.writes() {
			delete(l.known, in.target)
		}
		if in.op == opScan {
			delete(l.known, in.index)
		}
		for _, nested := range in.blocks {
			l.forget(nested)
		}
	}
}

func (l *lowering) statement(s ir.Stmt) instr {
	switch s := s.(type) {
	case *ir.NopStmt:
		return instr{op: opNop}
	case *ir.ReturnLocalStmt:
		return instr{op: opReturn, a: l.local(s.Source)}
	case *ir.CallStmt:
		return l.wrote(l.call(s))
	case *ir.CallDynamicStmt:
		// Under a negation a plan gives it another meaning than OPA's evaluator.
		panic(unsupported("a rule whose name depends on the question"))
	case *ir.BlockStmt:
		return instr{op: opBlocks, blocks: l.blockList(s.Blocks)}
	case *ir.BreakStmt:
		return instr{op: opBreak, index: int(s.Index)}
	case *ir.DotStmt:
		return l.dot(s)
	case *ir.LenStmt:
		return instr{op: opLen, a: l.operand(s.Source), target: l.slot(s.Target)}
	case *ir.ScanStmt:
		in := instr{op: opScan, a: l.local(s.Source), index: l.slot(s.Key), target: l.slot(s.Value)}
		in.blocks = []block{l.loop(s.Block, in)}
		source, known := l.known[in.a.slot]
		in.inData = known && l.paths.inData(source)
		delete(l.known, in.index)
		return l.wrote(in)
	case *ir.NotStmt:
		return instr{op: opNot, blocks: []block{l.block(s.Block)}}
	case *ir.WithStmt:
		in := instr{op: opWith, target: l.slot(s.Local), a: l.operand(s.Value)}
		for _, i := range s.Path {
			in.path = append(in.path, l.strings[i])
		}
		// Inside, documents are others than outside, and so are their paths.
		before := l.known
		l.known = map[int]int{}
		in.blocks = []block{l.block(s.Block)}
		l.known = before
		l.forget(in.blocks[0])
		return in
	}
	return l.wrote(l.simple(s))
}

// wrote records that in writes its target, about which nothing is known then.
func (l *lowering) wrote(in instr) instr {
	if in.op.writes() {
		delete(l.known, in.target)
	}
	return in
}

// dot lowers a look-up. One of a constant name in a document whose path is known
// is made once for an evaluation, however many rules make it.
func (l *lowering) dot(s *ir.DotStmt) instr {
	in := instr{op: opDot, a: l.operand(s.Source), b: l.operand(s.Key), target: l.slot(s.Target)}
	parent, known := l.known[in.a.slot]
	l.wrote(in)
	if !known || in.a.constant != nil {
		return in
	}
	if parent == somewhereInData || in.b.constant == nil {
		if l.paths.inData(parent) {
			in.op = opDataDot
			l.known[in.target] = somewhereInData
		}
		return in
	}
	in.op, in.index = opPath, l.paths.child(parent, in.b.constant)
	in.inData = l.paths.inData(in.index)
	l.known[in.target] = in.index
	return in
}

// simple lowers the statements that neither call nor nest.
func (l *lowering) simple(s ir.Stmt) instr {
	switch s := s.(type) {
	case *ir.AssignIntStmt:
		return instr{op: opAssign, a: operand{constant: intTerm(s.Value)}, target: l.slot(s.Target)}
	case *ir.AssignVarStmt:
		return instr{op: opAssign, a: l.operand(s.Source), target: l.slot(s.Target)}
	case *ir.AssignVarOnceStmt:
		return instr{op: opAssignOnce, a: l.operand(s.Source), target: l.slot(s.Target)}
	case *ir.ResetLocalStmt:
		return instr{op: opReset, target: l.slot(s.Target)}
	case *ir.MakeNullStmt:
		return instr{op: opAssign, a: operand{constant: ast.NullTerm()}, target: l.slot(s.Target)}
	case *ir.MakeNumberIntStmt:
		return instr{op: opAssign, a: operand{constant: intTerm(s.Value)}, target: l.slot(s.Target)}
	case *ir.MakeNumberRefStmt:
		number, ok := l.strings[s.Index].Value.(ast.String)
		if !ok {
			panic(unsupported("number that is no string"))
		}
		return instr{op: opAssign, a: operand{constant: ast.NewTerm(ast.Number(number))}, target: l.slot(s.Target)}
	case *ir.MakeArrayStmt:
		return instr{op: opMakeArray, target: l.slot(s.Target)}
	case *ir.MakeObjectStmt:
		return instr{op: opMakeObject, target: l.slot(s.Target)}
	case *ir.MakeSetStmt:
		return instr{op: opMakeSet, target: l.slot(s.Target)}
	case *ir.EqualStmt:
		return instr{op: opEqual, a: l.operand(s.A), b: l.operand(s.B)}
	case *ir.NotEqualStmt:
		return instr{op: opNotEqual, a: l.operand(s.A), b: l.operand(s.B)}
	case *ir.IsArrayStmt:
		return instr{op: opIsArray, a: l.operand(s.Source)}
	case *ir.IsObjectStmt:
		return instr{op: opIsObject, a: l.operand(s.Source)}
	case *ir.IsSetStmt:
		return instr{op: opIsSet, a: l.operand(s.Source)}
	case *ir.IsDefinedStmt:
		return instr{op: opIsDefined, a: l.local(s.Source)}
	case *ir.IsUndefinedStmt:
		return instr{op: opIsUndefined, a: l.local(s.Source)}
	case *ir.ArrayAppendStmt:
		return instr{op: opAppend, a: l.operand(s.Value), target: l.slot(s.Array)}
	case *ir.ObjectInsertStmt:
		return instr{op: opInsert, a: l.operand(s.Key), b: l.operand(s.Value), target: l.slot(s.Object)}
	case *ir.ObjectInsertOnceStmt:
		return instr{op: opInsertOnce, a: l.operand(s.Key), b: l.operand(s.Value), target: l.slot(s.Object)}
	case *ir.ObjectMergeStmt:
		return instr{op: opMerge, a: l.local(s.A), b: l.local(s.B), target: l.slot(s.Target)}
	case *ir.SetAddStmt:
		return instr{op: opAdd, a: l.operand(s.Value), target: l.slot(s.Set)}
	}
	panic(unsupported(fmt.Sprintf("statement %T", s)))
}

// call lowers a call to a planned function or to a built-in one. Membership and
// equality, which policies of this kind consist of, have instructions of their own.
func (l *lowering) call(s *ir.CallStmt) instr {
	in := instr{target: l.slot(s.Result), args: l.operands(s.Args)}
	if i, ok := l.functions[s.Func]; ok {
		if len(in.args) != l.arity[i] {
			panic(unsupported("a call of " + s.Func + " with another number of arguments"))
		}
		in.op, in.index = opCall, i
		return in
	}
	b := l.builtins[s.Func]
	switch {
	case b == nil:
		panic(unsupported("unknown function " + s.Func))
	case s.Func == ast.Member.Name:
		in.op = opMember
	case s.Func == ast.Equal.Name:
		in.op = opEqualCall
	case s.Func == ast.NotEqual.Name:
		in.op = opNotEqualCall
	case s.Func == ast.Concat.Name:
		in.op, in.builtin = opConcat, b
	default:
		in.op, in.builtin = opBuiltin, b
	}
	return in
}

func intTerm(n int64) *ast.Term { return ast.NewTerm(ast.Number(fmt.Sprint(n))) }
