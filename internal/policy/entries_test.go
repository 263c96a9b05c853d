package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

// entered is a policy with an allow, and with what a test says beside it.
func entered(rego string) map[string]string {
	return map[string]string{"authz/authz.rego": "package authz\n\nallow if input.subject.id == \"ada\"\n\n" + rego}
}

// Masks that nobody reads would let rows out unmasked: whatever form of Rego says them.
func TestMasksAreReadInEveryForm(t *testing.T) {
	title := `{"title":"hidden"}`
	for name, c := range map[string]struct {
		rego, data map[string]string
		want       string
	}{
		"complete":          {rego: entered(`masks := {"title": "hidden"}`), want: title},
		"default":           {rego: entered(`default masks := {"title": "hidden"}`), want: title},
		"else":              {rego: entered("masks := {} if {\n\tinput.subject.id == \"eve\"\n} else := {\"title\": \"hidden\"}"), want: title},
		"dot":               {rego: entered(`masks.title := "hidden"`), want: title},
		"bracket":           {rego: entered(`masks["title"] := "hidden"`), want: title},
		"partial object":    {rego: entered(`masks[name] := "hidden" if some name in ["title"]`), want: title},
		"set below":         {rego: entered(`masks.title contains "hidden"`), want: `{"title":["hidden"]}`},
		"deeper":            {rego: entered(`masks.title.replace := "hidden"`), want: `{"title":{"replace":"hidden"}}`},
		"package":           {rego: with(entered(""), "authz/masks/masks.rego", "package authz.masks\n\ntitle := \"hidden\"\n"), want: title},
		"quoted package":    {rego: with(entered(""), "authz/m.rego", "package authz[\"masks\"]\n\ntitle := \"hidden\"\n"), want: title},
		"several files":     {rego: with(entered(`masks.title := "hidden"`), "authz/more.rego", "package authz\n\nmasks[\"name\"] := \"hidden\"\n"), want: `{"name":"hidden","title":"hidden"}`},
		"data":              {rego: entered(""), data: map[string]string{"authz/masks/data.json": title}, want: title},
		"data of a parent":  {rego: entered(""), data: map[string]string{"data.json": `{"authz":{"masks":` + title + `}}`}, want: title},
		"data and rules":    {rego: entered(`masks.name := "hidden"`), data: map[string]string{"authz/masks/data.json": title}, want: `{"name":"hidden","title":"hidden"}`},
		"what is not known": {rego: entered(`masks := input.context.masks`), want: title},
	} {
		t.Run(name, func(t *testing.T) {
			for evaluator, s := range both(t, written(t, c.rego, c.data)) {
				r := request("user:bob", "read", "document:")
				r.Context = map[string]any{"masks": map[string]any{"title": "hidden"}}
				if got, err := s.Masks(t.Context(), asking(r), authz.Open{}); err != nil || string(got) != c.want {
					t.Errorf("%s: %s, %v; want %s", evaluator, got, err, c.want)
				}
			}
		})
	}
}

// A value that has the same part many times is not written out until there is no memory left.
func TestAnswersHaveABoundedLength(t *testing.T) {
	rego := "masks.x := _d29\n\n_d0 := [1, 1]\n"
	for i := range 29 {
		rego += fmt.Sprintf("\n_d%d := [_d%d, _d%d]\n", i+1, i, i)
	}
	for evaluator, s := range both(t, written(t, entered(rego), nil)) {
		if _, err := s.Masks(t.Context(), asking(request("user:bob", "read", "document:")), authz.Open{}); err == nil || !strings.Contains(err.Error(), "bytes in JSON") {
			t.Errorf("%s: %v", evaluator, err)
		}
	}
}

