package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/machine"
)

// listedCandidates is the member of the context in which callers name candidates.
const listedCandidates = "candidates"

// Candidates implements authz.Rules. A candidate is an id in a set or an array, or a
// member of an object, whose value is then its properties.
func (s *Snapshot) Candidates(ctx context.Context, q authz.Question, what string) ([]authz.CandidateEntity, bool, error) {
	if !s.has[entryCandidates] {
		return nil, false, nil
	}
	in, err := s.input(ctx, q)
	if err != nil {
		return nil, false, err
	}
	values, err := s.evaluateFor(ctx, s.general, &in.term, entryCandidates)
	if err != nil {
		return nil, false, err
	}
	if values[0] == nil {
		return nil, false, nil
	}
	all, ok := values[0].Value.(ast.Object)
	if !ok {
		return nil, false, shapeError("data.authz.candidates is %s; it must be an object of what to range over by type", values[0])
	}
	of := all.Get(ast.StringTerm(what))
	if of == nil {
		return nil, false, nil
	}
	var out []authz.CandidateEntity
	wrong := false
	add := func(id, properties *ast.Term) {
		name, ok := id.Value.(ast.String)
		e := authz.CandidateEntity{ID: string(name)}
		if properties != nil && ok {
			e.Properties, ok = propertiesOf(properties)
		}
		wrong = wrong || !ok
		out = append(out, e)
	}
	switch v := of.Value.(type) {
	case ast.Set:
		v.Foreach(func(id *ast.Term) { add(id, nil) })
	case *ast.Array:
		v.Foreach(func(id *ast.Term) { add(id, nil) })
	case ast.Object:
		v.Foreach(add)
	default:
		wrong = true
	}
	if _, listed := q.Context[listedCandidates]; listed && wrong {
		// Without the caller's list the policy's candidates are as they should be.
		r := *q.Request
		r.Context = maps.Clone(r.Context)
		delete(r.Context, listedCandidates)
		q.Request = &r
		if _, _, err := s.Candidates(ctx, q, what); err == nil {
			return nil, false, authz.Errorf(authz.Malformed, "context."+listedCandidates, "must be an array of ids, or an object of ids and the properties of each")
		}
	}
	if wrong {
		return nil, false, shapeError("what data.authz.candidates has for a type is no set of ids and no object of ids and their properties")
	}
	slices.SortFunc(out, func(a, b authz.CandidateEntity) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b authz.CandidateEntity) bool { return a.ID == b.ID }), true, nil
}

// valuer evaluates entry points: an evaluator, or the chain of them.
type valuer interface {
	evaluate(ctx context.Context, input *ast.Term, entries ...string) ([]*ast.Term, error)
}

// evaluateFor evaluates an entry point, and classes the error.
func (s *Snapshot) evaluateFor(ctx context.Context, by valuer, input *ast.Term, entry string) ([]*ast.Term, error) {
	values, err := by.evaluate(ctx, input, entry)
	if err == nil {
		return values, nil
	}
	return nil, s.classed(ctx, err, input, func(input *ast.Term) error {
		_, err := by.evaluate(ctx, input, entry)
		return err
	})
}

// propertiesOf reads an object as a request has it.
func propertiesOf(t *ast.Term) (map[string]any, bool) {
	if _, ok := t.Value.(ast.Object); !ok {
		return nil, false
	}
	v, err := ast.ValueToInterface(t.Value, nothing{})
	properties, ok := v.(map[string]any)
	return properties, ok && err == nil
}

// nothing resolves no reference: what a policy answered has none.
type nothing struct{}

func (nothing) Resolve(ast.Ref) (any, error) {
	return nil, shapeError("a value of the policy is not complete")
}

// Explain implements authz.Rules.
func (s *Snapshot) Explain(ctx context.Context, q authz.Question) (authz.Account, error) {
	if !s.has[entryAccount] {
		return authz.Account{}, nil
	}
	in, err := s.input(ctx, q)
	if err != nil {
		return authz.Account{}, err
	}
	values, err := s.evaluateFor(ctx, s.evaluator, &in.term, entryAccount)
	if err != nil || values[0] == nil {
		return authz.Account{}, err
	}
	levels, ok := values[0].Value.(ast.Object)
	if !ok {
		return authz.Account{}, shapeError("data.authz.explanation.account is %s; it must be an object", values[0])
	}
	var account authz.Account
	for name, text := range map[string]*json.RawMessage{"user": &account.User, "admin": &account.Admin} {
		level := levels.Get(ast.StringTerm(name))
		if level == nil {
			return authz.Account{}, shapeError("data.authz.explanation.account lacks %s; it must have the objects user and admin", name)
		}
		if *text, err = objectJSON(ctx, "data.authz.explanation.account."+name, level); err != nil {
			return authz.Account{}, err
		}
	}
	return account, nil
}

