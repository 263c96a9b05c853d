package verify_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/soak"
	"github.com/caregate/caregate/internal/verify"
)

// edit replaces a text in one file of the policy, or of its data.
type edit struct{ file, old, replacement string }

// source reads the policy that the program comes with, edited.
func source(t *testing.T, edits ...edit) *policy.Source {
	t.Helper()
	var all []orgtest.Edit
	for _, e := range edits {
		all = append(all, orgtest.Replace(e.file, e.old, e.replacement))
	}
	return orgtest.Source(t, all...)
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
	return verify.NamedStore{Name: "embedded", Store: store{orgstore.Embedded(t)}}
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

// again returns how a disagreement is repeated.
func again(t *testing.T, r *verify.Report) string {
	t.Helper()
	if r.Disagreement == nil {
		return ""
	}
	return "repeat it with\n\t" + soak.Command(t.Name(), r.Disagreement.Seed)
}
