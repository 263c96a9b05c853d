package review_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
)

// What is asked of the policy for an explanation does not grow with the groups of the one
// who asks: all of them are seen, and those that fewest members are in are tried.
func TestExplanationsOfManyGroups(t *testing.T) {
	for _, groups := range []int{300, 1500} {
		w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "o")
		lines := []string{
			`{"kind":"role","id":"doctor","permissions":["patient:view"]}`,
			`{"kind":"patient_group","id":"g"}`,
		}
		var all []string
		for i := range groups {
			lines = append(lines, fmt.Sprintf(`{"kind":"group","id":"g-%04d","permissions":["stock:view"]}`, i))
			all = append(all, fmt.Sprintf(`"g-%04d"`, i))
		}
		w.load(append(lines,
			fmt.Sprintf(`{"kind":"team_member","id":"m","role":"doctor","groups":[%s]}`, strings.Join(all, ",")),
			fmt.Sprintf(`{"kind":"team_member","id":"n","role":"doctor","groups":[%s]}`, strings.Join(all[:groups-2], ",")),
			`{"kind":"patient","id":"p","patient_group":"g"}`)...)
		w.rules.asked = 0
		e := w.why(operator, "m", "view", "p")
		if w.rules.asked > 250 {
			t.Errorf("%d groups: the policy was asked %d times", groups, w.rules.asked)
		}
		texts := map[string]int{}
		for _, r := range e.Remedies {
			texts[r.Text] = r.Patients
		}
		// The care team, Access, and the scope for 50 of the groups: the two of one member come first.
		if len(e.Remedies) != 2+50 || !e.More {
			t.Errorf("%d groups: %d remedies, and there are more: %v", groups, len(e.Remedies), e.More)
		}
		for _, i := range []int{groups - 1, groups - 2} {
			if n, found := texts[fmt.Sprintf("add patient:view_all to group g-%04d (1 member)", i)]; !found || n != 1 {
				t.Errorf("%d groups: a group of one member is not tried, or opens %d: %v", groups, n, texts)
			}
		}
		if e.Decision.Allow || len(e.Admin) == 0 {
			t.Errorf("%d groups: %+v", groups, e)
		}
	}
}