// A mask about a fact of the row would be left out for all rows, because a filter does not know
// the fact.
func TestMasksOfFactsOfARowAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		rego string
		ok   bool
	}{
		"the subject":       {"masks.title := \"hidden\" if not input.subject.id == \"ada\"\n", true},
		"the action":        {"masks.title := \"hidden\" if input.action.name == \"read\"\n", true},
		"the type":          {"masks.title := \"hidden\" if input.resource.type == \"patient\"\n", true},
		"a fact":            {"masks.title := \"hidden\" if input.resource.patient_group == \"vip\"\n", false},
		"not a fact":        {"masks.title := \"hidden\" if not input.subject.id in input.resource.care_team\n", false},
		"the id":            {"masks.title := \"hidden\" if input.resource.id == \"p-1\"\n", false},
		"the value":         {"masks.group := input.resource.patient_group\n", false},
		"a helper":          {"masks.title := \"hidden\" if not _open\n\n_open if input.resource[\"patient_group\"] in {\"a\"}\n", false},
		"a function":        {"masks.title := \"hidden\" if not _f(input.resource)\n\n_f(x) if x.patient_group == \"a\"\n", false},
		"a comprehension":   {"masks.title := count([1 | some m in input.resource.care_team])\n", false},
		"every":             {"masks.title := \"hidden\" if every m in input.resource.care_team { m != \"a\" }\n", false},
		"an open name":      {"masks.title := \"hidden\" if {\n\tsome k\n\tinput.resource[k] == \"vip\"\n}\n", false},
		"everything":        {"masks.title := \"hidden\" if {\n\tsome x\n\twalk(input, [_, x])\n\tx == \"vip\"\n}\n", false},
		"a fact, two rules": {"masks := {\"a\": 1} if input.resource.patient_group == \"a\"\n\nmasks := {\"a\": 1} if input.resource.patient_group == \"b\"\n", false},
	} {
		s := compiled(t, written(t, entered(c.rego), map[string]string{
			"catalogue/data.json": `{"types":{"patient":{"facts":"patient","actions":{"read":{}}},"user":{}}}`,
		}), policy.Config{})
		got, err := s.Masks(t.Context(), asking(request("user:bob", "read", "patient:")), authz.Open{})
		if c.ok && (err != nil || string(got) != `{"title":"hidden"}`) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if _, outside := errors.AsType[*authz.Outside](err); !c.ok && !outside {
			t.Errorf("%s: %s, %v; want to be told that it is not for a filter", name, got, err)
		}
	}
}

// with adds a file to a policy.
func with(files map[string]string, name, text string) map[string]string {
	files[name] = text
	return files
}

// The other entry points in the forms that they have beside the usual one.
func TestEntryPointsAreReadInEveryForm(t *testing.T) {
	for name, rego := range map[string]string{
		"by dot":     "decision.allow := true if allow\n\ndecision.allow := false if not allow\n\ndecision.context.why := \"so\"\n",
		"by bracket": "decision[\"allow\"] := true if allow\n\ndecision[\"allow\"] := false if not allow\n\ndecision[\"context\"] := {\"why\": \"so\"}\n",
		"by name":    "decision[name] := value if some name, value in {\"allow\": _is, \"context\": {\"why\": \"so\"}}\n\n_is if allow\n\n_is := false if not allow\n",
		"at once":    "decision := {\"allow\": true, \"context\": {\"why\": \"so\"}} if {\n\tallow\n} else := {\"allow\": false, \"context\": {\"why\": \"so\"}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, config := range []policy.Config{{}, {General: true}} {
				s := compiled(t, written(t, entered(rego), nil), config)
				for subject, allow := range map[string]bool{"ada": true, "bob": false} {
					d, err := s.Decide(t.Context(), asking(request("user:"+subject, "read", "document:")))
					if err != nil || d.Allow != allow || string(d.Context) != `{"why":"so"}` {
						t.Errorf("%s: %+v, %v", subject, d, err)
					}
				}
			}
		})
	}
	for name, rego := range map[string]string{
		"by dot":  "package authz.explanation\n\naccount.user := {\"en\": \"no\"}\n\naccount.admin := {}\n",
		"by name": "package authz.explanation\n\naccount[who] := said if some who, said in {\"user\": {\"en\": \"no\"}, \"admin\": {}}\n",
		"below":   "package authz\n\nexplanation.account.user := {\"en\": \"no\"}\n\nexplanation.account.admin := {}\n",
	} {
		for evaluator, s := range both(t, written(t, with(entered(""), "authz/explanation.rego", rego), nil)) {
			got, err := s.Explain(t.Context(), asking(request("user:bob", "read", "document:")))
			if err != nil || string(got.User) != `{"en":"no"}` || string(got.Admin) != `{}` {
				t.Errorf("%s, %s: %+v, %v", name, evaluator, got, err)
			}
		}
	}
}

