package policy

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// appendQuestion appends what a question says, in a form in which two questions
// are the same bytes only if they are the same question. False means that it is
// too large, or holds what no JSON is read as; then what was appended means
// nothing.
func appendQuestion(b []byte, r *authz.Request) ([]byte, bool) {
	if len(r.Subject.Type)+len(r.Subject.ID)+len(r.Action.Name)+len(r.Resource.Type)+len(r.Resource.ID) > memoQuestion {
		return b, false
	}
	b = appendText(b, r.Subject.Type)
	b = appendText(b, r.Subject.ID)
	b = appendText(b, r.Action.Name)
	b = appendText(b, r.Resource.Type)
	b = appendText(b, r.Resource.ID)
	for _, object := range [4]map[string]any{r.Subject.Properties, r.Action.Properties, r.Resource.Properties, r.Context} {
		if object == nil { // absent, which is not the same as empty
			b = append(b, '-')
			continue
		}
		var ok bool
		if b, ok = appendMembers(b, object); !ok {
			return b, false
		}
	}
	return b, len(b) <= memoQuestion
}

// appendText appends a text so that its end is known.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendMembers appends an object, its members sorted.
func appendMembers(b []byte, object map[string]any) ([]byte, bool) {
	var room [8]string
	names := room[:0]
	if len(object) > memoQuestion/2 { // a member takes two bytes at least
		return b, false
	}
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	b = binary.AppendUvarint(append(b, '{'), uint64(len(names)))
	for _, name := range names {
		if len(b)+len(name) > memoQuestion {
			return b, false
		}
		var ok bool
		if b, ok = appendAny(appendText(b, name), object[name]); !ok {
			return b, false
		}
	}
	return b, true
}

// appendAny appends a JSON value. Numbers are told apart by how they are written.
func appendAny(b []byte, value any) ([]byte, bool) {
	if len(b) > memoQuestion {
		return b, false
	}
	switch v := value.(type) {
	case nil:
		return append(b, '0'), true
	case bool:
		if v {
			return append(b, 't'), true
		}
		return append(b, 'f'), true
	case string:
		if len(v) > memoQuestion {
			return b, false
		}
		return appendText(append(b, '"'), v), true
	case json.Number:
		if len(v) > memoQuestion {
			return b, false
		}
		return appendText(append(b, '#'), string(v)), true
	case map[string]any:
		return appendMembers(b, v)
	case []any:
		b = binary.AppendUvarint(append(b, '['), uint64(len(v)))
		for _, element := range v {
			var ok bool
			if b, ok = appendAny(b, element); !ok {
				return b, false
			}
		}
		return b, true
	}
	return b, false
}

// appendFacts appends the identities of all facts that a question depends on: of
// what it names, and of the role and groups of the team members among them. False
// means that there are too many.
func (m *memo) appendFacts(ids []*identity, q authz.Question) ([]*identity, bool) {
	ids = m.appendFact(ids, q.Subject, q.Facts)
	ids = m.appendFact(ids, q.Resource, q.Facts)
	var room [8]authz.Reference
	references := append(room[:0], q.References...)
	slices.SortFunc(references, func(a, b authz.Reference) int { return strings.Compare(a.Name, b.Name) })
	for _, reference := range references {
		ids = m.appendFact(ids, reference.Fact, q.Facts)
	}
	return ids, len(ids) <= memoFacts
}

// appendFact appends the identity of a fact, nil for none, and for a team member
// those of the role and of every group.
func (m *memo) appendFact(ids []*identity, fact *authz.Fact, facts *authz.Facts) []*identity {
	if fact == nil {
		return append(ids, nil)
	}
	ids = append(ids, m.identity(fact))
	if fact.Kind != authz.KindTeamMember || !fact.Found {
		return ids
	}
	for key := range fact.Sources() {
		if len(ids) > memoFacts {
			break
		}
		ids = append(ids, m.identity(facts.Get(key)))
	}
	return ids
}

// identity returns what stands for a fact. All that do not exist share one: nothing
// is known of them but that, and the question says which it is.
func (m *memo) identity(fact *authz.Fact) *identity {
	if !fact.Found {
		return m.absent
	}
	p, ok := fact.Prepared(prepare).(*prepared)
	if !ok { // the evaluation will say so
		return new(identity)
	}
	return p.identity
}
