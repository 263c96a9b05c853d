package policy_test

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/policy"
)

func fragment(t *testing.T, source *policy.Source) []string {
	t.Helper()
	findings, err := policy.Fragment(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(findings))
	for i, f := range findings {
		texts[i] = f.String()
	}
	return texts
}

// The fragment is the promise that a list, a search and a filter mean what a
// check means (V8).
func TestAllowStaysInTheFragment(t *testing.T) {
	for _, f := range fragment(t, embedded(t)) {
		t.Error(f)
	}
}

func TestFragmentSaysWhatLeavesIt(t *testing.T) {
	const visibility = "authz/visibility/visibility.rego"
	const access = "\tinput.resource.patient_group in input.subject.access\n"
	for name, c := range map[string]struct {
		old, new string // in the rules of visibility
		want     []string
	}{
		"counting": {
			old: access, new: "\tcount(input.resource.care_team) > 0\n",
			want: []string{visibility + ":", "count(input.resource.care_team", "asks delete on patient"},
		},
		"object.get": {
			old: access, new: "\tobject.get(input.resource, \"patient_group\", \"\") in input.subject.access\n",
			want: []string{visibility + ":", "object.get(", "patient"},
		},
		"a string function": {
			old: access, new: "\tstartswith(input.resource.patient_group, \"diabetes\")\n",
			want: []string{visibility + ":", "startswith(input.resource.patient_group"},
		},
		"walking a set of the resource": {
			old: access, new: "\tsome member in input.resource.care_team\n\tmember == input.subject.id\n",
			want: []string{visibility + ":", "input.resource.care_team["},
		},
		"walking a set of the subject": {
			old: access, new: "\tsome group in input.subject.access\n\tgroup == input.resource.patient_group\n",
			want: []string{visibility + ":", "one alternative", "in` the set"},
		},
		"default": {
			old: "# V1\n", new: "# V1\ndefault _view_all := false\n",
			want: []string{visibility + ":", "authz.visibility._view_all has a default"},
		},
		"else": {
			old: "_view_all if input.subject.permissions[\"patient:view_all\"]", new: "_view_all if input.subject.permissions[\"patient:view_all\"] else := false",
			want: []string{visibility + ":", "authz.visibility._view_all has an else"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			source := edited(t, visibility, c.old, c.new)
			got := strings.Join(fragment(t, source), "\n")
			t.Log(got)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q lacks %q", got, want)
				}
			}
		})
	}
}
