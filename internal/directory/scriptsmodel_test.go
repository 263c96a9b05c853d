package directory

import (
	"errors"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// fullRecord returns a record that says something in each of its fields. What it refers
// to has the id "there".
func fullRecord(kind authz.Kind, id string) admin.Record {
	r := admin.Record{Kind: kind, ID: id}
	for _, f := range model.Fields(kind) {
		switch f.Type {
		case model.Name:
			*f.Text(&r) = "a name"
		case model.ID:
			*f.Text(&r) = "there"
		case model.State:
			*f.Text(&r) = string(admin.Booked)
		case model.Flag:
			*f.Flag(&r) = true
		case model.Permissions:
			*f.List(&r) = []string{"patient:view"}
		case model.IDs:
			*f.List(&r) = []string{"there"}
		}
	}
	return r
}

// The scripts have texts of their own for what the table says: which fields there are, how
// each stands in Redis, which indexes are their other side, which relations are made
// and ended by themselves, and what stands in the way of a deletion.
func TestScriptsFollowTheTable(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		for _, kind := range model.Kinds() {
			s.commit(t, put(fullRecord(kind, "there")))
		}
		hash := func(key authz.Key) map[string]string {
			got, err := s.raw.HGetAll(t.Context(), script.HeadKey(s.org)[:len(script.HeadKey(s.org))-len("head")]+string(key.Kind)+":"+key.ID).Result()
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for _, kind := range model.Kinds() {
			r := fullRecord(kind, "new")
			s.commit(t, put(r))
			got := hash(r.Key())
			if len(got) != len(model.Fields(kind))+1 {
				t.Errorf("a %s has in Redis %v", kind, got)
			}
			for _, f := range model.Fields(kind) {
				name, want := f.Name, ""
				var err error
				if f.Edge != "" {
					name += ", as " + f.Edge + "there"
				} else if want, err = layout.StoredValue(&f, &r); err != nil {
					t.Fatal(err)
				}
				stored := f.Edge + "there"
				if f.Edge == "" {
					stored = f.Name
				}
				value, ok := got[stored]
				if f.Relation == model.CareTeam {
					want = "manual"
				}
				if !ok || value != want {
					t.Errorf("a %s has in Redis %v; expected %s to be %q", kind, got, name, want)
				}
				if index := f.Relation.Index(); index != "" && s.entities(t)[index+":there"] != `"new" "there"` {
					t.Errorf("%s.%s: %s:there has %s", kind, f.Name, index, s.entities(t)[index+":there"])
				}
			}
		}
		for _, relation := range model.Relations() {
			if !relation.IsLinked() {
				continue
			}
			from, _ := relation.Ends()
			stored := relation.Field().Edge + "there"
			s.commit(t, unlink(relation, "new", "there"))
			if _, has := hash(authz.Key{Kind: from, ID: "new"})[stored]; has && relation != admin.CareTeam { // a booking keeps it
				t.Errorf("%s is not ended by unlink", relation)
			}
			s.commit(t, link(relation, "new", "there"))
			if _, has := hash(authz.Key{Kind: from, ID: "new"})[stored]; !has {
				t.Errorf("%s is not made by link", relation)
			}
		}
		s.clean(t) // the audit knows every field and every index
		for _, relation := range model.Relations() {
			from, to := relation.Ends()
			_, err := s.Commit(t.Context(), s.org, admin.Change{Edits: []admin.Edit{remove(authz.Key{Kind: to, ID: "there"})}})
			e, ok := errors.AsType[*authz.Error](err)
			if !ok || e.Kind != authz.Conflict || !slices.ContainsFunc(e.InUse, func(k authz.Key) bool { return k.Kind == from }) {
				t.Errorf("%s: what it goes to is deleted as if no %s referred to it: %v", relation, from, err)
			}
		}
		for _, kind := range slices.Backward(model.Kinds()) {
			s.commit(t, cascade(authz.Key{Kind: kind, ID: "there"}))
		}
		s.clean(t) // nothing refers to what is gone
	})
}
