package wire

import (
	"errors"
	"reflect"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

func seeds(f *testing.F) {
	const question = `"subject":{"type":"t","id":"i","properties":{"a":[1,-0.5e+3,{"b":null}]}},"action":{"name":"n"},"resource":{"type":"t","id":"é"},"context":{}`
	for _, s := range []string{
		``, ` `, `{}`, `[]`, `null`, `{"subject":`, "\xef\xbb\xbf{}", `{` + question + `}`, `{` + question + `}x`, `{` + question + `,"context":1}`,
		`{"evaluations":[{` + question + `},{},1,null,{"subject":{"id":[[]]}}]}`,
		`{` + question + `,"evaluations":[{},{"context":null},{"resource":{"type":"x","id":"y"}}],"options":{"evaluations_semantic":"deny_on_first_deny"}}`,
		`{` + question + `,"evaluations":null,"options":{"evaluations_semantic":"x"}}`,
		`{"\u0073ubject":{"type":"\ud83d\ude00","id":"\\"}}`, `{"x":[[[[[[{"a":{"a":{}}}]]]]]]}`, "{\"subject\":{\"id\":\"\xff\"}}",
	} {
		f.Add([]byte(s))
	}
}

// refused makes sure that err is one that a caller may see.
func refused(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || e.Kind != authz.Malformed && e.Kind != authz.TooLarge || e.Message == "" {
		t.Fatalf("refused with %v", err)
	}
}

// again writes a request that was accepted and decodes it again.
func again(t *testing.T, r *authz.Request) {
	t.Helper()
	b, err := Append(nil, RequestOf(r))
	if err != nil {
		t.Fatalf("%#v: %v", r, err)
	}
	next, err := new(Decoder).Evaluation(b)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if !reflect.DeepEqual(r, next) {
		t.Fatalf("decoded\n%#v\nand again\n%#v", r, next)
	}
	if r.Subject.Type == "" || r.Subject.ID == "" || r.Action.Name == "" || r.Resource.Type == "" || r.Resource.ID == "" {
		t.Fatalf("accepted %#v", r)
	}
}

func FuzzDecodeEvaluation(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		d := new(Decoder)
		for range 2 { // the same decoder is used again
			r, err := d.Evaluation(body)
			if err != nil {
				refused(t, err)
			} else {
				again(t, r)
			}
		}
		if r, err := d.Input(body); err != nil {
			refused(t, err)
		} else {
			again(t, r)
		}
		if _, err := Decode[PermissionsOf](body); err != nil {
			refused(t, err)
		}
	})
}

func FuzzDecodeEvaluations(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := new(Decoder).Evaluations(body, 100)
		if err != nil {
			refused(t, err)
			return
		}
		if b.Single != nil {
			again(t, b.Single)
			return
		}
		if len(b.Requests) == 0 {
			t.Fatal("nothing to answer")
		}
		for i, r := range b.Requests {
			switch {
			case r != nil:
				again(t, r)
			case b.bad == nil || b.bad[i] == nil:
				t.Fatalf("item %d is neither asked nor refused", i)
			default:
				refused(t, b.bad[i])
			}
		}
	})
}

// A search or a filter that is accepted has everything but what is looked for.
func FuzzDecodeSearch(f *testing.F) {
	seeds(f)
	const rest = `"subject":{"type":"t","id":"i"},"action":{"name":"n"},"resource":{"type":"t"}`
	for _, s := range []string{
		`{` + rest + `}`, `{` + rest + `,"page":{"limit":7,"token":"100.AgA"}}`, `{` + rest + `,"page":null}`, `{` + rest + `,"page":{"limit":1e1}}`,
		`{` + rest + `,"dialect":"mysql","first_parameter":3}`, `{` + rest + `,"dialect":"ucast"}`, `{"subject":{"type":"t","id":"i"},"resource":{"type":"t","id":"i"}}`,
		`{"edits":[{"link":{"relation":"access","from":"a","to":"b"}}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := new(Decoder)
		whole := func(r *authz.Request, open Part) {
			t.Helper()
			if r.Subject.Type == "" || (r.Subject.ID == "") != (open == Subject) || (r.Action.Name == "") != (open == Action) ||
				r.Resource.Type == "" || (r.Resource.ID == "") != (open == Resource) {
				t.Fatalf("accepted %#v", r)
			}
		}
		for open := Subject; open <= Resource; open++ {
			r, asked, err := d.Search(body, open)
			if err != nil {
				refused(t, err)
				continue
			}
			whole(r, open)
			if asked.Limit < 0 || asked.Limit > 1000 {
				t.Fatalf("accepted %#v", asked)
			}
		}
		if q, err := d.Filter(body); err != nil {
			refused(t, err)
		} else {
			whole(q.Request, Resource)
		}
		if r, err := d.Strict(body); err != nil {
			refused(t, err)
		} else {
			again(t, r)
		}
	})
}

// Edits that are accepted can be written, and are the same again.
func FuzzDecodeEdits(f *testing.F) {
	seeds(f)
	for _, s := range []string{
		`{"edits":[{"put":{"kind":"team_member","id":"a","provider":true,"access":["b"]}},{"set":{"kind":"role","id":"a","permissions":[]},"if_match":"1.x"}]}`,
		`{"edits":[{"link":{"relation":"access","from":"a","to":"b"}},{"delete":{"kind":"group","id":"a","cascade":true}}]}`,
		`{"edits":[{"book":{"id":"a","patient":"b","provider":"c"}},{"cancel":{"id":"a","release":true}},{"make":{}}]}`, `{"edits":[{"put":null}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		edits, _, err := DecodeEdits(body)
		if err != nil {
			refused(t, err)
			return
		}
		for i := range edits {
			text, err := appendEdit([]byte(`{"edits":[`), &edits[i])
			if err != nil {
				t.Fatal(err)
			}
			if again, err := DecodePreview(append(text, `]}`...)); err != nil || again[0].Op != edits[i].Op || again[0].Key != edits[i].Key {
				t.Fatalf("%s: %v", text, err)
			}
		}
	})
}
