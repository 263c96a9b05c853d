package machine

import "github.com/open-policy-agent/opa/v1/ast"

// Watch is told what an evaluation asks of some parts of its input, its leaves, so
// that another input which differs in nothing but them, and answers the same
// questions in the same way, is known to have the same result.
//
// Leaves and the objects on the way to them are known by their terms' addresses,
// which must be nobody else's. The address of a term stays with it wherever a plan
// passes it; what makes another value of it is seen here, and spoils the watch.
type Watch struct {
	Leaves  []*ast.Term
	Objects []*ast.Term // the input and every object below it that leads to a leaf
	// Steps are the questions in their order.
	Steps []Step
	// Spoiled is true if more was done with a leaf than to ask such questions. Then
	// Steps mean nothing.
	Spoiled bool
}

// Step is one question about a leaf, and its answer.
type Step struct {
	Op     StepOp
	Leaf   int       // its number among the leaves
	Other  int       // of AmongLeaf and EqualLeaf: that of the other one
	Value  *ast.Term // of the others: what the leaf is compared with
	Answer bool
}

// StepOp is what a Step asks.
type StepOp uint8

// The questions.
const (
	Equals    StepOp = iota // the leaf is Value
	Among                   // the leaf is an element of Value
	Contains                // Value is an element of the leaf
	EqualLeaf               // the leaf is the other leaf
	AmongLeaf               // the leaf is an element of the other leaf
)

// IsMember reports whether element is in collection, as `in` does.
func IsMember(element, collection *ast.Term) bool { return isMember(element, collection) }

// number returns the number of a leaf, -1 for any other term.
func (w *Watch) number(t *ast.Term) int {
	for i, leaf := range w.Leaves {
		if leaf == t {
			return i
		}
	}
	return -1
}

// use notes that something is done with a value that depends on all of it.
func (w *Watch) use(values ...*ast.Term) {
	for _, t := range values {
		if t == nil || w.Spoiled {
			continue
		}
		w.Spoiled = w.number(t) >= 0
		for _, o := range w.Objects {
			w.Spoiled = w.Spoiled || o == t
		}
	}
}

// lookup notes that source[key] is looked up: leading to a leaf is what objects are for.
func (w *Watch) lookup(source, key *ast.Term) {
	if source != nil && w.number(source) >= 0 {
		w.Spoiled = true
	}
	w.use(key)
}

// equal compares two values and notes what was asked of leaves.
func (w *Watch) equal(a, b *ast.Term) bool {
	answer := equal(a, b)
	if a == nil || b == nil {
		return answer
	}
	first, second := w.number(a), w.number(b)
	switch {
	case first < 0 && second < 0:
		w.use(a, b)
	case first >= 0 && second >= 0:
		w.note(Step{Op: EqualLeaf, Leaf: first, Other: second, Answer: answer})
	case first >= 0:
		w.use(b)
		w.note(Step{Op: Equals, Leaf: first, Value: b, Answer: answer})
	default:
		w.use(a)
		w.note(Step{Op: Equals, Leaf: second, Value: a, Answer: answer})
	}
	return answer
}

// member is `x in xs`, noted likewise.
func (w *Watch) member(x, xs *ast.Term) *ast.Term {
	answer := member(x, xs)
	if answer == nil {
		return nil
	}
	yes := isMember(x, xs)
	element, collection := w.number(x), w.number(xs)
	switch {
	case element < 0 && collection < 0:
		w.use(x, xs)
	case element >= 0 && collection >= 0:
		w.note(Step{Op: AmongLeaf, Leaf: element, Other: collection, Answer: yes})
	case element >= 0:
		w.use(xs)
		w.note(Step{Op: Among, Leaf: element, Value: xs, Answer: yes})
	default:
		w.use(x)
		w.note(Step{Op: Contains, Leaf: collection, Value: x, Answer: yes})
	}
	return answer
}

// note adds a step, unless it was asked before.
func (w *Watch) note(s Step) {
	s.Value = whole(s.Value)
	for _, old := range w.Steps {
		if old.Op == s.Op && old.Leaf == s.Leaf && old.Other == s.Other && old.Value == s.Value {
			return
		}
	}
	w.Steps = append(w.Steps, s)
}

// Watch makes the evaluation tell w what it asks. It has to be called before Get.
func (e *Evaluation) Watch(w *Watch) { e.watch = w }

func (e *Evaluation) equal(a, b *ast.Term) bool {
	if e.watch != nil {
		return e.watch.equal(a, b)
	}
	return equal(a, b)
}

func (e *Evaluation) member(x, xs *ast.Term) *ast.Term {
	if e.watch != nil {
		return e.watch.member(x, xs)
	}
	return member(x, xs)
}

// uses tells the watch, if there is one, that values are used whole.
func (e *Evaluation) uses(values ...*ast.Term) {
	if e.watch != nil {
		e.watch.use(values...)
	}
}
