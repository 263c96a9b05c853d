package verify

import (
	"math/rand/v2"
	"strings"
	"unicode"

	"github.com/caregate/caregate/internal/admin"
)

// hostile are ids that a store, a query or a language may take for something else.
func hostile() []string {
	return []string{
		"'", `"`, `\`, "`", "]", "%", "_", "*", "?", "$1", "@p1", ":a", "--", "/*", ";", "(", "{}", "[]", "0", "01", "1e3", "null", "NULL", "true",
		"' OR '1'='1", `"; DROP TABLE patients; --`, `\u0041`, "a b", " ", " a", "a ", "a", "A", "ä", "a\u0308", "é", "e\u0301", "ß", "ss", "İ", "ı",
		"😀", "😀😀", "\u00a0", "\u200b", "\u2028", "\ufeff", "日本", strings.Repeat("x", 256), strings.Repeat("é", 128),
	}
}

// names draws ids.
type names struct {
	random *rand.Rand
	pool   []string // to draw from, aside from ordinary ones
	taken  map[string]bool
	drawn  []string
}

func newNames(random *rand.Rand, constants []string) *names {
	n := &names{random: random, taken: map[string]bool{}, pool: hostile()}
	for _, c := range constants {
		if admin.ValidID(c) {
			n.pool = append(n.pool, c)
		}
	}
	return n
}

// next draws an id that is not taken yet: an ordinary one, one of the pool, or one that
// differs from an earlier one in as little as a case, a space or an accent.
func (n *names) next(ordinary string) string {
	for {
		id := ordinary + string(rune('a'+n.random.IntN(26))) + string(rune('0'+n.random.IntN(10)))
		switch n.random.IntN(4) {
		case 0:
			id = n.pool[n.random.IntN(len(n.pool))]
		case 1:
			if len(n.drawn) > 0 {
				id = n.like(n.drawn[n.random.IntN(len(n.drawn))])
			}
		}
		if admin.ValidID(id) && !n.taken[id] {
			n.taken[id] = true
			n.drawn = append(n.drawn, id)
			return id
		}
	}
}

// like returns an id that is hard to tell from another one.
func (n *names) like(id string) string {
	switch n.random.IntN(6) {
	case 0:
		return id + " "
	case 1:
		return strings.ToUpper(id)
	case 2:
		return strings.ToLower(id)
	case 3:
		return id + "\u0301"
	case 4:
		return " " + id
	default:
		runes := []rune(id)
		if i := n.random.IntN(len(runes)); unicode.IsUpper(runes[i]) {
			runes[i] = unicode.ToLower(runes[i])
		} else {
			runes[i] = unicode.ToUpper(runes[i])
		}
		return string(runes)
	}
}
