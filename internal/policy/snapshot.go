package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy/machine"
)

// Snapshot is one version of a policy with its data: immutable, safe for
// concurrent use, and the domain's authz.Policy.
type Snapshot struct {
	digest    string
	files     []string
	catalogue *authz.Catalogue
	// administration is what data.administration declares, nil for none.
	administration *authz.Administration

	has       map[string]bool // the entry points that there are
	first     decider         // the beginning of the chain
	evaluator *evaluation     // its end
	answered  answers
	general   general // for what the machine cannot do
	unplanned error   // why the machine is not used, nil when it is
	partials  *partials
	residuals residualMemo
	given     given
	places    rulePlaces
	prepare   *preparer
	allow     *ast.Term // names of what a decision consists of
	context   *ast.Term
	types     map[string]*ast.Term // of the catalogue
	actions   map[string]*ast.Term
	grants    grantMemo
	asked     sync.Pool // of *asked
	memo      *memo     // nil to remember nothing
	identity  *identity // stands for the snapshot where that must not be kept alive
}

// Config says how to compile a Source. The zero value is what production uses.
type Config struct {
	// General evaluates with OPA's general evaluator. It gives the same answers
	// and is there to compare with.
	General bool
	// MemoBytes is about how much the decisions that are remembered may take; 0
	// means DefaultMemoBytes, negative remembers none. A policy that asks for the
	// time or for anything else than its input and data is never remembered.
	MemoBytes int64
	// NoClasses evaluates each question that is not remembered, whatever is known of
	// resources like its own.
	NoClasses bool
}

// Compile checks a source, types included, and compiles it. The error lists
// everything that is wrong, each with its place.
func Compile(ctx context.Context, source *Source, config Config) (*Snapshot, error) {
	compiler, err := source.Check(ctx)
	if err != nil {
		return nil, err
	}
	catalogue, err := readCatalogue(source.Data)
	if err != nil {
		return nil, err
	}
	administration, err := source.readAdministration(catalogue)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{
		digest: source.Digest, catalogue: catalogue, administration: administration, actions: actionTerms(source.Data), identity: new(identity),
		allow: ast.StringTerm("allow"), context: ast.StringTerm("context"), prepare: newPreparer(), types: map[string]*ast.Term{},
	}
	if catalogue != nil {
		for typ := range catalogue.Types {
			s.types[typ] = ast.StringTerm(typ)
		}
	}
	s.asked.New = func() any { return new(asked) }
	if deterministic(compiler) {
		s.memo = newMemo(cmp.Or(config.MemoBytes, DefaultMemoBytes), s.prepare)
	}
	for name := range source.Texts {
		s.files = append(s.files, name)
	}
	slices.Sort(s.files)
	if s.has, err = source.entries(compiler); err != nil {
		return nil, err
	}
	if !s.has[entryAllow] {
		return nil, errors.New("the policy has no rule data.authz.allow, which answers every question; add `allow` to package authz")
	}
	// Nothing writes to the store, so one transaction serves all evaluations.
	store := inmem.NewFromObjectWithOpts(source.Data, inmem.OptReturnASTValuesOnRead(true))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	if s.general, err = s.newGeneral(ctx, compiler, store, txn); err != nil {
		return nil, err
	}
	untyped, err := source.untyped()
	if err != nil {
		return nil, err
	}
	if s.partials, err = newPartials(ctx, untyped, s.has, store, txn); err != nil {
		return nil, err
	}
	s.given, s.places = givenIn(compiler), placesOf(compiler.Modules)
	if config.General {
		s.first, s.evaluator = s.deciders(nil, config)
		return s, nil
	}
	var entries []string
	for _, entry := range []string{entryAllow, entryDecision, entryGranted, entryAccount} {
		// An account that is put together from parts is left to the general evaluator.
		if s.has[entry] && (entry != entryAccount || whole(compiler, entry)) {
			entries = append(entries, entry)
		}
	}
	planned, err := s.newPlanned(ctx, source, entries)
	s.unplanned = err
	s.first, s.evaluator = s.deciders(planned, config)
	return s, nil
}

// Check compiles a source as strictly as OPA can: strict mode, the schemas, and
// the restricted capabilities. Tests are left out.
func (source *Source) Check(ctx context.Context) (*ast.Compiler, error) {
	return source.compile(ctx, false)
}

// conflicts reports whether data gives a value to the path of a rule.
func conflicts(ctx context.Context, store storage.Store) func([]string) (bool, error) {
	return func(path []string) (bool, error) {
		_, err := storage.ReadOne(ctx, store, storage.Path(path))
		if storage.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	}
}

