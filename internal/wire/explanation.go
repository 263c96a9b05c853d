package wire

import (
	"bytes"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/review"
)

// Explanation is a decision in AuthZEN's form whose context is all that the viewer may know.
type Explanation struct {
	Decision bool    `json:"decision"`
	Context  members `json:"context"`
}

// remedy is a change that would allow what was denied. How many patients it would open is
// null where that cannot be counted.
type remedy struct {
	Text     string         `json:"text"`
	Edit     jsontext.Value `json:"edit"`
	Members  int            `json:"members"`
	Patients *int           `json:"patients"`
}

// NewExplanation returns the answer that is an explanation. An account of the policy's that
// is no object is an error.
func NewExplanation(why *review.Explanation) (*Explanation, error) {
	out := &Explanation{Decision: why.Decision.Allow, Context: members{}}
	for _, account := range [][]byte{why.User, why.Admin} {
		if err := out.Context.join(account); err != nil {
			return nil, err
		}
	}
	// They are what was tried, and nobody else's to give.
	out.Context = slices.DeleteFunc(out.Context, func(m given) bool { return m.name == "remedies" || m.name == "more_remedies" })
	if len(why.Remedies) > 0 || len(why.Admin) > 0 && !why.Decision.Allow {
		remedies := make([]remedy, len(why.Remedies))
		for i := range why.Remedies {
			r := &why.Remedies[i]
			edit, err := appendEdit(nil, &r.Edit)
			if err != nil {
				return nil, err
			}
			remedies[i] = remedy{Text: r.Text, Edit: edit, Members: r.Members}
			if r.Patients >= 0 {
				remedies[i].Patients = &r.Patients
			}
		}
		out.Context.set("remedies", remedies)
	}
	if why.More {
		out.Context.set("more_remedies", true)
	}
	return out, nil
}

// Said returns what the policy says under a name, as it is written; nil for nothing.
func (e *Explanation) Said(name string) []byte {
	for _, m := range e.Context {
		if said, ok := m.value.(jsontext.Value); ok && m.name == name {
			return said
		}
	}
	return nil
}

// members are those of an object, in their order.
type members []given

// set gives the object a member. One of the name that is there already keeps its place.
func (m *members) set(name string, value any) {
	i := slices.IndexFunc(*m, func(g given) bool { return g.name == name })
	if i < 0 {
		*m = append(*m, given{name, value})
	} else {
		(*m)[i].value = value
	}
}

// join gives the object the members of another one, which is JSON; nothing for none.
func (m *members) join(object []byte) error {
	if len(object) == 0 {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if d.PeekKind() != '{' {
		return errors.New("an explanation that is no object")
	}
	return eachMember(d, func(name string) error {
		value, err := d.ReadValue()
		m.set(name, value.Clone())
		return err
	})
}

// MarshalJSONTo implements json.MarshalerTo.
func (m members) MarshalJSONTo(e *jsontext.Encoder) error {
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, member := range m {
		if err := e.WriteToken(jsontext.String(member.name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(e, member.value); err != nil {
			return err
		}
	}
	return e.WriteToken(jsontext.EndObject)
}
