package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
)

// redisTarget is a Redis whose facts are moved as a whole, and whose facts they
// are.
type redisTarget struct {
	redisConnection
	organisation string
}

func (r *redisTarget) flags(cmd *cobra.Command) {
	r.redisConnection.flags(cmd)
	organisationFlag(cmd.Flags(), &r.organisation)
}

// connect opens the directory in Redis.
func (r *redisTarget) connect(a *app) (*directory.Directory, error) {
	if r.url == "" {
		return nil, usagef("--redis: is missing; name the Redis that holds the facts, such as --redis redis://127.0.0.1:6379 (or CAREGATE_REDIS, or redis in the config file)")
	}
	d, err := directory.Open(r.config())
	return d, a.aboutSetting(err)
}

// aboutSetting lets an error about a field that is a setting name the place where
// the setting was made.
func (a *app) aboutSetting(err error) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || !slices.Contains([]string{"redis", "redis-ca", "redis-cert", "redis-key", "organisation"}, e.Field) {
		return err
	}
	out := *e
	if out.Field = a.source(e.Field).name; out.Field == "" {
		out.Field = "--" + e.Field
	}
	return &out
}

// importing is the flags of the import.
type importing struct {
	target   redisTarget
	actor    string
	fromLine int
}

func (a *app) importCommand() *cobra.Command {
	var i importing
	cmd := &cobra.Command{
		Use:   "import [FILE]",
		Short: "Write the facts of an organisation into Redis",
		Long: `Reads records, one JSON object a line, and writes them into Redis: roles, groups,
patient groups, team members, patients and bookings, each after what it refers
to. A record creates what it describes, or replaces it; nothing is deleted.
Without FILE, or with -, the records come from standard input.

Up to 1,000 records are one change, and one revision. A record that does not fit
ends the import: its line is named, nothing of its change is written, and the
changes before it stay. Importing the same file again is safe, and changes
nothing that is there already; --from-line goes on where an import ended.

Each change is remembered with what it changed, and with --actor who made it.`,
		Example: `  caregate import facts.jsonl --redis redis://127.0.0.1:6379
  caregate export --redis redis://old:6379 | caregate import --redis redis://new:6379
  caregate import facts.jsonl --organisation riverside --redis redis://127.0.0.1:6379
  caregate import facts.jsonl --redis redis://127.0.0.1:6379 --actor amara --from-line 412001`,
		GroupID: groupFacts,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importFrom(cmd.Context(), i, argument(args))
		},
	}
	i.target.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&i.actor, "actor", "", "`id` of the team member who makes the changes, or type:id of whoever else does")
	flags.IntVar(&i.fromLine, "from-line", 1, "begin at the line with this `number`, to resume an import")
	return a.configurable(cmd)
}

// author returns who imports (A3).
func (i *importing) author() (admin.Author, error) {
	if i.actor == "" {
		return admin.Author{}, nil
	}
	typ, id, typed := strings.Cut(i.actor, ":")
	if !typed {
		typ, id = string(authz.KindTeamMember), i.actor
	}
	author := admin.Author{Actor: typ + ":" + id}
	if typ == "" || !admin.ValidID(id) || author.Check() != nil {
		return admin.Author{}, usagef("--actor: names nobody; write the id of a team member, or type:id such as service:nightly-sync")
	}
	return author, nil
}

// argument returns the one argument of a command that may have one, "" for -.
func argument(args []string) string {
	if len(args) == 0 || args[0] == "-" {
		return ""
	}
	return args[0]
}

func (a *app) importFrom(ctx context.Context, i importing, path string) (err error) {
	author, err := i.author()
	if err != nil {
		return err
	}
	if i.fromLine < 1 {
		return usagef("--from-line: is %d; lines are counted from 1", i.fromLine)
	}
	d, err := i.target.connect(a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	name, records, counter := "standard input", io.Reader(nil), (*countedFile)(nil)
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read
		name, records = path, file
		if counter = newCountedFile(file); counter != nil {
			records = counter
		}
	} else {
		if isTerminal(a.stdin) {
			fmt.Fprintln(a.stderr, "Reading records from the terminal; end with Ctrl-D.")
		}
		records = &interruptible{reader: a.stdin, interrupted: ctx.Done()}
	}

	show := newProgress(a.stderr, counter)
	done, err := d.Import(ctx, i.target.organisation, records,
		directory.ImportOptions{Author: author, FromLine: i.fromLine, Progress: show.records})
	show.clear()
	if err != nil {
		if e, ok := errors.AsType[*authz.Error](err); ok && strings.HasPrefix(e.Field, "line ") {
			err = fmt.Errorf("%s: %w", name, err)
		} else {
			err = a.aboutSetting(err)
		}
		if done.Records > 0 {
			err = fmt.Errorf("%w; resume with --from-line %d", err, done.NextLine)
		}
		return err
	}
	fmt.Fprintf(a.stderr, "imported %d records, revision %s\n", done.Records, done.Revision)
	return nil
}

// interruptible ends a read that waits for somebody to type when it is told to.
type interruptible struct {
	reader      io.Reader
	interrupted <-chan struct{}
	reads       chan read
	buffer      []byte
}

type read struct {
	n   int
	err error
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.reads == nil {
		r.reads, r.buffer = make(chan read, 1), make([]byte, 64<<10)
	}
	size := min(len(p), len(r.buffer))
	go func() {
		n, err := r.reader.Read(r.buffer[:size])
		r.reads <- read{n, err}
	}()
	select {
	case done := <-r.reads:
		return copy(p, r.buffer[:done.n]), done.err
	case <-r.interrupted: // the process ends, and the read with it
		return 0, errors.New("interrupted")
	}
}
