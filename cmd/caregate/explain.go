package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/wire"
)

// explaining is the settings of caregate explain.
type explaining struct {
	app    *app
	policy policySource
	facts  factsSource
	asked  questionFlags

	timeout time.Duration
	asJSON  bool
}

func (a *app) explainCommand() *cobra.Command {
	e := &explaining{app: a}
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Ask why: what decides one question, and what would change it?",
		Long: `Asks one question and says what decided it: each route, each source of the
permission, whether it holds, and what is missing. For a deny it says which single
changes would turn it into an allow, and how many patients each would open; each was
tried. Exits as check does: with 0 for an allow, 2 for a deny and 1 when there is no
answer.

It is for administrators: it tells of roles, groups and patients whatever there is.
It answers from --facts (or the example organisation) or from --redis.`,
		Example: `  caregate explain --subject team_member:oscar --action view --resource patient:p-1
  caregate explain --subject team_member:mark --action delete --resource patient:p-1 --json`,
		GroupID: groupAsk,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	e.asked.flags(cmd, "who asks, as `type:id`", "what they want to do it to, as `type:id`")
	flags.DurationVar(&e.timeout, "timeout", 30*time.Second, "give up after this long")
	flags.BoolVar(&e.asJSON, "json", false, "print the explanation as JSON")
	e.facts.flags(cmd)
	e.policy.flags(cmd)
	flagOnly(cmd, "timeout", "json")
	return a.configurable(cmd)
}

func (e *explaining) run(ctx context.Context) error {
	request, err := e.asked.request()
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	o, err := openHere(ctx, e.app, &e.policy, &e.facts)
	if err != nil {
		return err
	}
	defer o.close()
	why, stated, err := review.NewService(o.decisions, o.snapshot, o.store).
		Explain(ctx, e.facts.organisation, request, review.Viewer{Operator: true}, authz.Freshness{})
	if err != nil {
		return err
	}
	if err := e.print(why, stated); err != nil {
		return err
	}
	if !why.Decision.Allow {
		return answeredNo{}
	}
	return nil
}

// print prints an explanation for a reader, or as /v1/explanations answers it.
func (e *explaining) print(why *review.Explanation, stated authz.Stated) error {
	answer, err := wire.NewExplanation(why)
	if err != nil {
		return err
	}
	if e.asJSON {
		return e.app.printJSON(answer)
	}
	return printExplanation(e.app.stdout, why, answer, stated)
}
