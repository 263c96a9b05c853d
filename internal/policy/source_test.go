package policy_test

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
)

const minimal = "package authz\n\nallow if input.subject.id == \"mark\"\n"

func TestABadPolicyIsRefusedWithItsPlace(t *testing.T) {
	with := func(name, text string) map[string]string {
		return map[string]string{"authz/authz.rego": minimal, name: text}
	}
	for name, c := range map[string]struct {
		rego, data map[string]string
		want       []string // all of them
	}{
		"nothing at all":            {nil, nil, []string{"no .rego file found"}},
		"only tests":                {map[string]string{"a_test.rego": "package a_test\n"}, nil, []string{"no .rego file found"}},
		"no allow":                  {one("package authz\n\nallowed := true\n"), nil, []string{"no rule data.authz.allow"}},
		"not Rego":                  {one("package authz\n\nallow if {\n\tinput.x = = 1\n}\n"), nil, []string{"authz/authz.rego:4", "rego_parse_error"}},
		"old Rego":                  {one("package authz\n\nallow { input.x }\n"), nil, []string{"authz/authz.rego:3", "`if` keyword"}},
		"an empty file":             {with("empty.rego", ""), nil, []string{"empty.rego"}},
		"two mistakes, both said":   {with("b.rego", "package b\n\nx := nope(1)\n\ny := nor_this(1)\n"), nil, []string{"b.rego:3", "nope", "b.rego:5", "nor_this"}},
		"unused import":             {with("b.rego", "package b\n\nimport data.authz\n"), nil, []string{"b.rego:3", "unused"}},
		"unsafe variable":           {with("b.rego", "package b\n\nx if not y > 1\n"), nil, []string{"b.rego:3", "y is unsafe"}},
		"a call over the network":   {with("b.rego", "package b\n\nx := http.send({\"method\": \"GET\", \"url\": \"http://example.org\"})\n"), nil, []string{"b.rego:3", "http.send is not for policies: it reaches outside"}},
		"a look-up of a host":       {with("b.rego", "package b\n\nx := net.lookup_ip_addr(\"example.org\")\n"), nil, []string{"b.rego:3", "net.lookup_ip_addr is not for policies: it reaches outside"}},
		"the environment":           {with("b.rego", "package b\n\nx := opa.runtime().env\n"), nil, []string{"b.rego:3", "opa.runtime is not for policies: it reaches outside"}},
		"a schema that is no JSON":  {with("schemas/input.json", "{"), nil, []string{"schemas/input.json", "not JSON"}},
		"misnamed data":             {one(minimal), map[string]string{"roles/x.json": "{}"}, []string{"data/roles/x.json", "name it data.json"}},
		"data in YAML":              {one(minimal), map[string]string{"roles/data.yaml": "a: 1"}, []string{"data/roles/data.yaml", "name it data.json"}},
		"data that is no JSON":      {one(minimal), map[string]string{"roles/data.json": "{"}, []string{"data/roles/data.json", "not JSON"}},
		"data with a tail":          {one(minimal), map[string]string{"roles/data.json": "{} {}"}, []string{"data/roles/data.json", "more than one JSON value"}},
		"data that is no object":    {one(minimal), map[string]string{"roles/data.json": "[]"}, []string{"data/roles/data.json", "must be a JSON object"}},
		"two files for one value":   {one(minimal), map[string]string{"data.json": `{"a":{"b":1}}`, "a/data.json": `{"b":2}`}, []string{"data.json", "by another file too"}},
		"a value where a folder is": {one(minimal), map[string]string{"data.json": `{"a":1}`, "a/data.json": `{"b":2}`}, []string{"by another file too"}},
		"data where a rule is":      {one(minimal), map[string]string{"authz/data.json": `{"allow":true}`}, []string{"authz/authz.rego:3", "conflict"}},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := policy.Read(files(c.rego), files(c.data))
			if err == nil {
				_, err = policy.Compile(t.Context(), source, policy.Config{})
			}
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			findings, rest := policy.Findings(err)
			if rest != nil || len(findings) == 0 {
				t.Errorf("findings %v, rest %v", findings, rest)
			}
		})
	}
}

// The schema stands between a rule and a fact misspelt, which would deny, or
// under not allow, in silence.
func TestTypesAreChecked(t *testing.T) {
	for _, c := range []struct{ file, old, misspelt string }{
		{"authz/allow.rego", `input.subject.type == "team_member"`, `input.subject.roel == "team_member"`},
		{"authz/allow.rego", "input.subject.found\n\tpermission", "input.subjekt.found\n\tpermission"},
		{"authz/resource/resource.rego", "data.catalogue.types", "data.catalogue.tipes"},
		{"authz/grants/grants.rego", "some permission in input.permissions", "some permission in input.permission"},
	} {
		source := edited(t, c.file, c.old, c.misspelt)
		_, err := policy.Compile(t.Context(), source, policy.Config{})
		if err == nil || !strings.Contains(err.Error(), c.file+":") || !strings.Contains(err.Error(), "undefined ref") {
			t.Errorf("%s: %v", c.misspelt, err)
		}
	}
}

