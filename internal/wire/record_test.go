package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// A field of the table is one of every body and answer, without a line of code for it.
func TestRecordsHaveTheFieldsOfTheTable(t *testing.T) {
	for _, kind := range model.Kinds() {
		key := authz.Key{Kind: kind, ID: "x"}
		for _, f := range model.Fields(kind) {
			value, other := `"y"`, `7`
			if f.Flag != nil {
				value, other = `true`, `"y"`
			} else if f.List != nil {
				value, other = `["y"]`, `{}`
			}
			said := fmt.Sprintf(`%q:%s`, f.Name, value)
			body, err := Decode[Record]([]byte(`{` + said + `}`))
			if err != nil {
				t.Fatalf("%s: %v", said, err)
			}
			record, names, err := body.For(key)
			if err != nil || !slices.Equal(names, []string{f.Name}) {
				t.Fatalf("%s %s: %v, %v", kind, said, names, err)
			}
			if text := string(AppendRecord(nil, &admin.Stored{Record: *record})); !strings.Contains(text, said) {
				t.Errorf("%s is answered as %s", said, text)
			}
			for wrong, field := range map[string]string{`{` + said + `,` + said + `}`: f.Name, fmt.Sprintf(`{%q:%s}`, f.Name, other): f.Name, fmt.Sprintf(`{%q:null}`, f.Name): f.Name} {
				body, err := Decode[Record]([]byte(wrong))
				if err == nil {
					_, _, err = body.For(key)
				}
				if e, ok := errors.AsType[*authz.Error](err); !ok || e.Field != field {
					t.Errorf("%s: %v", wrong, err)
				}
			}
			if kind == authz.KindBooking { // it is made and ended, and not changed
				continue
			}
			fields, err := body.Fields(key)
			if err != nil || !slices.Equal(fields.Names(kind), []string{f.Name}) || !f.Same(fields.Applied(&admin.Record{Kind: kind}), record) {
				t.Errorf("%s %s is the fields %v, %v", kind, said, fields, err)
			}
			edit := fmt.Sprintf(`{"edits":[{"set":{"id":"x",%s,"kind":%q}}]}`, said, kind)
			edits, err := DecodePreview([]byte(edit))
			if settable := f.Type != model.IDs; settable != (err == nil) {
				t.Errorf("%s: %v", edit, err)
			} else if settable && (edits[0].Key != key || !slices.Equal(edits[0].Fields.Names(kind), []string{f.Name})) {
				t.Errorf("%s is %v", edit, edits[0])
			}
		}
	}
}
