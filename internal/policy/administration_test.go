package policy_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
)

// editedData reads the embedded policy with texts replaced, each an old one and a new one
// in a file of the data or of the policy. An empty new one for a whole file takes it away.
func editedData(t testing.TB, edits ...[3]string) *policy.Source {
	t.Helper()
	rego, documents := tree(t, policies.Files), tree(t, data.Files())
	for _, e := range edits {
		in := documents
		if rego[e[0]] != nil {
			in = rego
		}
		text := string(in[e[0]].Data)
		if e[1] == "" {
			delete(in, e[0])
			continue
		}
		if !strings.Contains(text, e[1]) {
			t.Fatalf("%s has no %q", e[0], e[1])
		}
		in[e[0]] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(text, e[1], e[2]))}
	}
	source, err := policy.Read(rego, documents)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

const (
	administrationFile = "administration/data.json"
	catalogueFile      = "catalogue/data.json"
	userActions        = `"user": {
      "actions": {"view": {}, "create": {}, "update": {}, "delete": {}}`
)

func TestTheEmbeddedPolicyDeclaresEveryDuty(t *testing.T) {
	s, err := policy.Compile(t.Context(), embedded(t), policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := s.Administration()
	for _, duty := range authz.Duties() {
		if ask, ok := a.Question(duty); !ok || ask.Action == "" || ask.Resource == "" {
			t.Errorf("%s asks %+v", duty, ask)
		}
	}
	if len(a.Questions) != len(authz.Duties()) || a.Everything != "*:*" || a.Users != "user:*" || !slices.IsSorted(a.Routes) || len(a.Routes) != 3 {
		t.Errorf("%+v", a)
	}
	var none *authz.Administration
	if ask, declared := none.Question(authz.ViewRole); declared || ask != (authz.Ask{}) {
		t.Errorf("what is not declared asks %+v", ask)
	}
}

// TestADeclaredNameThatIsNotThereIsRefused is what locked administration out: each of
// these passed the check, and was served.
func TestADeclaredNameThatIsNotThereIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		edits [][3]string
		want  []string // findings, as far as given
	}{
		"the actions of user are renamed": {
			[][3]string{{catalogueFile, userActions, strings.ReplaceAll(strings.ReplaceAll(userActions, "create", "add"), `"delete"`, `"destroy"`)}},
			[]string{
				`data/administration/data.json:4: data.administration.questions["role.create"] asks create on user, which the catalogue has no such action of, ` +
					`so that nobody could ever do this: it has add, destroy, update, view; did you mean update?`,
				`data/administration/data.json:6: data.administration.questions["role.delete"] asks delete on user, which the catalogue has no such action of, ` +
					`so that nobody could ever do this: it has add, destroy, update, view; name one of them, or add this one`,
				`data/administration/data.json:8: `, `data/administration/data.json:10: `, `data/administration/data.json:12: `, `data/administration/data.json:14: `,
			},
		},
		"the type is renamed": {
			[][3]string{{catalogueFile, `"settings": {`, `"setting": {`}, {administrationFile, `"resource": "settings"`, `"resource": "setting"`},
				{administrationFile, `"booking.delete": {"action": "update", "resource": "setting"}`, `"booking.delete": {"action": "update", "resource": "settings"}`}},
			[]string{`data/administration/data.json:29: data.administration.questions["booking.delete"] asks about settings, which is no type of the catalogue, ` +
				`so that nobody could ever do this; did you mean setting?`},
		},
		"a duty is missing": {
			[][3]string{{administrationFile, `    "access.update": {"action": "update", "resource": "settings"},` + "\n", ""}},
			[]string{`data/administration/data.json:2: data.administration.questions has no access.update, so that nobody could ever do this; ` +
				`write "access.update": {"action": …, "resource": …} with what the policy is to be asked`},
		},
		"a duty is misspelt": {
			[][3]string{{administrationFile, `"access.update"`, `"acces.update"`}},
			[]string{
				`data/administration/data.json:2: data.administration.questions has no access.update`,
				`data/administration/data.json:18: data.administration.questions["acces.update"] is no duty that there is; did you mean access.update?`,
			},
		},
		"a question is none": {
			[][3]string{{administrationFile, `"access.update": {"action": "update", "resource": "settings"}`, `"access.update": "settings:update"`}},
			[]string{`data/administration/data.json:18: data.administration.questions["access.update"] is no question; write {"action": …, "resource": …}, both of them texts`},
		},
		"a question says more": {
			[][3]string{{administrationFile, `"access.update": {"action": "update",`, `"access.update": {"acton": "x", "action": "update",`}},
			[]string{`data/administration/data.json:18: data.administration.questions["access.update"].acton is no member of a question that there is; did you mean action?`},
		},
		"a patient's duty is about something else": {
			[][3]string{{administrationFile, `"patient.view": {"action": "view", "resource": "patient"}`, `"patient.view": {"action": "view", "resource": "stock"}`}},
			[]string{`data/administration/data.json:22: data.administration.questions["patient.view"] asks about stock, whose facts are not those of a patient; ` +
				`name a type with facts: patient`},
		},
		"a wildcard grants nothing": {
			[][3]string{{administrationFile, `"user:*"`, `"users:*"`}},
			[]string{`data/administration/data.json:35: data.administration.users is users:*, of which the policy's grants make nothing, ` +
				`so that nobody could ever hold the administration of members, roles and groups by it; did you mean user:*?`},
		},
		"everything grants nothing": {
			[][3]string{{"authz/grants/grants.rego", `"*:*" in input.permissions`, `"*" in input.permissions`}},
			[]string{`data/administration/data.json:34: data.administration.everything is *:*, of which the policy's grants make nothing`},
		},
		"a permission is none": {
			[][3]string{{administrationFile, `"users": "user:*"`, `"users": "all"`}},
			[]string{`data/administration/data.json:35: data.administration.users is no permission; write type:action, such as user:*`},
		},
		"a permission is missing": {
			[][3]string{{administrationFile, `  "users": "user:*",` + "\n", ""}},
			[]string{`data/administration/data.json:1: data.administration has no users; write the permission that means this, such as user:*`},
		},
		"a route that is never there": {
			[][3]string{{"authz/visibility/visibility.rego", `routes contains "care_team"`, `routes contains "careteam"`}},
			[]string{
				`authz/visibility/visibility.rego:`,
				`data/administration/data.json:36: data.administration.routes[0] is care_team, which data.authz.visibility.routes never has; did you mean careteam?`,
			},
		},
		"a route twice": {
			[][3]string{{administrationFile, `["care_team", `, `["care_team", "care_team", `}},
			[]string{`data/administration/data.json:36: data.administration.routes[1] names care_team once more; take it out`},
		},
		"a route that is no name": {
			[][3]string{{administrationFile, `["care_team", `, `["care_team", 1, `}},
			[]string{`data/administration/data.json:36: data.administration.routes[1] is no name; write a text`},
		},
		"routes that are no list": {
			[][3]string{{administrationFile, `["care_team", "patient_group_access", "view_all_patients"]`, `"care_team"`}},
			[]string{`data/administration/data.json:36: data.administration.routes is no list; write the names that data.authz.visibility.routes has`},
		},
		"questions that are no object": {
			[][3]string{{administrationFile, `"questions"`, `"question"`}},
			[]string{
				`data/administration/data.json:1: data.administration.questions is no object`,
				`data/administration/data.json:2: data.administration.question is no member that there is; did you mean questions?`,
			},
		},
		"a declaration without a catalogue": {
			[][3]string{{catalogueFile, "", ""}},
			[]string{`data/administration/data.json:17: data.administration.questions["access.view"] asks about settings, and there is no data.catalogue`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range check(t, editedData(t, c.edits...), policy.CheckConfig{}).Findings {
				if !f.Warning {
					got = append(got, f.String())
				}
			}
			if name == "a declaration without a catalogue" {
				got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, c.want[0]) })
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d findings, not %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for i, want := range c.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("%s\nis not\n%s", got[i], want)
				}
			}
		})
	}
}

