package httpapi

import (
	"encoding/json"
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
	p, _, detail := describe(err)
	if p.status < 400 || p.status > 499 || detail == "" {
		t.Fatalf("refused with %d %q: %v", p.status, detail, err)
	}
}

// reread writes a request that was accepted and reads it again.
func reread(t *testing.T, r *authz.Request) {
	t.Helper()
	entity := func(e authz.Entity) map[string]any {
		m := map[string]any{"type": e.Type, "id": e.ID}
		if e.Properties != nil {
			m["properties"] = e.Properties
		}
		return m
	}
	a := map[string]any{"name": r.Action.Name}
	if r.Action.Properties != nil {
		a["properties"] = r.Action.Properties
	}
	m := map[string]any{"subject": entity(r.Subject), "action": a, "resource": entity(r.Resource)}
	if r.Context != nil {
		m["context"] = r.Context
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("%#v: %v", r, err)
	}
	again, err := (&decoding{body: b}).evaluation()
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if !reflect.DeepEqual(r, again) {
		t.Fatalf("read\n%#v\nand again\n%#v", r, again)
	}
	if r.Subject.Type == "" || r.Subject.ID == "" || r.Action.Name == "" || r.Resource.Type == "" || r.Resource.ID == "" {
		t.Fatalf("accepted %#v", r)
	}
}

func FuzzDecodeEvaluation(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &decoding{body: body}
		for range 2 { // the same decoding is used again
			r, err := d.evaluation()
			if err != nil {
				refused(t, err)
			} else {
				reread(t, r)
			}
		}
		if r, err := d.data(); err != nil {
			refused(t, err)
		} else {
			reread(t, r)
		}
		if _, err := d.teamMember(); err != nil {
			refused(t, err)
		}
	})
}

func FuzzDecodeEvaluations(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := (&decoding{body: body}).evaluations(100)
		if err != nil {
			refused(t, err)
			return
		}
		if b.single != nil {
			reread(t, b.single)
			return
		}
		if len(b.requests) == 0 {
			t.Fatal("nothing to answer")
		}
		for i, r := range b.requests {
			switch {
			case r != nil:
				reread(t, r)
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
	pages, err := newPages()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &decoding{body: body}
		whole := func(r *authz.Request, open part) {
			t.Helper()
			if r.Subject.Type == "" || (r.Subject.ID == "") != (open == subject) || (r.Action.Name == "") != (open == action) ||
				r.Resource.Type == "" || (r.Resource.ID == "") != (open == resource) {
				t.Fatalf("accepted %#v", r)
			}
		}
		for open := subject; open <= resource; open++ {
			r, asked, err := d.search(open)
			if err != nil {
				refused(t, err)
				continue
			}
			whole(r, open)
			p, err := pages.searchPage(asked)
			switch {
			case err != nil:
				refused(t, err)
			case p.Limit < 1 || p.Limit > 1000 || (p.From == nil) != (asked.token == ""):
				t.Fatalf("accepted %#v", p)
			}
		}
		if q, err := d.filter(); err != nil {
			refused(t, err)
		} else {
			whole(q.Request, resource)
		}
		if r, err := d.strictEvaluation(); err != nil {
			refused(t, err)
		} else {
			reread(t, r)
		}
	})
}
