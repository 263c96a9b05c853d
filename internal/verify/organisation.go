package verify

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// encode writes a record as one line of JSON, without its newline and without its name,
// on which no rule depends.
func encode(r *admin.Record) string {
	line := `{"kind":` + encoded(r.Kind) + `,"id":` + encoded(r.ID)
	member := func(name string, value any) { line += "," + encoded(name) + ":" + encoded(value) }
	for _, f := range model.Fields(r.Kind) {
		switch {
		case f.Type == model.Name:
		case f.Text != nil && (f.Always || *f.Text(r) != ""):
			member(f.Name, *f.Text(r))
		case f.Flag != nil && *f.Flag(r):
			member(f.Name, true)
		case f.List != nil && len(*f.List(r)) > 0:
			member(f.Name, *f.List(r))
		}
	}
	return line + "}"
}

// records are the facts of an organisation, in the order of an import.
type records []admin.Record

// lines writes records as an import reads them.
func (rs records) lines() []string {
	out := make([]string, len(rs))
	for i := range rs {
		out[i] = encode(&rs[i])
	}
	return out
}

// ids returns the ids of the records of a kind.
func (rs records) ids(kind authz.Kind) []string {
	var out []string
	for i := range rs {
		if rs[i].Kind == kind {
			out = append(out, rs[i].ID)
		}
	}
	return out
}

// factsByKey is the facts of an organisation by key, made of its records without a store.
type factsByKey map[authz.Key]*authz.Fact

// facts reads records as the rules do: a booking that was not released puts the
// provider on the care team (B5, B6).
func (rs records) facts() factsByKey {
	k := factsByKey{}
	for i := range rs {
		r := &rs[i]
		if r.Kind == authz.KindBooking {
			continue
		}
		k[r.Key()] = model.FactOf(r.Key(), authz.Revision{Count: 1, Nonce: "records"}, r, slices.Clone(r.CareTeam))
	}
	for i := range rs {
		r := &rs[i]
		if r.Kind != authz.KindBooking || r.State == admin.Released {
			continue
		}
		if p := k[authz.Key{Kind: authz.KindPatient, ID: r.Patient}]; p != nil && !slices.Contains(p.CareTeam, r.Provider) {
			p.CareTeam = append(p.CareTeam, r.Provider)
		}
	}
	return k
}

// Read implements authz.Directory.
func (k factsByKey) Read(_ context.Context, _ string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	taken := map[authz.Key]bool{}
	var facts []*authz.Fact
	take := func(key authz.Key) *authz.Fact {
		f := k[key]
		if f != nil && !taken[key] {
			taken[key] = true
			facts = append(facts, f)
		}
		return f
	}
	for _, key := range keys {
		f := take(key)
		if f == nil || f.Kind != authz.KindTeamMember {
			continue
		}
		for source := range f.Sources() {
			take(source)
		}
	}
	return authz.NewFacts(true, authz.Revision{Count: 1, Nonce: "records"}, facts...), nil
}

// exists reports whether there is an entity of a type of the catalogue. Of a type
// without facts there is always one.
func (k factsByKey) exists(spec authz.TypeSpec, id string) bool {
	if spec.Facts == "" {
		return true
	}
	f := k[authz.Key{Kind: spec.Facts, ID: id}]
	return f != nil && (f.Provider || !spec.RequireProvider)
}
