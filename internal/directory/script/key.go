package script

import (
	"strconv"
	"strings"
)

// HeadKey returns the key of an organisation's head. All other keys share what
// comes before "head".
func HeadKey(organisation string) string {
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

// StreamKey returns the key of an organisation's stream of changes.
func StreamKey(organisation string) string {
	return strings.TrimSuffix(HeadKey(organisation), "head") + "changes"
}

// StreamID is the id that the record of a revision has.
func StreamID(count uint64) string { return strconv.FormatUint(count, 10) + "-0" }
