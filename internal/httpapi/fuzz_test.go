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
