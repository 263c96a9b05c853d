package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caregate/caregate/internal/policy"
)

// policyFormatting is the settings of caregate policy fmt.
type policyFormatting struct {
	write, diff bool
}

func (a *app) policyFmtCommand() *cobra.Command {
	var f policyFormatting
	cmd := &cobra.Command{
		Use:   "fmt",
		Short: "List the files of a policy that are not formatted, or format them",
		Long: `Lists the Rego files that differ from what "opa fmt" makes of them. --diff shows
the difference; --write writes the files, which needs --policies.

Exits with 0 when nothing differs or everything was written, 2 when something
differs, 1 when it could not tell.`,
		Example: `  caregate policy fmt --policies policies --diff
  caregate policy fmt --policies policies --write`,
	}
	cmd.Flags().BoolVar(&f.write, "write", false, "write the files, formatted")
	cmd.Flags().BoolVar(&f.diff, "diff", false, "show what differs")
	return a.policyRun(cmd, []string{"write", "diff"}, f.run)
}

func (f *policyFormatting) run(_ context.Context, files *policyFiles) error {
	if f.write && files.policies == "" {
		return usagef("--write: the embedded policy cannot be written; name a folder with --policies")
	}
	source, bad, err := files.checkedSource()
	if err != nil {
		return err
	}
	differ, failed := policy.Format(source)
	if !bad { // else they are the same that open printed
		files.print(failed)
	}
	written := 0
	for _, file := range differ {
		name := files.file(file.File)
		if f.diff {
			files.printf("%s", file.Diff(name))
		} else {
			files.printf("%s\n", name)
		}
		if f.write {
			if err := replace(name, file.After); err != nil {
				return err
			}
			written++
		}
	}
	wrong := bad || len(failed) > 0
	switch {
	case wrong:
		files.printf("failed: not every file can be formatted\n")
	case written > 0:
		files.printf("ok: %s written\n", counted(written, "file"))
	case len(differ) > 0:
		files.printf("failed: %s not formatted; --write formats\n", counted(len(differ), "file"))
	default:
		files.printf("ok: every file is formatted\n")
	}
	return noIf(wrong || len(differ) > written)
}

// replace gives the file called name a new text, all of it or none.
func replace(name string, text []byte) (err error) {
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), ".fmt-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	_, err = temporary.Write(text)
	if err = errors.Join(err, temporary.Chmod(info.Mode()), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
