package policy

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/policy/machine"
)

// rulePlaces knows where the rules of a policy stand, in the order of their rows in each file.
type rulePlaces map[string][]rulePlace

type rulePlace struct {
	rule string // as data.authz.allow
	row  int
}

func placesOf(modules map[string]*ast.Module) rulePlaces {
	p := rulePlaces{}
	for _, module := range modules {
		for _, rule := range module.Rules {
			if l := rule.Location; l != nil {
				p[l.File] = append(p[l.File], rulePlace{nameOf(rule.Ref()), l.Row})
			}
		}
	}
	for _, rules := range p {
		slices.SortFunc(rules, func(a, b rulePlace) int { return cmp.Compare(a.row, b.row) })
	}
	return p
}

// ruleAt names the rule that a place is in, with that place.
func (p rulePlaces) ruleAt(l *ast.Location) string {
	in := l.File + ":" + strconv.Itoa(l.Row)
	rules := p[l.File]
	n, found := slices.BinarySearchFunc(rules, l.Row, func(r rulePlace, row int) int { return cmp.Compare(r.row, row) })
	if !found {
		n--
	}
	if n < 0 {
		return in
	}
	return rules[n].rule + " at " + in
}

// named is a rule with its first place, or only its name where nothing else is known.
func (p rulePlaces) named(rule string) string {
	for _, file := range slices.Sorted(maps.Keys(p)) {
		for _, r := range p[file] {
			if r.rule == rule || strings.HasPrefix(r.rule, rule+".") || strings.HasPrefix(r.rule, rule+"[") {
				return rule + " at " + file + ":" + strconv.Itoa(r.row)
			}
		}
	}
	return rule
}

// stopped names the rule that an evaluation was in when its time ran out, in whichever
// evaluator; "" where nobody says.
func (p rulePlaces) stopped(err error) string {
	if s, ok := errors.AsType[*machine.Stopped](err); ok {
		return p.named(s.Rule)
	}
	if s, ok := errors.AsType[*stoppedAt](err); ok {
		return p.ruleAt(s.location)
	}
	if e, ok := errors.AsType[*topdown.Error](err); ok {
		for _, frame := range e.StackTrace {
			if frame.Location != nil && frame.Location.File != "" {
				return p.ruleAt(frame.Location)
			}
		}
	}
	return ""
}

// stoppedAt is the error of a partial evaluation whose time ran out.
type stoppedAt struct {
	location *ast.Location
	cause    error
}

func (s *stoppedAt) Error() string { return s.cause.Error() }

func (s *stoppedAt) Unwrap() error { return s.cause }

// clock stops a partial evaluation with its context, and knows where that was. OPA goes on
// under a not after it was cancelled, and then the error has no place.
type clock struct {
	contextCancel
	last *ast.Location // what was evaluated last before the time ran out
	over bool
}

// Cancelled implements topdown.Cancel.
func (c *clock) Cancelled() bool {
	c.over = c.over || c.contextCancel.Cancelled()
	return c.over
}

// Enabled implements topdown.QueryTracer.
func (*clock) Enabled() bool { return true }

// Config implements topdown.QueryTracer.
func (*clock) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer.
func (c *clock) TraceEvent(e topdown.Event) {
	if c.over || e.Op != topdown.EvalOp || e.Location == nil || e.Location.File == "" {
		return
	}
	c.last = e.Location
}

// settled returns the error of an evaluation that ended with err: the place where the time
// ran out, if it did.
func (c *clock) settled(err error) error {
	if cause := c.ctx.Err(); cause != nil {
		if c.last == nil {
			return cause
		}
		return &stoppedAt{c.last, cause}
	}
	return err
}
