package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/verify"
)

// A rule that takes for ever ends the run, and is named, whether only questions of
// administration come to it or all do.
func TestARuleThatTakesForEverIsNamed(t *testing.T) {
	endless := "\n\tcount([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); some c in numbers.range(1, 9000); a + b == c]) > 0\n"
	for what, e := range map[string]edit{
		"all":            {"authz/visibility/visibility.rego", "\tinput.resource.patient_group in input.subject.access\n", "\tinput.resource.patient_group in input.subject.access" + endless},
		"administration": {"authz/allow.rego", "\tpermission.held\n", "\tpermission.held\n\t_slow\n"},
	} {
		edits := []edit{e}
		if what == "administration" {
			edits = append(edits, edit{"authz/decision.rego", "_context[\"reasons\"] := reason.granted if allow\n",
				"_context[\"reasons\"] := reason.granted if allow\n\n_slow if not input.resource.type == \"role\"\n\n_slow if {" + endless + "}\n"})
		}
		s := source(t, edits...)
		began := time.Now()
		_, err := verify.Run(t.Context(), verify.Config{
			Rules: orgtest.Compile(t, s, policy.Config{}), Oracle: orgtest.Compile(t, s, plain()), Stores: []verify.NamedStore{embedded(t)}, Databases: []verify.Database{sqlite(t)},
			Organisations: 3, Seed: 1, Patience: time.Second,
		})
		if err == nil || !strings.Contains(err.Error(), "it was in the rule data.authz.") || !strings.Contains(err.Error(), ".rego:") {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it ended after %v", what, took)
		}
	}
}
