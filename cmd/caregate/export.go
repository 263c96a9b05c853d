package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/directory"
)

func (a *app) exportCommand() *cobra.Command {
	var target redisTarget
	cmd := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Read all facts of an organisation from Redis",
		Long: `Writes everything that an organisation has as records, one JSON object a line, in
an order in which "caregate import" takes them. The same facts give the same
bytes. Without FILE, or with -, the records go to standard output.

All records are of one revision, the one at which the export began, whatever is
written meanwhile: what changes is taken back with what the stream of changes
remembers. If that does not reach back far enough any more, or all facts were
replaced, the export ends with exit code 1 and is to be tried again: a FILE is left
as it was, and what went to standard output is incomplete.`,
		Example: `  caregate export facts.jsonl --redis redis://127.0.0.1:6379
  caregate export --organisation riverside --redis redis://127.0.0.1:6379 | gzip > facts.jsonl.gz`,
		GroupID: groupFacts,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.exportTo(cmd.Context(), target, argument(args))
		},
	}
	target.flags(cmd)
	return a.configurable(cmd)
}

func (a *app) exportTo(ctx context.Context, target redisTarget, path string) (err error) {
	d, err := target.connect(a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()

	var done directory.Exported
	export := func(w io.Writer) error {
		done, err = d.Export(ctx, target.organisation, w)
		return err
	}
	if path == "" {
		err = export(a.stdout)
	} else {
		err = replaceFile(path, export)
	}
	if err != nil {
		return a.aboutSetting(err)
	}
	fmt.Fprintf(a.stderr, "exported %d records, revision %s\n", done.Records, done.Revision)
	return nil
}

// replaceFile lets write make the file path: all of it, or the file stays as it
// was. A new file is for its owner alone, for facts are about people. What is no
// file on disk, such as a pipe, is written as it is.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	mode := os.FileMode(0o600)
	switch info, statErr := os.Stat(path); {
	case errors.Is(statErr, os.ErrNotExist):
	case statErr != nil:
		return statErr
	case info.IsDir():
		return fmt.Errorf("%s is a folder; name a file in it", path)
	case !info.Mode().IsRegular():
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(file), file.Close())
	default:
		mode = info.Mode().Perm()
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}

	file, err := os.CreateTemp(filepath.Dir(path), ".caregate-export-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	if err := errors.Join(write(file), file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
