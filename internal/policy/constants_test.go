package policy_test

import (
	"slices"
	"testing"
)

func TestConstants(t *testing.T) {
	s := written(t, one(`# METADATA
# title: not this
package authz

import data.authz.neither

allow if {
	input.subject.id == "ada"
	input.resource.id in {"plan", "Plan"}
	data.vips["nor this"]
	_named("bob", sprintf("%s:%s", [input.action.name, "x"]))
}

_named(name, "x") if input.subject.name == name
`), map[string]string{
		"vips/data.json":      `{"carol": {"of": ["dora", 1, true]}}`,
		"catalogue/data.json": `{"types": {"none": {}}}`,
	})
	want := []string{"%s:%s", "Plan", "ada", "bob", "carol", "dora", "of", "plan", "x"}
	if got := s.Constants(); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}
