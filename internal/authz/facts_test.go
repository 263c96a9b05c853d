package authz

import (
	"reflect"
	"testing"
)

// A clone says everything that the fact says.
func TestAFactIsClonedWhole(t *testing.T) {
	f := &Fact{Key: Key{Kind: KindTeamMember, ID: "mark"}, Since: Revision{Count: 1, Nonce: "n"}}
	v := reflect.ValueOf(f).Elem()
	for i := range v.NumField() {
		switch field := v.Field(i); {
		case !field.CanSet(): // what was made of the fact is not a clone's
		case field.Kind() == reflect.Bool:
			field.SetBool(true)
		case field.Kind() == reflect.String:
			field.SetString("x")
		case field.Kind() == reflect.Slice:
			field.Set(reflect.ValueOf([]string{v.Type().Field(i).Name}))
		}
	}
	f.Prepared(func(*Fact) any { return "made of it" })
	clone := f.Clone()
	c := reflect.ValueOf(clone).Elem()
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() && !reflect.DeepEqual(v.Field(i).Interface(), c.Field(i).Interface()) {
			t.Errorf("%s is not cloned", field.Name)
		}
	}
	if got := clone.Prepared(func(*Fact) any { return "anew" }); got != "anew" {
		t.Error("a clone has what was made of the fact before it was changed")
	}
}
