package policy

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/policies"
)

// namesOf returns the names that the policy sees of entities of a kind that exist, with
// those that every entity has.
func namesOf(kind authz.Kind) []string {
	names := append([]string{"type", "id", "found"}, factsOf(kind)...)
	slices.Sort(names)
	return names
}

// What the policy sees of an entity is what the table says, and what the schema says.
func TestTheInputFollowsTheTable(t *testing.T) {
	for _, kind := range []authz.Kind{authz.KindTeamMember, authz.KindPatient, authz.KindPatientGroup} {
		r := model.Record{Kind: kind, ID: "x"}
		for _, f := range model.Fields(kind) {
			switch {
			case f.Text != nil:
				*f.Text(&r) = "y"
			case f.Flag != nil:
				*f.Flag(&r) = true
			default:
				*f.List(&r) = []string{"y"}
			}
		}
		fact := model.FactOf(r.Key(), authz.Revision{}, &r, r.CareTeam)
		p, ok := newPreparer().prepare(fact).(*prepared)
		if !ok {
			t.Fatal("a fact is prepared as something else")
		}
		e := entity{typ: string(kind), id: "x", fact: fact, prepared: p}
		if kind == authz.KindTeamMember {
			e.permissions = ast.ObjectTerm()
		}
		var seen []string
		object, _ := e.Whole().Value.(ast.Object)
		for _, name := range object.Keys() {
			seen = append(seen, string(textOf(name)))
		}
		slices.Sort(seen)
		if want := namesOf(kind); !slices.Equal(seen, want) {
			t.Errorf("of a %s the policy sees %v, and the table says %v", kind, seen, want)
		}
	}
}

// The schema of the input names what the table says, of a subject and of a resource.
func TestTheSchemaFollowsTheTable(t *testing.T) {
	text, err := policies.Files.ReadFile("schemas/input.json")
	if err != nil {
		t.Fatal(err)
	}
	type entity struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var schema struct {
		Properties map[string]entity `json:"properties"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for _, side := range []string{"subject", "resource"} {
		for _, kind := range []authz.Kind{authz.KindTeamMember, authz.KindPatient} {
			for _, name := range namesOf(kind) {
				if schema.Properties[side].Properties[name] == nil {
					t.Errorf("the schema of the %s has no %s, which a %s has", side, name, kind)
				}
			}
		}
	}
	references := schema.Properties["resource"].Properties
	for name, kind := range map[string]authz.Kind{"team_member": authz.KindTeamMember, "patient": authz.KindPatient} {
		var e entity
		if err := json.Unmarshal(references[name], &e); err != nil {
			t.Fatal(err)
		}
		for _, leaf := range namesOf(kind) {
			if e.Properties[leaf] == nil {
				t.Errorf("the schema of the reference %s has no %s", name, leaf)
			}
		}
		if len(e.Properties) != len(namesOf(kind)) {
			t.Errorf("the schema of the reference %s has other fields than %v", name, namesOf(kind))
		}
	}
}
