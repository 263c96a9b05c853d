package review_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
)

// BenchmarkPreview is a preview about half of all members, in organisations of a real Redis.
func BenchmarkPreview(b *testing.B) {
	for _, size := range []struct{ members, patients, groups int }{{1000, 10_000, 100}, {10_000, 100_000, 100}, {10_000, 100_000, 1000}} {
		b.Run(fmt.Sprintf("%dmembers,%dpatients,%dgroups", size.members, size.patients, size.groups), func(b *testing.B) {
			l := largeOrganisation(b, size.members, size.patients, size.groups)
			edits := []admin.Edit{{Op: admin.Set, Key: authz.Key{Kind: authz.KindGroup, ID: "wide"}, Fields: admin.Fields{"permissions": []string{}}}}
			b.ReportAllocs()
			for b.Loop() {
				got, _, err := l.Preview(b.Context(), l.org, edits, operator, authz.Freshness{})
				if err != nil || got.Total != size.members/2 {
					b.Fatalf("%+v, %v", got, err)
				}
			}
		})
	}
}

// BenchmarkExplanation is an explanation of a deny, with everything that would change it,
// to a member of many groups.
func BenchmarkExplanation(b *testing.B) {
	for _, groups := range []int{10, 100, 1000, 3000} {
		b.Run(fmt.Sprintf("%dgroups", groups), func(b *testing.B) {
			w := newWard(b, orgstore.Redis(b), orgtest.Policy(b), "many")
			lines := []string{`{"kind":"role","id":"doctor","permissions":["patient:view"]}`, `{"kind":"patient_group","id":"g"}`}
			var all []string
			for i := range groups {
				all = append(all, fmt.Sprintf("%q", id("of", i)))
				lines = append(lines, fmt.Sprintf(`{"kind":"group","id":%s,"permissions":["stock:view"]}`, all[i]))
			}
			lines = append(lines,
				fmt.Sprintf(`{"kind":"team_member","id":"m","role":"doctor","groups":[%s]}`, strings.Join(all, ",")),
				`{"kind":"patient","id":"p","patient_group":"g"}`)
			w.load(lines...)
			b.ReportAllocs()
			for b.Loop() {
				var e *review.Explanation
				if e = w.why(operator, "m", "delete", "p"); len(e.Remedies)+len(e.Admin) == 0 {
					b.Fatalf("%+v", e)
				}
			}
		})
	}
}
