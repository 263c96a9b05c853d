package machine

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The errors of rules that disagree with themselves.
var (
	errConflict    = errors.New("eval_conflict_error: complete rules must not produce multiple outputs")
	errKeyConflict = errors.New("eval_conflict_error: object keys must be unique")
)

// errNumbers is the error of data in which text and numbers name the same place: a
// member looked up by a number, or a list whose positions are read. OPA takes one
// for the other in some statements and not in others, so it has to be asked.
var errNumbers = errors.New("a place in data is named by a number")

// read returns the value of an operand, nil for an undefined local.
func (o *operand) read(frame []*ast.Term) *ast.Term {
	if o.constant != nil {
		return o.constant
	}
	return frame[o.slot]
}

// run executes a block and says how it ended.
func (e *Evaluation) run(b block, frame []*ast.Term) signal {
	for i := range b {
		in := &b[i]
		switch in.op {
		case opPath:
			m := &e.paths[in.index]
			if !m.done {
				if e.watch != nil {
					e.watch.lookup(frame[in.a.slot], in.b.constant)
				}
				find := lookup
				if in.inData {
					find = lookupData
				}
				*m = memo{done: true, value: find(frame[in.a.slot], in.b.constant)}
			}
			if frame[in.target] = m.value; m.value == nil {
				return broken
			}
		case opDataDot:
			if e.watch != nil {
				e.watch.lookup(frame[in.a.slot], in.b.read(frame))
			}
			v := lookupData(frame[in.a.slot], in.b.read(frame))
			if v != nil && namedByNumber(frame[in.a.slot], in.b.read(frame)) {
				return e.fail(errNumbers)
			}
			if frame[in.target] = v; v == nil {
				return broken
			}
		case opDot:
			if e.watch != nil {
				e.watch.lookup(in.a.read(frame), in.b.read(frame))
			}
			v := lookup(in.a.read(frame), in.b.read(frame))
			if frame[in.target] = v; v == nil {
				return broken
			}
		case opEqual:
			if !e.equal(in.a.read(frame), in.b.read(frame)) {
				return broken
			}
		case opNotEqual:
			if e.equal(in.a.read(frame), in.b.read(frame)) {
				return broken
			}
		case opAssign:
			frame[in.target] = in.a.read(frame)
		case opIsDefined:
			if in.a.read(frame) == nil {
				return broken
			}
		case opIsUndefined:
			if in.a.read(frame) != nil {
				return broken
			}
		case opReset:
			frame[in.target] = nil
		case opReturn:
			e.result = in.a.read(frame)
			return leave
		case opBreak:
			return signal(in.index)
		case opCall:
			if m := &e.memo[in.index]; m.done {
				if frame[in.target] = m.value; m.value == nil {
					return broken
				}
			} else if sig := e.runCall(in, frame); sig != end {
				return sig
			}
		case opMember:
			v := e.member(in.args[0].read(frame), in.args[1].read(frame))
			if frame[in.target] = v; v == nil {
				return broken
			}
		default:
			if sig := e.complex(in, frame); sig != end {
				return sig
			}
		}
	}
	return end
}

// complex executes the instructions that call, nest or build.
func (e *Evaluation) complex(in *instr, frame []*ast.Term) signal {
	switch in.op {
	case opBuiltin, opEqualCall, opNotEqualCall, opConcat:
		return e.runCall(in, frame)
	case opBlocks:
		for _, b := range in.blocks {
			if sig := e.run(b, frame); sig != end && sig != broken {
				return outward(sig)
			}
		}
	case opNot:
		switch sig := e.run(in.blocks[0], frame); {
		case sig == end:
			return broken
		case sig != broken:
			return outward(sig)
		}
	case opScan:
		return e.scan(in, frame)
	case opWith:
		return e.with(in, frame)
	default:
		return e.build(in, frame)
	}
	return end
}

// outward turns a signal that left a block into what it means one block further out.
func outward(sig signal) signal {
	if sig > broken {
		return sig - 1
	}
	return sig
}

