package policy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// FuzzQuestionKey asks of two questions whether they are the same.
func FuzzQuestionKey(f *testing.F) {
	for _, pair := range [][2]string{
		{`{}`, `{"Context":{}}`},
		{`{"Subject":{"Type":"ab","ID":"c"}}`, `{"Subject":{"Type":"a","ID":"bc"}}`},
		{`{"Subject":{"ID":"x"}}`, `{"Action":{"Name":"x"}}`},
		{`{"Subject":{"Properties":{"a":1}}}`, `{"Action":{"Properties":{"a":1}}}`},
		{`{"Context":{"a":1,"b":2}}`, `{"Context":{"b":2,"a":1}}`},
		{`{"Context":{"a":1}}`, `{"Context":{"a":"1"}}`},
		{`{"Context":{"a":1}}`, `{"Context":{"a":1.0}}`},
		{`{"Context":{"a":[1,2]}}`, `{"Context":{"a":[[1],2]}}`},
		{`{"Context":{"a":[]}}`, `{"Context":{"a":{}}}`},
		{`{"Context":{"a":null}}`, `{"Context":{"a":false}}`},
		{`{"Context":{"a":[null,"b"]}}`, `{"Context":{"a":[null],"b":null}}`},
		{`{"Context":{"a":{"b":true},"c":false}}`, `{"Context":{"a":{"b":true,"c":false}}}`},
		{`{"Subject":{"ID":"-"}}`, `{"Subject":{"ID":"--"}}`},
		{`{"Context":{"a":"` + strings.Repeat("x", 127) + `"}}`, `{"Context":{"a":"` + strings.Repeat("x", 128) + `"}}`},
	} {
		f.Add(pair[0], pair[1])
		f.Add(pair[0], pair[0])
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		var a, b authz.Request
		for text, r := range map[*string]*authz.Request{&one: &a, &other: &b} {
			d := json.NewDecoder(strings.NewReader(*text))
			d.UseNumber()
			if d.Decode(r) != nil {
				return
			}
		}
		keyA, _, okA := appendQuestion(nil, &asked{Question: authz.Question{Request: &a}})
		keyB, _, okB := appendQuestion(nil, &asked{Question: authz.Question{Request: &b}})
		if okA && okB && (string(keyA) == string(keyB)) != reflect.DeepEqual(a, b) {
			t.Errorf("%+v and %+v have the keys\n%q\n%q", a, b, keyA, keyB)
		}
		if len(keyA) > 4*memoQuestion {
			t.Errorf("a key of %d bytes", len(keyA))
		}
	})
}
