package directory

import (
	"math/rand/v2"
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// pick makes an id out of few, so that references mostly hold and the same entities
// are changed again and again.
func pick(r *rand.Rand, prefix string, n int) string { return prefix + strconv.Itoa(r.IntN(n)) }

func pickSome(r *rand.Rand, prefix string, n int) []string {
	var out []string
	for i := range n {
		if r.IntN(3) == 0 {
			out = append(out, prefix+strconv.Itoa(i))
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// pickPermissions makes permissions that sometimes are those of A4.
func pickPermissions(r *rand.Rand) []string {
	out := append([]string{}, pickSome(r, "t:a", 4)...)
	if r.IntN(3) == 0 {
		out = append(out, []string{"user:*", "*:*"}[r.IntN(2)])
	}
	return out
}

// pickID makes an id of a kind.
func pickID(r *rand.Rand, kind authz.Kind) string {
	switch kind {
	case authz.KindPatientGroup:
		return pick(r, "pg", 4)
	case authz.KindTeamMember:
		return pick(r, "m", 6)
	case authz.KindBooking:
		return pick(r, "b", 20)
	case authz.KindPatient:
		return pick(r, "p", 6)
	default:
		return pick(r, string(kind[0]), 3)
	}
}

func randomRecord(r *rand.Rand) admin.Record {
	kind := model.Kinds()[r.IntN(6)]
	out := admin.Record{Kind: kind, ID: pickID(r, kind)}
	switch kind {
	case authz.KindRole, authz.KindGroup:
		out.Name, out.Permissions = pick(r, "n", 2), pickPermissions(r)
	case authz.KindPatientGroup:
		out.Name = pick(r, "n", 2)
	case authz.KindTeamMember:
		out.Name, out.Groups, out.Access, out.IsProvider = pick(r, "n", 2), pickSome(r, "g", 3), pickSome(r, "pg", 4), r.IntN(3) > 0
		out.IsSuspended = r.IntN(3) == 0
		if out.IsProvider {
			out.Booking = pickSome(r, "pg", 4)
		}
		if r.IntN(3) > 0 {
			out.Role = pick(r, "r", 3)
		}
	case authz.KindPatient:
		out.PatientGroup, out.CareTeam = pick(r, "pg", 4), pickSome(r, "m", 6)
	case authz.KindBooking:
		out = randomBooking(r)
		out.State = []admin.State{admin.Booked, admin.Cancelled, admin.Released}[r.IntN(3)]
	}
	return out
}

// randomBooking makes a booking, mostly of the same patient and provider for an id.
func randomBooking(r *rand.Rand) admin.Record {
	n := r.IntN(20)
	out := admin.Record{
		Kind: authz.KindBooking, ID: "b" + strconv.Itoa(n), Patient: "p" + strconv.Itoa(n%6), Provider: "m" + strconv.Itoa(n%5),
	}
	if r.IntN(12) == 0 {
		out.Patient = pick(r, "p", 6)
	}
	return out
}

// randomEdit makes an edit, which may not fit and seldom is none.
func randomEdit(r *rand.Rand) admin.Edit {
	key := authz.Key{Kind: model.Kinds()[r.IntN(6)]}
	key.ID = pickID(r, key.Kind)
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		record := randomRecord(r)
		if r.IntN(30) == 0 {
			record.ID = ""
		}
		return admin.Edit{Op: admin.Put, Record: &record}
	case 4, 5:
		return admin.Edit{Op: admin.Set, Key: key, Fields: randomFields(r, key.Kind)}
	case 6:
		return randomLink(r, admin.Unlink)
	case 7:
		return admin.Edit{Op: admin.Delete, Key: key, Cascade: r.IntN(4) == 0}
	case 8, 9:
		record := randomBooking(r)
		return admin.Edit{Op: admin.Book, Record: &record}
	case 10:
		return admin.Edit{Op: admin.Cancel, Key: authz.Key{Kind: authz.KindBooking, ID: pickID(r, authz.KindBooking)}, Release: r.IntN(2) == 0}
	default:
		return randomLink(r, admin.Link)
	}
}

func randomLink(r *rand.Rand, op admin.Op) admin.Edit {
	e := admin.Edit{Op: op, Relation: []admin.Relation{admin.MemberOfGroup, admin.Access, admin.Booking, admin.CareTeam, admin.CareTeam}[r.IntN(5)]}
	from, to := e.Relation.Ends()
	e.From, e.To = pickID(r, from), pickID(r, to)
	return e
}

func randomFields(r *rand.Rand, kind authz.Kind) admin.Fields {
	f := admin.Fields{}
	switch kind {
	case authz.KindRole, authz.KindGroup:
		f["permissions"] = pickPermissions(r)
	case authz.KindTeamMember:
		switch r.IntN(4) {
		case 0, 1:
			f["role"] = []string{"", pick(r, "r", 3)}[r.IntN(2)]
		case 2:
			f["provider"] = r.IntN(2) == 0
		default:
			f["suspended"] = r.IntN(2) == 0
		}
	case authz.KindPatient:
		f["patient_group"] = pick(r, "pg", 4)
		return f
	case authz.KindBooking:
		return f
	}
	if r.IntN(2) == 0 {
		f["name"] = pick(r, "n", 2)
	}
	return f
}
