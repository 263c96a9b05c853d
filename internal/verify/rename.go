package verify

import (
	"context"
	"regexp"
	"slices"
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// plainNames gives what has a strange id a plain one, where that makes no difference.
func (s *shrinking) plainNames(ctx context.Context) {
	plain := regexp.MustCompile(`^[a-z]+-[0-9]+$`)
	short := map[authz.Kind]string{
		authz.KindRole: "role", authz.KindGroup: "group", authz.KindPatientGroup: "ward",
		authz.KindTeamMember: "member", authz.KindPatient: "patient", authz.KindBooking: "booking",
	}
	count := map[authz.Kind]int{}
	for i := range s.best.scene.records {
		key := s.best.scene.records[i].Key()
		count[key.Kind]++
		if !plain.MatchString(key.ID) {
			name := short[key.Kind] + "-" + strconv.Itoa(count[key.Kind])
			sc, q := s.best.scene.copied(), s.best.question
			rename{s.Rules.Catalogue(), key, name}.scene(sc, &q)
			s.try(ctx, sc, q)
		}
	}
}

// rename gives an entity another id, wherever it is named.
type rename struct {
	catalogue *authz.Catalogue
	key       authz.Key
	name      string
}

func (n rename) scene(sc *scene, q *question) {
	for i := range sc.records {
		n.record(&sc.records[i])
	}
	for i := range sc.before {
		n.record(&sc.before[i])
	}
	for typ, rows := range sc.rows {
		for i := range rows {
			if rows[i].Lacks == "" {
				rows[i].ID = n.id(n.catalogue.Types[typ].Facts, rows[i].ID)
			}
			references := make(map[string]string, len(rows[i].References))
			for name, id := range rows[i].References {
				references[name] = n.id(n.catalogue.Types[name].Facts, id)
			}
			rows[i].References = references
		}
	}
	n.request(&q.request)
	q.batch = slices.Clone(q.batch)
	for i := range q.batch {
		n.request(&q.batch[i])
	}
	q.acts = slices.Clone(q.acts)
	for i := range q.acts {
		n.act(&q.acts[i])
	}
}

func (n rename) id(kind authz.Kind, id string) string {
	if n.key == (authz.Key{Kind: kind, ID: id}) {
		return n.name
	}
	return id
}

func (n rename) list(kind authz.Kind, ids []string) []string {
	out := slices.Clone(ids)
	for i := range out {
		out[i] = n.id(kind, out[i])
	}
	return out
}

func (n rename) record(r *admin.Record) {
	r.ID = n.id(r.Kind, r.ID)
	for _, f := range model.Fields(r.Kind) {
		_, to := f.Relation.Ends()
		switch f.Type {
		case model.ID:
			*f.Text(r) = n.id(to, *f.Text(r))
		case model.IDs:
			*f.List(r) = n.list(to, *f.List(r))
		}
	}
}

func (n rename) request(r *authz.Request) {
	r.Subject.ID = n.id(n.catalogue.Types[r.Subject.Type].Facts, r.Subject.ID)
	r.Resource.ID = n.id(n.catalogue.Types[r.Resource.Type].Facts, r.Resource.ID)
	if r.Resource.Properties == nil {
		return
	}
	properties := make(map[string]any, len(r.Resource.Properties))
	for name, value := range r.Resource.Properties {
		if id, ok := value.(string); ok {
			value = n.id(n.catalogue.Types[name].Facts, id)
		}
		properties[name] = value
	}
	r.Resource.Properties = properties
}
