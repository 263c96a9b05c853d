package verify

import (
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// rowsOf is about how many rows there are of a type of which the directory has no facts.
const rowsOf = 14

// scene makes the tables of a host for an organisation: a row for each entity, and of
// every other type some that refer to entities, to nothing, and to what there is not.
func (g *generator) scene(rs records, catalogue *authz.Catalogue) *scene {
	s := &scene{records: rs, rows: map[string][]row{}, hosting: hosting{lists: g.one(3), resolved: g.one(4)}}
	k := rs.facts()
	for _, typ := range slices.Sorted(maps.Keys(catalogue.Types)) {
		spec := catalogue.Types[typ]
		var rows []row
		if spec.Facts == "" {
			n := newNames(g.random, g.constants)
			for range 2 + len(spec.References)*rowsOf/2 {
				rows = append(rows, row{ID: n.next("x")})
			}
		}
		for _, id := range rs.ids(spec.Facts) {
			if s.hosting.resolved && !k.exists(spec, id) {
				continue
			}
			rows = append(rows, row{ID: id})
		}
		if spec.Facts != "" && !s.hosting.resolved {
			rows = append(rows, row{Lacks: authz.FactID})
			if spec.Facts == authz.KindPatient {
				n := newNames(g.random, nil)
				for _, id := range rs.ids(spec.Facts) {
					n.taken[id] = true
				}
				rows = append(rows, row{ID: n.next("ghost"), Lacks: authz.FactPatientGroup})
			}
		}
		for i := range rows {
			rows[i].References = g.references(s, k, spec, catalogue)
		}
		s.rows[typ] = rows
	}
	return s
}

// references draws what a row refers to.
func (g *generator) references(s *scene, k factsByKey, spec authz.TypeSpec, catalogue *authz.Catalogue) map[string]string {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(spec.References)) {
		if g.one(5) { // NULL, in a column that is required as well
			continue
		}
		if id, ok := g.referred(s, k, catalogue.Types[name], s.hosting.resolved); ok {
			out[name] = id
		}
	}
	return out
}

// referred draws an id of what a reference can name: mostly of what there is. A reference
// is to a type that has facts.
func (g *generator) referred(s *scene, k factsByKey, spec authz.TypeSpec, exists bool) (string, bool) {
	named := s.records.ids(spec.Facts)
	there := slices.DeleteFunc(slices.Clone(named), func(id string) bool { return !k.exists(spec, id) })
	if len(there) > 0 && (exists || !g.one(6)) {
		return g.pick(there), true
	}
	if exists {
		return "", false
	}
	n := newNames(g.random, g.constants)
	n.drawn = named
	for _, id := range there {
		n.taken[id] = true
	}
	return n.next("no"), true
}

// expected reports whether a filter has to show a row if the rule allows it: it stands
// for something, and what it refers to is there. A reference that the question gives is
// asked of the row too.
func (s *scene) expected(k factsByKey, r *row, q *authz.Request, catalogue *authz.Catalogue) (shown, dangling bool) {
	spec := catalogue.Types[q.Resource.Type]
	if r.Lacks != "" || !k.exists(spec, r.ID) {
		return false, false
	}
	for name, reference := range spec.References {
		id, has := r.References[name]
		if given, ok := q.Resource.Properties[name]; ok {
			if !has || given != any(id) {
				return false, false
			}
			continue
		}
		if !has && reference.Required {
			return false, false
		}
		if has && !k.exists(catalogue.Types[name], id) {
			dangling = true
		}
	}
	return !dangling, dangling
}
