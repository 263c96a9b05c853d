package policy_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
)

// embedded reads the policy that the program comes with.
func embedded(t testing.TB) *policy.Source {
	t.Helper()
	source, err := policy.Read(policies.Files, data.Files())
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// edited reads the embedded policy after replacing old by new in one file.
func edited(t testing.TB, file, old, replacement string) *policy.Source {
	t.Helper()
	files := tree(t, policies.Files)
	text := string(files[file].Data)
	if strings.Count(text, old) != 1 {
		t.Fatalf("%s has %q %d times", file, old, strings.Count(text, old))
	}
	files[file] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, replacement, 1))}
	source, err := policy.Read(files, data.Files())
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// tree copies files so that they can be edited.
func tree(t testing.TB, from fs.FS) fstest.MapFS {
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

// files makes a tree of files by path. A nil map makes none.
func files(texts map[string]string) fs.FS {
	if texts == nil {
		return nil
	}
	out := fstest.MapFS{}
	for name, text := range texts {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// written reads a policy from texts.
func written(t testing.TB, rego, data map[string]string) *policy.Source {
	t.Helper()
	source, err := policy.Read(files(rego), files(data))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// both compiles a policy for the machine and for the general evaluator.
func both(t testing.TB, source *policy.Source) map[string]*policy.Snapshot {
	t.Helper()
	snapshots := map[string]*policy.Snapshot{}
	for name, config := range map[string]policy.Config{"machine": {}, "general": {General: true}} {
		s, err := policy.Compile(t.Context(), source, config)
		if err != nil {
			t.Fatal(err)
		}
		if s.General() != nil {
			t.Fatalf("the machine does not take the policy: %v", s.General())
		}
		snapshots[name] = s
	}
	return snapshots
}

// bothAlone is both, with a machine that has nobody to leave an evaluation to.
func bothAlone(t testing.TB, source *policy.Source) map[string]*policy.Snapshot {
	t.Helper()
	snapshots := both(t, source)
	snapshots["machine"].Alone()
	return snapshots
}

// one returns the texts of a policy of one file.
func one(rego string) map[string]string { return map[string]string{"authz/authz.rego": rego} }

// memory is a directory of the facts given.
type memory []*authz.Fact

func (m memory) Read(context.Context, string, []authz.Key, authz.Freshness) (*authz.Facts, error) {
	return authz.NewFacts(true, authz.Revision{Count: 1}, m...), nil
}

// ask asks a snapshot about what is in a directory.
func ask(t testing.TB, s *policy.Snapshot, facts memory, r *authz.Request) (authz.Decision, error) {
	t.Helper()
	d, _, err := authz.NewService(facts, s).Decide(t.Context(), "o", r, authz.Freshness{})
	return d, err
}

func entity(text string) authz.Entity {
	typ, id, _ := strings.Cut(text, ":")
	return authz.Entity{Type: typ, ID: id}
}

// request is a question in short: "team_member:mark", "view", "patient:p-1".
func request(subject, action, resource string) *authz.Request {
	return &authz.Request{Subject: entity(subject), Action: authz.Action{Name: action}, Resource: entity(resource)}
}
