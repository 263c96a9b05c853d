// Package nearest finds the name that a word is most likely a misspelling of.
package nearest

import "strings"

// To returns the one of known that word is most likely a misspelling of, and "" when
// none is near. Cases, and whether words are joined by _ or by -, count for nothing. Of
// several that are equally near it is the first in order.
func To(word string, known []string) string {
	fold := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) }
	best, least := "", len(word)/3+2 // a near miss changes less than a third
	for _, candidate := range known {
		if d := distance(fold(word), fold(candidate)); d < least || d == least && best != "" && candidate < best {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the edits of one byte that turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
