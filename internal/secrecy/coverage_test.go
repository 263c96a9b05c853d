package secrecy

import (
	"slices"
	"testing"
)

// reached are the kinds of requests, each with the kinds of hidden records that it has to have been about in a whole run.
var reached = map[string][]string{
	"GET record":          kinds,
	"POST records":        kinds,
	"GET list":            kinds,
	"POST lists":          kinds,
	"GET relation":        kinds[:5],
	"POST relations":      kinds[:5],
	"PUT record":          kinds[:5],
	"PATCH record":        kinds[:5],
	"DELETE record":       kinds,
	"DELETE cascade":      kinds,
	"PUT one":             kinds[:5],
	"DELETE one":          kinds[:5],
	"PUT set":             kinds[:5],
	"POST set":            kinds[:5],
	"POST bookings":       {"team_member", "patient", "booking"},
	"POST cancel":         {"booking"},
	"POST edits, one":     kinds,
	"POST edits, several": kinds,
	"GET changes":         kinds,
	"POST changes":        kinds,
	"preview":             kinds,
	"review":              {"team_member", "patient"},
	"explanation":         {"team_member", "patient", "patient_group"},
}

// enoughCases are as many as reach everything.
const enoughCases = 20_000

// reachedAll complains about what was never asked, and about answers that are too much alike to show anything.
func (c *tally) reachedAll(t *testing.T) {
	t.Helper()
	if c.cases < enoughCases {
		return
	}
	if c.touching < c.cases/8 || c.changed < c.cases/300 {
		t.Errorf("of %d requests %d name what is hidden and differs, and %d changed something: too few to show anything", c.cases, c.touching, c.changed)
	}
	for sort, kinds := range reached {
		for _, kind := range kinds {
			if c.sorts[sort+" × "+kind] == 0 {
				t.Errorf("no %s was about a hidden %s", sort, kind)
			}
		}
	}
	for _, sort := range sorts() {
		if sort != "all rights" && c.actors[sort] == 0 { // who sees everything is kept from nothing
			t.Errorf("nobody asked: %s", sort)
		}
	}
	statuses := []string{"200", "201", "204", "304", "400", "403", "404", "409", "412"}
	if i := slices.IndexFunc(statuses, func(s string) bool { return c.statuses[s] == 0 }); i >= 0 {
		t.Errorf("no answer was %s", statuses[i])
	}
}