// Masks implements authz.Rules.
func (s *Snapshot) Masks(ctx context.Context, q authz.Question, open authz.Open) (json.RawMessage, error) {
	if !s.has[entryMasks] {
		return nil, nil
	}
	o, err := s.opened(ctx, q, open)
	if err != nil {
		return nil, err
	}
	masks, reads, err := s.masks(ctx, o.input, o.leaves)
	if err != nil {
		return nil, s.classed(ctx, err, o.input, func(input *ast.Term) error {
			_, _, err := s.masks(ctx, input, o.leaves)
			return err
		})
	}
	if len(reads) > 0 {
		where := make([]string, len(reads))
		for i, read := range reads {
			where[i] = place(read.location, read.why)
		}
		slices.Sort(where)
		return nil, outsideError(slices.Compact(where))
	}
	return objectJSON(ctx, "data.authz.masks", masks)
}

// masks evaluates the masks for an input that leaves something open, and says where they ask
// for that.
func (s *Snapshot) masks(ctx context.Context, input *ast.Term, leaves []openLeaf) (masks *ast.Term, where []openRead, err error) {
	reads := &openReads{leaves: leaves}
	values, err := s.general.with(ctx, input, []string{entryMasks},
		rego.EvalQueryTracer(reads), rego.EvalRuleIndexing(false), rego.EvalEarlyExit(false))
	if err != nil {
		return nil, nil, err
	}
	return values[0], reads.where, nil
}

// masksOfRows reports where the masks ask for facts of single rows, which a filter cannot
// answer, in any question that the catalogue can make.
func masksOfRows(ctx context.Context, source *Source, s *Snapshot) ([]Finding, error) {
	if !s.has[entryMasks] {
		return nil, nil
	}
	f := fragment{seen: map[string]int{}, consequence: "masks cannot be given with a filter"}
	for _, p := range probes(s.Catalogue(), source.Data, fewElements) {
		_, where, err := s.masks(ctx, p.input, p.leaves)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", &p, evaluationError(ctx, err, s.places))
		}
		for _, read := range where {
			f.add(read.location, read.why, fmt.Sprintf("%s, where %s", read.why, &p))
		}
	}
	sortFindings(f.findings)
	return f.findings, nil
}

// openReads notes where an evaluation asks for a fact that is left open. It is not there,
// so a rule about it would be silent for all rows, those that it is meant for too.
type openReads struct {
	leaves []openLeaf
	where  []openRead
}

// openRead is a place that asks for a fact that is left open.
type openRead struct {
	location *ast.Location
	why      string
}

// Enabled implements topdown.QueryTracer.
func (*openReads) Enabled() bool { return true }

// Config implements topdown.QueryTracer.
func (*openReads) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer.
func (r *openReads) TraceEvent(e topdown.Event) {
	expr, ok := e.Node.(*ast.Expr)
	if e.Op != topdown.EvalOp || !ok {
		return
	}
	ast.WalkRefs(expr, func(ref ast.Ref) bool {
		for _, leaf := range r.leaves {
			if overlaps(ref, leaf.ref) {
				r.where = append(r.where, openRead{expr.Location, "masks are the same for all rows, and " + leaf.leaf.String() + " is not; " +
					"make them depend on the subject and the action only"})
			}
		}
		return false
	})
}

// overlaps reports whether two references may be to the same, or one to what is inside of
// the other.
func overlaps(a, b ast.Ref) bool {
	for i := range min(len(a), len(b)) {
		if !a[i].Equal(b[i]) && (i == 0 || ast.IsConstant(a[i].Value) && ast.IsConstant(b[i].Value)) {
			return false
		}
	}
	return true
}

// objectJSON writes what a rule answered, nil where it is undefined.
func objectJSON(ctx context.Context, name string, value *ast.Term) (json.RawMessage, error) {
	if value == nil {
		return nil, nil
	}
	if _, ok := value.Value.(ast.Object); !ok {
		return nil, shapeError(name+" is %s; it must be an object", value)
	}
	text, err := machine.AppendJSON(nil, value.Value, pauseOf(ctx))
	if err != nil {
		return nil, shapeError(name+" cannot be written as JSON: %v", err)
	}
	return text, nil
}

// pauseOf returns how the writing of a long value gives way, nil where it need not.
func pauseOf(ctx context.Context) func() {
	if !authz.IsLongWork(ctx) {
		return nil
	}
	return func() { authz.GiveWay(ctx) }
}
