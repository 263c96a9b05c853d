package directory

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// The organisation that the tests of exactness change at random. It is small, so
// that writers and readers meet.
const (
	exactRoles, exactGroups, exactPatientGroups = 4, 4, 5
	exactMembers, exactPatients                 = 14, 60
)

func name(kind string, i int) string {
	return kind + "-" + string(rune('a'+i/10)) + string(rune('0'+i%10))
}

func anyOf(r *rand.Rand, kind string, n int) string { return name(kind, r.IntN(n)) }

func someOf(r *rand.Rand, kind string, n, most int) []string {
	set := map[string]bool{}
	for range r.IntN(most + 1) {
		set[anyOf(r, kind, n)] = true
	}
	return slices.Sorted(maps.Keys(set))
}

func somePermissions(r *rand.Rand) []string {
	all := []string{
		"patient:view", "patient:view", "patient:view", "patient:update", "patient:delete", "patient:*", "patient:view_all",
		"appointment:view", "appointment:create", "appointment:*", "report:view", "stock:*",
	}
	set := map[string]bool{}
	for range 1 + r.IntN(5) {
		set[all[r.IntN(len(all))]] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// someRecord returns a record of a kind, with an id that others have too.
func someRecord(r *rand.Rand, kind authz.Kind, i int) *admin.Record {
	switch kind {
	case authz.KindRole:
		return &admin.Record{Kind: kind, ID: name("role", i), Permissions: somePermissions(r)}
	case authz.KindGroup:
		return &admin.Record{Kind: kind, ID: name("group", i), Permissions: somePermissions(r)}
	case authz.KindPatientGroup:
		return &admin.Record{Kind: kind, ID: name("pg", i)}
	case authz.KindTeamMember:
		m := &admin.Record{Kind: kind, ID: name("m", i), IsProvider: i%2 == 0, IsSuspended: r.IntN(6) == 0}
		if r.IntN(4) > 0 {
			m.Role = anyOf(r, "role", exactRoles)
		}
		m.Groups = someOf(r, "group", exactGroups, 2)
		m.Access = someOf(r, "pg", exactPatientGroups, 2)
		if m.IsProvider {
			m.Booking = someOf(r, "pg", exactPatientGroups, 3)
		}
		return m
	default:
		return &admin.Record{
			Kind: authz.KindPatient, ID: name("p", i), PatientGroup: anyOf(r, "pg", exactPatientGroups),
			CareTeam: someOf(r, "m", exactMembers, 2),
		}
	}
}

// wholeClinic is the edits that make everything there is.
func wholeClinic(r *rand.Rand) []admin.Edit {
	var edits []admin.Edit
	for _, of := range []struct {
		kind authz.Kind
		n    int
	}{
		{authz.KindRole, exactRoles},
		{authz.KindGroup, exactGroups},
		{authz.KindPatientGroup, exactPatientGroups},
		{authz.KindTeamMember, exactMembers},
		{authz.KindPatient, exactPatients},
	} {
		for i := range of.n {
			edits = append(edits, admin.Edit{Op: admin.Put, Record: someRecord(r, of.kind, i)})
		}
	}
	return edits
}

// someEdits returns a change as people make them. It may not fit; then the
// directory refuses it.
func someEdits(r *rand.Rand, booking string) []admin.Edit {
	member, patient := anyOf(r, "m", exactMembers), anyOf(r, "p", exactPatients)
	group := anyOf(r, "pg", exactPatientGroups)
	op := admin.Link
	if r.IntN(2) == 0 {
		op = admin.Unlink
	}
	key := func(kind authz.Kind, id string) authz.Key { return authz.Key{Kind: kind, ID: id} }
	switch r.IntN(16) {
	case 0, 1, 2: // a move (V5)
		return []admin.Edit{{Op: admin.Set, Key: key(authz.KindPatient, patient), Fields: admin.Fields{"patient_group": group}}}
	case 3, 4, 5:
		return []admin.Edit{{Op: op, Relation: admin.Access, From: member, To: group}}
	case 6:
		return []admin.Edit{{Op: op, Relation: admin.Booking, From: member, To: group}}
	case 7:
		return []admin.Edit{{Op: op, Relation: admin.CareTeam, From: patient, To: member}}
	case 8:
		return []admin.Edit{{Op: op, Relation: admin.MemberOfGroup, From: member, To: anyOf(r, "group", exactGroups)}}
	case 9:
		return []admin.Edit{{Op: admin.Set, Key: key(authz.KindRole, anyOf(r, "role", exactRoles)), Fields: admin.Fields{"permissions": somePermissions(r)}}}
	case 10:
		if r.IntN(2) == 0 { // leave, and its end (P7)
			return []admin.Edit{{Op: admin.Set, Key: key(authz.KindTeamMember, member), Fields: admin.Fields{"suspended": r.IntN(2) == 0}}}
		}
		role := anyOf(r, "role", exactRoles)
		return []admin.Edit{{Op: admin.Set, Key: key(authz.KindTeamMember, member), Fields: admin.Fields{"role": role}}}
	case 11:
		return []admin.Edit{{Op: admin.Book, Record: &admin.Record{Kind: authz.KindBooking, ID: booking, Patient: patient, Provider: member}}}
	case 12:
		return []admin.Edit{{Op: admin.Cancel, Key: key(authz.KindBooking, booking), Release: r.IntN(2) == 0}}
	case 13: // gone, and back
		kind, id := authz.KindPatient, r.IntN(exactPatients)
		if r.IntN(3) == 0 {
			kind, id = authz.KindTeamMember, r.IntN(exactMembers)
		}
		record := someRecord(r, kind, id)
		if r.IntN(2) == 0 {
			return []admin.Edit{{Op: admin.Delete, Key: record.Key(), Cascade: true}}
		}
		return []admin.Edit{{Op: admin.Put, Record: record}}
	case 14: // many at once
		var edits []admin.Edit
		for range 2 + r.IntN(6) {
			edits = append(edits, admin.Edit{Op: op, Relation: admin.Access, From: anyOf(r, "m", exactMembers), To: group})
		}
		return edits
	default:
		switch record := someRecord(r, authz.KindGroup, r.IntN(exactGroups)); r.IntN(4) {
		case 0:
			return []admin.Edit{{Op: admin.Delete, Key: record.Key(), Cascade: true}}
		default:
			return []admin.Edit{{Op: admin.Put, Record: record}}
		}
	}
}

// someRequest returns a question about somebody who may or may not be there.
func someRequest(r *rand.Rand) *authz.Request {
	member, patient := anyOf(r, "m", exactMembers), anyOf(r, "p", exactPatients)
	q := &authz.Request{Subject: authz.Entity{Type: "team_member", ID: member}}
	crud := []string{"view", "view", "update", "delete"}[r.IntN(4)]
	switch r.IntN(8) {
	case 0:
		q.Action.Name, q.Resource = crud, authz.Entity{Type: "appointment", ID: "x", Properties: map[string]any{"patient": patient}}
	case 1:
		q.Action.Name, q.Resource = "book", authz.Entity{Type: "provider", ID: anyOf(r, "m", exactMembers), Properties: map[string]any{"patient": patient}}
	case 2:
		q.Subject = authz.Entity{Type: "patient", ID: patient}
		q.Action.Name, q.Resource = []string{"view", "book"}[r.IntN(2)], authz.Entity{Type: "provider", ID: member}
	case 3:
		q.Action.Name = "view"
		q.Resource = authz.Entity{Type: "report", ID: "r", Properties: map[string]any{"patient_group": anyOf(r, "pg", exactPatientGroups)}}
	default:
		q.Action.Name, q.Resource = crud, authz.Entity{Type: "patient", ID: patient}
	}
	return q
}

// inWords names a request in the words of a failure.
func inWords(r *authz.Request) string {
	words := []string{r.Subject.Type, r.Subject.ID, r.Action.Name, r.Resource.Type, r.Resource.ID}
	for _, value := range r.Resource.Properties {
		words = append(words, value.(string))
	}
	return strings.Join(words, " ")
}
