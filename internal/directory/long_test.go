package directory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// A member with thousands of groups is read, changed and remembered whole.
func TestALongListIsWhole(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		const n = 6000
		lines, access := make([]string, 0, n+1), make([]string, 0, n)
		for i := range n {
			lines = append(lines, fmt.Sprintf(`{"kind":"patient_group","id":"pg-%d"}`, i))
			access = append(access, fmt.Sprintf(`"pg-%d"`, i))
		}
		last := s.load(t, append(lines, `{"kind":"team_member","id":"mark","access":[`+strings.Join(access, ",")+`]}`)...)
		mark := member("mark")
		if got := len(s.facts(t, mark).Get(mark).Access); got != n {
			t.Fatalf("%d groups were read", got)
		}
		if _, err := s.Commit(t.Context(), s.org, admin.Change{Edits: []admin.Edit{{Op: admin.Delete, Key: mark, Cascade: true}}}); err != nil {
			t.Fatal(err)
		}
		for _, after := range []authz.Revision{last, {Count: last.Count}} { // with a nonce, and for any
			history, err := s.History(t.Context(), s.org, admin.After(after), 10)
			if err != nil || len(history.Events) != 1 {
				t.Fatalf("the change after %s: %d events, %v", after, len(history.Events), err)
			}
			if got, _ := history.Events[0].Entities[0].Before["access"].([]string); len(got) != n {
				t.Errorf("%d groups are remembered", len(got))
			}
		}
	})
}
