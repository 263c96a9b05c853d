package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of subcommands in the help, in this order. A subcommand names one
// as its GroupID.
const (
	groupRun    = "run"
	groupAsk    = "ask"
	groupFacts  = "facts"
	groupPolicy = "policy"
	groupOther  = "other"
)

// subcommands lists what caregate can do. A new subcommand is one file and one
// line here.
func (a *app) subcommands() []*cobra.Command {
	return []*cobra.Command{
		a.serveCommand(),
		a.checkCommand(),
		a.explainCommand(),
		a.listCommand(),
		a.filterCommand(),
		a.importCommand(),
		a.exportCommand(),
		a.auditCommand(),
		a.policyCommand(),
		a.healthcheckCommand(),
		a.versionCommand(),
	}
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "caregate",
		Short: "Answers who may do what to whose records, and why",
		Long: `Caregate answers two questions for healthcare software, next to each service
that asks them: may this person do this to that, and which ones?

"caregate serve" runs at once, with an example organisation, and prints what to
try. The settings of a command are flags; each can also be set by an environment
variable (--facts-timeout as CAREGATE_FACTS_TIMEOUT) or in a YAML file named with
--config (facts-timeout: 250ms). A flag wins over the environment, the
environment over the file.

Exit codes: 0 yes, 1 an error, 2 "no" (a denied check, a list of nothing, a
failed test, an audit that found a breach).`,
		Example: `  caregate serve
  caregate check --subject team_member:mark --action view --resource patient:p-1
  caregate list --subject team_member:mark --action view --resource patient
  caregate import facts.jsonl --redis redis://127.0.0.1:6379
  caregate policy test`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fmt.Errorf("there is no command %q%s", args[0], didYouMean(args[0], commandNames(cmd), plainName))
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, // exit prints them, once
		SilenceUsage:  true,
		// The help is cobra's own, and is never given a template: with
		// text/template in it the linker keeps every method of every type, and the
		// binary is a third larger.
		DisableFlagsInUseLine: true,
		// Cobra runs only the innermost hook of this kind, so subcommands use
		// PreRunE.
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.started = true
			return nil
		},
	}
	root.SetFlagErrorFunc(flagError)

	flags := root.PersistentFlags()
	flags.String("config", "", "read settings from this YAML `file`")
	flags.Var(levelValue{a.level}, "log-level", "write log lines from this `level` up: debug, info, warn or error")
	must(root.MarkPersistentFlagFilename("config", "yaml", "yml"))
	must(root.RegisterFlagCompletionFunc("log-level",
		cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp)))

	root.AddCommand(a.subcommands()...)
	addGroups(root)
	return root
}

// addGroups adds the groups that have a subcommand.
func addGroups(root *cobra.Command) {
	used := map[string]bool{groupOther: true}
	for _, cmd := range root.Commands() {
		used[cmd.GroupID] = true
	}
	for _, g := range []*cobra.Group{
		{ID: groupRun, Title: "Run the sidecar:"},
		{ID: groupAsk, Title: "Ask questions:"},
		{ID: groupFacts, Title: "Move and audit facts:"},
		{ID: groupPolicy, Title: "Work on policies:"},
		{ID: groupOther, Title: "Other:"},
	} {
		if used[g.ID] {
			root.AddGroup(g)
		}
	}
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// levelValue is the flag of a log level. Setting it takes effect at once.
type levelValue struct{ *slog.LevelVar }

func (v levelValue) String() string {
	if v.LevelVar == nil { // pflag asks the zero value whether it is a default
		return ""
	}
	return strings.ToLower(v.Level().String())
}

func (v levelValue) Set(text string) error {
	switch strings.ToLower(text) {
	case "debug", "info", "warn", "error":
		return v.UnmarshalText([]byte(text))
	default:
		return fmt.Errorf("%q is not a log level; use debug, info, warn or error", text)
	}
}

func (levelValue) Type() string { return "level" }

// must panics on an error that only a mistake in this package can cause, such
// as a completion for a flag that does not exist.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
