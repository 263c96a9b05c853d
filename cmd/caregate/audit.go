package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/directory/audit"
)

// auditing is the settings of caregate audit.
type auditing struct {
	app         *app
	policy      policySource
	facts       factsSource
	asJSON, all bool
}

func (a *app) auditCommand() *cobra.Command {
	c := &auditing{app: a}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check all facts of an organisation against what must always hold",
		Long: `Looks at every key of an organisation in Redis, or at --facts or the example
organisation in an embedded store, and reports each breach of what must always
hold: both sides of every relationship agree, everything that is named exists, a
patient is in exactly one patient group (V5), only providers have Booking (B1), a
place on a care team has its sources (B5, B6), every change that is remembered
follows on the one before it and everybody is as the changes left them (A3), whatever
grants user:* is known (A4), and no key is there that Caregate did not write. Nothing
is changed.

Advice is no breach: roles that show all patients to somebody who may open none
(V7), permissions that the catalogue of --data does not have (P4), roles and
groups without members, patient groups that nobody has Access to.

The report names patients and team members by their ids, on standard output. With
--json it is one JSON object a line, {"rule","kind","id","what","remedy"}, and
"advice": true for advice.

Exits with 0 when there is no breach, 2 when there is one, 1 when the facts could
not be read. Facts may change meanwhile; what held only for a while is not
reported. If all of them are replaced meanwhile, it ends with 1.`,
		Example: `  caregate audit --redis redis://127.0.0.1:6379
  caregate audit --facts facts.jsonl --all
  caregate audit --redis redis://127.0.0.1:6379 --organisation riverside --json > findings.jsonl`,
		GroupID: groupFacts,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&c.asJSON, "json", false, "print findings as JSON Lines, as they are found")
	flags.BoolVar(&c.all, "all", false, "show all findings of a rule, not just some; they are kept in memory until the end")
	c.facts.flags(cmd)
	c.policy.flags(cmd)
	flagOnly(cmd, "json", "all")
	return a.configurable(cmd)
}

func (c *auditing) run(ctx context.Context) (err error) {
	embedded, err := c.facts.embedded(c.app)
	if err != nil {
		return err
	}
	snapshot, err := c.policy.load(ctx)
	if err != nil {
		return err
	}
	store, _, err := c.facts.openStore(ctx, embedded)
	if err != nil {
		return c.app.aboutSetting(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	report := &auditReport{out: c.app.stdout, most: 20}
	if c.all {
		report.most = -1
	}
	if c.asJSON {
		report.lines = json.NewEncoder(c.app.stdout)
		report.lines.SetEscapeHTML(false)
	}
	reviewer := newReviewer(snapshot)
	done, err := store.Audit(ctx, c.facts.organisation, audit.Config{Report: report.add, Review: reviewer.review})
	if err != nil {
		return c.app.aboutSetting(err)
	}
	for _, f := range reviewer.findings() {
		if err := report.add(f); err != nil {
			return err
		}
	}
	if err := report.print(); err != nil {
		return err
	}
	summary := c.app.stdout
	if c.asJSON {
		summary = c.app.stderr
	}
	if err := report.summarise(summary, done); err != nil {
		return err
	}
	return noIf(done.Breaches > 0)
}

// auditReport prints findings: at once as JSON, or at the end by rule, breaches
// first.
type auditReport struct {
	out   io.Writer
	most  int           // findings of a rule that are shown, -1 for all
	lines *json.Encoder // nil for text
	// The findings by rule, as many as are shown, and how many there are.
	sections         []*auditSection
	breaches, advice int
}

type auditSection struct {
	rule   audit.Rule
	advice bool
	count  int
	shown  []audit.Finding
}

// findingLine is a finding as it stands on a line of JSON.
type findingLine struct {
	Rule   audit.Rule `json:"rule"`
	Kind   string     `json:"kind"`
	ID     string     `json:"id"`
	What   string     `json:"what"`
	Remedy string     `json:"remedy"`
	Advice bool       `json:"advice,omitempty"`
}

func (r *auditReport) add(f audit.Finding) error {
	if f.Advice {
		r.advice++
	} else {
		r.breaches++
	}
	if r.lines != nil {
		return r.lines.Encode(findingLine(f))
	}
	i := slices.IndexFunc(r.sections, func(s *auditSection) bool { return s.rule == f.Rule && s.advice == f.Advice })
	if i < 0 {
		i = len(r.sections)
		r.sections = append(r.sections, &auditSection{rule: f.Rule, advice: f.Advice})
	}
	s := r.sections[i]
	s.count++
	if r.most < 0 || len(s.shown) < r.most {
		s.shown = append(s.shown, f)
	}
	return nil
}

// print prints the text.
func (r *auditReport) print() error {
	slices.SortFunc(r.sections, func(a, b *auditSection) int {
		if a.advice != b.advice {
			if a.advice {
				return 1
			}
			return -1
		}
		return strings.Compare(string(a.rule), string(b.rule))
	})
	for _, s := range r.sections {
		if err := s.print(r.out); err != nil {
			return err
		}
	}
	return nil
}

func (s *auditSection) print(out io.Writer) error {
	var b strings.Builder
	word := ""
	if s.advice {
		word = "advice: "
	}
	fmt.Fprintf(&b, "%s%s (%s): %d\n", word, titleOf(s.rule), s.rule, s.count)
	slices.SortFunc(s.shown, func(a, b audit.Finding) int {
		return strings.Compare(a.Kind+"\x00"+a.ID+"\x00"+a.What, b.Kind+"\x00"+b.ID+"\x00"+b.What)
	})
	var remedies []string
	for _, f := range s.shown {
		fmt.Fprintf(&b, "  %s %s %s\n", f.Kind, f.ID, f.What)
		if !slices.Contains(remedies, f.Remedy) {
			remedies = append(remedies, f.Remedy)
		}
	}
	if rest := s.count - len(s.shown); rest > 0 {
		fmt.Fprintf(&b, "  … and %d more; --all shows them\n", rest)
	}
	for _, remedy := range remedies {
		fmt.Fprintf(&b, "  to do: %s\n", remedy)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// summarise says what was audited, without naming anybody.
func (r *auditReport) summarise(out io.Writer, done audit.Result) error {
	revision := "revision " + done.Last.String()
	if done.First != done.Last {
		revision = "revisions " + done.First.String() + " to " + done.Last.String()
	}
	verdict := "no breach"
	switch {
	case r.breaches == 1:
		verdict = "1 breach"
	case r.breaches > 1:
		verdict = fmt.Sprintf("%d breaches", r.breaches)
	}
	_, err := fmt.Fprintf(out, "audited %d entities and %d indexes at %s: %s, advice on %d\n", done.Entities, done.Indexes, revision, verdict, r.advice)
	return err
}
