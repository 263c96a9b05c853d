package policy

import (
	"maps"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
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
			for _, asks := range subjectTerms(subject, catalogue.Types[subject].Facts, known, scopes, size) {
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

// subjectTerms are subjects that are found and hold every permission that an action needs:
// one for each flag of the kind, with that only, so that none hides what another one opens.
func subjectTerms(typ string, kind authz.Kind, known permissions, scopes bool, size int) []*ast.Term {
	held := slices.Clone(known.needed)
	if scopes {
		held = append(held, known.scope...)
	}
	ids, from := make([]string, size), make([]*ast.Term, size)
	for i := range ids {
		ids[i] = probeID + strconv.Itoa(i)
		held, from[i] = append(held, probeID+":"+ids[i]), ast.StringTerm(ids[i]) // of which no action needs any
	}
	grants := make([]pair, len(held))
	for i, permission := range held {
		grants[i] = pair{ast.StringTerm(permission), ast.ObjectTerm(
			item("role", ast.StringTerm(probeID)), item("groups", ast.ArrayTerm(from...)))}
	}
	var terms []*ast.Term
	for _, record := range invent(authz.Key{Kind: kind, ID: probeID}, probeID, ids) {
		fact := model.FactOf(record.Key(), authz.Revision{}, record, record.CareTeam)
		p, _ := newPreparer().prepare(fact).(*prepared)
		e := entity{typ: typ, id: probeID, fact: fact, prepared: p, permissions: ast.ObjectTerm(grants...)}
		terms = append(terms, e.Whole())
	}
	return terms
}

// invent returns records of an entity that say something in every field: text of each text,
// and ids of each set. There is one for each flag of the kind, with that only.
func invent(key authz.Key, text string, ids []string) (records []*model.Record) {
	fields := model.Fields(key.Kind)
	record := model.Record{Kind: key.Kind, ID: key.ID}
	for _, f := range fields {
		switch {
		case f.Text != nil:
			*f.Text(&record) = text
		case f.List != nil:
			*f.List(&record) = ids
		}
	}
	for _, f := range fields {
		if f.Flag != nil {
			flagged := record
			*f.Flag(&flagged) = true
			records = append(records, &flagged)
		}
	}
	if len(records) == 0 {
		records = append(records, &record)
	}
	return records
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
			from := authz.Entity{Type: typ}
			if len(spec.References) > 0 {
				from.Properties = map[string]any{}
			}
			var references []string
			for _, name := range slices.Sorted(maps.Keys(spec.References)) {
				if optional || spec.References[name].Required {
					references = append(references, name)
				}
			}
			o, e := &opened{}, &entity{}
			_ = o.entity(e, catalogue, "resource", &from, references) // it has no number that could be wrong
			if !found {
				e.fact = &authz.Fact{} // and of what does not exist no facts can be
				o.leaves = slices.Delete(o.leaves, 1, 1+len(factsOf(spec.Facts)))
			}
			out = append(out, probe{input: e.Whole(), leaves: o.leaves})
		}
		if len(spec.References) == 0 {
			break
		}
	}
	return out
}
