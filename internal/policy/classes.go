package policy

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/machine"
)

// Bounds of what is remembered of classes: past one of them they start afresh.
const (
	maxClassTrees  = 4096
	maxClassNodes  = 256 // of one tree; one that needs more is left as it is
	maxClassBytes  = 16 << 20
	classNodeBytes = 256
	classElement   = 64 // bytes of an element of what a leaf is compared with
)

// classes tells resources apart by what the policy asks of them. Two patients of
// whom an evaluation asks the same, and gets the same answers, have the same decision
// with the same account: so one of them is evaluated, and what was asked is asked of
// the next one directly. What is known of the question beside the resource has a tree
// of its own, whose inner nodes are questions about the resource and whose leaves are
// decisions.
//
// An evaluation that does more with the resource than to compare it has no class:
// machine.Watch sees to that, so nothing has to be assumed of the policy.
type classes struct {
	mu    sync.RWMutex
	trees map[classKey]*classTree
	bytes int
}

// classKey is what a class is of: a question without its resource, and the subject.
type classKey struct {
	question string
	subject  *identity
}

// tree returns what was learnt of a question, nil for nothing.
func (c *classes) tree(k *memoKey) *classTree {
	tree := c.trees[classKey{string(k.question[:k.class]), k.facts[0]}]
	if tree == nil || !slices.Equal(tree.facts, k.facts[:k.subject]) {
		return nil
	}
	return tree
}

// classTree is what was learnt about one question with the resource left open.
type classTree struct {
	facts   []*identity // of whoever asks
	root    atomic.Pointer[classNode]
	nodes   int // guarded by the mutex of classes
	spoiled atomic.Bool
}

// classNode is one question about the resource, or the decision that is reached.
type classNode struct {
	step     machine.Step
	next     [2]atomic.Pointer[classNode]
	decision *authz.Decision
}

// get returns what was decided about the class of the resource, and whether its tree
// can still learn.
func (c *classes) get(q *classQuestion) (d authz.Decision, known, learn bool) {
	c.mu.RLock()
	tree := c.tree(q.key)
	c.mu.RUnlock()
	if tree == nil {
		return d, false, true
	}
	if tree.spoiled.Load() {
		return d, false, false
	}
	n := tree.root.Load()
	for n != nil && n.decision == nil {
		n = n.next[side(q.answer(&n.step))].Load()
	}
	if n == nil {
		return d, false, true
	}
	return *n.decision, true, true
}

func side(answer bool) int {
	if answer {
		return 1
	}
	return 0
}

// learn adds what was asked and decided to the tree of a question.
func (c *classes) learn(q *classQuestion, w *machine.Watch, d authz.Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tree := c.tree(q.key)
	if tree == nil || c.bytes > maxClassBytes {
		if c.trees == nil || len(c.trees) >= maxClassTrees || c.bytes > maxClassBytes {
			c.trees, c.bytes = map[classKey]*classTree{}, 0
		}
		tree = &classTree{facts: slices.Clone(q.key.facts[:q.key.subject])}
		c.trees[classKey{string(q.key.question[:q.key.class]), q.key.facts[0]}] = tree
		c.bytes += classNodeBytes + q.key.class
	}
	if w.Spoiled || tree.nodes > maxClassNodes {
		tree.spoiled.Store(true)
		return
	}
	at := &tree.root
	for _, step := range w.Steps {
		n := at.Load()
		if n == nil {
			n = &classNode{step: step}
			at.Store(n)
			tree.nodes++
			c.bytes += classNodeBytes
			if size, ok := step.Value, step.Value != nil; ok {
				c.bytes += classElement * elements(size)
			}
		} else if n.decision != nil || !same(&n.step, &step) {
			tree.spoiled.Store(true) // it is no function of what was asked; never seen
			return
		}
		at = &n.next[side(step.Answer)]
	}
	if at.Load() == nil {
		at.Store(&classNode{decision: &d})
		tree.nodes++
		c.bytes += classNodeBytes + len(d.Context)
	}
}

// same reports whether two steps ask the same.
func same(a, b *machine.Step) bool {
	return a.Op == b.Op && a.Leaf == b.Leaf && a.Other == b.Other &&
		(a.Value == b.Value || a.Value != nil && b.Value != nil && ast.ValueEqual(a.Value.Value, b.Value.Value))
}

func elements(t *ast.Term) int {
	switch v := t.Value.(type) {
	case ast.Set:
		return v.Len()
	case *ast.Array:
		return v.Len()
	case ast.Object:
		return v.Len()
	}
	return 1
}
