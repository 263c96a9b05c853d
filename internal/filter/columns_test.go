package filter_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
)

// Columns that are compared with each other are compared by their bytes, whatever their type
// makes of cases: a row on the care team of `a` does not show `A`.
func TestColumnsAreComparedByTheirBytes(t *testing.T) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s := newSchema(t, &d, &world{}, 101, false)
			s.tables = map[string]string{"stock": "people", "links": "people_links"}
			s.columns = map[string]string{"id": "id", "owner": "owner", "item": "item"}
			s.create(t, "stock", []string{"id"}, [][]any{{"a"}, {"A"}, {"b"}, {"B"}, {nil}})
			s.create(t, "links", []string{"owner", "item"}, [][]any{{"a", "mark"}, {"b", "Mark"}, {"B", "mark"}, {"c", "mark"}, {nil, "mark"}})
			name := func(table string) []string {
				if s.in == "" {
					return []string{s.tables[table]}
				}
				return []string{s.in, s.tables[table]}
			}
			mapping, err := json.Marshal(map[string]any{"tables": map[string]any{"stock": map[string]any{
				"table": name("stock"), "id": "id", "care_team": map[string]any{"table": name("links"), "patient": "owner", "member": "item"},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			tables, err := filter.ParseTables(mapping)
			if err != nil {
				t.Fatal(err)
			}
			for _, not := range []bool{false, true} {
				policy := &rules{left: left([]authz.Condition{{Op: authz.Has, Not: not, Leaf: authz.Leaf{Fact: authz.FactCareTeam}, Values: []string{"mark"}}})}
				q := question("stock", d.dialect)
				q.First = 3
				f, _, err := filter.NewService(authz.NewService(&world{}, policy), policy, nil, tables).
					Filter(t.Context(), "clinic", q, authz.Freshness{})
				if err != nil {
					t.Fatal(err)
				}
				want := map[bool][]int{false: {0, 3}, true: {1, 2}}[not]
				if got := s.rows(t, "stock", "", f); !slices.Equal(got, want) {
					t.Errorf("not %t: rows %v, want %v\n%s", not, got, want, f.Where)
				}
			}
		})
	}
}
