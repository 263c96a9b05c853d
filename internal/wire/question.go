package wire

import (
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
)

// Part is one of the three that every question has.
type Part int

// The parts, in the order in which they are said to be missing.
const (
	none Part = iota - 1
	Subject
	Action
	Resource
)

// String returns the name of the member.
func (p Part) String() string {
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

// Evaluation decodes one question (AuthZEN 1.0, section 6.1). Members that it does not
// know are ignored, as the specification demands.
func (d *Decoder) Evaluation(body []byte) (*authz.Request, error) { return d.one(body, false) }

// Strict is Evaluation for bodies of our own: a member that it does not know is an error.
func (d *Decoder) Strict(body []byte) (*authz.Request, error) { return d.one(body, true) }

func (d *Decoder) one(body []byte, strict bool) (*authz.Request, error) {
	if err := d.begin(body); err != nil {
		return nil, err
	}
	d.strict = strict
	q := new(question)
	if err := d.rest(q); err != nil {
		return nil, err
	}
	return d.complete(q)
}

// Input decodes OPA's {"input": …}, the input as a question.
func (d *Decoder) Input(body []byte) (*authz.Request, error) {
	if err := d.begin(body); err != nil {
		return nil, err
	}
	q, found := new(question), false
	if err := d.members(func(name []byte) error {
		if string(name) != "input" {
			return d.skip()
		}
		if err := d.object("input"); err != nil {
			return err
		}
		found, d.base = true, "input"
		err := d.rest(q)
		d.base = ""
		return err
	}); err != nil {
		return nil, err
	}
	if err := endsThere(&d.tokens); err != nil {
		return nil, err
	}
	if !found {
		return nil, d.malformed("is required: give an object with subject, action and resource", "input", "")
	}
	d.base = "input"
	return &q.Request, d.lacking(q)
}

// InInput names a field of a question as it stands in OPA's input.
func InInput(field string) string {
	part, _, _ := strings.Cut(field, ".")
	if part == "context" || part == "subject" || part == "action" || part == "resource" {
		return "input." + field
	}
	return field
}

// maxFirst is the highest number that the first parameter of a filter may have. No database
// takes as many.
const maxFirst = 65_535

// Filter decodes the question for a filter. A member that it does not know is an error, and
// so is the id of a resource: a filter is for all of a type.
func (d *Decoder) Filter(body []byte) (*filter.Question, error) {
	if err := d.begin(body); err != nil {
		return nil, err
	}
	d.sought, d.strict = Resource, true
	q, f := new(question), new(filter.Question)
	if err := d.members(func(name []byte) (err error) {
		switch string(name) {
		case "dialect":
			f.Dialect, err = d.dialect()
		case "first_parameter":
			f.First, err = d.wholeNumber("first_parameter", "", maxFirst)
		default:
			err = d.part(q, name, "subject, action, resource, context, dialect and first_parameter")
		}
		return err
	}); err != nil {
		return nil, err
	}
	var err error
	if f.Request, err = d.complete(q); err != nil {
		return nil, err
	}
	if f.Dialect == "" {
		return nil, d.malformed("is required: give one of "+strings.Join(filter.Dialects(), ", "), "dialect", "")
	}
	return f, nil
}

// dialect consumes the name of a dialect.
func (d *Decoder) dialect() (filter.Dialect, error) {
	name, err := d.nonEmpty("dialect", "")
	if err != nil {
		return "", err
	}
	if !slices.Contains(filter.Dialects(), name) {
		return "", d.malformed("must be one of "+strings.Join(filter.Dialects(), ", "), "dialect", "")
	}
	return filter.Dialect(name), nil
}

// rest consumes the members of an object that is a question, up to its end.
func (d *Decoder) rest(q *question) error {
	for {
		name, more, err := d.member()
		if err != nil || !more {
			return err
		}
		if err := d.part(q, name, "subject, action, resource and context"); err != nil {
			return err
		}
	}
}

// part consumes the value of a member of a question. Known are those that there are.
func (d *Decoder) part(q *question, name []byte, known string) (err error) {
	switch string(name) {
	case "subject":
		q.given[Subject] = true
		q.lacks[Subject], err = d.entity(&q.Subject, "subject")
	case "resource":
		q.given[Resource] = true
		q.lacks[Resource], err = d.entity(&q.Resource, "resource")
	case "action":
		q.given[Action] = true
		q.lacks[Action], err = d.action(&q.Action)
	case "context":
		q.Context, err = d.optionalObject("context", "")
		q.hasContext = q.Context != nil
	default:
		err = d.unknown(known)
	}
	return err
}

// unknown consumes the value of a member that is not known, or says which are.
func (d *Decoder) unknown(known string) error {
	if !d.strict {
		return d.skip()
	}
	return malformed(dotted(d.tokens.StackPointer()), "is not known here; there are %s", known)
}

// entity consumes a subject or resource (AuthZEN 1.0, sections 5.1 and 5.2).
// It takes type, id and properties and nothing else, so that what a caller puts
// beside them can never be taken for a fact. What is open has no id: one that is
// given all the same is not looked at. Lacks names a missing member.
func (d *Decoder) entity(e *authz.Entity, parent string) (lacks string, err error) {
	if err := d.object(parent); err != nil {
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
			e.Type, err = d.nonEmpty(parent, "type")
		case "id":
			if !open {
				e.ID, err = d.nonEmpty(parent, "id")
			} else {
				err = d.unknown("type and properties; it is what is looked for")
			}
		case "properties":
			e.Properties, err = d.optionalObject(parent, "properties")
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
func (d *Decoder) action(a *authz.Action) (lacks string, err error) {
	if err := d.object("action"); err != nil {
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
			a.Name, err = d.nonEmpty("action", "name")
		case "properties":
			a.Properties, err = d.optionalObject("action", "properties")
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

// complete makes sure that nothing follows the body and that q has every required member.
func (d *Decoder) complete(q *question) (*authz.Request, error) {
	if err := endsThere(&d.tokens); err != nil {
		return nil, err
	}
	if err := d.lacking(q); err != nil {
		return nil, err
	}
	return &q.Request, nil
}

// lacking returns the error for the first required member that q is without, nil for none.
func (d *Decoder) lacking(q *question) error {
	for p := Subject; p <= Resource; p++ {
		switch {
		case p == Action && d.sought == Action:
		case !q.given[p]:
			return d.malformed("is required: give an object", p.String(), "")
		case q.lacks[p] != "":
			return d.malformed("is required: give a string", p.String(), q.lacks[p])
		}
	}
	return nil
}
