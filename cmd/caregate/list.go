package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/wire"
)

// listing is the settings of caregate list.
type listing struct {
	app    *app
	policy policySource
	facts  factsSource
	asked  questionFlags

	limit   int
	timeout time.Duration
	asJSON  bool
}

func (a *app) listCommand() *cobra.Command {
	l := &listing{app: a}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Ask which: what may somebody act on, who may, what may they do?",
		Long: `Asks which, and prints what is found, one a line, in the order of the ids. What is
looked for is what the question leaves open: a resource or a subject of which only
the type is given, or the action that is left out. Exits with 0 when something was
found, 2 when nothing was and 1 when there is no answer.

All pages are asked for, unless --limit says how many results are enough; then a
line on stderr says that there are more. It answers from --facts (or the example
organisation) or from --redis.`,
		Example: `  caregate list --subject team_member:mark --action update --resource patient
  caregate list --subject team_member --action view --resource patient:p-1
  caregate list --subject team_member:mark --resource patient:p-1`,
		GroupID: groupAsk,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	l.asked.flags(cmd, "who asks, as `type:id`, or a type: who may?", "what they want to do it to, as `type:id`, or a type: which ones?")
	flags.IntVar(&l.limit, "limit", 0, "print this many `results` at most, and say when there are more; 0 prints all")
	flags.DurationVar(&l.timeout, "timeout", time.Minute, "give up after this long")
	flags.BoolVar(&l.asJSON, "json", false, "print each result as a line of JSON")
	l.facts.flags(cmd)
	l.policy.flags(cmd)
	flagOnly(cmd, "limit", "timeout", "json")
	return a.configurable(cmd)
}

// finding is one of the searches.
type finding func(ctx context.Context, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness) (
	*search.Result, authz.Stated, error)

func (l *listing) run(ctx context.Context) error {
	request, open, err := l.question()
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	o, err := openHere(ctx, l.app, &l.policy, &l.facts)
	if err != nil {
		return err
	}
	defer o.close()
	s := search.NewService(o.decisions, o.snapshot, o.store, &watcher{log: l.app.log})
	find := map[string]finding{"subject": s.Subjects, "resource": s.Resources, "action": s.Actions}[open]
	return l.pages(ctx, request, find)
}

// question reads the flags as a question that leaves one thing open, and returns which.
func (l *listing) question() (r *authz.Request, open string, err error) {
	q := &l.asked
	r = &authz.Request{Subject: parseEntity(q.subject), Action: authz.Action{Name: q.action}, Resource: parseEntity(q.resource)}
	errs := []error{q.rest(r)}
	var opens []string
	for _, of := range []struct{ flag, text, id string }{{"subject", q.subject, r.Subject.ID}, {"resource", q.resource, r.Resource.ID}} {
		switch {
		case of.text == "" || strings.HasPrefix(of.text, ":") || strings.HasSuffix(of.text, ":") && of.id == "":
			errs = append(errs, fmt.Errorf("--%s: write type:id, such as team_member:mark, or a type alone to look for some", of.flag))
		case of.id == "":
			opens = append(opens, of.flag)
		}
	}
	if q.action == "" {
		opens = append(opens, "action")
	}
	if l.limit < 0 {
		errs = append(errs, errors.New("--limit: cannot be negative; 0 prints all"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, "", err
	}
	if len(opens) != 1 {
		return nil, "", errors.New("leave one thing open: the id of the subject (--subject team_member), the id of the resource (--resource patient), or --action; " +
			map[bool]string{true: "nothing is", false: strings.Join(opens, " and ") + " are"}[len(opens) == 0])
	}
	return r, opens[0], nil
}

// pages prints page after page.
func (l *listing) pages(ctx context.Context, r *authz.Request, find finding) error {
	out := bufio.NewWriter(l.app.stdout)
	var first authz.Stated
	printed, more := 0, false
	page := search.Page{Limit: search.MaxLimit}
	for n := 0; ; n++ {
		if l.limit > 0 {
			page.Limit = min(search.MaxLimit, l.limit-printed)
		}
		found, stated, err := find(ctx, l.facts.organisation, r, page, authz.Freshness{})
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		if err := l.print(out, found); err != nil {
			return err
		}
		printed += len(found.IDs)
		if n == 0 {
			first = stated
		}
		if found.Next == nil || l.limit > 0 && printed == l.limit {
			more = found.Next != nil
			if err := out.Flush(); err != nil {
				return err
			}
			if stated.Revision != first.Revision {
				l.note("the facts changed meanwhile: the first results are of revision %s, the last of %s", first.Revision, stated.Revision)
			}
			break
		}
		page.From = found.Next
	}
	switch {
	case more:
		l.note("there may be more than these %d; raise --limit, or leave it out to see all", printed)
	case printed == 0:
		return answeredNo{}
	}
	return nil
}

func (l *listing) note(format string, args ...any) {
	_, _ = fmt.Fprintf(l.app.stderr, "caregate: "+format+"\n", args...)
}

// print prints what was found: ids, or names of actions.
func (l *listing) print(out *bufio.Writer, found *search.Result) error {
	for _, id := range found.IDs {
		line := []byte(id)
		if l.asJSON {
			line = wire.AppendOneFound(nil, found.Type, id)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}