// What has the name of an entry point and is none in its form is refused by the check and
// when it is loaded, with its place.
func TestEntryPointsOfAnotherFormAreRefused(t *testing.T) {
	grants := func(rego string) map[string]string { return with(entered(""), "authz/grants.rego", rego) }
	for name, c := range map[string]struct {
		rego, data  map[string]string
		place, says string
	}{
		"allow as text":              {rego: one("package authz\n\nallow := \"yes\"\n"), place: "authz/authz.rego:3", says: "data.authz.allow may be a value of type string; it must be true, or undefined"},
		"allow in one of two forms":  {rego: entered("allow := 1 if input.context.x\n"), place: "authz/authz.rego:5", says: "boolean"},
		"allow as a set":             {rego: one("package authz\n\nallow contains \"x\"\n"), place: "authz/authz.rego:3", says: "set[string]"},
		"allow as an object":         {rego: one("package authz\n\nallow.x := true\n"), place: "authz/authz.rego:3", says: "is an object here"},
		"allow as a function":        {rego: one("package authz\n\nallow(x) if x\n"), place: "authz/authz.rego:3", says: "is a function here"},
		"allow as a package":         {rego: one("package authz.allow\n\nx := true\n"), place: "authz/authz.rego:3", says: "is an object here"},
		"allow as data":              {rego: entered(""), data: map[string]string{"authz/data.json": `{"decision": {"allow": true}}`}, says: "document of the data"},
		"masks as text":              {rego: entered("masks := \"oops\"\n"), place: "authz/authz.rego:5", says: "data.authz.masks may be a value of type string; it must be an object"},
		"masks as a set":             {rego: entered("masks contains \"title\"\n"), place: "authz/authz.rego:5", says: "set[string]"},
		"masks as an array":          {rego: entered("masks := [\"title\"] if input.context.x\n"), place: "authz/authz.rego:5", says: "array"},
		"masks in one of two forms":  {rego: entered("masks := {\"a\": 1} if input.context.x\n\nmasks := false if not input.context.x\n"), place: "authz/authz.rego:7", says: "boolean"},
		"masks by default":           {rego: entered("default masks := false\n\nmasks := {\"a\": 1} if input.context.x\n"), place: "authz/authz.rego:5", says: "boolean"},
		"masks as a function":        {rego: entered("masks(x) := {\"a\": x}\n"), place: "authz/authz.rego:5", says: "is a function here"},
		"masks as a function below":  {rego: entered("masks.title(x) := x\n"), place: "authz/authz.rego:5", says: "is a function here"},
		"masks with numbers":         {rego: entered("masks[1] := \"hidden\"\n"), place: "authz/authz.rego:5", says: "must be an object"},
		"masks with private rules":   {rego: with(entered(""), "authz/m.rego", "package authz.masks\n\n_x := 1\n\ntitle := _x\n"), place: "authz/m.rego:3", says: "private rule"},
		"masks in a file of tests":   {rego: with(entered(""), "authz/authz_test.rego", "package authz\n\nmasks := {\"title\": \"hidden\"}\n"), place: "authz/authz_test.rego:3", says: "file of tests"},
		"masks as data":              {rego: entered(""), data: map[string]string{"authz/data.json": `{"masks": ["title"]}`}, says: "array"},
		"decision as text":           {rego: entered("decision := \"yes\"\n"), place: "authz/authz.rego:5", says: "string"},
		"decision with text":         {rego: entered("decision := {\"allow\": \"yes\"}\n"), place: "authz/authz.rego:5", says: "boolean allow"},
		"decision by dot, with text": {rego: entered("decision.allow := \"yes\"\n"), place: "authz/authz.rego:5", says: "boolean allow"},
		"decision with a context":    {rego: entered("decision := {\"allow\": true, \"context\": []} if allow\n"), place: "authz/authz.rego:5", says: "an object for that"},
		"decision as a function":     {rego: entered("decision(x) := {\"allow\": x}\n"), place: "authz/authz.rego:5", says: "is a function here"},
		"granted as an array":        {rego: grants("package authz.grants\n\ngranted := [\"a\"]\n"), place: "authz/grants.rego:3", says: "a set of texts"},
		"granted as an object":       {rego: grants("package authz.grants\n\ngranted[p] := true if some p in input.permissions\n"), place: "authz/grants.rego:3", says: "is an object here"},
		"granted by numbers":         {rego: grants("package authz.grants\n\ngranted contains 1\n"), place: "authz/grants.rego:3", says: "a set of texts"},
		"granted inside of a rule":   {rego: grants("package authz\n\ngrants := {\"granted\": {\"a\"}}\n"), place: "authz/grants.rego:3", says: "inside of the rule data.authz.grants"},
		"granted by an open name":    {rego: grants("package authz\n\ngrants[x] contains \"a\" if some x in [\"granted\"]\n"), place: "authz/grants.rego:3", says: "one of the values of"},
		"granted as data":            {rego: entered(""), data: map[string]string{"authz/grants/data.json": `{"granted": ["a"]}`}, says: "document of the data"},
		"routes as an object":        {rego: grants("package authz.visibility\n\nroutes[name] := 1 if some name in [\"a\"]\n"), place: "authz/grants.rego:3", says: "is an object here"},
		"routes as an array":         {rego: grants("package authz.visibility\n\nroutes := [\"a\"]\n"), place: "authz/grants.rego:3", says: "a set of texts"},
		"account as text":            {rego: grants("package authz.explanation\n\naccount := \"so\"\n"), place: "authz/grants.rego:3", says: "must be an object"},
		"candidates as a set":        {rego: entered("candidates contains \"a\"\n"), place: "authz/authz.rego:5", says: "an object that has for each type"},
		"candidates of numbers":      {rego: entered("candidates.document := {1, 2}\n"), place: "authz/authz.rego:5", says: "an object that has for each type"},
		"candidates of a number":     {rego: entered("candidates.document := 7\n"), place: "authz/authz.rego:5", says: "an object that has for each type"},
		"candidates as data":         {rego: entered(""), data: map[string]string{"authz/candidates/data.json": `{"document": "plan"}`}, says: "an object that has for each type"},
	} {
		t.Run(name, func(t *testing.T) {
			source := written(t, c.rego, c.data)
			_, err := policy.Compile(t.Context(), source, policy.Config{})
			if errs, ok := errors.AsType[ast.Errors](err); !ok || len(errs) == 0 {
				t.Fatalf("it is loaded: %v", err)
			}
			for _, f := range check(t, source, policy.CheckConfig{}).Findings {
				if text := f.String(); !f.Warning && strings.HasPrefix(text, c.place) && strings.Contains(text, c.says) {
					return
				}
			}
			t.Errorf("the check finds %v; want %s: …%s", check(t, source, policy.CheckConfig{}).Findings, c.place, c.says)
		})
	}
}

// A rule that has the name above that of an entry point, and nothing of its name, is the policy's own.
func TestRulesBesideEntryPointsAreLeftAlone(t *testing.T) {
	for name, rego := range map[string]string{
		"another value":  "visibility := {\"floor\": 3}\n",
		"no object":      "grants := 3\n",
		"a function":     "explanation(x) := x\n",
		"a longer name":  "allowed := \"yes\"\n\nmasks_of := 1\n",
		"another folder": "",
	} {
		files := entered(rego)
		files["other/masks.rego"] = "package other\n\nmasks := 1\n\nallow := 2\n"
		if _, err := policy.Compile(t.Context(), written(t, files, nil), policy.Config{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
