package policy

import (
	"maps"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
)

// probe is a question with the facts of its resource left open, as a search or
// a filter asks it.
type probe struct {
	subject, action, resource string // types, and the action's name
	input                     *ast.Term
	leaves                    []openLeaf // what is left open
}

func (p *probe) String() string {
	return "a " + p.subject + " asks " + p.action + " on " + p.resource
}

// probeID stands for every identifier that a probe knows: a subject that is also
// the patient meant comes further into a policy.
const probeID = "probe"

// probes returns the questions that together look into every corner of a policy:
// each type of subject that has facts, each type and action, whether it is there or
// not, with all references or only those required, with and without the scope
// permissions. size is how many elements each set of the subject has.
func probes(catalogue *authz.Catalogue, data map[string]any, size int) []probe {
	known := permissionsOf(data)
	var out []probe
	for _, subject := range slices.Sorted(maps.Keys(catalogue.Types)) {
		if catalogue.Types[subject].Facts == "" {
			continue
		}
		for _, scopes := range []bool{false, true} {
			asks := subjectTerm(subject, catalogue.Types[subject].Facts, known, scopes, size)
			for _, typ := range slices.Sorted(maps.Keys(catalogue.Types)) {
				for _, action := range known.actions[typ] {
					for _, p := range resourceProbes(catalogue, typ) {
						p.subject, p.action, p.resource = subject, action, typ
						p.input = ast.ObjectTerm(
							item("subject", asks),
							item("action", ast.ObjectTerm(item("name", ast.StringTerm(action)))),
							item("resource", p.input),
						)
						out = append(out, p)
					}
				}
			}
		}
	}
	return out
}

// permissions are what the catalogue names: the actions of each type, the
// permissions they need, and those that are scopes.
type permissions struct {
	actions       map[string][]string
	needed, scope []string
}

func permissionsOf(data map[string]any) permissions {
	out := permissions{actions: map[string][]string{}}
	types := child(child(data, "catalogue"), "types")
	for typ := range types {
		t := child(types, typ)
		out.actions[typ] = slices.Sorted(maps.Keys(child(t, "actions")))
		for _, action := range out.actions[typ] {
			permission, named := child(child(t, "actions"), action)["permission"].(string)
			if !named {
				permission = typ + ":" + action
			}
			out.needed = append(out.needed, permission)
		}
		scopes, _ := t["scopes"].([]any)
		for _, scope := range scopes {
			if name, ok := scope.(string); ok {
				out.scope = append(out.scope, typ+":"+name)
			}
		}
	}
	return out
}

func child(of map[string]any, key string) map[string]any {
	m, _ := of[key].(map[string]any)
	return m
}

// subjectTerm is a subject that is found and holds every permission that an
// action needs.
func subjectTerm(typ string, kind authz.Kind, known permissions, scopes bool, size int) *ast.Term {
	pairs := []pair{item("type", ast.StringTerm(typ)), item("id", ast.StringTerm(probeID)), item("found", ast.InternedTerm(true))}
	ids := make([]string, size)
	for i := range ids {
		ids[i] = probeID + strconv.Itoa(i)
	}
	switch kind {
	case authz.KindTeamMember:
		held := slices.Clone(known.needed)
		if scopes {
			held = append(held, known.scope...)
		}
		for _, id := range ids { // of which no action needs any
			held = append(held, probeID+":"+id)
		}
		from := make([]*ast.Term, len(ids))
		for i, id := range ids {
			from[i] = ast.StringTerm(id)
		}
		grants := make([]pair, len(held))
		for i, permission := range held {
			grants[i] = pair{ast.StringTerm(permission), ast.ObjectTerm(
				item("role", ast.StringTerm(probeID)), item("groups", ast.ArrayTerm(from...)))}
		}
		pairs = append(pairs,
			item("role", ast.StringTerm(probeID)), item("permissions", ast.ObjectTerm(grants...)),
			item("groups", setOf(ids)), item("access", setOf(ids)), item("booking", setOf(ids)),
			item("provider", ast.InternedTerm(true)))
	case authz.KindPatient:
		pairs = append(pairs, item("patient_group", ast.StringTerm(ids[0])), item("care_team", setOf(ids)))
	}
	return ast.ObjectTerm(pairs...)
}

// resourceProbes returns the resource in the forms it can have, with input being
// the resource alone.
func resourceProbes(catalogue *authz.Catalogue, typ string) []probe {
	spec := catalogue.Types[typ]
	var out []probe
	for _, optional := range []bool{false, true} {
		for _, found := range []bool{true, false} {
			if !found && spec.Facts == "" {
				continue // nobody says whether it is there
			}
			o := &opened{}
			path := ast.MustParseRef("input.resource")
			open := authz.TypeSpec{} // of what does not exist no facts can be
			pairs := []pair{item("type", ast.StringTerm(typ))}
			if spec.Facts != "" {
				pairs = append(pairs, item("found", ast.InternedTerm(found)))
			}
			if found {
				open = spec
			}
			o.open(path, "", open)
			for _, name := range slices.Sorted(maps.Keys(spec.References)) {
				if !optional && !spec.References[name].Required {
					continue
				}
				pairs = append(pairs, o.openReference(path, name, catalogue.Types[name]))
			}
			if len(spec.References) > 0 {
				pairs = append(pairs, item("properties", ast.ObjectTerm()))
			}
			out = append(out, probe{input: ast.ObjectTerm(pairs...), leaves: o.leaves})
		}
		if len(spec.References) == 0 {
			break
		}
	}
	return out
}
