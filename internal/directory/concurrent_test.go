package directory

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// TestConcurrentChanges makes 100,000 random edits from many goroutines at once, a
// third of the changes with a single one: then both sides of every relationship
// agree, every patient is in exactly one group (V5), and the history has each
// change.
func TestConcurrentChanges(t *testing.T) {
	const edits, writers, batch = 100_000, 8, 12
	s := openStore(t, startRedis(t))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s.commit(t, population()...)

	start := time.Now()
	var made, committed, refused, unchanged atomic.Int64
	var group sync.WaitGroup
	for w := range writers {
		r := rand.New(rand.NewPCG(seed, uint64(w)))
		group.Go(func() {
			for made.Load() < edits {
				n := 1
				if r.IntN(3) > 0 {
					n = 1 + r.IntN(batch)
				}
				change := admin.Change{Author: admin.Author{Actor: "w" + strconv.Itoa(w)}}
				for range n {
					change.Edits = append(change.Edits, concurrentEdit(r, n == 1))
				}
				made.Add(int64(n))
				done, err := s.Commit(t.Context(), s.org, change)
				switch kind := authz.KindOf(err); {
				case err == nil && done.Changed:
					committed.Add(1)
				case err == nil:
					unchanged.Add(1)
				case kind == authz.NotFound || kind == authz.Conflict || kind == authz.Malformed:
					refused.Add(1)
				default:
					t.Errorf("%v of kind %d", err, kind)
					return
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d edits in %v: %d changes committed, %d refused, %d without a change",
		made.Load(), time.Since(start).Round(time.Millisecond), committed.Load(), refused.Load(), unchanged.Load())
	if committed.Load() < edits/20 {
		t.Error("too few changes are committed to show anything")
	}
	s.agrees(t)

	last := authz.Revision{}
	events := 0
	for {
		page, err := s.History(t.Context(), s.org, admin.After(last), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range page.Events {
			if event.Previous != last || event.Revision.Count != last.Count+1 {
				t.Fatalf("%v follows %v, and says %v", event.Revision, last, event.Previous)
			}
			last = event.Revision
			events++
		}
		if last == page.Newest {
			break
		}
	}
	if int64(events) != committed.Load()+1 {
		t.Errorf("the history has %d changes, and %d were committed", events, committed.Load()+1)
	}
}

// population is what concurrent edits are about. Members p… are providers.
func population() []admin.Edit {
	var out []admin.Edit
	for i := range 4 {
		n := strconv.Itoa(i)
		out = append(out, put(admin.Record{Kind: authz.KindPatientGroup, ID: "pg" + n}), put(admin.Record{Kind: authz.KindGroup, ID: "g" + n}),
			put(admin.Record{Kind: authz.KindRole, ID: "r" + n, Permissions: []string{"user:*"}}))
	}
	for i := range 20 {
		n := strconv.Itoa(i)
		out = append(out, put(admin.Record{Kind: authz.KindTeamMember, ID: "m" + n, Role: "r0", IsProvider: true}), put(admin.Record{Kind: authz.KindPatient, ID: "p" + n, PatientGroup: "pg0"}))
	}
	return out
}

// concurrentEdit makes an edit that fits unless another writer is in the way, or,
// if it may be refused, any.
func concurrentEdit(r *rand.Rand, refusable bool) admin.Edit {
	p, m, pg := pick(r, "p", 20), pick(r, "m", 20), pick(r, "pg", 4)
	switch n := r.IntN(14); {
	case n < 3:
		return set(patient(p), admin.Fields{"patient_group": pg})
	case n < 5:
		return put(admin.Record{Kind: authz.KindPatient, ID: p, PatientGroup: pg, CareTeam: pickSome(r, "m", 6)})
	case n == 5:
		return put(admin.Record{Kind: authz.KindTeamMember, ID: m, Role: pick(r, "r", 4), Groups: pickSome(r, "g", 4), IsProvider: true, Access: pickSome(r, "pg", 4), Booking: pickSome(r, "pg", 4)})
	case n == 6:
		return set(member(m), admin.Fields{"role": pick(r, "r", 4)})
	case n < 9:
		return link(admin.Access, m, pg)
	case n == 9:
		return unlink([]admin.Relation{admin.Access, admin.Booking}[r.IntN(2)], m, pg)
	case n == 10:
		return link(admin.CareTeam, p, m)
	case n == 11:
		return unlink(admin.CareTeam, p, m)
	case !refusable:
		return book("b-"+p+m, p, m)
	default:
		b := strconv.Itoa(r.IntN(100))
		return []admin.Edit{
			book(b, p, m), book(b, "p"+b, "m"+b), cancel(b, r.IntN(2) == 0), remove(booking(b)), cascade(patient(p)), remove(patientGroup(pg)),
			put(admin.Record{Kind: authz.KindPatient, ID: p, PatientGroup: pg}), set(member(m), admin.Fields{"provider": r.IntN(3) > 0}),
		}[r.IntN(8)]
	}
}

// agrees expects that the indexes have exactly what the entities say.
func (s *store) agrees(t *testing.T) {
	t.Helper()
	k := builder{}
	indexes := map[string]string{}
	patients := 0
	for name, value := range s.entities(t) {
		kind, id, _ := strings.Cut(name, ":")
		if !model.Has(authz.Kind(kind)) {
			indexes[name] = value
			continue
		}
		k.member("ids:"+kind, id)
		if kind == "patient" {
			patients++
		}
		hash, err := s.raw.HGetAll(t.Context(), strings.TrimSuffix(script.HeadKey(s.org), "head")+name).Result()
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range hash {
			begin, to, _ := strings.Cut(field, ":")
			switch {
			case kind == "role" && strings.Contains(value, `"user:*"`):
				k.member("user-admins", name)
			case kind == "team_member" && field == "role" && value != "":
				k.member("role-members:"+value, id)
			case kind == "booking" && field == "patient":
				k.member("bookings-of:"+value, id)
			case kind == "booking" && field == "provider":
				k.member("bookings-with:"+value, id)
			case kind == "patient" && field == "patient_group":
				k.member("patients:"+value, id)
			case to != "":
				k.member(map[string]string{"g": "group-members:", "a": "access:", "b": "bookable:", "c": "care:"}[begin]+to, id)
			}
		}
	}
	want := map[string]string{}
	grouped := 0
	for name, items := range k {
		slices.Sort(items)
		want[name] = strings.Join(items, " ")
		if strings.HasPrefix(name, "patients:") {
			grouped += len(items)
		}
	}
	if d := difference(indexes, want); d != "" {
		t.Errorf("the two sides disagree:\n%s", d)
	}
	if grouped != patients || patients == 0 {
		t.Errorf("%d patients are in %d groups", patients, grouped)
	}
}
