package filter

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// Dialect is what a filter is written in.
type Dialect string

// The dialects.
const (
	PostgreSQL Dialect = "postgresql"
	MySQL      Dialect = "mysql" // and MariaDB
	SQLite     Dialect = "sqlite"
	SQLServer  Dialect = "sqlserver"
	UCAST      Dialect = "ucast"
)

// Dialects returns the names of all dialects.
func Dialects() []string {
	return []string{string(PostgreSQL), string(MySQL), string(SQLite), string(SQLServer), string(UCAST)}
}

// Matches says in a word what a filter lets through.
type Matches string

// What a filter can let through.
const (
	All  Matches = "all"  // every row: the clause is always true
	None Matches = "none" // no row: the clause is never true
	Some Matches = "some" // the rows for which the clause is true
)

// The bounds of a filter.
const (
	MaxIDs        = 10_000 // patients of a care team that stand in a filter themselves
	MaxValues     = 50_000 // values in all
	MaxReferences = 4      // optional references of a type that are open
)

// maxValue is how many bytes a value has at most, as an id has.
const maxValue = 256

// attempts is how often a filter is begun while facts change under it.
const attempts = 5

// Question is what a filter is asked for.
type Question struct {
	Request *authz.Request // Resource.ID is ignored; a reference that is not open may be given
	Dialect Dialect
	// First is the number of the first parameter in dialects that number them, 0 for 1.
	First int
}

// Filter is the rule for one subject and action over one table, true at the revision
// stated.
type Filter struct {
	Matches Matches
	Where   string          // SQL, in brackets; "" for UCAST
	Args    []any           // string or int64, in the order of the parameters; never nil
	UCAST   json.RawMessage // nil for SQL
	Masks   json.RawMessage // what to hide of the rows, nil for nothing
}

// Service makes filters. It is safe for concurrent use.
type Service struct {
	decisions *authz.Service
	rules     authz.Rules
	store     search.Store
	tables    *Tables
}

// NewService returns a service that writes filters for tables, which may be nil: then
// every question is NotFound, with how to configure tables.
func NewService(decisions *authz.Service, rules authz.Rules, store search.Store, tables *Tables) *Service {
	return &Service{decisions: decisions, rules: rules, store: store, tables: tables}
}

// Filter makes the filter for one question. An organisation or a subject that does not
// exist has a filter that lets nothing through (V9). Errors: NotFound for a type
// without a table, and for a column that the rule needs and the mapping lacks, which
// Field then names; TooLarge past the bounds that are documented, naming the
// alternative; Unsupported when the policy cannot be turned into a filter (see
// authz.Outside); Unavailable when the facts changed too often meanwhile; Malformed for what
// cannot be compared.
func (s *Service) Filter(
	ctx context.Context, organisation string, q *Question, fresh authz.Freshness,
) (*Filter, authz.Stated, error) {
	stated := authz.Stated{Policy: s.rules.Digest()}
	if !slices.Contains(Dialects(), string(q.Dialect)) {
		return nil, stated, authz.Errorf(authz.Malformed, "dialect", "must be one of %s", strings.Join(Dialects(), ", "))
	}
	open, err := s.tableFor(q.Request)
	if err != nil {
		return nil, stated, err
	}
	for range attempts {
		p := (*plan)(nil)
		stated, err = s.decisions.Survey(ctx, organisation, open.request, authz.Open{References: open.references()}, fresh,
			func(survey *authz.Survey) (err error) {
				p, err = s.plan(ctx, open, survey)
				return err
			})
		if err != nil {
			return nil, stated, err
		}
		lists, revision, err := s.lists(ctx, organisation, p, fresh)
		if errors.Is(err, admin.ErrMoved) {
			fresh.Full = true
			continue
		}
		if err != nil {
			return nil, stated, err
		}
		if lists != nil {
			stated.Revision = revision
		}
		f, err := p.write(lists, q)
		return f, stated, err
	}
	return nil, stated, authz.Errorf(authz.Unavailable, "", "the facts changed while the filter was made, %d times; ask again, "+
		"or map the care team to a table of yours, which needs no list", attempts)
}

// write writes the filter with the ids of the patients of each care team that it
// names.
func (p *plan) write(lists map[string][]string, q *Question) (*Filter, error) {
	b := &builder{plan: p, lists: lists, outer: &source{table: p.table}}
	clause, err := b.clause()
	if err != nil {
		return nil, err
	}
	f := &Filter{Matches: Some, Args: []any{}, Masks: p.masks}
	switch {
	case isTrue(clause):
		f.Matches = All
	case isFalse(clause):
		f.Matches, f.Masks = None, nil
	}
	if q.Dialect == UCAST {
		f.UCAST, err = writeUCAST(clause, b.outer)
		return f, err
	}
	w, err := newWriter(q.Dialect, max(q.First, 1), b.outer)
	if err != nil {
		return nil, err
	}
	if err := w.clause(clause); err != nil {
		return nil, err
	}
	f.Where = w.text.String()
	if w.args != nil {
		f.Args = w.args
	}
	return f, nil
}

// outside turns the error about a policy that leaves the fragment into one that
// says what to do instead, and returns any other as it is.
func outside(err error) error {
	if o, ok := errors.AsType[*authz.Outside](err); ok {
		return &authz.Error{
			Kind: authz.Unsupported,
			Message: "the policy cannot be turned into a filter (" + strings.Join(o.Where, "; ") +
				"); list with a search or ask in batches instead",
			Err: err,
		}
	}
	return err
}
