package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes of every command.
const (
	exitYes   = 0 // done, allowed, all passed
	exitError = 1 // no answer
	exitNo    = 2 // denied, or something failed that was to be tested
)

// answeredNo is the error of a command that did its work and whose answer is
// no: a denied check, a failed test. The command has already said so; nothing
// is printed for it.
type answeredNo struct{}

func (answeredNo) Error() string { return "no" }

// usageError is the error of a command that was called the wrong way. It is
// printed with how to call it.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef makes an error about how the command was called.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exit prints err, unless it is a mere no, and returns the exit code. cmd is
// the command that ran.
func (a *app) exit(cmd *cobra.Command, err error) int {
	code := exitCode(err)
	if code != exitError {
		return code
	}
	// An error of many parts says one a line.
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintf(a.stderr, "caregate: %s\n", line)
	}
	if _, wrong := errors.AsType[usageError](err); wrong || !a.started {
		_, _ = fmt.Fprintf(a.stderr, "usage: %s\nTry \"%s --help\".\n", usageLine(cmd), cmd.CommandPath())
	}
	return code
}

// usageLine is how cmd is called.
func usageLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND"
	}
	return cmd.UseLine()
}

// exitCode maps an error to an exit code. Every kind of authz.Error has the same
// one, Forbidden and NotFound too: each means that there is no answer, which
// is not the answer no.
func exitCode(err error) int {
	if err == nil {
		return exitYes
	}
	if _, no := errors.AsType[answeredNo](err); no {
		return exitNo
	}
	return exitError
}

// flagError rewords what pflag says of the command line, in the manner of the
// errors about environment and file.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s: %w", e.GetFlag().Name, badValue(e.GetFlag(), e.GetValue(), e.Unwrap()))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("--%s: needs a value", e.GetFlag().Name)
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok && e.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		return fmt.Errorf("--%s: there is no such flag%s", e.GetSpecifiedName(), didYouMean(e.GetSpecifiedName(), names, flagName))
	}
	return err
}
