// Command bench measures Caregate next to what it is compared with, in one run on
// one machine, and holds each ratio to its bound:
//
//   - a decision in process, reasons included, next to OPA evaluating a one-line
//     rule with the same options;
//   - the decisions API over loopback TCP, with the facts in a Redis that is started
//     for it, next to a bare Echo handler that reads and writes the same JSON, and
//     next to an OPA server of the same version with a policy written for it and
//     the facts in its data. Once with the cache and the memo of decisions as they
//     are, once with questions of which none is asked twice, so that the memo is
//     of no use, and once without the cache;
//   - batches, for each decision in them, next to single questions, and next to an OPA
//     server that is asked one question after another;
//   - how long decisions take while administrators preview and explain as much as they
//     can, next to how long they take alone;
//   - searches for patients in a large organisation, next to single checks, and late
//     pages next to first ones;
//   - the memory of a sidecar with few and with many patients, next to that of the
//     OPA server, and that of Redis;
//   - the size of the binary, and the time from its start to its readiness.
//
// Contenders take turns within each round, ratios are made within a round, and
// their medians are reported: whatever else the machine is doing slows both sides
// of a ratio. Servers are processes of their own, so that nobody else's garbage is
// collected on their time.
//
// Each comparison is a section: it starts the servers that it needs on its stage, has
// its contenders take turns, and returns a table of rows and bounds. It needs a Unix
// system, redis-server, and the go command.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// section is one comparison, by the name that -only knows it by.
type section struct {
	name, progress string
	measure        func(context.Context, *stage) *table
}

// sections are all of them, as they are measured and reported.
func sections() []section {
	return []section{
		{"inside", "in process", inProcess},
		{"http", "over HTTP", overHTTP},
		{"revocations", "revocations", revocations},
		{"beside", "decisions beside administrators' work", beside},
		{"memory", "memory", memories},
		{"searches", "searches", searches},
		{"binary", "the binary: building it, and starting it", binary},
	}
}

// config is what the flags say.
type config struct {
	rounds      int
	turn        time.Duration // of each server in each round
	slice       time.Duration // of each contender in process in each round
	connections int
	each        int // questions of each kind
	many        int // patients of the large organisation
	revocations int // how often Access is taken away
	only        string
	reportOnly  bool
	markdown    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the whole program. A bound that does not hold is an error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && (args[0] == serveCaregate || args[0] == serveBare) {
		return attempt(func() { serve(ctx, args) })
	}
	cfg, err := flags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	tables, err := measure(ctx, cfg, stderr)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "go run ./internal/bench %s\n%s %s/%s, %d CPUs; medians of %d rounds, the ratios made within each round\n\n",
		strings.Join(args, " "), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cfg.rounds)
	if !report(stdout, tables, cfg.markdown) && !cfg.reportOnly {
		return errors.New("a bound does not hold")
	}
	return nil
}

func flags(args []string, stderr io.Writer) (config, error) {
	var names []string
	for _, s := range sections() {
		names = append(names, s.name)
	}
	last := len(names) - 1
	choice := strings.Join(names[:last], ", ") + " or " + names[last]

	var c config
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&c.rounds, "rounds", 9, "measure this many `times`, at least 5")
	f.DurationVar(&c.turn, "duration", 700*time.Millisecond, "ask a server for this long in each round")
	f.DurationVar(&c.slice, "slice", 100*time.Millisecond, "measure in process for this long in each round")
	f.IntVar(&c.connections, "concurrency", 4, "ask on this many `connections` at once")
	f.IntVar(&c.each, "questions", 250, "ask this `many` questions of each kind")
	f.IntVar(&c.many, "many", 1_000_000, "compare the memory with that for this many `patients`, 0 not at all")
	f.IntVar(&c.revocations, "revocations", 10_000, "take Access away so `many` times, 0 not at all")
	f.StringVar(&c.only, "only", "", "measure one `part`: "+choice)
	f.BoolVar(&c.reportOnly, "report-only", false, "exit 0 even when a bound does not hold")
	f.BoolVar(&c.markdown, "markdown", false, "print Markdown tables")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	switch {
	case f.NArg() > 0:
		return c, fmt.Errorf("%q is not a flag; see -help", f.Arg(0))
	case c.rounds < 5 || c.turn <= 0 || c.slice <= 0 || c.slice > time.Second || c.connections < 1 || c.each < 1:
		return c, errors.New("-rounds must be at least 5, -slice at most 1s, and everything above 0")
	case c.only != "" && !slices.Contains(names, c.only):
		return c, fmt.Errorf("-only %s: there is no such part; the parts are %s", c.only, choice)
	}
	return c, nil
}
