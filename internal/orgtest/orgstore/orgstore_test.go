package orgstore_test

import (
	"fmt"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
)

// The clinic in memory is what stores make of it.
func TestStoresTakeTheClinic(t *testing.T) {
	orgstore.Each(t, func(t *testing.T, store *directory.Directory) {
		clinic := orgtest.Clinic()
		if _, err := store.Commit(t.Context(), "clinic", admin.Change{Edits: orgtest.Edits(clinic...)}); err != nil {
			t.Fatal(err)
		}
		for key := range orgtest.DirectoryOf(clinic...) {
			keys, full := []authz.Key{key}, authz.Freshness{Full: true}
			got, err := store.Read(t.Context(), "clinic", keys, full)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := orgtest.DirectoryOf(clinic...).Read(t.Context(), "clinic", keys, full)
			if len(got.All()) != len(want.All()) {
				t.Errorf("%v is read with %d facts, not %d", key, len(got.All()), len(want.All()))
			}
			for _, fact := range want.All() {
				if a, b := said(got.Get(fact.Key)), said(fact); a != b {
					t.Errorf("%v is read as\n%s\nand not as\n%s", fact.Key, a, b)
				}
			}
		}
	})
}

// said writes what a fact says.
func said(f *authz.Fact) string {
	return fmt.Sprint(f.Key, f.Found, f.Permissions, f.Role, f.Groups, f.Access, f.Booking, f.Provider, f.PatientGroup, f.CareTeam)
}
