package wire

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// AppendRecord appends a record as it stands on a line of facts, with all its lists, and of
// a patient also why each is on their care team.
func AppendRecord(dst []byte, r *admin.Stored) []byte {
	dst = appendKey(append(dst, '{'), r.Key())
	for _, f := range model.Fields(r.Kind) {
		unsaid := f.Text != nil && !f.Always && *f.Text(&r.Record) == "" || f.Since > 0 && !*f.Flag(&r.Record)
		if !unsaid {
			dst = appendField(dst, &f, &r.Record)
		}
	}
	if r.Kind == authz.KindPatient {
		dst = appendValue(appendName(dst, "care_team_sources"), r.Sources)
	}
	return append(dst, '}')
}

// appendKey appends the two members that name an entity.
func appendKey(dst []byte, key authz.Key) []byte {
	dst = appendString(append(dst, `"kind":`...), string(key.Kind))
	return appendString(appendName(dst, "id"), key.ID)
}

func appendField(dst []byte, f *model.Field, r *admin.Record) []byte {
	return appendValue(appendName(dst, f.Name), valueOf(f, r))
}

// valueOf returns what a record has in a field: a string, a bool or a []string.
func valueOf(f *model.Field, r *admin.Record) any {
	switch {
	case f.Text != nil:
		return *f.Text(r)
	case f.Flag != nil:
		return *f.Flag(r)
	default:
		return *f.List(r)
	}
}

// Record is what a body says of a record, as far as it says it: some of the fields that
// the kinds of record have.
type Record struct {
	place    string // where it stands in the body, "" for the body itself
	kind, id string
	given    []given // in their order, kind and id among them
}

// given is one member, whose value is a string, a bool or a []string.
type given struct {
	name  string
	value any
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. Which fields the kind has is for later,
// for it may be said last, or in the path.
func (r *Record) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	r.place = dotted(d.StackPointer())
	return eachMember(d, func(name string) error {
		value, err := fieldValue(d, name)
		switch text, _ := value.(string); name {
		case "kind":
			r.kind = text
		case "id":
			r.id = text
		}
		r.given = append(r.given, given{name, value})
		return err
	})
}

// fieldValue decodes the value of a field that records of some kind have.
func fieldValue(d *jsontext.Decoder, name string) (value any, err error) {
	kinds, takes := fieldTakes(name)
	kind := d.PeekKind()
	switch {
	case kinds == "":
		return nil, notKnown(dotted(d.StackPointer()), fieldNames(model.Kinds()...))
	case kind == jsontext.KindInvalid || kind == '}' || kind == ']':
		_, err = d.ReadToken()
		return nil, err
	case !strings.ContainsRune(kinds, rune(kind)):
		return nil, malformed(dotted(d.StackPointer()), "must be %s, not %s", takes, kindName(kind))
	case kind == '"':
		var text string
		err = json.UnmarshalDecode(d, &text)
		return text, err
	case kind == '[':
		var list []string
		err = json.UnmarshalDecode(d, &list)
		return list, err
	default:
		_, err = d.ReadToken()
		return kind == 't', err
	}
}

// fieldTakes returns the kinds of JSON value that a field has in records of some kind, and
// what they are called; "" for a name that is no field's.
func fieldTakes(name string) (kinds, takes string) {
	if name == "kind" || name == "id" {
		return `"`, "a string"
	}
	for _, kind := range model.Kinds() {
		f := model.FieldOf(kind, name)
		if f == nil {
			continue
		}
		if more, called := takenBy(f); !strings.Contains(kinds, more) {
			if kinds != "" {
				takes += " or "
			}
			kinds, takes = kinds+more, takes+called
		}
	}
	return kinds, takes
}

// takenBy returns the kinds of JSON value that a field has, and what they are called.
func takenBy(f *model.Field) (kinds, takes string) {
	switch {
	case f.Text != nil:
		return `"`, "a string"
	case f.Flag != nil:
		return "tf", "true or false"
	default:
		return "[", "an array of strings"
	}
}

// fieldNames returns the names of the members of records of kinds, in the order of the table.
func fieldNames(kinds ...authz.Kind) []string {
	names := []string{"kind", "id"}
	for _, kind := range kinds {
		for _, f := range model.Fields(kind) {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// keyOf returns the key of a kind and an id that stand in the object at a place.
func keyOf(place, kind, id string) (authz.Key, error) {
	key := authz.Key{Kind: authz.Kind(kind), ID: id}
	if !model.Has(key.Kind) {
		return key, admin.UnknownKind(member(place, "kind"), key.Kind)
	}
	if err := admin.CheckID(member(place, "id"), id); err != nil {
		return key, err
	}
	return key, nil
}

// For returns the record for key that has what is given and nothing else, and the names of
// what is given. What the kind of record does not have is an error, and so is another key.
func (r *Record) For(key authz.Key) (record *admin.Record, names []string, err error) {
	record = &admin.Record{Kind: key.Kind, ID: key.ID}
	for _, g := range r.given {
		place := member(r.place, g.name)
		if g.name == "kind" || g.name == "id" {
			if g.name == "kind" && g.value != string(key.Kind) || g.name == "id" && g.value != key.ID {
				return nil, nil, malformed(place, "is another than the path says; leave it out, or make them agree")
			}
			continue
		}
		f := model.FieldOf(key.Kind, g.name)
		if f == nil {
			return nil, nil, malformed(place, "is nothing that can be given for a record of the kind %s; there are %s",
				key.Kind, strings.Join(fieldNames(key.Kind), ", "))
		}
		if !setValue(f, record, g.value) {
			_, takes := takenBy(f)
			return nil, nil, malformed(place, "must be %s here, as in every record of the kind %s", takes, key.Kind)
		}
		names = append(names, g.name)
	}
	return record, names, nil
}

// setValue gives a field of a record a value, and reports false if it is not of its type.
func setValue(f *model.Field, r *admin.Record, value any) (ok bool) {
	switch {
	case f.Text != nil:
		*f.Text(r), ok = value.(string)
	case f.Flag != nil:
		*f.Flag(r), ok = value.(bool)
	default:
		*f.List(r), ok = value.([]string)
	}
	return ok
}

// Fields returns the fields that are given, for the record for key. Errors are as for For.
func (r *Record) Fields(key authz.Key) (admin.Fields, error) {
	record, names, err := r.For(key)
	if err != nil {
		return nil, err
	}
	return fieldsOf(record, names), nil
}

// fieldsOf returns the named fields with the values that a record has in them, nil for none.
func fieldsOf(r *admin.Record, names []string) admin.Fields {
	if len(names) == 0 {
		return nil
	}
	fields := make(admin.Fields, len(names))
	for _, name := range names {
		fields.Take(name, r)
	}
	return fields
}
