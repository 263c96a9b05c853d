package policy

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// asked is a question on its way along the chain, with what is known of it so far.
type asked struct {
	authz.Question
	references []authz.Reference // those that are found, in the order of their names
	room       [4]authz.Reference
	key        *memoKey // nil for a question that is not to be remembered
	input      input
}

// sortReferences finds and sorts the references that are found.
func (a *asked) sortReferences() {
	a.references = a.room[:0]
	for _, reference := range a.References {
		if reference.Fact.Found {
			a.references = append(a.references, reference)
		}
	}
	slices.SortFunc(a.references, func(a, b authz.Reference) int { return strings.Compare(a.Name, b.Name) })
}

// appendQuestion appends what a question says, in a form in which two questions
// are the same bytes only if they are the same question: first everything but the ids of
// the resource and of its references, which is as far as class says, then those. False means
// that it is too large, or holds what no JSON is read as; then what was appended means
// nothing.
func appendQuestion(b []byte, a *asked) (_ []byte, class int, ok bool) {
	r := a.Request
	if len(r.Subject.Type)+len(r.Subject.ID)+len(r.Action.Name)+len(r.Resource.Type)+len(r.Resource.ID) > memoQuestion {
		return b, 0, false
	}
	b = appendText(b, r.Subject.Type)
	b = appendText(b, r.Subject.ID)
	b = appendText(b, r.Action.Name)
	b = appendText(b, r.Resource.Type)
	for i, object := range [4]map[string]any{r.Resource.Properties, r.Subject.Properties, r.Action.Properties, r.Context} {
		if object == nil { // absent, which is not the same as empty
			b = append(b, '-')
			continue
		}
		var without []authz.Reference
		if i == 0 {
			without = a.references
		}
		if b, ok = appendMembers(b, object, without); !ok {
			return b, 0, false
		}
	}
	b = appendPresence(b, a.Resource)
	b = binary.AppendUvarint(b, uint64(len(a.references)))
	for _, reference := range a.references {
		b = appendPresence(appendText(b, reference.Name), reference.Fact)
	}
	class = len(b)
	b = appendText(b, r.Resource.ID)
	for _, reference := range a.references {
		b = appendText(b, reference.Fact.ID)
	}
	return b, class, len(b) <= memoQuestion
}

// appendPresence appends what of an entity is there at all.
func appendPresence(b []byte, fact *authz.Fact) []byte {
	switch {
	case fact == nil:
		return append(b, 'n')
	case !fact.Found:
		return append(b, 'a')
	}
	b = append(b, 'f')
	for _, f := range model.Fields(fact.Kind) {
		if f.Leaf && f.Text != nil && !f.Always {
			if _, there := fact.Text(f.Name); there {
				b = append(b, '1')
			} else {
				b = append(b, '0')
			}
		}
	}
	return b
}

// appendText appends a text so that its end is known.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendMembers appends an object, its members sorted, without those that are references.
func appendMembers(b []byte, object map[string]any, without []authz.Reference) ([]byte, bool) {
	var room [8]string
	names := room[:0]
	if len(object) > memoQuestion/2 { // a member takes two bytes at least
		return b, false
	}
	for name := range object {
		if !slices.ContainsFunc(without, func(r authz.Reference) bool { return r.Name == name }) {
			names = append(names, name)
		}
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
		return appendMembers(b, v, nil)
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

// appendFacts appends the identities of all facts that a question depends on, those of the
// subject first: of what it names, and of the role and groups of the team members among them.
// False means that there are too many.
func (m *memo) appendFacts(ids []*identity, a *asked) (_ []*identity, subject int, ok bool) {
	ids = m.appendFact(ids, a.Subject, a.Facts)
	subject = len(ids)
	ids = m.appendFact(ids, a.Resource, a.Facts)
	for _, reference := range a.references { // all that are not found are the same, and the question says which
		ids = m.appendFact(ids, reference.Fact, a.Facts)
	}
	return ids, subject, len(ids) <= memoFacts
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
	p, err := m.prepare.of(fact)
	if err != nil { // the evaluation will say so
		return new(identity)
	}
	return p.identity
}
