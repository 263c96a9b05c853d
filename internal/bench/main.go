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
	"strings"
	"syscall"
	"time"

	"github.com/caregate/caregate/internal/policy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code, err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
	}
	stop()
	os.Exit(code)
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

// run is the whole program. The exit code is 1 when something failed or a bound
// does not hold.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	if len(args) > 0 && (args[0] == serveCaregate || args[0] == serveBare) {
		if err := serve(ctx, args, stdin, stdout); err != nil {
			return 1, err
		}
		return 0, nil
	}
	cfg, err := flags(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 1, err
	}
	results, err := measure(ctx, cfg, stderr)
	if err != nil {
		return 1, err
	}
	_, _ = fmt.Fprintf(stdout, "go run ./internal/bench %s\n%s %s/%s, %d CPUs; medians of %d rounds, the ratios made within each round\n\n",
		strings.Join(args, " "), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cfg.rounds)
	if !report(stdout, results, cfg.markdown) && !cfg.reportOnly {
		return 1, errors.New("a bound does not hold")
	}
	return 0, nil
}

func flags(args []string, stderr io.Writer) (config, error) {
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
	f.StringVar(&c.only, "only", "", "measure one `part`: inside, http, revocations, beside, memory, searches or binary")
	f.BoolVar(&c.reportOnly, "report-only", false, "exit 0 even when a bound does not hold")
	f.BoolVar(&c.markdown, "markdown", false, "print Markdown tables")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("%q is not a flag; see -help", f.Arg(0))
	}
	if c.rounds < 5 || c.turn <= 0 || c.slice <= 0 || c.slice > time.Second || c.connections < 1 || c.each < 1 {
		return c, errors.New("-rounds must be at least 5, -slice at most 1s, and everything above 0")
	}
	return c, nil
}

// part is one kind of measurement, by the name that -only knows it by.
type part struct {
	name, progress string
	measure        func() (*result, error)
}

// measure takes the measurements, one after the other.
func measure(ctx context.Context, cfg config, progress io.Writer) ([]*result, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	o := newOrganisation()
	service, _, err := defaultService(ctx, o, policy.Config{})
	if err != nil {
		return nil, err
	}
	all, err := ask(ctx, o, service, cfg.each)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(progress, "the organisation: %d members, %d patient groups, %d patients\n", memberCount, patientGroupCount, patientCount)
	parts := []part{
		{"inside", "in process", func() (*result, error) { return inProcess(ctx, o, all, cfg.rounds, cfg.slice) }},
		{"http", "over HTTP", func() (*result, error) { return overHTTP(ctx, o, service, all, root, cfg, progress) }},
		{"revocations", "revocations", func() (*result, error) { return revocations(ctx, o, all, cfg) }},
		{"beside", "decisions beside administrators' work", func() (*result, error) { return beside(ctx, o, all, cfg, progress) }},
		{"memory", "memory", func() (*result, error) { return memories(ctx, o, service, root, cfg, progress) }},
		{"searches", "searches", func() (*result, error) { return searches(ctx, cfg, progress) }},
		{"binary", "the binary: building it, and starting it", func() (*result, error) { return binary(ctx, root, max(cfg.rounds, 5)) }},
	}
	var results []*result
	for _, p := range parts {
		if cfg.only != "" && cfg.only != p.name {
			continue
		}
		_, _ = fmt.Fprintln(progress, p.progress)
		r, err := p.measure()
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("-only %s: there is no such part; the parts are inside, http, revocations, beside, memory, searches and binary", cfg.only)
	}
	return results, nil
}
