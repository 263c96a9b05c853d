package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
)

// catalogueDocument is data.catalogue as it is written.
type catalogueDocument struct {
	Types map[string]struct {
		Facts   authz.Kind `json:"facts"`
		Require string     `json:"require"`
		Actions map[string]struct {
			Permission string `json:"permission"`
		} `json:"actions"`
		Scopes     []string `json:"scopes"`
		References map[string]struct {
			Required bool `json:"required"`
		} `json:"references"`
	} `json:"types"`
}

// readCatalogue reads data.catalogue, nil when there is none. A catalogue that
// means nothing in some place is refused: it would deny in silence.
func readCatalogue(data map[string]any) (*authz.Catalogue, error) {
	raw, ok := data["catalogue"]
	if !ok {
		return nil, nil //nolint:nilnil // a policy without a catalogue has none
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	var document catalogueDocument
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&document); err != nil {
		return nil, fmt.Errorf("data.catalogue: %w", err)
	}
	c := &authz.Catalogue{Types: map[string]authz.TypeSpec{}}
	var errs []error
	complain := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("data.catalogue.types."+format, args...))
	}
	for _, name := range slices.Sorted(maps.Keys(document.Types)) {
		t := document.Types[name]
		spec := authz.TypeSpec{
			Facts: t.Facts, Actions: slices.Sorted(maps.Keys(t.Actions)), Scopes: slices.Sorted(slices.Values(t.Scopes)),
			References: map[string]authz.ReferenceSpec{},
		}
		switch t.Facts {
		case "", authz.KindTeamMember, authz.KindPatient, authz.KindPatientGroup:
		default:
			complain("%s.facts: %q is no kind of facts; use team_member, patient or patient_group", name, t.Facts)
		}
		switch t.Require {
		case "":
		case "provider":
			if spec.RequireProvider = true; t.Facts != authz.KindTeamMember {
				complain("%s.require: only a type whose facts are team_member can require provider", name)
			}
		default:
			complain("%s.require: %q is not known; the one requirement there is, is provider", name, t.Require)
		}
		for _, scope := range t.Scopes {
			if _, both := t.Actions[scope]; both {
				complain("%s.scopes: %q is an action too; a scope is not an action (P4)", name, scope)
			}
		}
		for action, how := range t.Actions {
			if how.Permission != "" && strings.Count(how.Permission, ":") != 1 {
				complain("%s.actions.%s.permission: %q must be type:action", name, action, how.Permission)
			}
		}
		for reference, r := range t.References {
			if document.Types[reference].Facts == "" {
				complain("%s.references.%s: a reference has the name of a type that has facts", name, reference)
			}
			if taken(t.Facts, reference) {
				complain("%s.references.%s: this name is taken by the type's own facts", name, reference)
			}
			spec.References[reference] = authz.ReferenceSpec{Required: r.Required}
		}
		c.Types[name] = spec
	}
	return c, errors.Join(errs...)
}

// taken reports whether a name is one that a resource with these facts has already.
func taken(facts authz.Kind, name string) bool {
	switch name {
	case "type", "id", "properties", "found":
		return true
	}
	return slices.Contains(factsOf(facts), name)
}

// actionTerms prepares the actions that the catalogue has, as they stand in the
// input when they come without properties.
func actionTerms(data map[string]any) map[string]*ast.Term {
	terms := map[string]*ast.Term{}
	catalogue, _ := data["catalogue"].(map[string]any)
	types, _ := catalogue["types"].(map[string]any)
	for _, t := range types {
		t, _ := t.(map[string]any)
		actions, _ := t["actions"].(map[string]any)
		for name := range actions {
			terms[name] = ast.ObjectTerm(ast.Item(ast.InternedTerm("name"), ast.StringTerm(name)))
		}
	}
	return terms
}
