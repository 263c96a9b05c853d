package main

import (
	"fmt"

	"github.com/caregate/caregate/internal/nearest"
)

// didYouMean returns "; did you mean …?" with the one of known that word is
// most likely a misspelling of, as show writes it, and "" when none is near.
func didYouMean(word string, known []string, show func(string) string) string {
	best := nearest.To(word, known)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", show(best))
}

// The ways to write the name of a command or of a key in the config file, and
// of a flag; envName is the third.
func plainName(name string) string { return name }
func flagName(name string) string  { return "--" + name }
