package review_test

import (
	"math/rand/v2"
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// How many ids there are of each kind: few, so that references mostly hold.
const (
	someMembers  = 7
	somePatients = 16
	someGroups   = 5 // of patients
)

// odd are endings of ids that are easily taken for others or for syntax.
func odd(i int) string {
	return []string{"", "'", `\`, " ", "%", "é", "e\u0301", "\"", "🙂"}[i%9]
}

func anID(kind authz.Kind, n int) string {
	return string(kind[0]) + string(kind[len(kind)-1]) + strconv.Itoa(n) + odd(n)
}

func (w *ward) id(kind authz.Kind) string {
	n := 3
	switch kind {
	case authz.KindTeamMember:
		n = someMembers
	case authz.KindPatient, authz.KindBooking:
		n = somePatients
	case authz.KindPatientGroup:
		n = someGroups
	}
	return anID(kind, w.rand.IntN(n))
}

// some returns ids of a kind, each one time in so many.
func (w *ward) some(kind authz.Kind, n, oneIn int) []string {
	var out []string
	for i := range n {
		if w.rand.IntN(oneIn) == 0 {
			out = append(out, anID(kind, i))
		}
	}
	return out
}

func (w *ward) permissions() []string {
	out := []string{}
	for _, p := range []string{"patient:view", "patient:view_all", "patient:update", "patient:*", "*:*", "settings:update", "unheard:of"} {
		if (w.rand.IntN(4) == 0 || p == "patient:view" && w.rand.IntN(2) == 0) && (p != "*:*" || w.rand.IntN(3) == 0) {
			out = append(out, p)
		}
	}
	return out
}

func (w *ward) record(kind authz.Kind, id string) *admin.Record {
	r := &admin.Record{Kind: kind, ID: id}
	switch kind {
	case authz.KindRole, authz.KindGroup:
		r.Permissions = w.permissions()
	case authz.KindTeamMember:
		if w.rand.IntN(4) > 0 {
			r.Role = w.id(authz.KindRole)
		}
		r.Groups, r.IsProvider = w.some(authz.KindGroup, 3, 4), w.rand.IntN(2) == 0
		r.Access = w.some(authz.KindPatientGroup, someGroups, 3)
		r.IsSuspended = w.rand.IntN(5) == 0
		if r.IsProvider {
			r.Booking = w.some(authz.KindPatientGroup, someGroups, 3)
		}
	case authz.KindPatient:
		r.PatientGroup, r.CareTeam = w.id(authz.KindPatientGroup), w.some(authz.KindTeamMember, someMembers, 6)
	case authz.KindBooking:
		r.Patient, r.Provider, r.State = w.id(authz.KindPatient), w.id(authz.KindTeamMember), admin.Booked
	}
	return r
}

// fill puts a random organisation into the store: most of what there are ids for.
func (w *ward) fill() {
	w.Helper()
	var edits []admin.Edit
	for _, kind := range []authz.Kind{authz.KindRole, authz.KindGroup, authz.KindPatientGroup, authz.KindTeamMember, authz.KindPatient} {
		n := map[authz.Kind]int{
			authz.KindRole: 3, authz.KindGroup: 3, authz.KindPatientGroup: someGroups,
			authz.KindTeamMember: someMembers, authz.KindPatient: somePatients,
		}[kind]
		for i := range n {
			if kind == authz.KindPatient && w.rand.IntN(5) == 0 {
				continue
			}
			edits = append(edits, admin.Edit{Op: admin.Put, Record: w.record(kind, anID(kind, i))})
		}
	}
	w.put(edits...)
	for i := range 4 {
		r := w.record(authz.KindBooking, anID(authz.KindBooking, i))
		_, _ = w.store.Commit(w.Context(), w.org, admin.Change{Edits: []admin.Edit{{Op: admin.Book, Record: r}}}) // not all fit
	}
}

// edit makes an edit, which may not fit.
func (w *ward) edit() admin.Edit {
	kinds := model.Kinds()
	key := authz.Key{Kind: kinds[w.rand.IntN(len(kinds))]}
	key.ID = w.id(key.Kind)
	switch w.rand.IntN(14) {
	case 0, 1, 2:
		key.Kind = kinds[w.rand.IntN(len(kinds)-1)]
		return admin.Edit{Op: admin.Put, Record: w.record(key.Kind, w.id(key.Kind))}
	case 3, 4, 5:
		return w.set()
	case 6, 7:
		return w.link(admin.Unlink)
	case 8, 9:
		return admin.Edit{Op: admin.Delete, Key: key, Cascade: w.rand.IntN(3) > 0}
	case 10:
		return admin.Edit{Op: admin.Book, Record: w.record(authz.KindBooking, w.id(authz.KindBooking))}
	case 11:
		return admin.Edit{Op: admin.Cancel, Key: authz.Key{Kind: authz.KindBooking, ID: w.id(authz.KindBooking)}, Release: w.rand.IntN(2) == 0}
	default:
		return w.link(admin.Link)
	}
}

func (w *ward) link(op admin.Op) admin.Edit {
	e := admin.Edit{Op: op, Relation: []admin.Relation{admin.MemberOfGroup, admin.Access, admin.CareTeam}[w.rand.IntN(3)]}
	from, to := e.Relation.Ends()
	e.From, e.To = w.id(from), w.id(to)
	return e
}

func (w *ward) set() admin.Edit {
	switch w.rand.IntN(5) {
	case 0:
		role := w.id(authz.KindRole)
		if w.rand.IntN(3) == 0 {
			role = ""
		}
		return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindTeamMember, ID: w.id(authz.KindTeamMember)}, Fields: admin.Fields{"role": role}}
	case 1:
		group := w.id(authz.KindPatientGroup)
		return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindPatient, ID: w.id(authz.KindPatient)}, Fields: admin.Fields{"patient_group": group}}
	case 2: // a suspension, or its end (P7)
		return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindTeamMember, ID: w.id(authz.KindTeamMember)}, Fields: admin.Fields{"suspended": w.rand.IntN(2) == 0}}
	default:
		kind := []authz.Kind{authz.KindRole, authz.KindGroup}[w.rand.IntN(2)]
		return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: kind, ID: w.id(kind)}, Fields: admin.Fields{"permissions": w.permissions()}}
	}
}

// change makes edits.
func (w *ward) change() []admin.Edit {
	edits := make([]admin.Edit, 1+w.rand.IntN(2)*w.rand.IntN(4))
	for i := range edits {
		edits[i] = w.edit()
	}
	return edits
}

// seeded sets what is random about a ward.
func (w *ward) seeded(seed uint64) *ward {
	w.rand = rand.New(rand.NewPCG(seed, 4))
	return w
}
