package httpapi

import (
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// A page of a search that is accepted has a limit, and begins where its token says.
func FuzzSearchPage(f *testing.F) {
	pages, err := newPages()
	if err != nil {
		f.Fatal(err)
	}
	for _, token := range []string{"", "100.AgA", "s.AAAA", "1001.AgA", "5."} {
		f.Add(token, 7)
	}
	f.Fuzz(func(t *testing.T, token string, limit int) {
		p, err := pages.searchPage(wire.Page{Token: token, Limit: min(max(limit, 0), 1000)})
		if err != nil {
			if authz.KindOf(err) != authz.Malformed {
				t.Fatal(err)
			}
			return
		}
		if p.Limit < 1 || p.Limit > 1000 || (p.From == nil) != (token == "") {
			t.Fatalf("accepted %#v", p)
		}
	})
}
