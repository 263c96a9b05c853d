package verify

import (
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// batched is how many questions a batch of questions of all sorts has.
const batched = 24

// questions draws what is asked about a scene: n questions, and a batch.
func (g *generator) questions(s *scene, catalogue *authz.Catalogue, n int) []question {
	d := &drawing{generator: g, scene: s, catalogue: catalogue, known: s.records.facts()}
	for _, typ := range slices.Sorted(maps.Keys(catalogue.Types)) {
		spec := catalogue.Types[typ]
		weight := 1
		if spec.Facts != "" || len(spec.References) > 0 {
			weight = 4
		}
		if len(spec.Actions) > 0 {
			d.types = append(d.types, slices.Repeat([]string{typ}, weight)...)
		}
		switch {
		case spec.Facts == authz.KindTeamMember && !spec.RequireProvider:
			d.subjects = append(d.subjects, slices.Repeat([]string{typ}, 12)...)
		case spec.Facts == authz.KindPatient:
			d.subjects = append(d.subjects, slices.Repeat([]string{typ}, 4)...)
		case spec.Facts != "":
			d.subjects = append(d.subjects, typ)
		}
	}
	if len(d.types) == 0 || len(d.subjects) == 0 {
		return nil
	}
	var out []question
	for range n {
		out = append(out, d.question())
	}
	q := question{sought: nothing}
	for range batched {
		q.batch = append(q.batch, *d.single())
	}
	return append(out, q)
}

// drawing draws questions about one scene.
type drawing struct {
	*generator
	scene           *scene
	catalogue       *authz.Catalogue
	known           factsByKey
	types, subjects []string // to draw from
}

func (d *drawing) question() question {
	r := d.single()
	switch n := d.random.IntN(10); {
	case n < 2:
		r.Action.Name = ""
		return question{sought: actions, request: *r}
	case n < 5:
		r.Subject.ID = ""
		return question{sought: subjects, request: *r}
	}
	r.Resource.ID, r.Resource.Properties = "", d.given(r.Resource.Type)
	return question{sought: resources, request: *r}
}

// single draws a question about one row.
func (d *drawing) single() *authz.Request {
	typ := d.pick(d.types)
	r := &authz.Request{Subject: d.subject(), Action: authz.Action{Name: d.pick(d.catalogue.Types[typ].Actions)}}
	if d.one(20) {
		r.Action.Name = d.pick([]string{"view", "view_all", "*", "View"})
	}
	r.Resource.Type = typ
	rows := slices.DeleteFunc(slices.Clone(d.scene.rows[typ]), func(r row) bool { return r.Lacks != "" })
	if len(rows) == 0 || d.one(20) {
		r.Resource.ID = "nobody"
		return r
	}
	return rows[d.random.IntN(len(rows))].requestFor(r)
}

// subject draws who asks: now and then nobody there is.
func (d *drawing) subject() authz.Entity {
	typ := d.pick(d.subjects)
	ids := d.scene.records.ids(d.catalogue.Types[typ].Facts)
	if len(ids) == 0 || d.one(20) {
		n := newNames(d.random, d.constants)
		n.drawn = ids
		return authz.Entity{Type: typ, ID: n.next("s")}
	}
	return authz.Entity{Type: typ, ID: d.pick(ids)}
}

// given draws the references that a question gives. Most leave them open; what the
// directory holds has them seldom in a table, so that they are given more often there.
func (d *drawing) given(typ string) map[string]any {
	spec := d.catalogue.Types[typ]
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(spec.References)) {
		if d.one(2) && (spec.Facts != "" || d.one(2)) {
			if id, ok := d.referred(d.scene, d.known, d.catalogue.Types[name], false); ok {
				out[name] = id
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
