package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// row is a row of a table of a host's own.
type row struct {
	ID         string
	References map[string]string // by name; one that is absent is NULL
	// Lacks is a column that is NULL although every entity has it: id or patient_group.
	Lacks string
}

// requestFor returns the question about a row: with what the question gives, and the references
// that the row has.
func (r *row) requestFor(q *authz.Request) *authz.Request {
	out := *q
	out.Resource.ID = r.ID
	if len(r.References) > 0 {
		out.Resource.Properties = maps.Clone(q.Resource.Properties)
		if out.Resource.Properties == nil {
			out.Resource.Properties = map[string]any{}
		}
		for name, id := range r.References {
			out.Resource.Properties[name] = id
		}
	}
	return &out
}

// describe writes a row for a reader.
func (r *row) describe() string {
	columns := map[string]any{"id": r.ID}
	if r.Lacks != "" {
		columns[r.Lacks] = nil
	}
	for name, id := range r.References {
		columns[name] = id
	}
	return encoded(columns)
}

// encoded writes a value as JSON, whose letters stay readable.
func encoded(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// sought is what a question looks for.
type sought string

// What is looked for. Nothing is, in a batch of questions that have nothing in common.
const (
	resources sought = "resource"
	subjects  sought = "subject"
	actions   sought = "action"
	nothing   sought = "batch"
)

// question is one that is asked in every shape that has an answer to it.
type question struct {
	sought  sought
	request authz.Request   // without the name of what is looked for
	batch   []authz.Request // when nothing is
	acts    []act           // of administration
}

// describe writes a question for a reader.
func (q *question) describe() string {
	switch q.sought {
	case nothing:
		return "each of:"
	case administering:
		return "may each of these be?"
	}
	subject, action, resource := named(q.request.Subject), encoded(q.request.Action.Name), named(q.request.Resource)
	switch q.sought {
	case resources:
		return fmt.Sprintf("which %s may %s %s?", resource, subject, action)
	case subjects:
		return fmt.Sprintf("which %s may %s %s?", subject, action, resource)
	default:
		return fmt.Sprintf("which actions may %s do to %s?", subject, resource)
	}
}

// single writes a question about one resource.
func single(r *authz.Request) string {
	return fmt.Sprintf("may %s %s %s?", named(r.Subject), encoded(r.Action.Name), named(r.Resource))
}

func named(e authz.Entity) string {
	text := e.Type
	if e.ID != "" {
		text += " " + encoded(e.ID)
	}
	if len(e.Properties) > 0 {
		text += " " + encoded(e.Properties)
	}
	return text
}

// hosting is how the tables of a host are, and what their mapping says of them.
type hosting struct {
	lists    bool // care teams stand in the filter as ids
	resolved bool // all rows and references are in the directory, and the mapping says so
}

// scene is everything that answers depend on, aside from the policy: it is made smaller
// where they disagree.
type scene struct {
	// before is what the organisation was while the same was asked once already, nil for
	// an organisation that is new. It has no entities that records lack.
	before  records
	records records
	rows    map[string][]row // by type
	hosting hosting
}

// copied returns a scene that can be changed without a change of this one.
func (s *scene) copied() *scene {
	out := &scene{before: slices.Clone(s.before), records: slices.Clone(s.records), rows: map[string][]row{}, hosting: s.hosting}
	for typ, rows := range s.rows {
		out.rows[typ] = slices.Clone(rows)
	}
	return out
}

// earlier returns the scene as it was before.
func (s *scene) earlier(catalogue *authz.Catalogue) *scene {
	out := s.copied()
	out.before, out.records = nil, out.before
	out.dropGone(catalogue)
	return out
}
