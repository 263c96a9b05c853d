package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
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
		"a function whose cost is bounded": {
			old: access, new: "\treplace(input.resource.patient_group, \"a\", \"b\") == \"x\"\n",
			want: []string{visibility + ":", "replace(input.resource.patient_group"},
		},
		"one of a name with parts": {
			old: access, new: "\tregex.replace(input.resource.patient_group, \"a\", \"b\") == \"x\"\n",
			want: []string{visibility + ":", "regex.replace(input.resource.patient_group"},
		},
		"walking a set of the resource": {
			old: access, new: "\tsome member in input.resource.care_team\n\tmember == input.subject.id\n",
			want: []string{visibility + ":", "input.resource.care_team["},
		},
		"walking a set of the subject": {
			old: access, new: "\tsome group in input.subject.access\n\tgroup == input.resource.patient_group\n",
			want: []string{visibility + ":", "one alternative", "in` the set"},
		},
		"counting for a route": {
			old:  "# METADATA\n# title: A patient is in question\n",
			new:  "# METADATA\n# title: More routes\nroutes contains \"team\" if count(input.resource.care_team) > 0\n\n# METADATA\n# title: A patient is in question\n",
			want: []string{visibility + ":", "routes cannot be counted by reviews and previews", "count(input.resource.care_team"},
		},
		"a route with the name of a fact": {
			old:  "# METADATA\n# title: A patient is in question\n",
			new:  "# METADATA\n# title: More routes\nroutes contains upper(input.resource.patient_group) if patient_concerned\n\n# METADATA\n# title: A patient is in question\n",
			want: []string{"routes cannot be counted by reviews and previews", "a route must have a literal name"},
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

// Masks go out with a filter and are those of all its rows.
func TestCheckAsksTheMasks(t *testing.T) {
	for name, c := range map[string]struct{ mask, want string }{
		"of the subject": {`masks["patient.name"] := {} if not input.subject.permissions["patient:view_all"]`, ""},
		"of a row":       {`masks["patient.name"] := {} if input.resource.patient_group == "closed"`, "authz/masked.rego:8: masks cannot be given with a filter: masks are the same for all rows"},
		"of a row, under a condition on the type": {"masks[\"patient.name\"] := {} if {\n\tinput.resource.type == \"appointment\"\n\tinput.resource.patient.patient_group in input.subject.access\n}",
			"masks cannot be given with a filter"},
	} {
		t.Run(name, func(t *testing.T) {
			files := tree(t, policies.Files)
			files["authz/masked.rego"] = &fstest.MapFile{Data: []byte("package authz\n\n# METADATA\n# title: Masks\n# schemas:\n#   - input: schema.input\n#\n" + c.mask + "\n")}
			source, err := policy.Read(files, data.Files())
			if err != nil {
				t.Fatal(err)
			}
			for _, strict := range []bool{false, true} {
				if !strict && name != "of a row" {
					continue
				}
				var found []string
				for _, f := range check(t, source, policy.CheckConfig{RequireFragment: strict}).Findings {
					if strings.Contains(f.String(), "masks") && f.Warning != strict {
						found = append(found, f.String())
					}
				}
				if (len(found) > 0) != (c.want != "") || !strings.Contains(strings.Join(found, "\n"), c.want) {
					t.Errorf("strict %t: found %q, expected %q", strict, found, c.want)
				}
			}
		})
	}
}

// What the check passes answers, however many groups somebody is in: the forms are asked for
// each number, and each is either refused by the check or answered.
func TestWhatIsInTheFragmentHoldsForAnyNumber(t *testing.T) {
	const helpers = `
_walks if {
	some g in input.subject.access
	g == input.resource.patient_group
}

_set contains g if some g in input.subject.access

_same(x) if {
	some g in input.subject.access
	g == x
}

_not_walks if not _walks

_both contains g if {
	some g in input.subject.access
	some h in input.subject.booking
	g == h
}
`
	passed := map[string]bool{}
	for form, passes := range map[string]bool{
		"input.resource.patient_group in input.subject.access":                                          true,
		"not input.resource.patient_group in input.subject.access":                                      true,
		"input.resource.patient_group in _set":                                                          true,
		"not input.resource.patient_group in _set":                                                      true,
		"input.resource.patient_group in (input.subject.access & input.subject.booking)":                true,
		"input.resource.patient_group in (input.subject.access | input.subject.groups)":                 true,
		"count([g | some g in input.subject.access; startswith(g, \"x\")]) == 0":                        true,
		"every g in input.subject.access { not g in {\"x\"} }":                                          true,
		"input.subject.id in input.resource.care_team":                                                  true,
		"not input.subject.id in input.resource.care_team":                                              true,
		"input.subject.permissions[\"patient:view\"]":                                                   true,
		"every g in input.subject.access { g != input.resource.patient_group }":                         false,
		"every p, _ in input.subject.permissions { p != input.resource.patient_group }":                 false,
		"every g in input.subject.access { not g in input.resource.care_team }":                         false,
		"some g in input.subject.access\n\tg == input.resource.patient_group":                           false,
		"some g in input.subject.groups\n\tg in input.resource.care_team":                               false,
		"some g in input.subject.permissions[\"patient:view\"].groups\n\tg in input.resource.care_team": false,
		"not _walks":                          false,
		"_walks":                              false,
		"_not_walks":                          false,
		"not _not_walks":                      false,
		"_same(input.resource.patient_group)": false,
		"not _same(input.resource.patient_group)":            false,
		"_set[input.resource.patient_group]":                 false,
		"input.subject.access[input.resource.patient_group]": false,
		"input.resource.patient_group in _both":              false,
	} {
		source := written(t, one("package authz\n\nallow if {\n\tinput.subject.type == \"team_member\"\n\tinput.resource.type == \"patient\"\n\t"+form+"\n}\n"+helpers), map[string]string{
			"catalogue/data.json": `{"types": {"patient": {"facts": "patient", "actions": {"view": {}}}, "team_member": {"facts": "team_member"}}}`,
		})
		found := fragment(t, source)
		if passed[form] = len(found) == 0; passed[form] != passes {
			t.Errorf("%s: the check finds %q", form, found)
		}
		if !passed[form] {
			if !strings.Contains(found[0], "authz/authz.rego:") {
				t.Errorf("%s: no place in %q", form, found)
			}
			continue
		}
		s := compiled(t, source, policy.Config{})
		for _, n := range []int{0, 1, 33, 512, 5000} {
			facts := memory{role("r0", "patient:view"), member("m0", "r0")}
			for i := range n {
				facts[1].Access = append(facts[1].Access, fmt.Sprintf("g%d", i))
			}
			facts[1].Booking, facts[1].Groups = facts[1].Access, facts[1].Access
			survey(t, s, facts, request("team_member:m0", "view", "patient:"), authz.Open{}, func(q authz.Question) {
				r, err := s.Residual(t.Context(), q, authz.Open{})
				if err != nil {
					t.Errorf("%s of %d groups: %v", form, n, err)
					return
				}
				for _, all := range r.Any {
					if len(r.Any)*len(all) > 4 {
						t.Errorf("%s of %d groups leaves %d alternatives", form, n, len(r.Any))
					}
				}
			})
		}
	}
}