// build executes the instructions that make and test composite values.
func (e *Evaluation) build(in *instr, frame []*ast.Term) signal {
	switch in.op {
	case opMakeArray:
		frame[in.target] = e.draft(arrayDraft)
	case opMakeObject:
		frame[in.target] = e.draft(objectDraft)
	case opMakeSet:
		frame[in.target] = e.draft(setDraft)
	case opAppend:
		// The term is changed in place: whoever holds the array sees it grow.
		t, value := frame[in.target], in.a.read(frame)
		if t == nil || value == nil {
			return broken
		}
		switch v := t.Value.(type) {
		case *draft:
			if v.kind != arrayDraft {
				return broken
			}
			e.uses(value)
			v.keys = append(v.keys, value)
		case *ast.Array:
			e.uses(value)
			t.Value = v.Append(whole(value))
		default:
			return broken
		}
	case opAdd:
		t, value := frame[in.target], in.a.read(frame)
		if t == nil || value == nil {
			return broken
		}
		if d, ok := t.Value.(*draft); ok && d.kind == setDraft {
			if d.fits(value) {
				e.uses(value)
				d.add(value)
				return end
			}
			d.finish()
		}
		set, ok := t.Value.(ast.Set)
		if !ok {
			return broken
		}
		e.uses(value)
		set.Add(whole(value))
	case opInsert, opInsertOnce:
		return e.insert(in, frame)
	case opAssignOnce:
		value := in.a.read(frame)
		if old := frame[in.target]; old != nil && !e.equal(old, value) {
			return e.fail(errConflict)
		}
		frame[in.target] = value
	case opMerge:
		e.uses(in.a.read(frame), in.b.read(frame))
		frame[in.target] = merge(in.a.read(frame), in.b.read(frame))
	case opLen:
		e.uses(in.a.read(frame))
		n, ok := length(in.a.read(frame))
		if !ok {
			return broken
		}
		frame[in.target] = intTerm(int64(n))
	default:
		return e.test(in, frame)
	}
	return end
}

// insert adds a member to an object that is being made.
func (e *Evaluation) insert(in *instr, frame []*ast.Term) signal {
	t, key, value := frame[in.target], in.a.read(frame), in.b.read(frame)
	if t == nil || key == nil || value == nil {
		return broken
	}
	if d, ok := t.Value.(*draft); ok && d.kind == objectDraft {
		i, has := d.place(key)
		switch {
		case has:
			e.uses(key, value)
			if !equal(d.values[i], value) {
				if in.op == opInsertOnce {
					return e.fail(errKeyConflict)
				}
				d.values[i] = value
			}
			return end
		case d.fits(key):
			e.uses(key, value)
			d.insert(i, key, value)
			return end
		}
		d.finish()
	}
	object, ok := t.Value.(ast.Object)
	if !ok {
		return broken
	}
	e.uses(key, value)
	key, value = whole(key), whole(value)
	if old := object.Get(key); old != nil {
		if equal(old, value) {
			return end // OPA's objects can lose other members when one is set again
		}
		if in.op == opInsertOnce {
			return e.fail(errKeyConflict)
		}
	}
	object.Insert(key, value)
	return end
}

// test executes the checks of a value's type.
func (e *Evaluation) test(in *instr, frame []*ast.Term) signal {
	t := in.a.read(frame)
	e.uses(t)
	ok := t != nil
	if ok {
		t = whole(t)
		switch in.op {
		case opIsArray:
			_, ok = t.Value.(*ast.Array)
		case opIsObject:
			_, ok = t.Value.(ast.Object)
		case opIsSet:
			_, ok = t.Value.(ast.Set)
		}
	}
	if !ok {
		return broken
	}
	return end
}