// TestARouteThatIsNotDeclaredIsRefused names the rule that has it.
func TestARouteThatIsNotDeclaredIsRefused(t *testing.T) {
	report := check(t, editedData(t, [3]string{
		"authz/visibility/visibility.rego", "# METADATA\n# title: The routes that hold to the patient in question\n",
		"routes contains \"open_ward\" if input.resource.patient_group == \"open\"\n\n# METADATA\n# title: The routes that hold to the patient in question\n",
	}), policy.CheckConfig{})
	if report.Errors() != 1 || !strings.HasPrefix(report.Findings[0].String(), "authz/visibility/visibility.rego:") || !strings.HasSuffix(report.Findings[0].Text,
		"data.authz.visibility.routes has the route open_ward, which data.administration.routes does not name; add it there, where it is to be shown") {
		t.Errorf("%v", report.Findings)
	}
}

// TestARouteWhoseNameIsWorkedOutIsNotJudged says so and where.
func TestARouteWhoseNameIsWorkedOutIsNotJudged(t *testing.T) {
	report := check(t, editedData(t, [3]string{
		"authz/visibility/visibility.rego", "routes contains \"care_team\" if {\n", "routes contains lower(\"CARE_TEAM\") if {\n",
	}), policy.CheckConfig{})
	if report.Errors() != 0 || len(report.Notes) != 1 || !strings.HasPrefix(report.Notes[0], "the name of a route is worked out at authz/visibility/visibility.rego:") {
		t.Errorf("%v, notes %q", report.Findings, report.Notes)
	}
}

