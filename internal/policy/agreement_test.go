package policy_test

import (
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/policy"
)

// A decision that contradicts allow is refused with both rules, whoever it contradicts it for.
func TestCheckFindsADecisionThatContradictsAllow(t *testing.T) {
	const decision = "authz/decision.rego"
	allowed := "decision := {\"allow\": true, \"context\": _context} if allow\n"
	for what, c := range map[string]struct {
		source *policy.Source
		says   []string
	}{
		"of everybody": {
			edited(t, decision, allowed, "decision := {\"allow\": false, \"context\": _context} if allow\n"),
			[]string{"says allow false, and data.authz.allow is true,"},
		},
		"of those for whom it says nothing": {
			edited(t, decision, "decision := {\"allow\": true, \"context\": _context} if allow\n", "decision := {\"allow\": true, \"context\": _context} if {\n\tallow\n\tinput.subject.type == \"team_member\"\n}\n"),
			[]string{"is undefined, and data.authz.allow is true, where a patient asks"},
		},
		"of an action that the catalogue does not have": {
			edited(t, decision, "decision := {\"allow\": true, \"context\": _context} if allow\n", "decision := {\"allow\": true, \"context\": _context} if {\n\tallow\n\tinput.action.name != \"approve_all\"\n}\n\nallow if input.action.name == \"approve_all\"\n\ndecision := {\"allow\": false} if input.action.name == \"approve_all\"\n"),
			nil,
		},
		"without a catalogue": {
			written(t, one("# METADATA\n# title: Documents\npackage authz\n\n# METADATA\n# title: May they?\nallow if {\n\tinput.subject.type == \"user\"\n\tinput.action.name == \"read\"\n}\n\n"+
				"# METADATA\n# title: Why?\ndecision := {\"allow\": input.action.name == \"write\"}\n"), nil),
			[]string{"says allow false, and data.authz.allow is true, where a user asks read on", "says allow true, and data.authz.allow is not,"},
		},
	} {
		report := check(t, c.source, policy.CheckConfig{})
		var lines []string
		for _, f := range report.Findings {
			if !f.Warning {
				lines = append(lines, f.String())
			}
		}
		text := strings.Join(lines, "\n")
		for _, says := range append(c.says, ".rego:", "data.authz.allow, which is at authz/", "answered with 500") {
			if !strings.Contains(text, says) {
				t.Errorf("%s: %q is not in %q", what, says, text)
			}
		}
		if report.Errors() == 0 || report.Errors() > 3 {
			t.Errorf("%s: %d errors:\n%s", what, report.Errors(), text)
		}
	}
}