func TestACatalogueThatMeansNothingSomewhereIsRefused(t *testing.T) {
	for catalogue, want := range map[string]string{
		`{"typs":{}}`:                                                `unknown field "typs"`,
		`{"types":{"x":{"acts":1}}}`:                                 `unknown field "acts"`,
		`{"types":{"x":{"facts":"role"}}}`:                           `types.x.facts: "role" is no kind of facts`,
		`{"types":{"x":{"require":"provider"}}}`:                     "types.x.require: only a type whose facts are team_member",
		`{"types":{"x":{"facts":"team_member","require":"admin"}}}`:  `types.x.require: "admin" is not known`,
		`{"types":{"x":{"actions":{"see":{}},"scopes":["see"]}}}`:    `types.x.scopes: "see" is an action too`,
		`{"types":{"x":{"actions":{"see":{"permission":"see"}}}}}`:   `types.x.actions.see.permission: "see" must be type:action`,
		`{"types":{"x":{"actions":{"see":{"permission":"a:b:c"}}}}}`: `"a:b:c" must be type:action`,
		`{"types":{"x":{"references":{"y":{}}}}}`:                    "types.x.references.y: a reference has the name of a type that has facts",
		`{"types":{"x":{"references":{"y":{}}},"y":{"actions":{}}}}`: "a reference has the name of a type that has facts",
		`{"types":{"patient_group":{"facts":"patient_group"},"x":{"facts":"patient","references":{"patient_group":{}}}}}`: "types.x.references.patient_group: this name is taken",
		`{"types":{"provider":{"facts":"team_member"},"x":{"facts":"team_member","references":{"provider":{}}}}}`:         "types.x.references.provider: this name is taken",
		`{"types":{"found":{"facts":"patient"},"x":{"references":{"found":{}}}}}`:                                         "types.x.references.found: this name is taken",
	} {
		source := written(t, one(minimal), map[string]string{"catalogue/data.json": catalogue})
		_, err := policy.Compile(t.Context(), source, policy.Config{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", catalogue, err, want)
		}
	}
	source := written(t, one(minimal), map[string]string{
		"catalogue/data.json": `{"types":{"x":{"facts":"a"},"y":{"facts":"b"}}}`,
	})
	if _, err := policy.Compile(t.Context(), source, policy.Config{}); err == nil || strings.Count(err.Error(), "is no kind of facts") != 2 {
		t.Errorf("%v does not say both mistakes", err)
	}
}

func TestDigestIsOfWhatDecides(t *testing.T) {
	digest := func(rego, data map[string]string) string {
		t.Helper()
		return written(t, rego, data).Digest
	}
	rego := map[string]string{"authz/authz.rego": minimal, "schemas/input.json": "{}"}
	base := digest(rego, nil)
	if len(base) != 64 || base != digest(rego, nil) {
		t.Errorf("%q is no digest that stays", base)
	}
	seen := map[string]string{base: "the policy as it was"}
	for name, c := range map[string]struct{ rego, data map[string]string }{
		"a comment":      {map[string]string{"authz/authz.rego": minimal + "# more\n", "schemas/input.json": "{}"}, nil},
		"another name":   {map[string]string{"authz/other.rego": minimal, "schemas/input.json": "{}"}, nil},
		"the schema":     {map[string]string{"authz/authz.rego": minimal, "schemas/input.json": "{} "}, nil},
		"more data":      {rego, map[string]string{"data.json": "{}"}},
		"data elsewhere": {rego, map[string]string{"a/data.json": "{}"}},
	} {
		d := digest(c.rego, c.data)
		if seen[d] != "" {
			t.Errorf("%s and %s have one digest", name, seen[d])
		}
		seen[d] = name
	}
	tested := map[string]string{"authz/authz_test.rego": "package authz_test\n\ntest_x if true\n", "README.md": "text"}
	for name, text := range rego {
		tested[name] = text
	}
	if digest(tested, nil) != base {
		t.Error("tests and texts change the digest")
	}
	if a := embedded(t).Digest; a != embedded(t).Digest {
		t.Error("the embedded policy has two digests")
	}
}

func TestReadPassesOverWhatIsNotPolicy(t *testing.T) {
	source := written(t, map[string]string{
		"authz/authz.rego": minimal, ".git/x.rego": "not Rego", ".hidden.rego": "not Rego", "README.md": "text", "other/input.json": "not a schema",
	}, map[string]string{"notes.txt": "text", "example/organisation.jsonl": "{}"})
	if len(source.Modules) != 1 || len(source.Schemas) != 0 || len(source.Data) != 0 {
		t.Errorf("%v, %v, %v", source.Modules, source.Schemas, source.Data)
	}
}

// Numbers in data keep every digit.
func TestDataKeepsItsNumbers(t *testing.T) {
	source := written(t, one("package authz\n\nallow if data.limit == 12345678901234567890\n"), map[string]string{"data.json": `{"limit":12345678901234567890}`})
	for name, s := range both(t, source) {
		if d, err := ask(t, s, nil, request("a:b", "c", "d:e")); err != nil || !d.Allow {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}

func TestEmbeddedPolicyIsForTheMachine(t *testing.T) {
	source, err := policy.Read(policies.Files, data.Files())
	if err != nil {
		t.Fatal(err)
	}
	s, err := policy.Compile(t.Context(), source, policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if s.General() != nil || s.Catalogue() == nil || s.Digest() == "" || len(s.Files()) == 0 {
		t.Errorf("%v, %v, %q, %v", s.General(), s.Catalogue(), s.Digest(), s.Files())
	}
}
