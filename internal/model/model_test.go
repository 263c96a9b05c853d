package model_test

import (
	"reflect"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Every field has its value in one place of a record, of the type that it says, and
// the record has nothing else.
func TestRecordsHaveTheFields(t *testing.T) {
	covered := map[uintptr]bool{}
	var r model.Record
	for _, kind := range model.Kinds() {
		for _, f := range model.Fields(kind) {
			var at any
			switch {
			case f.Type <= model.State && f.Text != nil && f.Flag == nil && f.List == nil:
				at = f.Text(&r)
			case f.Type == model.Flag && f.Flag != nil && f.Text == nil && f.List == nil:
				at = f.Flag(&r)
			case f.Type >= model.Permissions && f.List != nil && f.Text == nil && f.Flag == nil:
				at = f.List(&r)
			default:
				t.Fatalf("%s.%s does not have its value where its type says", kind, f.Name)
			}
			covered[reflect.ValueOf(at).Pointer()] = true
			if (f.Edge != "") != (f.Type == model.IDs) {
				t.Errorf("%s.%s: an edge is what Redis has of ids, and of nothing else", kind, f.Name)
			}
			if stored, id := model.StoredField(kind, f.Edge+"x"); f.Edge != "" && (stored == nil || stored.Name != f.Name || id != "x") {
				t.Errorf("%s.%s is not found by its edge", kind, f.Name)
			}
		}
	}
	all := reflect.ValueOf(&r).Elem()
	for i := range all.NumField() {
		if name := all.Type().Field(i).Name; name != "Kind" && name != "ID" && !covered[all.Field(i).Addr().Pointer()] {
			t.Errorf("a record has %s, which is no field of any kind", name)
		}
	}
}

// A relation is a field of the kind from which it goes, and each has an index of its own.
func TestRelationsAreFields(t *testing.T) {
	indexes := map[string]bool{}
	for _, relation := range model.Relations() {
		from, to := relation.Ends()
		f := relation.Field()
		if f == nil || !model.Has(from) || !model.Has(to) || model.FieldOf(from, f.Name) != f {
			t.Errorf("%s is no field of a kind", relation)
			continue
		}
		if index := relation.Index(); index == "" || indexes[index] {
			t.Errorf("%s has no index of its own", relation)
		}
		indexes[relation.Index()] = true
		if relation.IsLinked() != (f.Type == model.IDs) {
			t.Errorf("%s: what is made and ended by itself is a set of ids", relation)
		}
	}
	for _, kind := range model.Kinds() {
		for _, f := range model.Fields(kind) {
			if refers := f.Type == model.ID || f.Type == model.IDs; refers != (f.Relation.Field() != nil) {
				t.Errorf("%s.%s refers to an entity, or does not, and its relation says otherwise", kind, f.Name)
			}
		}
	}
}

// A fact has what the policy sees of a record.
func TestFactsHaveTheLeaves(t *testing.T) {
	for _, kind := range model.Kinds() {
		for _, f := range model.Fields(kind) {
			r := model.Record{Kind: kind, ID: "x"}
			switch {
			case f.Text != nil:
				*f.Text(&r) = "y"
			case f.Flag != nil:
				*f.Flag(&r) = true
			default:
				*f.List(&r) = []string{"y"}
			}
			empty := model.FactOf(r.Key(), authz.Revision{}, &model.Record{}, nil)
			fact := model.FactOf(r.Key(), authz.Revision{}, &r, r.CareTeam)
			if seen := f.Leaf || f.Type == model.Permissions; seen == reflect.DeepEqual(fact, empty) {
				t.Errorf("%s.%s: the policy sees it is %v, and the fact says otherwise", kind, f.Name, seen)
			}
		}
	}
}

// A record refers to what its fields with a relation name.
func TestReferences(t *testing.T) {
	for _, relation := range model.Relations() {
		from, to := relation.Ends()
		r, want := model.Record{Kind: from, ID: "x"}, 1
		if f := relation.Field(); f.List != nil {
			*f.List(&r), want = []string{"y", "z"}, 2
		} else {
			*f.Text(&r) = "y"
		}
		for by, key := range r.References() {
			if want--; by != relation || key.Kind != to || key.ID != "y" && key.ID != "z" {
				t.Errorf("%s refers to %v by %s", from, key, by)
			}
		}
		if want != 0 {
			t.Errorf("%s: %d references are missing", relation, want)
		}
	}
}