// TestADutyThatNobodyIsAllowedIsPointedOut renames actions everywhere but in what the
// wildcard grants: the names are all there, and whoever holds user:* may do nothing.
func TestADutyThatNobodyIsAllowedIsPointedOut(t *testing.T) {
	report := check(t, editedData(t,
		[3]string{catalogueFile, userActions, strings.ReplaceAll(userActions, "create", "add")},
		[3]string{administrationFile, `"role.create": {"action": "create"`, `"role.create": {"action": "add"`},
		[3]string{administrationFile, `"group.create": {"action": "create"`, `"group.create": {"action": "add"`},
		[3]string{administrationFile, `"team_member.create": {"action": "create"`, `"team_member.create": {"action": "add"`},
	), policy.CheckConfig{})
	if report.Errors() != 0 || report.Warnings() != 3 {
		t.Fatalf("%v", report.Findings)
	}
	want := `data/administration/data.json:4: data.administration.questions["role.create"] asks add on user, which is denied to a member who holds user:*, ` +
		`has Access to every patient group and is on every care team; see that somebody is allowed it, and that user:* grants what it takes`
	if got := report.Findings[0].String(); got != want {
		t.Errorf("%s\nis not\n%s", got, want)
	}
}

// TestAWildcardThatTheStoreDoesNotKeepIsPointedOut declares another permission for the
// administration of members, which grants as much.
func TestAWildcardThatTheStoreDoesNotKeepIsPointedOut(t *testing.T) {
	report := check(t, editedData(t, [3]string{administrationFile, `"users": "user:*"`, `"users": "*:*"`}), policy.CheckConfig{})
	want := "data/administration/data.json:35: data.administration.users is *:*, and the store keeps the last holder of user:* only (A4)"
	if report.Errors() != 0 || report.Warnings() != 1 || !strings.HasPrefix(report.Findings[0].String(), want) {
		t.Errorf("%v", report.Findings)
	}
}

// TestAPolicyOfAnotherDomainDeclaresNothing and passes.
func TestAPolicyOfAnotherDomainDeclaresNothing(t *testing.T) {
	for name, documents := range map[string]map[string]string{
		"without a catalogue": nil,
		"with one":            {"catalogue/data.json": `{"types":{"document":{"actions":{"read":{}}}}}`},
	} {
		source := written(t, one("# METADATA\n# title: Documents\npackage authz\n\n# METADATA\n# title: Ada\nallow if input.subject.id == \"ada\"\n"), documents)
		report := check(t, source, policy.CheckConfig{})
		if len(report.Findings) != 0 || len(report.Notes) != 1 {
			t.Errorf("%s: %v, notes %q", name, report.Findings, report.Notes)
		}
		s, err := policy.Compile(t.Context(), source, policy.Config{})
		if err != nil || s.Administration() != nil {
			t.Errorf("%s: %v, %+v", name, err, s.Administration())
		}
	}
}

// TestADeclarationIsFoundWhereverItStands names the file and the row, in whichever file of
// the data the declaration is.
func TestADeclarationIsFoundWhereverItStands(t *testing.T) {
	rego := one("package authz\n\nallow if input.subject.id == \"ada\"\n")
	for file, c := range map[string]struct{ text, want string }{
		"data.json":                {"{\n \"catalogue\": {\"types\":{}},\n \"administration\": {\n  \"everything\": 1}}", "data/data.json:4: data.administration.everything is no permission"},
		"administration/data.json": {"{\n\n \"everything\": 1}", "data/administration/data.json:3: data.administration.everything is no permission"},
	} {
		_, err := policy.Compile(t.Context(), written(t, rego, map[string]string{file: c.text}), policy.Config{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
