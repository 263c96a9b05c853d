package wire

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// randomEdit makes an edit of any kind, with ids that are hard to write.
func randomEdit(r *rand.Rand) admin.Edit {
	id := func() string {
		return []string{"mark", `a"b`, `\`, "é", "e\u0301", "x y ", "😀", "a/b:c", "<&>", "null"}[r.IntN(10)]
	}
	list := func() []string {
		out := make([]string, r.IntN(3))
		for i := range out {
			out[i] = id()
		}
		if len(out) == 0 {
			return nil
		}
		return out
	}
	flag := func() bool { return r.IntN(2) == 0 }
	kind := model.Kinds()[r.IntN(len(model.Kinds()))]
	e := admin.Edit{Op: []admin.Op{admin.Put, admin.Set, admin.Link, admin.Unlink, admin.Delete, admin.Book, admin.Cancel}[r.IntN(7)]}
	switch e.Op {
	case admin.Put:
		e.Record = &admin.Record{Kind: kind, ID: id()}
		switch kind {
		case authz.KindRole, authz.KindGroup:
			e.Record.Name, e.Record.Permissions = id(), list()
		case authz.KindPatientGroup:
			e.Record.Name = id()
		case authz.KindTeamMember:
			e.Record.Name, e.Record.Role, e.Record.Groups, e.Record.IsProvider = id(), id(), list(), flag()
			e.Record.Access, e.Record.Booking = list(), list()
		case authz.KindPatient:
			e.Record.PatientGroup, e.Record.CareTeam = id(), list()
		case authz.KindBooking:
			e.Record.Patient, e.Record.Provider, e.Record.State = id(), id(), admin.Cancelled
		}
	case admin.Set:
		e.Key = authz.Key{Kind: kind, ID: id()}
		for _, f := range model.Fields(kind) {
			if kind == authz.KindBooking || f.Type == model.IDs || flag() {
				continue
			}
			var value any = append([]string{}, list()...) // all taken away is not the same as left alone
			if f.Text != nil {
				value = id()
			} else if f.Flag != nil {
				value = flag()
			}
			if e.Fields == nil {
				e.Fields = admin.Fields{}
			}
			e.Fields[f.Name] = value
		}
	case admin.Link, admin.Unlink:
		e.Relation = []admin.Relation{admin.MemberOfGroup, admin.Access, admin.Booking, admin.CareTeam}[r.IntN(4)]
		e.From, e.To = id(), id()
	case admin.Delete:
		e.Key, e.Cascade = authz.Key{Kind: kind, ID: id()}, flag()
	case admin.Book:
		e.Record = &admin.Record{Kind: authz.KindBooking, ID: id(), Patient: id(), Provider: id(), State: admin.Booked}
	case admin.Cancel:
		e.Key, e.Release = authz.Key{Kind: authz.KindBooking, ID: id()}, flag()
	}
	return e
}

// An edit that is written can be sent as it stands, and is the same edit.
func TestAnEditReadsBackAsItWasWritten(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		want := randomEdit(r)
		body, err := appendEdit([]byte(`{"edits":[`), &want)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		body = append(body, `]}`...)
		got, _, err := DecodeEdits(body)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, body, err)
		}
		if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Fatalf("seed %d: %s reads back as\n%+v, was\n%+v", seed, body, got, want)
		}
	}
}
