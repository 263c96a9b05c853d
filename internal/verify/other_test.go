package verify_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/verify"
)

// written reads a policy from texts.
func written(t *testing.T, rego, data map[string]string) *policy.Source {
	t.Helper()
	files := func(texts map[string]string) fstest.MapFS {
		out := fstest.MapFS{}
		for name, text := range texts {
			out[name] = &fstest.MapFile{Data: []byte(text)}
		}
		return out
	}
	s, err := policy.Read(files(rego), files(data))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// otherCatalogue has what the one that the program comes with has not: types that differ
// in their case alone or are no words, one that refers to its own type, and one that refers
// to a type of which the directory has no facts.
const otherCatalogue = `{"types":{
	"member": {"facts":"team_member","actions":{"view":{},"page":{}}},
	"ward": {"facts":"patient_group","actions":{"view":{}}},
	"case": {"facts":"patient","actions":{"view":{},"link":{}},"references":{"case":{}}},
	"Case": {"facts":"patient","actions":{"view":{}}},
	"on call": {"facts":"team_member","require":"provider","actions":{"view":{}},"references":{"ward":{"required":true}}},
	"shelf": {"actions":{"view":{}}},
	"file": {"actions":{"view":{},"move":{}},"references":{"case":{"required":true},"on call":{}}}
}}`

const otherPolicy = `package authz

allow if {
	input.action.name == "view"
	input.resource.type in {"case", "Case"}
	not input.subject.id in input.resource.care_team
}

allow if {
	input.resource.type in {"case", "Case"}
	input.resource.patient_group == "quarantine"
	input.subject.provider
}

allow if {
	input.resource.type == "file"
	_file
}

allow if {
	input.resource.type == "member"
	input.resource.role == input.subject.role
}

allow if {
	input.resource.type == "on call"
	input.resource.ward.id in input.resource.booking
}

allow if {
	input.resource.type == "ward"
	input.resource.id in input.subject.access
}

allow if {
	input.resource.type == "shelf"
	input.resource.properties.floor == 1
}

_file if input.resource["case"].patient_group in input.subject.access

_file if {
	input.action.name == "move"
	input.resource["case"].patient_group in input.resource["on call"].access
}

_file if input.resource.id in {"quarantine", "null"}

candidates.shelf := {"top": {"floor": 2}, "bottom": {"floor": 1}, "cellar": {"floor": 1}}

candidates.action contains name if some name in ["view", "move", "link", "burn"]
`

// TestAnotherCatalogueAgrees asks about a policy that has nothing of the one that the
// program comes with.
func TestAnotherCatalogueAgrees(t *testing.T) {
	s := written(t, map[string]string{"a.rego": otherPolicy}, map[string]string{"catalogue/data.json": otherCatalogue})
	if !slices.Contains(s.Constants(), "quarantine") {
		t.Errorf("the constants are %q", s.Constants())
	}
	r, err := verify.Run(t.Context(), verify.Config{
		Rules: orgtest.Compile(t, s, policy.Config{}), Oracle: orgtest.Compile(t, s, plain()), Constants: s.Constants(), Organisations: 30, Seed: 77,
		Stores: []verify.NamedStore{embedded(t)}, Databases: []verify.Database{sqlite(t)},
	})
	if err != nil || r.Disagreement != nil {
		t.Fatalf("%v\n%s", err, printed(t, r))
	}
	for _, sh := range r.Shapes {
		if sh.Allowed == 0 || sh.Allowed == sh.Compared {
			t.Errorf("%+v shows nothing", sh)
		}
	}
	for _, note := range r.Notes {
		if !strings.HasPrefix(note, "a check allows what refers to something that does not exist") && !strings.Contains(note, "cannot be ucast") {
			t.Errorf("%q", note)
		}
	}
	t.Log("\n" + printed(t, r))
}
