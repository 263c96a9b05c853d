package acceptance

import (
	"fmt"
	"maps"
)

// entity is a subject or a resource as a caller names it.
type entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Properties map[string]any `json:"properties,omitempty"`
}

type action struct {
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties,omitempty"`
}

// question is the body of an AuthZEN evaluation.
type question struct {
	Subject  entity         `json:"subject"`
	Action   action         `json:"action"`
	Resource entity         `json:"resource"`
	Context  map[string]any `json:"context,omitempty"`
}

func member(id string) entity       { return entity{Type: "team_member", ID: id} }
func patient(id string) entity      { return entity{Type: "patient", ID: id} }
func provider(id string) entity     { return entity{Type: "provider", ID: id} }
func appointment(id string) entity  { return entity{Type: "appointment", ID: id} }
func clinicalNote(id string) entity { return entity{Type: "clinical_note", ID: id} }
func report(id string) entity       { return entity{Type: "report", ID: id} }

// naming returns the entity with one property more.
func (e entity) naming(name string, value any) entity {
	e.Properties = maps.Clone(e.Properties)
	if e.Properties == nil {
		e.Properties = map[string]any{}
	}
	e.Properties[name] = value
	return e
}

func (e entity) of(patient string) entity      { return e.naming("patient", patient) }
func (e entity) with(provider string) entity   { return e.naming("provider", provider) }
func (e entity) on(patientGroup string) entity { return e.naming("patient_group", patientGroup) }
func (e entity) String() string                { return fmt.Sprintf("%s %q", e.Type, e.ID) }
func (q question) String() string {
	return fmt.Sprintf("%v %s %v", q.Subject, q.Action.Name, q.Resource)
}
func (q question) data() map[string]any { return map[string]any{"input": q} }
func ask(who any, does string, to entity) question {
	return question{Subject: subjectOf(who), Action: action{Name: does}, Resource: to}
}

// subjectOf lets a sentence begin with the id of a team member, or with any
// entity.
func subjectOf(who any) entity {
	switch who := who.(type) {
	case string:
		return member(who)
	case entity:
		return who
	default:
		panic(fmt.Sprintf("%T asks nothing", who))
	}
}
