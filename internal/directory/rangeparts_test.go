package directory

import (
	"fmt"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// What is spread over many indexes is taken apart so that no script looks at many, and
// nothing of it is left out: each index, further id and expectation is in one part.
func TestPartsOfARangeAreSmallAndWhole(t *testing.T) {
	for _, n := range []int{0, 1, maxPart, maxPart + 1, 5000, maxIndexes} {
		r := search.Range{Kind: authz.KindPatient}
		for i := range n {
			id := fmt.Sprintf("%05d", i)
			r.Indexes = append(r.Indexes, search.Index{Relation: admin.PatientGroupOf, To: id})
			r.IDs = append(r.IDs, id)
			r.Basis = append(r.Basis, admin.Expectation{Key: patient(id)})
		}
		for what, r := range map[string]search.Range{
			"all": r, "indexes": {Indexes: r.Indexes}, "ids": {IDs: r.IDs}, "expectations": {Basis: r.Basis},
		} {
			var indexes []search.Index
			var ids []string
			var basis []admin.Expectation
			parts := partsOf(r)
			for _, part := range parts {
				if len(part.Indexes) > maxPart || len(part.IDs) > maxPart || len(part.Basis) > maxPart {
					t.Fatalf("%d, %s: a script looks at %d, %d and %d", n, what, len(part.Indexes), len(part.IDs), len(part.Basis))
				}
				indexes, ids, basis = append(indexes, part.Indexes...), append(ids, part.IDs...), append(basis, part.Basis...)
			}
			if !slices.Equal(indexes, r.Indexes) || !slices.Equal(ids, r.IDs) || len(basis) != len(r.Basis) || len(parts) == 0 {
				t.Errorf("%d, %s: the parts have %d, %d and %d", n, what, len(indexes), len(ids), len(basis))
			}
		}
	}
}
