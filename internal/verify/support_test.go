package verify_test

import (
	"context"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/verify"
	"github.com/caregate/caregate/policies"
)

// edit replaces a text in one file of the policy, or of its data.
type edit struct{ file, old, replacement string }

// source reads the policy that the program comes with, edited.
func source(t *testing.T, edits ...edit) *policy.Source {
	t.Helper()
	rego, documents := tree(t, policies.Files), tree(t, data.Files())
	for _, e := range edits {
		files := documents
		if rego[e.file] != nil {
			files = rego
		}
		text := string(files[e.file].Data)
		if strings.Count(text, e.old) != 1 {
			t.Fatalf("%s has %q %d times", e.file, e.old, strings.Count(text, e.old))
		}
		files[e.file] = &fstest.MapFile{Data: []byte(strings.Replace(text, e.old, e.replacement, 1))}
	}
	s, err := policy.Read(rego, documents)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tree copies files so that they can be edited.
func tree(t *testing.T, from fs.FS) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
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
	return files
}

func compiled(t *testing.T, s *policy.Source, config policy.Config) *policy.Snapshot {
	t.Helper()
	p, err := policy.Compile(t.Context(), s, config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// plain is how the oracle evaluates.
func plain() policy.Config { return policy.Config{General: true, MemoBytes: -1} }

// store lets a directory be filled.
type store struct{ *directory.Directory }

func (s store) Import(ctx context.Context, organisation string, records io.Reader) error {
	_, err := s.Directory.Import(ctx, organisation, records, directory.ImportOptions{})
	return err
}

func embedded(t *testing.T) verify.NamedStore {
	t.Helper()
	d, err := directory.OpenEmbedded(directory.Config{FactsTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return verify.NamedStore{Name: "embedded", Store: store{d}}
}

func sqlite(t *testing.T) verify.Database {
	t.Helper()
	d, err := verify.OpenSQLite()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func printed(t *testing.T, r *verify.Report) string {
	t.Helper()
	if r == nil {
		return "no report"
	}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
