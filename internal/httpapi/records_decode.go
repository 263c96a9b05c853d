package httpapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// want is what the value of a member may be.
type want int

const (
	wantText want = 1 << iota
	wantFlag
	wantTexts
	wantNumber
)

func (w want) String() string {
	var names []string
	for i, name := range []string{"a string", "true or false", "an array of strings", "a number"} {
		if w&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// fields is an object whose members are plain values, as far as they were given.
type fields struct {
	at      string   // where the object stands, "" for the body
	names   []string // of the members, in their order
	texts   map[string]string
	flags   map[string]bool
	lists   map[string][]string
	numbers map[string]string
}

// fields reads the body as an object of a shape.
func (x *exchange) fields(shape map[string]want) (*fields, error) {
	if err := x.read(); err != nil {
		return nil, err
	}
	if err := x.in.begin(); err != nil {
		return nil, err
	}
	f, err := x.in.fields(shape)
	if err != nil {
		return nil, err
	}
	return f, x.in.end()
}

// fields reads the members of an object up to its end. One that the shape does not
// have is an error, and so is null.
func (d *decoding) fields(shape map[string]want) (*fields, error) {
	f := &fields{
		at:    dotted(d.tokens.StackPointer()),
		texts: map[string]string{}, flags: map[string]bool{}, lists: map[string][]string{}, numbers: map[string]string{},
	}
	for {
		raw, more, err := d.member()
		if err != nil || !more {
			return f, err
		}
		name, at := string(raw), dotted(d.tokens.StackPointer())
		w, known := shape[name]
		if !known {
			return nil, authz.Errorf(authz.Malformed, at, "is not known here; there are %s",
				strings.Join(slices.Sorted(maps.Keys(shape)), ", "))
		}
		f.names = append(f.names, name)
		if err := d.plain(f, name, at, w); err != nil {
			return nil, err
		}
	}
}

// plain reads the value of a member.
func (d *decoding) plain(f *fields, name, at string, w want) error {
	switch kind := d.tokens.PeekKind(); {
	case kind == '"' && w&wantText != 0:
		b, err := d.raw()
		f.texts[name] = string(b)
		return err
	case (kind == 't' || kind == 'f') && w&wantFlag != 0:
		f.flags[name] = kind == 't'
		return d.token()
	case kind == '0' && w&wantNumber != 0:
		b, err := d.tokens.ReadValue()
		if err != nil {
			return d.syntax(err)
		}
		f.numbers[name] = string(b)
		return nil
	case kind == '[' && w&wantTexts != 0:
		list, err := d.texts(at)
		f.lists[name] = list
		return err
	case kind == jsontext.KindInvalid:
		return d.token()
	default:
		return authz.Errorf(authz.Malformed, at, "must be %s, not %s", w, kindName(kind))
	}
}

// texts reads an array of strings.
func (d *decoding) texts(at string) ([]string, error) {
	if err := d.token(); err != nil {
		return nil, err
	}
	list := []string{}
	for {
		switch kind := d.tokens.PeekKind(); kind {
		case ']':
			return list, d.token()
		case '"':
			b, err := d.raw()
			if err != nil {
				return nil, err
			}
			list = append(list, string(b))
		case jsontext.KindInvalid:
			if err := d.token(); err != nil {
				return nil, err
			}
		default:
			return nil, authz.Errorf(authz.Malformed, indexed(at, len(list)), "must be a string, not %s", kindName(kind))
		}
	}
}

// place names a member of the object.
func (f *fields) place(name string) string {
	if f.at == "" || name == "" {
		return f.at + name
	}
	return f.at + "." + name
}

func indexed(at string, i int) string { return at + "[" + strconv.Itoa(i) + "]" }

// needs makes sure that members are there and not empty.
func (f *fields) needs(names ...string) error {
	for _, name := range names {
		if f.texts[name] == "" && len(f.lists[name]) == 0 {
			return authz.Errorf(authz.Malformed, f.place(name), "is required, and must not be empty")
		}
	}
	return nil
}

// only makes sure that there are no members but these, which are those of what.
func (f *fields) only(what string, names ...string) error {
	for _, name := range f.names {
		if !slices.Contains(names, name) {
			return authz.Errorf(authz.Malformed, f.place(name), "is nothing that can be given for %s; there are %s", what, strings.Join(names, ", "))
		}
	}
	return nil
}

// kind returns the kind of record that the object names.
func (f *fields) kind() (authz.Kind, error) {
	kind := authz.Kind(f.texts["kind"])
	if !model.Has(kind) {
		return "", admin.UnknownKind(f.place("kind"), kind)
	}
	return kind, nil
}

// key returns the key that the object names.
func (f *fields) key() (authz.Key, error) {
	kind, err := f.kind()
	if err != nil {
		return authz.Key{}, err
	}
	if err := admin.CheckID(f.place("id"), f.texts["id"]); err != nil {
		return authz.Key{}, err
	}
	return authz.Key{Kind: kind, ID: f.texts["id"]}, nil
}

// recordShape is every member that a record of some kind has.
func recordShape() map[string]want {
	shape := map[string]want{"kind": wantText, "id": wantText}
	for _, kind := range model.Kinds() {
		for _, f := range model.Fields(kind) {
			shape[f.Name] |= wantOf(&f)
		}
	}
	return shape
}

// wantOf returns what the value of a field may be.
func wantOf(f *model.Field) want {
	switch {
	case f.Text != nil:
		return wantText
	case f.Flag != nil:
		return wantFlag
	default:
		return wantTexts
	}
}

func bookShape() map[string]want {
	return map[string]want{"id": wantText, "patient": wantText, "provider": wantText}
}

// about makes sure that the object is about the entity key, as far as it says, and
// has only members of its kind, with values of their types.
func (f *fields) about(key authz.Key) error {
	for name, want := range map[string]string{"kind": string(key.Kind), "id": key.ID} {
		if given, ok := f.texts[name]; ok && given != want {
			return authz.Errorf(authz.Malformed, f.place(name), "is another than the path says; leave it out, or make them agree")
		}
	}
	members := []string{"kind", "id"}
	for _, field := range model.Fields(key.Kind) {
		members = append(members, field.Name)
	}
	if err := f.only("a record of the kind "+string(key.Kind), members...); err != nil {
		return err
	}
	for _, name := range f.names { // members of one name may be of other types in other kinds
		field := model.FieldOf(key.Kind, name)
		_, isText := f.texts[name]
		_, isFlag := f.flags[name]
		switch {
		case field == nil:
		case isText && field.Text == nil:
			return authz.Errorf(authz.Malformed, f.place(name), "must be %s, not a string", wantOf(field))
		case isFlag && field.Flag == nil:
			return authz.Errorf(authz.Malformed, f.place(name), "must be %s, not a boolean", wantOf(field))
		}
	}
	return nil
}

// record returns the object as the record for key.
func (f *fields) record(key authz.Key) (*admin.Record, error) {
	if err := f.about(key); err != nil {
		return nil, err
	}
	r := &admin.Record{Kind: key.Kind, ID: key.ID}
	for _, field := range model.Fields(key.Kind) {
		switch {
		case field.Text != nil:
			*field.Text(r) = f.texts[field.Name]
		case field.Flag != nil:
			*field.Flag(r) = f.flags[field.Name]
		default:
			*field.List(r) = f.lists[field.Name]
		}
	}
	return r, nil
}

// booking returns the object as a booking that is to be made.
func (f *fields) booking() (*admin.Record, error) {
	if err := f.needs("id", "patient", "provider"); err != nil {
		return nil, err
	}
	return &admin.Record{
		Kind: authz.KindBooking, ID: f.texts["id"], Patient: f.texts["patient"], Provider: f.texts["provider"], State: admin.Booked,
	}, nil
}

// values returns the fields of a kind that the object has, for an entity that keeps the others.
func (f *fields) values(kind authz.Kind) admin.Fields {
	var values admin.Fields
	give := func(name string, value any) {
		if values == nil {
			values = admin.Fields{}
		}
		values[name] = value
	}
	for _, field := range model.Fields(kind) {
		name := field.Name
		if text, ok := f.texts[name]; ok && field.Text != nil {
			give(name, text)
		} else if flag, ok := f.flags[name]; ok && field.Flag != nil {
			give(name, flag)
		} else if list, ok := f.lists[name]; ok && field.List != nil {
			give(name, list)
		}
	}
	return values
}

// patch returns the object as what changes of the record for key.
func (f *fields) patch(key authz.Key) (admin.Fields, error) {
	if err := f.about(key); err != nil {
		return nil, err
	}
	return f.values(key.Kind), nil
}

// inRecord names a field of the only edit's record as it stands in the body.
func inRecord(field string) string {
	return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(field, "edits[0]"), ".record"), ".")
}

// inKey names a field of the only edit, whose key stands in the path.
func inKey(field string) string {
	return strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(field, "edits[0]"), ".key"), ".")
}
