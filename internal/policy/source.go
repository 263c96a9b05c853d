package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/plaintext"
	"github.com/caregate/caregate/internal/policy/bounded"
)

// Source is a policy as it was read: parsed, not yet compiled.
type Source struct {
	// Modules and Tests are the parsed .rego and _test.rego files by path.
	Modules map[string]*ast.Module
	Tests   map[string]*ast.Module
	// Data is the base document, from every data.json at its place in the tree.
	Data map[string]any
	// Schemas are the JSON Schemas of schemas/, by name.
	Schemas map[string]any
	// Texts are the files as they are, by path; those of Data start with "data/".
	Texts map[string][]byte
	// Digest identifies everything that a decision is a function of: modules,
	// data and schemas, tests left out. Lower-case hex of a SHA-256.
	Digest string
}

// Read reads a policy: .rego files and schemas/*.json from policies, and data.json
// files from data, where the folder says where the document lands. Both may be
// nil for none. Other kinds of files are passed over, except JSON and YAML in
// data, which somebody meant to be read.
func Read(policies, data fs.FS) (*Source, error) {
	s := &Source{
		Modules: map[string]*ast.Module{}, Tests: map[string]*ast.Module{},
		Data: map[string]any{}, Schemas: map[string]any{}, Texts: map[string][]byte{},
	}
	var errs []error
	if policies != nil {
		errs = append(errs, walk(policies, s.policyFile)...)
	}
	if data != nil {
		errs = append(errs, walk(data, s.dataFile)...)
	}
	if len(errs) == 0 && len(s.Modules) == 0 {
		errs = append(errs, errors.New("no .rego file found; name the folder that holds the policy"))
	}
	s.Digest = s.digest()
	return s, errors.Join(errs...)
}

func walk(files fs.FS, read func(name string, text []byte) error) (errs []error) {
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(entry.Name(), ".") && name != "."; hidden {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if err := read(name, text); err != nil {
			errs = append(errs, err)
		}
		return nil
	})
	if err != nil {
		errs = append(errs, err)
	}
	return errs
}

func (s *Source) policyFile(name string, text []byte) error {
	switch {
	case path.Ext(name) == ".rego":
		if err := plaintext.Check(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		m, err := ast.ParseModuleWithOpts(name, string(text), ast.ParserOptions{
			ProcessAnnotation: true, Capabilities: bounded.Capabilities(), RegoVersion: ast.RegoV1,
		})
		if err != nil {
			return err
		}
		if m == nil {
			return fmt.Errorf("%s: empty file; remove it or give it a package", name)
		}
		s.Texts[name] = text
		if strings.HasSuffix(name, "_test.rego") {
			s.Tests[name] = m
		} else {
			s.Modules[name] = m
		}
	case path.Dir(name) == "schemas" && path.Ext(name) == ".json":
		schema, err := decodeJSON(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.Texts[name] = text
		s.Schemas[strings.TrimSuffix(path.Base(name), ".json")] = schema
	}
	return nil
}

func (s *Source) dataFile(name string, text []byte) error {
	if strings.HasPrefix(name, "example/") { // an organisation, and no data of a policy
		return nil
	}
	if path.Base(name) != "data.json" {
		switch path.Ext(name) {
		case ".json", ".yaml", ".yml":
			return fmt.Errorf("data/%s: name it data.json in a folder of its own; the folder says where it lands", name)
		}
		return nil
	}
	document, err := decodeJSON(text)
	if err != nil {
		return fmt.Errorf("data/%s: %w", name, err)
	}
	object, ok := document.(map[string]any)
	if !ok {
		return fmt.Errorf("data/%s: must be a JSON object", name)
	}
	s.Texts["data/"+name] = text
	into := s.Data
	if dir := path.Dir(name); dir != "." {
		for _, part := range strings.Split(dir, "/") {
			next, ok := into[part].(map[string]any)
			if !ok {
				if into[part] != nil {
					return fmt.Errorf("data/%s: %q is given a value by another file too", name, part)
				}
				next = map[string]any{}
				into[part] = next
			}
			into = next
		}
	}
	for key, value := range object {
		if _, twice := into[key]; twice {
			return fmt.Errorf("data/%s: %q is given a value by another file too", name, key)
		}
		into[key] = value
	}
	return nil
}

// digest hashes names, lengths and contents, so that no two sources share one.
func (s *Source) digest() string {
	h := sha256.New()
	names := make([]string, 0, len(s.Texts))
	for name := range s.Texts {
		if !strings.HasSuffix(name, "_test.rego") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(h, "%d %s %d\n%s\n", len(name), name, len(s.Texts[name]), s.Texts[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// decodeJSON reads one JSON value, numbers verbatim.
func decodeJSON(text []byte) (any, error) {
	if err := plaintext.Check(text); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if d.More() {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}