// runCall executes the calls. An undefined result breaks.
func (e *Evaluation) runCall(in *instr, frame []*ast.Term) signal {
	var v *ast.Term
	switch in.op {
	case opEqualCall:
		v = ast.InternedTerm(e.equal(in.args[0].read(frame), in.args[1].read(frame)))
	case opNotEqualCall:
		v = ast.InternedTerm(!e.equal(in.args[0].read(frame), in.args[1].read(frame)))
	case opConcat:
		e.uses(in.args[0].read(frame), in.args[1].read(frame))
		if v = concat(in.args[0].read(frame), in.args[1].read(frame)); v == nil {
			v = e.callBuiltin(in.builtin, wholes([]*ast.Term{in.args[0].read(frame), in.args[1].read(frame)}))
		}
	case opBuiltin:
		args := make([]*ast.Term, len(in.args))
		for i := range in.args {
			args[i] = in.args[i].read(frame)
		}
		e.uses(args...)
		v = e.callBuiltin(in.builtin, wholes(args))
	case opCall:
		if e.program.functions[in.index].memo {
			v = e.call(in.index, in.args[0].read(frame), in.args[1].read(frame), nil)
			break
		}
		args := make([]*ast.Term, len(in.args))
		for i := range in.args {
			args[i] = in.args[i].read(frame)
		}
		v = e.call(in.index, nil, nil, args)
	}
	if e.err != nil {
		return failed
	}
	if frame[in.target] = v; v == nil {
		return broken
	}
	return end
}

// scan runs a block for each element of a composite value, in the order in which
// OPA iterates: arrays by position, objects and sets sorted. Breaking out of one
// block continues with the next element, out of two ends the scan.
func (e *Evaluation) scan(in *instr, frame []*ast.Term) signal {
	source := in.a.read(frame)
	if source == nil {
		return end
	}
	e.uses(source)
	if in.inData && numbered(source) {
		return e.fail(errNumbers)
	}
	switch v := source.Value.(type) {
	case *draft:
		if v.kind == objectDraft {
			return e.scanMembers(in, frame, v.keys, v.values)
		}
		return e.scanElements(in, frame, v.keys, v.kind == arrayDraft)
	case *table:
		return e.scanMembers(in, frame, v.names, v.values)
	}
	switch value := whole(source).Value.(type) {
	case *ast.Array:
		for i := range value.Len() {
			if sig, stop := e.step(in, frame, ast.InternedTerm(i), value.Elem(i)); stop {
				return sig
			}
		}
	case ast.Set:
		return e.scanElements(in, frame, value.Slice(), false)
	case ast.Object:
		result := end
		value.Until(func(k, v *ast.Term) (stop bool) {
			var sig signal
			if sig, stop = e.step(in, frame, k, v); stop {
				result = sig
			}
			return stop
		})
		return result
	}
	return end
}

// scanElements is scan for the elements of a set, or of an array.
func (e *Evaluation) scanElements(in *instr, frame []*ast.Term, elements []*ast.Term, array bool) signal {
	for i, element := range elements {
		key := element
		if array {
			key = ast.InternedTerm(i)
		}
		if sig, stop := e.step(in, frame, key, element); stop {
			return sig
		}
	}
	return end
}

// scanMembers is scan for the members of an object.
func (e *Evaluation) scanMembers(in *instr, frame []*ast.Term, names, values []*ast.Term) signal {
	for i, name := range names {
		if sig, stop := e.step(in, frame, name, values[i]); stop {
			return sig
		}
	}
	return end
}

// step runs the block of a scan for one element. When stop is true the scan ends
// with sig.
func (e *Evaluation) step(in *instr, frame []*ast.Term, k, v *ast.Term) (sig signal, stop bool) {
	if e.cancelled() {
		return failed, true
	}
	frame[in.index], frame[in.target] = k, v
	switch sig := e.run(in.blocks[0], frame); {
	case sig == end || sig == broken:
		return end, false
	case sig == 1:
		return end, true
	case sig > 1:
		return sig - 2, true
	default:
		return sig, true
	}
}

// with replaces a local, or a part of it, while its block runs. What was
// evaluated under other documents does not count inside, nor the other way round.
func (e *Evaluation) with(in *instr, frame []*ast.Term) signal {
	saved, memos, paths := frame[in.target], e.memo, e.paths
	e.uses(saved, in.a.read(frame))
	e.memo, e.paths = make([]memo, len(memos)), make([]memo, len(paths))
	frame[in.target] = upsert(saved, in.path, in.a.read(frame))
	sig := e.run(in.blocks[0], frame)
	frame[in.target], e.memo, e.paths = saved, memos, paths
	if sig == broken {
		return broken
	}
	return outward(sig)
}
