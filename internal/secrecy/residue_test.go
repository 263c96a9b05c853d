package secrecy

import (
	"encoding/json"
	"slices"
	"strings"
)

// acted says whether two answers differ only in what no answer can hide: an actor makes a record, with an id of their own
// choice, that in one of the organisations somebody has already whom they do not see. Where the id is free the record is made
// and the actor is told so; where it is not, there is nothing to be made, and a success would be a lie that the next
// request finds out. The refusal is one and the same for every id that is taken, and only whoever may make a record learns it.
func (p *pair) acted(f *failure) bool {
	for i := range f.answers {
		status, body, _ := strings.Cut(strings.SplitN(f.answers[i], "\n", 2)[0], " ")
		var problem struct{ Field string }
		if status != "409" || f.answers[1-i][0] != '2' || json.Unmarshal([]byte(body), &problem) != nil {
			continue
		}
		hidden := func(k key) bool {
			return f.before[i][k] != nil && f.before[1-i][k] == nil && !p.sights[i].visible[k]
		}
		if (problem.Field == "id" || strings.HasSuffix(problem.Field, ".id")) && slices.ContainsFunc(f.request.creating, hidden) {
			return true
		}
	}
	return false
}
