package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/policy"
)

// policyTesting is the settings of caregate policy test.
type policyTesting struct {
	config    policy.TestConfig
	threshold float64
	verbose   bool
}

func (a *app) policyTestCommand() *cobra.Command {
	var t policyTesting
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Run the tests of a policy, and say which lines they leave out",
		Long: `Runs the rules whose names begin with test_, in files whose names end with
_test.rego, in the world that the policy lives in: compiled as strictly, with the
same built-in functions, over the same data. A built-in function that fails is an
error of the test; so is a test that takes longer than half a minute, or than is left
of five minutes for all of them, with the name of the rule that it was in.

Then it says which lines of the policy no test evaluated. With --run, when only
some tests run, coverage is not asked for.

Exits with 0 when all passed and enough is covered, 2 when not, 1 when it could
not test.`,
		Example: `  caregate policy test
  caregate policy test --policies policies --data data --run visibility --verbose
  caregate policy test --policies policies --data data --coverage-threshold 90`,
	}
	flags := cmd.Flags()
	flags.StringVar(&t.config.Run, "run", "", "run only the tests whose name matches this regular `expression`, such as visibility_test.test_v2")
	flags.Float64Var(&t.threshold, "coverage-threshold", 100, "fail when less than this `percentage` of the lines is covered")
	flags.BoolVarP(&t.verbose, "verbose", "v", false, "name the tests that passed, too, with what they printed")
	return a.policyRun(cmd, []string{"run", "coverage-threshold", "verbose"}, t.run)
}

func (t *policyTesting) run(ctx context.Context, files *policyFiles) error {
	if t.threshold < 0 || t.threshold > 100 {
		return usagef("--coverage-threshold: %v is no percentage; use 0 to 100", t.threshold)
	}
	source, bad, err := files.checkedSource()
	if err != nil {
		return err
	}
	if bad {
		files.printf("failed: the policy cannot be read\n")
		return answeredNo{}
	}
	report, err := policy.RunTests(ctx, source, t.config)
	if err != nil {
		found, rest := policy.Findings(err)
		if rest != nil || len(found) == 0 || found[0].Row == 0 {
			return err
		}
		files.print(found)
		files.printf("failed: the policy does not compile\n")
		return answeredNo{}
	}
	t.print(files, report)
	return t.sum(files, report)
}

// print prints a line for each test that is worth one.
func (t *policyTesting) print(files *policyFiles, report *policy.TestReport) {
	for _, r := range report.Results {
		if r.Outcome == policy.Passed && !t.verbose {
			continue
		}
		line := fmt.Sprintf("%s:%d: %s %s.%s", files.file(r.File), r.Row, r.Outcome, r.Package, r.Name)
		if r.Text != "" {
			line += ": " + r.Text
		}
		if t.verbose {
			line += fmt.Sprintf(" (%s)", r.Duration.Round(10*time.Microsecond))
		}
		files.printf("%s\n", line)
		for output := range strings.Lines(r.Output) {
			files.printf("\t%s\n", strings.TrimRight(output, "\n"))
		}
	}
}

// sum prints what came of it all, and says whether it was enough.
func (t *policyTesting) sum(files *policyFiles, report *policy.TestReport) error {
	passed, skipped := report.Count(policy.Passed), report.Count(policy.Skipped)
	wrong := len(report.Results) - passed - skipped
	said := counted(len(report.Results), "test")
	for _, part := range []struct {
		n    int
		what string
	}{{passed, "passed"}, {report.Count(policy.Failed), "failed"}, {report.Count(policy.Errored), "ended in an error"}, {skipped, "skipped"}} {
		if part.n > 0 {
			said += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	none := len(report.Results) == 0
	if none && t.config.Run != "" {
		said = fmt.Sprintf("no test is called like %q", t.config.Run)
	} else if none {
		said = "there are no tests; write rules named test_… in files named …_test.rego"
	}
	covered := true
	if t.config.Run == "" {
		covered = report.Percent() >= t.threshold
		for _, f := range report.Coverage {
			if len(f.Uncovered) > 0 && (!covered || t.verbose) {
				files.printf("%s:%d: no test evaluates line%s\n", files.file(f.File), f.Uncovered[0], lines(f.Uncovered))
			}
		}
		said += fmt.Sprintf("; %.1f%% of the lines covered", floor(report.Percent()))
		if !covered {
			said += fmt.Sprintf(", less than %v%%", t.threshold)
		}
	}
	verdict := "ok"
	if wrong > 0 || none || !covered {
		verdict = "failed"
	}
	files.printf("%s: %s\n", verdict, said)
	return noIf(verdict == "failed")
}

// floor rounds down to a tenth, so that only all of it reads as 100.
func floor(percent float64) float64 { return float64(int(percent*10)) / 10 }

// lines writes line numbers with runs of them joined: " 3", "s 3-5, 9".
func lines(rows []int) string {
	var parts []string
	for i := 0; i < len(rows); {
		j := i
		for j+1 < len(rows) && rows[j+1] == rows[j]+1 {
			j++
		}
		part := fmt.Sprint(rows[i])
		if j > i {
			part += fmt.Sprintf("-%d", rows[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	plural := ""
	if len(rows) > 1 {
		plural = "s"
	}
	return plural + " " + strings.Join(parts, ", ")
}
