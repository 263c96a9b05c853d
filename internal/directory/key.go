package directory

import (
	"strings"

	"github.com/caregate/caregate/internal/admin"
)

// maxID is the most bytes that an id, or the name of an organisation, may have.
const maxID = admin.MaxID

// validID reports whether id is within the limits on ids. Nothing is written under
// any other id, so nothing is found under one.
func validID(id string) bool { return admin.ValidID(id) }

// headKey returns the key of an organisation's head. All other keys share what
// comes before "head".
func headKey(organisation string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString("cg:{")
	for i := range len(organisation) {
		switch c := organisation[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '.', c == '_', c == '~', c == '-':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	b.WriteString("}:head")
	return b.String()
}
