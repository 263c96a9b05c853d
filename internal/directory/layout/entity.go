package layout

import (
	"iter"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// FactOf reads the hash of an entity, nil when there is none. A hash that lacks
// a field, or has one too many, is an error.
func FactOf(key authz.Key, reply any) (*authz.Fact, error) {
	e, err := EntityOf(key.Kind, reply)
	if err != nil || e == nil {
		return nil, err
	}
	return model.FactOf(key, e.Since, &e.Record, e.CareTeam), nil
}

// Entity is everything that the hash of an entity says, whatever its kind.
type Entity struct {
	Since    authz.Revision // of its last change
	Record   admin.Record   // its kind and id left out, its care team the manual places
	CareTeam []string       // every member
}

// RequiredFields yields the names of the fields that a hash of a kind always has: rev, and all
// that are no edges, but for the flags that came with a later schema.
func RequiredFields(kind authz.Kind) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield("rev") {
			return
		}
		for _, f := range model.Fields(kind) {
			if f.Edge == "" && f.Since == 0 && !yield(f.Name) {
				return
			}
		}
	}
}

// EntityOf reads a hash, nil when it is empty. Redis gives the fields of a hash
// in no order and each once, so that a count tells whether a required one is missing.
func EntityOf(kind authz.Kind, reply any) (*Entity, error) {
	e := new(Entity)
	fields, others := 0, 0
	err := script.EachField(reply, func(field, value string) error {
		fields++
		known, required := e.Set(kind, field, value)
		if !known {
			return script.Damaged("a %s has a field or a value that no %s can have", kind, kind)
		}
		if !required {
			others++
		}
		return nil
	})
	if err != nil || fields == 0 {
		return nil, err
	}
	required := 0
	for range RequiredFields(kind) {
		required++
	}
	if fields-others != required {
		return nil, script.Damaged("a %s lacks a field", kind)
	}
	return e, nil
}

// Set takes one field of a hash and reports whether it is one that the kind
// has, with a value it can have, and whether every hash of the kind has it.
func (e *Entity) Set(kind authz.Kind, field, value string) (known, required bool) {
	if field == "rev" {
		var err error
		e.Since, err = authz.ParseRevision(value)
		return err == nil && e.Since.Count > 0 && e.Since.Nonce != "", true
	}
	f, id := model.StoredField(kind, field)
	if f == nil {
		return false, false
	}
	switch r := &e.Record; f.Type {
	case model.Name:
		*f.Text(r) = value
		return true, true
	case model.ID:
		*f.Text(r) = value
		return value != "" || !f.Always, true
	case model.State:
		r.State = admin.State(value)
		return r.State.Known(), true
	case model.Flag:
		*f.Flag(r) = value == "1"
		return value == "1" || value == "0" && f.Since == 0, f.Since == 0
	case model.Permissions:
		return json.Unmarshal([]byte(value), &r.Permissions) == nil && r.Permissions != nil, true
	}
	if f.Relation == model.CareTeam {
		return e.setCareTeam(id, value), false
	}
	if value != "" {
		return false, false
	}
	list := f.List(&e.Record)
	*list = append(*list, id)
	return true, false
}

// setCareTeam takes a member of a patient's care team with their sources (B6).
func (e *Entity) setCareTeam(member, value string) bool {
	e.CareTeam = append(e.CareTeam, member)
	for source := range strings.SplitSeq(value, "\n") {
		switch {
		case source == "manual":
			e.Record.CareTeam = append(e.Record.CareTeam, member)
		case !strings.HasPrefix(source, "booking:"):
			return false
		}
	}
	return true
}

// RecordOf returns the entity as a record, every list in order.
func (e *Entity) RecordOf(kind authz.Kind, id string) admin.Record {
	r := e.Record
	r.Kind, r.ID = kind, id
	r.SortLists()
	return r
}
