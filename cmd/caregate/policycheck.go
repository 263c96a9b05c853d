package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/policy"
)

func (a *app) policyCheckCommand() *cobra.Command {
	var config policy.CheckConfig
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report everything that is wrong with a policy",
		Long: `Reports, each with its file and line, what does not compile (types against the
schemas included), mistakes in the catalogue and in the names that the policy
declares for administration, and packages and rules without a title or a
description in their METADATA; and a decision that contradicts allow, where sample
questions show it.

It warns where allow could not be turned into a filter for a list or a search;
--require-fragment makes that an error.

A rule that takes so long that the check has not ended after a minute is named.

Exits with 0 when nothing is wrong, 2 when something is, 1 when it could not check.`,
		Example: `  caregate policy check
  caregate policy check --policies policies --data data --require-fragment`,
	}
	cmd.Flags().BoolVar(&config.RequireFragment, "require-fragment", false, "make it an error that allow cannot be turned into a filter")
	return a.policyRun(cmd, []string{"require-fragment"}, func(ctx context.Context, files *policyFiles) error {
		return files.check(ctx, config)
	})
}

func (p *policyFiles) check(ctx context.Context, config policy.CheckConfig) error {
	source, bad, err := p.checkedSource()
	if err != nil {
		return err
	}
	if bad {
		p.printf("failed: the policy cannot be read\n")
		return answeredNo{}
	}
	report, err := policy.Check(ctx, source, config)
	if err != nil {
		return err
	}
	p.print(report.Findings)
	for _, note := range report.Notes {
		p.printf("note: %s\n", note)
	}
	verdict := "ok"
	if report.Errors() > 0 {
		verdict = "failed"
	}
	p.printf("%s: %s, %s in %s and %s\n", verdict, counted(report.Errors(), "error"), counted(report.Warnings(), "warning"),
		counted(report.Modules, "policy file"), counted(report.Tests, "test file"))
	return noIf(report.Errors() > 0)
}
