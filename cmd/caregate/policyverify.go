package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/verify"
)

// verifyTimeout is how long one reading of facts may take: nobody waits for it.
const verifyTimeout = 30 * time.Second

// policyVerifying is the settings of caregate policy verify.
type policyVerifying struct {
	facts         string
	organisations int
	seed          uint64
	asJSON        bool
}

func (a *app) policyVerifyCommand() *cobra.Command {
	var v policyVerifying
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Show that checks, batches, searches and filters agree",
		Long: `Makes random organisations and asks about each, before and after a change, the same
in every shape: checks one by one, in a batch, with an explanation, by a search in small
pages and in large ones, and by a filter, executed in an embedded SQLite and as UCAST. Each answer
is compared with a plain evaluation of the policy; and so is whether administration lets random
people change and read what they try to. With --facts it does the same with
an organisation of yours first; of a large one it takes samples.

Where answers disagree it prints the smallest organisation that it finds in which they
do, as JSON Lines that --facts takes, with the question and every answer.

A policy that cannot be turned into a filter is no disagreement: filters are refused,
searches evaluate, and a note names the places.

The same seed makes the same organisations; give another one for others.

A question that takes longer than a minute ends it, with the name of the rule.

Exits with 0 when all agree, 2 when something disagrees or the policy does not
compile, and 1 when nothing can be concluded, as when nothing was ever allowed.`,
		Example: `  caregate policy verify
  caregate policy verify --policies my-policies --data data --organisations 200 --seed 7
  caregate policy verify --policies my-policies --data data --facts organisation.jsonl`,
	}
	flags := cmd.Flags()
	flags.StringVar(&v.facts, "facts", "", "ask about the organisation in this JSON Lines `file` too")
	flags.IntVar(&v.organisations, "organisations", 25, "make this many random `organisations`")
	flags.Uint64Var(&v.seed, "seed", 1, "make them from this `number`")
	flags.BoolVar(&v.asJSON, "json", false, "print the report as JSON")
	must(cmd.MarkFlagFilename("facts", "jsonl"))
	return a.policyRun(cmd, []string{"facts", "organisations", "seed", "json"}, v.run)
}

func (v *policyVerifying) run(ctx context.Context, files *policyFiles) error {
	if v.organisations < 0 || v.organisations == 0 && v.facts == "" {
		return usagef("--organisations: %d is too few; make 1 at least, or give one with --facts", v.organisations)
	}
	source, bad, err := files.checkedSource()
	if err != nil {
		return err
	}
	if bad {
		files.printf("failed: the policy cannot be read\n")
		return answeredNo{}
	}
	rules, err := policy.Compile(ctx, source, policy.Config{})
	if err != nil {
		found, rest := policy.Findings(err)
		if rest != nil || len(found) == 0 || found[0].Row == 0 {
			return err
		}
		files.print(found)
		files.printf("failed: the policy does not compile\n")
		return answeredNo{}
	}
	oracle, err := policy.Compile(ctx, source, policy.Config{General: true, MemoBytes: -1})
	if err != nil {
		return err
	}
	report, err := v.verify(ctx, verify.Config{Rules: rules, Oracle: oracle, Constants: source.Constants()})
	if report == nil {
		return err
	}
	if printing := v.print(files, report, err == nil); printing != nil {
		return printing
	}
	if err != nil {
		return err
	}
	return noIf(report.Disagreement != nil)
}

// verify runs with a store and a database that end with it.
func (v *policyVerifying) verify(ctx context.Context, config verify.Config) (report *verify.Report, err error) {
	d, err := directory.OpenEmbedded(directory.Config{FactsTimeout: verifyTimeout})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	database, err := verify.OpenSQLite()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	store := verifyStore{d}
	config.Stores = []verify.NamedStore{{Name: "embedded", Store: store}}
	config.Databases = []verify.Database{database}
	config.Organisations, config.Seed = v.organisations, v.seed
	if v.facts != "" {
		if config.Given, err = store.readOrganisation(ctx, v.facts); err != nil {
			return nil, fmt.Errorf("--facts: %s: %w", v.facts, err)
		}
	}
	return verify.Run(ctx, config)
}

// print prints a report; concluded says that there is something to conclude.
func (v *policyVerifying) print(files *policyFiles, report *verify.Report, concluded bool) error {
	if v.asJSON {
		e := json.NewEncoder(files.app.stdout)
		e.SetEscapeHTML(false)
		return e.Encode(report)
	}
	if err := report.Print(files.app.stdout); err != nil {
		return err
	}
	switch {
	case report.Disagreement != nil:
		files.printf("\nfailed: the answers disagree\n")
	case concluded:
		files.printf("ok: all answers agree in %s\n", counted(report.Organisations, "organisation"))
	}
	return nil
}

// verifyStore is a directory as verify fills it.
type verifyStore struct{ *directory.Directory }

// Import implements verify.Store.
func (s verifyStore) Import(ctx context.Context, organisation string, records io.Reader) error {
	_, err := s.Directory.Import(ctx, organisation, records, directory.ImportOptions{})
	return err
}

// readOrganisation reads the records of a file, as an import takes them.
func (s verifyStore) readOrganisation(ctx context.Context, file string) (records []admin.Record, err error) {
	const given, page = "given", 1000
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	err = s.Import(ctx, given, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return verify.ReadOrganisation(func(kind authz.Kind, after string) (admin.Page, error) {
		return s.List(ctx, given, kind, after, page)
	})
}
