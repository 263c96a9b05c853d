// Command caregate answers, next to a service, who may do what to whose
// records, and why.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/caregate/caregate/internal/telemetry"
	"github.com/caregate/caregate/internal/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from here on, a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for what belongs to the process: it returns the
// exit code, and ends early when ctx does. environ is in the form of
// os.Environ.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := newApp(environ, stdin, stdout, stderr)
	root := a.rootCommand()
	root.SetArgs(append([]string{}, args...)) // never nil: cobra would read os.Args
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exit(cmd, err)
}

// app is what every subcommand shares. Subcommands read and write through it
// and never through the os package, so that tests can run them in process.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        map[string]string

	// log writes JSON to stderr from level up; --log-level sets level.
	log   *slog.Logger
	level *slog.LevelVar

	// sources says where each setting that was set got its value, by the name
	// of the flag. resolve fills it.
	sources map[string]source
	// started is true once the arguments were understood: an error before is
	// wrong usage.
	started bool
}

func newApp(environ []string, stdin io.Reader, stdout, stderr io.Writer) *app {
	a := &app{
		stdin: stdin, stdout: stdout, stderr: stderr,
		environ: make(map[string]string, len(environ)),
		level:   new(slog.LevelVar),
		sources: make(map[string]source),
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		a.environ[name] = value
	}
	a.log = telemetry.NewLogger(stderr, a.level)
	return a
}

// getenv returns the value of an environment variable, "" when it is not set.
func (a *app) getenv(name string) string { return a.environ[name] }

// printJSON prints an answer as the APIs give it.
func (a *app) printJSON(answer any) error {
	text, err := wire.Append(nil, answer)
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(append(text, '\n'))
	return err
}
