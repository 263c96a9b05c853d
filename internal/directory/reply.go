package directory

import (
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
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
	return &authz.Fact{
		Key: key, Found: true, Since: e.since,
		Permissions: e.permissions,
		Role:        e.role, Groups: e.groups, Access: e.access, Booking: e.booking, Provider: e.isProvider,
		PatientGroup: e.patientGroup, CareTeam: e.careTeam,
	}, nil
}

// entity is everything that the hash of an entity says, whatever its kind.
type entity struct {
	since                   authz.Revision // of its last change
	name                    string
	permissions             []string
	role                    string
	groups, access, booking []string
	isProvider              bool
	patientGroup            string
	careTeam                []string // every member
	manual                  []string // those with the source "manual"
	patient, provider       string
	state                   admin.State
}

// required is the number of fields that a hash of each kind always has.
func required(kind authz.Kind) int {
	switch kind {
	case authz.KindRole, authz.KindGroup:
		return 3
	case authz.KindTeamMember, authz.KindBooking:
		return 4
	default:
		return 2
	}
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
	if fields-edges != required(kind) {
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
	switch kind {
	case authz.KindRole, authz.KindGroup:
		switch field {
		case "name":
			e.name = value
			return true, false
		case "permissions":
			return json.Unmarshal([]byte(value), &e.permissions) == nil && e.permissions != nil, false
		}
	case authz.KindPatientGroup:
		e.name = value
		return field == "name", false
	case authz.KindTeamMember:
		return e.setMember(field, value)
	case authz.KindPatient:
		if field == "patient_group" {
			e.patientGroup = value
			return value != "", false
		}
		return e.setCareTeam(field, value), true
	case authz.KindBooking:
		switch field {
		case "patient":
			e.patient = value
			return value != "", false
		case "provider":
			e.provider = value
			return value != "", false
		case "state":
			e.state = admin.State(value)
			return e.state == admin.Booked || e.state == admin.Cancelled || e.state == admin.Released, false
		}
	}
	return false, false
}

func (e *entity) setMember(field, value string) (known, edge bool) {
	switch field {
	case "name":
		e.name = value
		return true, false
	case "role":
		e.role = value
		return true, false
	case "provider":
		e.isProvider = value == "1"
		return value == "1" || value == "0", false
	}
	if len(field) < 3 || field[1] != ':' || value != "" {
		return false, false
	}
	switch id := field[2:]; field[0] {
	case 'g':
		e.groups = append(e.groups, id)
	case 'a':
		e.access = append(e.access, id)
	case 'b':
		e.booking = append(e.booking, id)
	default:
		return false, false
	}
	return true, true
}

// setCareTeam takes an edge of a patient's care team with its sources (B6).
func (e *entity) setCareTeam(field, value string) bool {
	member, isEdge := strings.CutPrefix(field, "c:")
	if !isEdge || member == "" {
		return false
	}
	e.careTeam = append(e.careTeam, member)
	for source := range strings.SplitSeq(value, "\n") {
		switch {
		case source == "manual":
			e.manual = append(e.manual, member)
		case !strings.HasPrefix(source, "booking:"):
			return false
		}
	}
	return true
}
