package directory

import (
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// eachField calls f for every field of a hash, which a script returns as one
// text: fields and values in turn with zero bytes between them.
func eachField(reply any, f func(field, value string) error) error {
	rest, ok := reply.(string)
	if _, lost := reply.(int64); lost {
		return damaged("an entity is listed that does not exist; perhaps Redis evicted it, which its maxmemory-policy must not allow")
	}
	if !ok {
		return damaged("the reply is no hash")
	}
	for more := rest != ""; more; {
		var field, value string
		if field, rest, more = strings.Cut(rest, "\x00"); !more {
			return damaged("the reply is cut off")
		}
		value, rest, more = strings.Cut(rest, "\x00")
		if err := f(field, value); err != nil {
			return err
		}
	}
	return nil
}

// factOf reads the hash of an entity, nil when there is none. A hash that lacks
// a field, or has one too many, is an error.
func factOf(key authz.Key, reply any) (*authz.Fact, error) {
	e, err := entityOf(key.Kind, reply)
	if err != nil || e == nil {
		return nil, err
	}
	return model.FactOf(key, e.since, &e.record, e.careTeam), nil
}

// entity is everything that the hash of an entity says, whatever its kind.
type entity struct {
	since    authz.Revision // of its last change
	record   admin.Record   // its kind and id left out, its care team the manual places
	careTeam []string       // every member
}

// storedFields returns how many fields a hash of each kind always has beside the revision:
// all that are no edges.
func storedFields(kind authz.Kind) (n int) {
	for _, f := range model.Fields(kind) {
		if f.Edge == "" {
			n++
		}
	}
	return n
}

// entityOf reads a hash, nil when it is empty. Redis gives the fields of a hash
// in no order and each once, so that a count tells whether one is missing.
func entityOf(kind authz.Kind, reply any) (*entity, error) {
	e := new(entity)
	fields, edges := 0, 0
	err := eachField(reply, func(field, value string) error {
		fields++
		known, edge := e.set(kind, field, value)
		if !known {
			return damaged("a %s has a field or a value that no %s can have", kind, kind)
		}
		if edge {
			edges++
		}
		return nil
	})
	if err != nil || fields == 0 {
		return nil, err
	}
	if fields-edges != storedFields(kind)+1 {
		return nil, damaged("a %s lacks a field", kind)
	}
	return e, nil
}

// set takes one field of a hash and reports whether it is one that the kind
// has, with a value it can have, and whether it is an edge to another entity.
func (e *entity) set(kind authz.Kind, field, value string) (known, edge bool) {
	if field == "rev" {
		var err error
		e.since, err = authz.ParseRevision(value)
		return err == nil && e.since.Count > 0 && e.since.Nonce != "", false
	}
	f, id := model.StoredField(kind, field)
	if f == nil {
		return false, false
	}
	switch r := &e.record; f.Type {
	case model.Name:
		*f.Text(r) = value
		return true, false
	case model.ID:
		*f.Text(r) = value
		return value != "" || !f.Always, false
	case model.State:
		r.State = admin.State(value)
		return r.State.Known(), false
	case model.Flag:
		*f.Flag(r) = value == "1"
		return value == "1" || value == "0", false
	case model.Permissions:
		return json.Unmarshal([]byte(value), &r.Permissions) == nil && r.Permissions != nil, false
	}
	if f.Relation == model.CareTeam {
		return e.setCareTeam(id, value), true
	}
	if value != "" {
		return false, false
	}
	list := f.List(&e.record)
	*list = append(*list, id)
	return true, true
}

// setCareTeam takes a member of a patient's care team with their sources (B6).
func (e *entity) setCareTeam(member, value string) bool {
	e.careTeam = append(e.careTeam, member)
	for source := range strings.SplitSeq(value, "\n") {
		switch {
		case source == "manual":
			e.record.CareTeam = append(e.record.CareTeam, member)
		case !strings.HasPrefix(source, "booking:"):
			return false
		}
	}
	return true
}
