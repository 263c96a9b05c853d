package httpapi

import (
	"maps"
	"slices"
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// appendRecord appends a record as it stands on a line of facts, with all its
// lists, and of a patient also why each is on their care team.
func appendRecord(dst []byte, r *admin.Stored) []byte {
	dst = appendKey(append(dst, '{'), r.Key())
	if r.Name != "" {
		dst = appendText(dst, "name", r.Name)
	}
	switch r.Kind {
	case authz.KindRole, authz.KindGroup:
		dst = appendList(dst, "permissions", r.Permissions)
	case authz.KindTeamMember:
		if r.Role != "" {
			dst = appendText(dst, "role", r.Role)
		}
		dst = appendList(dst, "groups", r.Groups)
		dst = strconv.AppendBool(append(dst, `,"provider":`...), r.IsProvider)
		dst = appendList(dst, "access", r.Access)
		dst = appendList(dst, "booking", r.Booking)
	case authz.KindPatient:
		dst = appendText(dst, "patient_group", r.PatientGroup)
		dst = appendList(dst, "care_team", r.CareTeam)
		dst = appendSources(append(dst, `,"care_team_sources":`...), r.Sources)
	case authz.KindBooking:
		dst = appendText(dst, "patient", r.Patient)
		dst = appendText(dst, "provider", r.Provider)
		dst = appendText(dst, "state", string(r.State))
	}
	return append(dst, '}')
}

// appendKey appends the two members that name an entity.
func appendKey(dst []byte, key authz.Key) []byte {
	dst = appendString(append(dst, `"kind":`...), string(key.Kind))
	return appendString(append(dst, `,"id":`...), key.ID)
}

// appendText appends a member of an object that has some already. Name is a
// literal.
func appendText(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendString(dst, value)
}

func appendList(dst []byte, name string, list []string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return appendStrings(dst, list)
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// appendSources appends why each member is on a care team.
func appendSources(dst []byte, sources map[string][]string) []byte {
	dst = append(dst, '{')
	for i, member := range slices.Sorted(maps.Keys(sources)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, member), ':')
		dst = appendStrings(dst, sources[member])
	}
	return append(dst, '}')
}