// whole reports whether all rules of an entry point have its name and no longer one.
func whole(compiler *ast.Compiler, path string) bool {
	ref := (&entryPoint{path: path}).ref()
	return len(compiler.GetRulesExact(ref)) == len(compiler.GetRulesWithPrefix(ref))
}

// Digest identifies the policy and its data.
func (s *Snapshot) Digest() string { return s.digest }

// Files are the names of the files that the policy was read from.
func (s *Snapshot) Files() []string { return s.files }

// Catalogue says which facts a question needs, nil for none.
func (s *Snapshot) Catalogue() *authz.Catalogue { return s.catalogue }

// Administration says which names of the policy the service has to know, nil for a
// policy that declares none. It is shared and not to be changed.
func (s *Snapshot) Administration() *authz.Administration { return s.administration }

// General says why the policy is evaluated by OPA's general evaluator, nil when
// it is evaluated by the machine.
func (s *Snapshot) General() error { return s.unplanned }

// Decide answers one question by data.authz.allow and, where the policy has it,
// data.authz.decision, in the cheapest way that has an answer (see decider). The two
// disagreeing is an error: it is never an allow that a list would not show.
func (s *Snapshot) Decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	a := s.asked.Get().(*asked)
	a.Question = q
	d, err := s.first.decide(ctx, a)
	*a = asked{}
	s.asked.Put(a)
	return d, err
}

// evaluationError classes what the evaluation failed with. What OPA says of it is
// left out: it repeats values, and they may be identifiers.
func evaluationError(ctx context.Context, err error, places rulePlaces) error {
	if ctx.Err() != nil || topdown.IsCancel(err) {
		message := "the policy was not evaluated in time"
		if rule := places.stopped(err); rule != "" {
			message += "; it was in the rule " + rule
		}
		return &authz.Error{Kind: authz.Timeout, Message: message}
	}
	message := "the policy failed"
	if e, ok := errors.AsType[*topdown.Error](err); ok {
		message += " with " + e.Code
		if e.Location != nil {
			message += fmt.Sprintf(" at %s:%d", e.Location.File, e.Location.Row)
		}
	}
	return &authz.Error{Kind: authz.Internal, Message: message}
}

// readAllow reads data.authz.allow: true, or undefined.
func readAllow(value *ast.Term) (bool, error) {
	if value == nil {
		return false, nil
	}
	allow, ok := value.Value.(ast.Boolean)
	if !ok {
		return false, shapeError("data.authz.allow is %s; it must be true or undefined", value)
	}
	return bool(allow), nil
}

// readDecision reads data.authz.decision, in a policy that has it, and holds it to
// data.authz.allow. write returns a value in JSON.
func (s *Snapshot) readDecision(allowValue, value *ast.Term, write func(*ast.Term) ([]byte, error)) (authz.Decision, error) {
	allow, err := readAllow(allowValue)
	if err != nil {
		return authz.Decision{}, err
	}
	if !s.has[entryDecision] {
		return authz.Decision{Allow: allow}, nil
	}
	if value == nil {
		if allow {
			return authz.Decision{}, shapeError("data.authz.allow is true and data.authz.decision is undefined; they must agree")
		}
		return authz.Decision{Undefined: true}, nil
	}
	if !machine.IsObject(value) {
		return authz.Decision{}, shapeError("data.authz.decision is %s; it must be an object", value)
	}
	decided, ok := valueOf(machine.Lookup(value, s.allow)).(ast.Boolean)
	if !ok {
		return authz.Decision{}, shapeError("data.authz.decision has no boolean member allow")
	}
	if bool(decided) != allow {
		return authz.Decision{}, shapeError("data.authz.decision says allow %v and data.authz.allow %v; they must agree", decided, allow)
	}
	d := authz.Decision{Allow: allow}
	if account := machine.Lookup(value, s.context); account != nil {
		if !machine.IsObject(account) {
			return authz.Decision{}, shapeError("the context of data.authz.decision is no object")
		}
		if d.Context, err = write(account); err != nil {
			return authz.Decision{}, shapeError("the context of data.authz.decision cannot be written as JSON: %v", err)
		}
	}
	return d, nil
}

// valueOf returns the value of a term, nil for none.
func valueOf(t *ast.Term) ast.Value {
	if t == nil {
		return nil
	}
	return t.Value
}

// shapeError says that the policy answered something that is no decision. Values
// are named by their type alone: they may hold identifiers.
func shapeError(format string, args ...any) error {
	for i, arg := range args {
		if t, ok := arg.(*ast.Term); ok {
			args[i] = "a value of type " + ast.ValueName(machine.Whole(t).Value)
		}
	}
	return &authz.Error{Kind: authz.Internal, Message: fmt.Sprintf(format, args...)}
}
