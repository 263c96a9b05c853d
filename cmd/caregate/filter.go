package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/plaintext"
	"github.com/caregate/caregate/internal/wire"
)

// filtering is the settings of caregate filter.
type filtering struct {
	app    *app
	policy policySource
	facts  factsSource
	tables tablesSource
	asked  questionFlags

	dialect string
	first   int
	timeout time.Duration
	asJSON  bool
}

// tablesSource says which tables of a host's own database hold what.
type tablesSource struct{ file string }

func (s *tablesSource) flags(flags *pflag.FlagSet) {
	flags.StringVar(&s.file, "filters", "", "write filters for the tables that this JSON `file` describes; without it, for those of the example organisation")
}

// loadTables reads the mapping, which has to fit the policy's catalogue; example says that
// there is one without a file, as long as it fits. It is nil when there is none.
func (s *tablesSource) loadTables(example bool, catalogue *authz.Catalogue) (tables *filter.Tables, err error) {
	var text []byte
	name := s.file
	switch {
	case s.file != "":
		text, err = plaintext.ReadFile(s.file)
	case example:
		name = "the example's mapping"
		text, err = data.ExampleFilters()
	default:
		return nil, nil //nolint:nilnil // no tables, no filters
	}
	if err != nil {
		return nil, fmt.Errorf("--filters: %w", err)
	}
	if tables, err = filter.ParseTables(text); err == nil {
		err = tables.Check(catalogue)
	}
	if err != nil && s.file == "" {
		return nil, nil //nolint:nilnil,nilerr // another catalogue than the embedded one: the mapping is not for it
	}
	if err != nil {
		return nil, fmt.Errorf("--filters: %s: %w", name, err)
	}
	return tables, nil
}

func (a *app) filterCommand() *cobra.Command {
	f := &filtering{app: a}
	cmd := &cobra.Command{
		Use:   "filter",
		Short: "Write the rule as a filter for your own database",
		Long: `Writes what somebody may act on as a WHERE clause with parameters, or as UCAST for
an ORM, for the tables that --filters describes (docs/filters.md). Exits with 0 for
a filter that can let something through, 2 for one that lets nothing through and 1
when there is no filter.

It answers from --facts (or the example organisation, with a mapping of its own) or
from --redis.`,
		Example: `  caregate filter --subject team_member:mark --action view --resource patient --dialect postgresql
  caregate filter --filters tables.json --facts facts.jsonl --subject team_member:mark --action view --resource appointment --dialect ucast`,
		GroupID: groupAsk,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	f.asked.flags(cmd, "who asks, as `type:id`", "the `type` of what they want to do it to")
	flags.StringVar(&f.dialect, "dialect", string(filter.PostgreSQL), "`dialect` to write: "+strings.Join(filter.Dialects(), ", "))
	flags.IntVar(&f.first, "first-parameter", 1, "the `number` of the first parameter, where parameters have numbers")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Second, "give up after this long")
	flags.BoolVar(&f.asJSON, "json", false, "print the filter as JSON")
	must(cmd.RegisterFlagCompletionFunc("dialect", cobra.FixedCompletions(filter.Dialects(), cobra.ShellCompDirectiveNoFileComp)))
	f.tables.flags(flags)
	must(cmd.MarkFlagFilename("filters", "json"))
	f.facts.flags(cmd)
	f.policy.flags(cmd)
	flagOnly(cmd, "dialect", "first-parameter", "timeout", "json")
	return a.configurable(cmd)
}

// question reads the flags.
func (f *filtering) question() (*filter.Question, error) {
	q := &f.asked
	r := &authz.Request{Subject: parseEntity(q.subject), Action: authz.Action{Name: q.action}, Resource: parseEntity(q.resource)}
	errs := []error{q.rest(r)}
	if r.Subject.Type == "" || r.Subject.ID == "" {
		errs = append(errs, errors.New("--subject: write type:id, such as team_member:mark"))
	}
	if q.action == "" {
		errs = append(errs, errors.New("--action: name what the subject wants to do, such as view"))
	}
	if r.Resource.Type == "" || strings.Contains(q.resource, ":") {
		errs = append(errs, errors.New("--resource: write a type alone, such as patient: a filter is for all of them"))
	}
	if !slices.Contains(filter.Dialects(), f.dialect) {
		errs = append(errs, fmt.Errorf("--dialect: %q is none; there are %s", f.dialect, strings.Join(filter.Dialects(), ", ")))
	}
	if f.first < 1 {
		errs = append(errs, errors.New("--first-parameter: must be at least 1"))
	}
	return &filter.Question{Request: r, Dialect: filter.Dialect(f.dialect), First: f.first}, errors.Join(errs...)
}

func (f *filtering) run(ctx context.Context) error {
	question, err := f.question()
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	o, err := openHere(ctx, f.app, &f.policy, &f.facts)
	if err != nil {
		return err
	}
	defer o.close()
	tables, err := f.tables.loadTables(f.facts.redis.url == "" && f.facts.file == "", o.snapshot.Catalogue())
	if err != nil {
		return err
	}
	made, stated, err := filter.NewService(o.decisions, o.snapshot, o.store, tables).Filter(ctx, f.facts.organisation, question, authz.Freshness{})
	if err != nil {
		return err
	}
	if err := f.print(made, stated); err != nil {
		return err
	}
	if made.Matches == filter.None {
		return answeredNo{}
	}
	return nil
}

// print prints a filter for a reader, or as JSON.
func (f *filtering) print(made *filter.Filter, stated authz.Stated) error {
	if f.asJSON {
		answer, err := wire.NewFilter(made, filter.Dialect(f.dialect))
		if err != nil {
			return err
		}
		return f.app.printJSON(answer)
	}
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "%s\n", made.Matches)
	if made.UCAST != nil {
		_, _ = fmt.Fprintf(&b, "  %s\n", made.UCAST)
	} else {
		_, _ = fmt.Fprintf(&b, "  %s\n", made.Where)
	}
	for i, arg := range made.Args {
		_, _ = fmt.Fprintf(&b, "  %d  %s\n", f.first+i, asJSON(arg))
	}
	if len(made.Masks) > 0 {
		_, _ = fmt.Fprintf(&b, "  masks %s\n", made.Masks)
	}
	_, _ = fmt.Fprintf(&b, "  at revision %s\n", stated.Revision)
	_, err := io.Copy(f.app.stdout, &b)
	return err
}
