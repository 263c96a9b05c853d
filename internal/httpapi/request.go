package httpapi

import (
	"github.com/caregate/caregate/internal/authz"
)

// part is one of the three that every question has.
type part int

const (
	none part = iota - 1 // of them
	subject
	action
	resource
)

func (p part) String() string {
	return [...]string{"subject", "action", "resource"}[p]
}

// question is a request as far as it was given.
type question struct {
	authz.Request
	given      [3]bool
	lacks      [3]string // the required member that a given part is without
	inherited  [3]bool   // from the defaults of a batch
	hasContext bool
}

// question consumes the value of a member that a question has; known is false
// when it has none of that name, and then nothing is consumed.
func (d *decoding) question(q *question, name []byte) (known bool, err error) {
	switch string(name) {
	case "subject":
		q.given[subject] = true
		q.lacks[subject], err = d.entity(&q.Subject, "subject")
	case "resource":
		q.given[resource] = true
		q.lacks[resource], err = d.entity(&q.Resource, "resource")
	case "action":
		q.given[action] = true
		q.lacks[action], err = d.action(&q.Action)
	case "context":
		q.Context, err = d.optional("context", "")
		q.hasContext = q.Context != nil
	default:
		return false, nil
	}
	return true, err
}

// entity consumes a subject or resource (AuthZEN 1.0, sections 5.1 and 5.2).
// It reads type, id and properties and nothing else, so that what a caller puts
// beside them can never be taken for a fact. What is open has no id: one that is
// given all the same is not looked at. Lacks names a missing member.
func (d *decoding) entity(e *authz.Entity, parent string) (lacks string, err error) {
	if k := d.tokens.PeekKind(); k != '{' {
		return "", d.mismatch(k, "an object", parent, "")
	}
	if err = d.token(); err != nil {
		return "", err
	}
	open := d.sought != none && d.sought.String() == parent
	for {
		name, more, err := d.member()
		if err != nil {
			return "", err
		}
		if !more {
			break
		}
		switch string(name) {
		case "type":
			e.Type, err = d.text(parent, "type")
		case "id":
			if !open {
				e.ID, err = d.text(parent, "id")
			} else {
				err = d.unknown("type and properties; it is what is looked for")
			}
		case "properties":
			e.Properties, err = d.optional(parent, "properties")
		default:
			err = d.unknown("type, id and properties")
		}
		if err != nil {
			return "", err
		}
	}
	switch {
	case e.Type == "":
		return "type", nil
	case e.ID == "" && !open:
		return "id", nil
	}
	return "", nil
}

// action consumes an action (AuthZEN 1.0, section 5.3).
func (d *decoding) action(a *authz.Action) (lacks string, err error) {
	if k := d.tokens.PeekKind(); k != '{' {
		return "", d.mismatch(k, "an object", "action", "")
	}
	if err = d.token(); err != nil {
		return "", err
	}
	for {
		name, more, err := d.member()
		if err != nil {
			return "", err
		}
		if !more {
			break
		}
		switch string(name) {
		case "name":
			a.Name, err = d.text("action", "name")
		case "properties":
			a.Properties, err = d.optional("action", "properties")
		default:
			err = d.unknown("name and properties")
		}
		if err != nil {
			return "", err
		}
	}
	if a.Name == "" {
		return "name", nil
	}
	return "", nil
}

// complete makes sure that q has every required member.
func (d *decoding) complete(q *question) error {
	for p := subject; p <= resource; p++ {
		switch {
		case p == action && d.sought == action:
		case !q.given[p]:
			return d.malformed("is required: give an object", p.String(), "")
		case q.lacks[p] != "":
			return d.malformed("is required: give a string", p.String(), q.lacks[p])
		}
	}
	return nil
}

// evaluation reads d.body as one question (AuthZEN 1.0, section 6.1). Members
// that it does not know are ignored, as the specification demands.
func (d *decoding) evaluation() (*authz.Request, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	return d.whole()
}

// strictEvaluation is evaluation for our own API: a member that it does not know is
// an error.
func (d *decoding) strictEvaluation() (*authz.Request, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	d.strict = true
	return d.whole()
}

// whole reads the rest of a body that is one question.
func (d *decoding) whole() (*authz.Request, error) {
	q := new(question)
	if err := d.rest(q); err != nil {
		return nil, err
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if err := d.complete(q); err != nil {
		return nil, err
	}
	return &q.Request, nil
}

// rest reads the members of an object that is a question, up to its end.
func (d *decoding) rest(q *question) error {
	for {
		name, more, err := d.member()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		known, err := d.question(q, name)
		if err == nil && !known {
			err = d.unknown("subject, action, resource and context")
		}
		if err != nil {
			return err
		}
	}
}

// data reads d.body as OPA's {"input": …}, the input as a question.
func (d *decoding) data() (*authz.Request, error) {
	if err := d.begin(); err != nil {
		return nil, err
	}
	q, found := new(question), false
	for {
		name, more, err := d.member()
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		if string(name) != "input" {
			if err := d.skip(); err != nil {
				return nil, err
			}
			continue
		}
		if k := d.tokens.PeekKind(); k != '{' {
			return nil, d.mismatch(k, "an object", "input", "")
		}
		if err := d.token(); err != nil {
			return nil, err
		}
		found, d.base = true, "input"
		if err := d.rest(q); err != nil {
			return nil, err
		}
		d.base = ""
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	if !found {
		return nil, d.malformed("is required: give an object with subject, action and resource", "input", "")
	}
	d.base = "input"
	if err := d.complete(q); err != nil {
		return nil, err
	}
	return &q.Request, nil
}

// teamMember reads d.body as {"team_member": id}. It is Caregate's own, so a
// member that it does not know is an error.
func (d *decoding) teamMember() (id string, err error) {
	if err := d.begin(); err != nil {
		return "", err
	}
	for {
		name, more, err := d.member()
		if err != nil {
			return "", err
		}
		if !more {
			break
		}
		if string(name) != "team_member" {
			return "", authz.Errorf(authz.Malformed, dotted(d.tokens.StackPointer()), "is not known here; give team_member alone")
		}
		if id, err = d.text("team_member", ""); err != nil {
			return "", err
		}
	}
	if err := d.end(); err != nil {
		return "", err
	}
	if id == "" {
		return "", d.malformed("is required: give the id of a team member as a string", "team_member", "")
	}
	return id, nil
}
