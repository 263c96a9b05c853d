package filter

import (
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// A dialect of which nothing is known is refused, and not written as another one.
func TestUnknownDialectsAreNotWritten(t *testing.T) {
	for _, name := range append(Dialects(), "oracle", "") {
		_, err := newWriter(Dialect(name), 1, nil)
		switch name {
		case "oracle", "", string(UCAST):
			if authz.KindOf(err) != authz.Internal {
				t.Errorf("%q: %v", name, err)
			}
		default:
			if err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}
