package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Finding is one thing that is wrong with a policy, or with its data.
type Finding struct {
	// File is the path as Source has it, "" when it is about no one file.
	File string
	// Row counts from 1, 0 when it is about the whole file.
	Row int
	// Text says what is wrong and what to do.
	Text string
	// Warning is true for what does not keep a policy from being used.
	Warning bool
}

// String writes a finding as file:row: text.
func (f Finding) String() string {
	switch {
	case f.File == "":
		return f.Text
	case f.Row == 0:
		return f.File + ": " + f.Text
	default:
		return fmt.Sprintf("%s:%d: %s", f.File, f.Row, f.Text)
	}
}

// Error makes a finding the error of a policy that cannot be used for it.
func (f Finding) Error() string { return f.String() }

// Findings takes apart an error of Read or Compile. rest is what is wrong with
// the file system and not with the policy.
func Findings(err error) (findings []Finding, rest error) {
	switch e := err.(type) { //nolint:errorlint // it is taken apart here, layer by layer
	case nil:
		return nil, nil
	case ast.Errors:
		for _, one := range e {
			findings = append(findings, findingOf(one))
		}
		return findings, nil
	case Finding:
		return []Finding{e}, nil
	case *ast.Error:
		return []Finding{findingOf(e)}, nil
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			more, other := Findings(one)
			findings, rest = append(findings, more...), errors.Join(rest, other)
		}
		sortFindings(findings)
		return findings, rest
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, err
	}
	if file, text, ok := strings.Cut(err.Error(), ": "); ok && path.Ext(file) != "" && !strings.ContainsAny(file, " ") && strings.Contains(file, "/") {
		return []Finding{{File: file, Text: text}}, nil
	}
	return []Finding{{Text: err.Error()}}, nil
}

// findingOf reads an error of OPA's parser or compiler.
func findingOf(e *ast.Error) Finding {
	text := e.Code + ": " + e.Message
	if e.Details != nil {
		for _, line := range e.Details.Lines() {
			text += "\n\t" + line
		}
	}
	f := findingAt(e.Location)
	f.Text = text
	return f
}

// findingAt returns a finding without text for a place.
func findingAt(location *ast.Location) Finding {
	if location == nil {
		return Finding{}
	}
	return Finding{File: location.File, Row: location.Row}
}

func sortFindings(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), strings.Compare(a.Text, b.Text))
	})
}
