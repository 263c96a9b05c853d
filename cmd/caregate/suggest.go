package main

import (
	"fmt"
	"strings"
)

// didYouMean returns "; did you mean …?" with the one of known that word is
// most likely a misspelling of, as show writes it, and "" when none is near.
func didYouMean(word string, known []string, show func(string) string) string {
	fold := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) }
	best, least := "", len(word)/3+2 // a near miss changes less than a third
	for _, candidate := range known {
		if d := distance(fold(word), fold(candidate)); d < least || d == least && best != "" && candidate < best {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", show(best))
}

// The ways to write the name of a command or of a key in the config file, and
// of a flag; envName is the third.
func plainName(name string) string { return name }
func flagName(name string) string  { return "--" + name }

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
