package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
)

// redisTarget is a Redis whose facts are moved as a whole, and whose facts they
// are.
type redisTarget struct {
	url, organisation string
}

func (r *redisTarget) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.url, "redis", "", "`URL` of the Redis that holds the facts: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://")
	organisationFlag(cmd.Flags(), &r.organisation)
}

// open opens the directory in Redis.
func (r *redisTarget) open(a *app) (*directory.Directory, error) {
	if r.url == "" {
		return nil, usagef("--redis: is missing; name the Redis that holds the facts, such as --redis redis://127.0.0.1:6379 (or CAREGATE_REDIS, or redis in the config file)")
	}
	d, err := directory.Open(directory.Config{URL: r.url})
	return d, a.aboutSetting(err)
}

// aboutSetting lets an error about a field that is a setting name the place where
// the setting was made.
func (a *app) aboutSetting(err error) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || e.Field != "redis" && e.Field != "organisation" {
		return err
	}
	out := *e
	if out.Field = a.source(e.Field).name; out.Field == "" {
		out.Field = "--" + e.Field
	}
	return &out
}

func (a *app) importCommand() *cobra.Command {
	var target redisTarget
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
nothing that is there already.`,
		Example: `  caregate import facts.jsonl --redis redis://127.0.0.1:6379
  caregate export --redis redis://old:6379 | caregate import --redis redis://new:6379
  caregate import facts.jsonl --organisation riverside --redis redis://127.0.0.1:6379`,
		GroupID: groupFacts,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.importFrom(cmd.Context(), target, argument(args))
		},
	}
	target.flags(cmd)
	return a.configurable(cmd)
}

// argument returns the one argument of a command that may have one, "" for -.
func argument(args []string) string {
	if len(args) == 0 || args[0] == "-" {
		return ""
	}
	return args[0]
}

func (a *app) importFrom(ctx context.Context, target redisTarget, path string) (err error) {
	d, err := target.open(a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	name, records := "standard input", io.Reader(nil)
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read
		name, records = path, file
	} else {
		if isTerminal(a.stdin) {
			fmt.Fprintln(a.stderr, "Reading records from the terminal; end with Ctrl-D.")
		}
		records = &interruptible{reader: a.stdin, interrupted: ctx.Done()}
	}

	show := newProgress(a.stderr)
	done, err := d.Import(ctx, target.organisation, records, show.records)
	show.clear()
	if err != nil {
		if e, ok := errors.AsType[*authz.Error](err); ok && strings.HasPrefix(e.Field, "line ") {
			return fmt.Errorf("%s: %w", name, err)
		}
		return a.aboutSetting(err)
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

// progress shows how far an import is, on a terminal only.
type progress struct {
	out     io.Writer
	start   time.Time
	visible bool
}

func newProgress(out io.Writer) *progress {
	if !isTerminal(out) {
		out = nil
	}
	return &progress{out: out, start: time.Now()}
}

const clearLine = "\r\x1b[K"

func (p *progress) records(done int) {
	if p.out == nil {
		return
	}
	p.visible = true
	fmt.Fprintf(p.out, "%s%d records, %.0f a second", clearLine, done, float64(done)/time.Since(p.start).Seconds())
}

func (p *progress) clear() {
	if p.visible {
		fmt.Fprint(p.out, clearLine)
	}
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
