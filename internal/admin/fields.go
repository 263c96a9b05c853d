package admin

import (
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Fields are new values of some fields of a record, by the names that the table of model
// has: a string, a bool, or a []string, which replaces the whole set. That of care_team is
// about the manual places. What is not in it stays as it is.
type Fields map[string]any

// Names returns the names of the fields, in the order in which the table has them for a
// kind; those that it does not have come last.
func (v Fields) Names(kind authz.Kind) []string {
	names := make([]string, 0, len(v))
	for _, f := range model.Fields(kind) {
		if _, given := v[f.Name]; given {
			names = append(names, f.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if model.FieldOf(kind, name) == nil {
			names = append(names, name)
		}
	}
	return names
}

// Applied returns a record with the new values; r itself is not changed. Check refuses the
// fields that its kind does not have and the values of another type, which are left out.
func (v Fields) Applied(r *Record) *Record {
	out := *r
	for _, f := range model.Fields(r.Kind) {
		if value, given := v[f.Name]; given {
			assign(&f, &out, value)
		}
	}
	return &out
}

// Take gives a field the value that it has in a record, of whose kind it has to be.
func (v Fields) Take(name string, from *Record) {
	switch f := model.FieldOf(from.Kind, name); {
	case f == nil:
	case f.Text != nil:
		v[name] = *f.Text(from)
	case f.Flag != nil:
		v[name] = *f.Flag(from)
	default:
		v[name] = *f.List(from)
	}
}

// assign gives a field of a record a value, and reports whether it is of the field's type.
func assign(f *model.Field, r *Record, value any) bool {
	switch value := value.(type) {
	case string:
		if f.Text == nil {
			return false
		}
		*f.Text(r) = value
	case bool:
		if f.Flag == nil {
			return false
		}
		*f.Flag(r) = value
	case []string:
		if f.List == nil {
			return false
		}
		*f.List(r) = value
	default:
		return false
	}
	return true
}

// check reports a field that is not among those of its kind, or has a value of another type;
// sets says whether sets of ids may be given too.
func (v Fields) check(kind authz.Kind, sets bool, prefix, unknown string) *authz.Error {
	for _, name := range v.Names(kind) {
		f := model.FieldOf(kind, name)
		if f == nil || f.Type == model.IDs && !sets {
			return bad(prefix+name, "%s", unknown)
		}
		if !assign(f, &Record{}, v[name]) {
			return bad(prefix+name, "has a value of another type than the field")
		}
	}
	return nil
}

// checkChange reports what the fields say that no change of the record key can say. Fields
// that are not given are taken to be right.
func (v Fields) checkChange(key authz.Key) error {
	switch {
	case !model.Has(key.Kind):
		return UnknownKind("kind", key.Kind)
	case key.Kind == authz.KindBooking:
		return bad("", "a booking is not changed field by field; cancel it, or make another one")
	}
	if err := v.check(key.Kind, true, "", "is nothing that a record of this kind has; leave it out"); err != nil {
		return err
	}
	rest := &Record{Kind: key.Kind, ID: key.ID, IsProvider: true}
	for _, f := range model.Fields(key.Kind) {
		if f.Type == model.ID && f.Always {
			*f.Text(rest) = "x"
		}
	}
	if err := CheckRecord(v.Applied(rest)); err != nil {
		return err
	}
	return nil
}

// checkSet reports what the fields of a Set say that no record of its kind can say.
func (v Fields) checkSet(kind authz.Kind) *authz.Error {
	const prefix, unknown = "fields.", "is no field of this kind of record that can be set; check the spelling or remove it"
	if err := v.check(kind, false, prefix, unknown); err != nil {
		return err
	}
	values := v.Applied(&Record{Kind: kind})
	for _, name := range v.Names(kind) {
		if err := checkField(prefix+name, model.FieldOf(kind, name), values); err != nil {
			return err
		}
	}
	return nil
}
