package acceptance

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// outside is a copy of the policy that says the same, outside of what can be
// turned into a filter.
func outside(t *testing.T) string {
	t.Helper()
	return rewritten(t, "visibility/visibility.rego", "input.resource.patient_group in input.subject.access",
		"count([g | some g in input.subject.access; g == input.resource.patient_group]) > 0")
}

// counter reads a metric, 0 if it is not there.
func counter(t *testing.T, s *server, name string) float64 {
	t.Helper()
	said := regexp.MustCompile(`(?m)^` + name + `(?:\{[^}]*\})? (\S+)$`).FindSubmatch(get(t, s.diagnostic()+"/metrics").body)
	if said == nil {
		return 0
	}
	n := try(strconv.ParseFloat(string(said[1]), 64)).must(t)
	return n
}

// TestAPolicyOutsideTheFragment is edited Rego that says the same in a way that
// cannot be taken apart: searches are right, filters are refused.
func TestAPolicyOutsideTheFragment(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	d := newDice(n, 61_000)
	d.w.roles["root role"], d.w.members["root"] = []string{"*:*"}, staff{role: "root role"}
	d.learn()
	s := questioned(t, mappedToTables, "--policies", outside(t))
	a := over(t, s, d.records()...).as("root")
	for range 150 {
		q := d.wanted()
		limit := pick(d, []int{1, 3, 1000})
		sameList(t, a.walk(t, q.path, q.body, limit), q.expected, "%s by %d: %v", q.path, limit, q.body)
	}
	if got := counter(t, s, "caregate_search_evaluated_total"); got == 0 {
		t.Error("caregate_search_evaluated_total is 0")
	}
	if got := counter(t, s, "caregate_search_candidates_evaluated_total"); got == 0 {
		t.Error("caregate_search_candidates_evaluated_total is 0")
	}
	for path, body := range map[string]object{
		"/v1/filters":  {"subject": member("root"), "action": object{"name": "view"}, "resource": object{"type": "patient"}, "dialect": "sqlite"},
		"/v1/reviews":  {"team_member": "root"},
		"/v1/previews": {"edits": array{object{"link": object{"relation": "access", "from": "root", "to": d.w.patientGroups[0]}}}},
	} {
		r := a.ask(t, path, body)
		if r.status == http.StatusOK && path == "/v1/filters" { // View All alone decides for root
			body["subject"] = member(pick(d, d.members))
			continue
		}
		if p := refused(t, r, http.StatusNotImplemented); p.Type != "urn:caregate:problem:unsupported" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	lines := 0
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, "visibility.rego") {
			lines++
		}
	}
	check(t, lines == 1, "the log says %d times where the policy left the fragment, expected once:\n%s", lines, s.Log.String())
}
