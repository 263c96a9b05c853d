// Package orgtest has what tests of many packages need of an organisation: the default
// policy, compiled once and with edits; organisations that are written as sentences; a
// directory of their facts in memory. Its room orgstore has the stores. Only tests
// import them.
package orgtest

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
)

//nolint:gochecknoglobals // compiled once for all tests of a binary, and never changed
var defaultPolicy = sync.OnceValues(func() (*policy.Snapshot, error) {
	source, err := policy.Read(policies.Files, data.Files())
	if err != nil {
		return nil, err
	}
	return policy.Compile(context.Background(), source, policy.Config{})
})

// Policy returns the policy that the program comes with, as the program evaluates it. It is
// compiled once for all tests of a binary.
func Policy(t testing.TB) *policy.Snapshot {
	t.Helper()
	snapshot, err := defaultPolicy()
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.General() != nil {
		t.Fatalf("the machine does not take the policy: %v", snapshot.General())
	}
	return snapshot
}

// Edit changes one file of the default policy or of its data. Files have the names that
// they have in policies/ and data/.
type Edit func(t testing.TB, files fstest.MapFS)

// Replace puts another text in the place of one that a file has exactly once.
func Replace(file, old, replacement string) Edit {
	return func(t testing.TB, files fstest.MapFS) {
		t.Helper()
		if files[file] == nil || strings.Count(string(files[file].Data), old) != 1 {
			t.Fatalf("%s does not have %q once", file, old)
		}
		Write(file, strings.Replace(string(files[file].Data), old, replacement, 1))(t, files)
	}
}

// Substitute puts other texts in the place of some, wherever a file has them: pairs of old
// and new, as strings.NewReplacer takes them.
func Substitute(file string, pairs ...string) Edit {
	return func(t testing.TB, files fstest.MapFS) {
		t.Helper()
		Write(file, strings.NewReplacer(pairs...).Replace(string(files[file].Data)))(t, files)
	}
}

// Write gives a file a text, and makes it if there is none.
func Write(file, text string) Edit {
	return func(_ testing.TB, files fstest.MapFS) { files[file] = &fstest.MapFile{Data: []byte(text)} }
}

// Append adds a text to the end of a file.
func Append(file, text string) Edit {
	return func(t testing.TB, files fstest.MapFS) {
		t.Helper()
		Write(file, string(files[file].Data)+"\n"+text)(t, files)
	}
}

// Remove takes a file away.
func Remove(file string) Edit {
	return func(_ testing.TB, files fstest.MapFS) { delete(files, file) }
}

// Source returns the default policy with edits.
func Source(t testing.TB, edits ...Edit) *policy.Source {
	t.Helper()
	files := fstest.MapFS{}
	for _, from := range []fs.FS{policies.Files, data.Files()} {
		err := fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(from, name)
			files[name] = &fstest.MapFile{Data: text}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, edit := range edits {
		edit(t, files)
	}
	rego, documents := fstest.MapFS{}, fstest.MapFS{}
	for name, file := range files {
		to := rego
		if strings.HasSuffix(name, "data.json") {
			to = documents
		}
		to[name] = file
	}
	source, err := policy.Read(rego, documents)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// Compile compiles a policy that has to be a good one.
func Compile(t testing.TB, source *policy.Source, config policy.Config) *policy.Snapshot {
	t.Helper()
	snapshot, err := policy.Compile(t.Context(), source, config)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// Edited returns the default policy with edits, compiled as the program does.
func Edited(t testing.TB, edits ...Edit) *policy.Snapshot {
	t.Helper()
	return Compile(t, Source(t, edits...), policy.Config{})
}
