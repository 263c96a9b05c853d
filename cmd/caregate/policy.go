package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/policy"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, test, format and verify a policy",
		Long: `Works on a policy: its Rego, the schemas of its input, and its data. Without
--policies and --data that is what is embedded in this program.`,
		Example: `  caregate policy check --policies policies --data data
  caregate policy test --policies policies --data data
  caregate policy fmt --policies policies --diff
  caregate policy verify --policies policies --data data`,
		GroupID: groupPolicy,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.policyCheckCommand(), a.policyTestCommand(), a.policyFmtCommand(), a.policyVerifyCommand())
	return cmd
}

// policyFiles is a policy being worked on, by the names its files have for
// whoever works on it.
type policyFiles struct {
	app *app
	policySource
}

// file returns the name of a file of the policy outside of it.
func (p *policyFiles) file(name string) string {
	policies, data := p.policies, p.data
	if policies == "" {
		policies = "policies"
	}
	if data == "" {
		data = "data"
	}
	if inside, ok := strings.CutPrefix(name, "data/"); ok && filepath.Ext(name) != ".rego" {
		return filepath.Join(data, filepath.FromSlash(inside))
	}
	return filepath.Join(policies, filepath.FromSlash(name))
}

// checkedSource reads the policy. bad says that it cannot be read as a policy, which
// has been printed.
func (p *policyFiles) checkedSource() (source *policy.Source, bad bool, err error) {
	source, err = p.readSource()
	if err == nil {
		return source, false, nil
	}
	found, rest := policy.Findings(err)
	if rest != nil {
		return nil, false, rest
	}
	p.print(found)
	return source, true, nil
}

// print prints findings, a line each.
func (p *policyFiles) print(findings []policy.Finding) {
	for _, f := range findings {
		if f.File != "" {
			f.File = p.file(f.File)
		}
		if f.Warning {
			f.Text = "warning: " + f.Text
		}
		p.printf("%s\n", f)
	}
}

func (p *policyFiles) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(p.app.stdout, format, args...)
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// policyRun adds the flags that say which policy is meant, and runs the command on it.
func (a *app) policyRun(cmd *cobra.Command, flagNames []string, run func(context.Context, *policyFiles) error) *cobra.Command {
	files := &policyFiles{app: a}
	files.flags(cmd)
	flagOnly(cmd, flagNames...)
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), files) }
	return a.configurable(cmd)
}

// noIf returns the answer no when something is wrong.
func noIf(wrong bool) error {
	if wrong {
		return answeredNo{}
	}
	return nil
}
