package directory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/search"
)

// awkwardIDs are ids that look alike, begin alike, or mean something to somebody.
func awkwardIDs(r *rand.Rand, n int) []string {
	parts := []string{
		"p", "p-", "p-00000", "p-000000", "P", "'", `"`, `\`, `\"`, " ", "  ", "%", "_", "*", "?", "[", "(", "-", "+", ":", "{", "}", "$", ",", "/", "..",
		"é", "e\u0301", "ß", "ss", "日本", "😀", "\u00ff", "\u0100", "\ufffd", "\U0010ffff", "~", "a", "aa", "Z", "0", "9", "\u2028", "or 1=1 --",
	}
	seen := map[string]bool{}
	for len(seen) < n {
		var b strings.Builder
		if r.IntN(10) == 0 {
			b.WriteString(strings.Repeat("x", 230))
		}
		for range 1 + r.IntN(6) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		id := b.String()
		if r.IntN(10) == 0 && len(id) < admin.MaxID {
			id += strings.Repeat("y", admin.MaxID-len(id))
		}
		if admin.ValidID(id) {
			seen[id] = true
		}
	}
	out := make([]string, 0, n)
	for id := range seen {
		out = append(out, id)
	}
	slices.Sort(out)
	r.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// awkwardClinic commits an organisation of entities with awkward ids, and returns its
// records.
func awkwardClinic(t *testing.T, r *rand.Rand, s *store) []admin.Record {
	t.Helper()
	some := func(ids []string, odds int) []string {
		var out []string
		for _, id := range ids {
			if r.IntN(odds) == 0 {
				out = append(out, id)
			}
		}
		return out
	}
	roles, groups, populations := awkwardIDs(r, 3), awkwardIDs(r, 4), awkwardIDs(r, 12)
	members, patients := awkwardIDs(r, 60), awkwardIDs(r, 300)
	var records []admin.Record
	for _, id := range roles {
		records = append(records, admin.Record{Kind: authz.KindRole, ID: id, Permissions: []string{"patient:view"}})
	}
	for _, id := range groups {
		records = append(records, admin.Record{Kind: authz.KindGroup, ID: id})
	}
	for _, id := range populations {
		records = append(records, admin.Record{Kind: authz.KindPatientGroup, ID: id})
	}
	for _, id := range members {
		records = append(records, admin.Record{
			Kind: authz.KindTeamMember, ID: id, Role: roles[r.IntN(len(roles))], IsProvider: true,
			Groups: some(groups, 2), Access: some(populations, 3), Booking: some(populations, 4),
		})
	}
	for _, id := range patients {
		records = append(records, admin.Record{
			Kind: authz.KindPatient, ID: id, PatientGroup: populations[min(r.IntN(20), len(populations)-1)], CareTeam: some(members, 20),
		})
	}
	for _, id := range awkwardIDs(r, 40) {
		records = append(records, admin.Record{
			Kind: authz.KindBooking, ID: id, Patient: patients[r.IntN(20)], Provider: members[r.IntN(5)], State: admin.Released,
		})
	}
	edits := make([]admin.Edit, len(records))
	for i := range records {
		edits[i] = put(records[i])
	}
	for part := range slices.Chunk(edits, admin.MaxEdits) {
		s.commit(t, part...)
	}
	return records
}

// relates reports whether a record is in an index.
func relates(record *admin.Record, index search.Index) bool {
	switch index.Relation {
	case "":
		return true
	case admin.RoleOf:
		return record.Role == index.To
	case admin.MemberOfGroup:
		return slices.Contains(record.Groups, index.To)
	case admin.Access:
		return slices.Contains(record.Access, index.To)
	case admin.Booking:
		return slices.Contains(record.Booking, index.To)
	case admin.PatientGroupOf:
		return record.PatientGroup == index.To
	case admin.CareTeam:
		return slices.Contains(record.CareTeam, index.To)
	case admin.BookingOf:
		return record.Patient == index.To
	default:
		return record.Provider == index.To
	}
}

// rangeOf is what a range comes to, from the records: all ids of it, in order.
func rangeOf(records []admin.Record, r search.Range) []string {
	var out []string
	for i := range records {
		record := &records[i]
		in := record.Kind == r.Kind && slices.Contains(r.IDs, record.ID)
		for _, index := range r.Indexes {
			in = in || record.Kind == r.Kind && relates(record, index)
		}
		if in && record.ID > r.After {
			out = append(out, record.ID)
		}
	}
	slices.Sort(out)
	return out
}

// relationsOf are the relations that go from a kind.
func relationsOf(kind authz.Kind) []admin.Relation {
	var out []admin.Relation
	for _, relation := range []admin.Relation{
		admin.RoleOf, admin.MemberOfGroup, admin.Access, admin.Booking, admin.PatientGroupOf, admin.CareTeam, admin.BookingOf, admin.BookingsWith,
	} {
		if from, _ := relation.Ends(); from == kind {
			out = append(out, relation)
		}
	}
	return out
}

// randomRange makes a range of some indexes and ids, of which some are of nothing.
func randomRange(r *rand.Rand, records []admin.Record) search.Range {
	one := func(kind authz.Kind) string {
		for {
			if record := records[r.IntN(len(records))]; record.Kind == kind {
				return record.ID
			}
		}
	}
	strange := []string{"", "nobody", "a\nb", "\xff", strings.Repeat("z", admin.MaxID+1), "p\x00"}
	out := search.Range{Kind: model.Kinds()[r.IntN(6)], Facts: r.IntN(2) == 0, Limit: []int{1, 2, 7, 100, 1000}[r.IntN(5)]}
	relations := relationsOf(out.Kind)
	for range []int{0, 1, 2, 6, 40}[r.IntN(5)] {
		if len(relations) == 0 {
			break
		}
		relation := relations[r.IntN(len(relations))]
		_, to := relation.Ends()
		index := search.Index{Relation: relation, To: one(to)}
		if r.IntN(10) == 0 {
			index.To = strange[r.IntN(len(strange))]
		}
		out.Indexes = append(out.Indexes, index)
	}
	if r.IntN(5) == 0 {
		out.Indexes = append(out.Indexes, search.Index{})
	}
	for range []int{0, 0, 1, 30}[r.IntN(4)] {
		id := one(out.Kind)
		switch r.IntN(4) {
		case 0:
			id = strange[r.IntN(len(strange))]
		case 1:
			id = one(model.Kinds()[r.IntN(6)])
		}
		out.IDs = append(out.IDs, id)
	}
	slices.Sort(out.IDs)
	switch r.IntN(4) {
	case 0:
		out.After = one(out.Kind)
	case 1:
		out.After = awkwardIDs(r, 1)[0]
	}
	return out
}

// Whatever is united, the pages have every id exactly once and in order, and the facts
// that Read gives.
func TestRange(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		for seed := range uint64(4) {
			s.org = fmt.Sprintf("clinic-%d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			records := awkwardClinic(t, r, s)
			for round := range 150 {
				asked := randomRange(r, records)
				want := rangeOf(records, asked)
				if err := pagesOf(t, s, asked, want); err != nil {
					t.Fatalf("seed %d, round %d, %+v: %v", seed, round, asked, err)
				}
			}
		}
	})
}

// pagesOf reads all pages and compares them with the ids that they should have.
func pagesOf(t *testing.T, s *store, asked search.Range, want []string) error {
	for {
		found, err := s.Range(t.Context(), s.org, asked, authz.Freshness{})
		if err != nil {
			return err
		}
		n := min(len(want), asked.Limit)
		if !slices.Equal(found.IDs, want[:n]) || found.More != (len(want) > n) {
			return fmt.Errorf("after %q: %q, more %v, expected %q", asked.After, found.IDs, found.More, want[:n])
		}
		if err := sameFacts(t, s, asked, found); err != nil {
			return err
		}
		if want = want[n:]; len(want) == 0 {
			return nil
		}
		asked.After = found.IDs[n-1]
		asked.Limit = 1 + (asked.Limit*7)%1000 // from page to page another one
	}
}

// sameFacts compares the facts of a page with those that are read by themselves.
func sameFacts(t *testing.T, s *store, asked search.Range, found search.Found) error {
	if !asked.Facts {
		if found.Facts != nil {
			return errors.New("it has facts that nobody asked for")
		}
		return nil
	}
	keys := make([]authz.Key, len(found.IDs))
	for i, id := range found.IDs {
		keys[i] = authz.Key{Kind: asked.Kind, ID: id}
	}
	read := s.facts(t, keys...)
	all := func(facts *authz.Facts) map[authz.Key]authz.Fact {
		out := map[authz.Key]authz.Fact{}
		for _, f := range facts.All() {
			out[f.Key] = authz.Fact{
				Key: f.Key, Found: f.Found, Since: f.Since, Permissions: f.Permissions, Role: f.Role, Groups: sorted(f.Groups), Access: sorted(f.Access),
				Booking: sorted(f.Booking), Provider: f.Provider, PatientGroup: f.PatientGroup, CareTeam: sorted(f.CareTeam),
			}
		}
		return out
	}
	if !found.Facts.Organisation || found.Facts.Revision != found.Revision || read.Revision != found.Revision {
		return fmt.Errorf("the page is of %v, its facts of %v and %v", found.Revision, found.Facts.Revision, read.Revision)
	}
	if got, want := all(found.Facts), all(read); !reflect.DeepEqual(got, want) || len(found.Facts.All()) != len(want) {
		return fmt.Errorf("the facts are %+v, expected %+v", got, want)
	}
	return nil
}

// Sizes are those of the indexes, of one about nothing 0.
func TestSizes(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		r := rand.New(rand.NewPCG(2, 2))
		records := awkwardClinic(t, r, s)
		for range 100 {
			asked := randomRange(r, records)
			got, revision, err := s.Sizes(t.Context(), s.org, asked.Kind, asked.Indexes)
			if err != nil || revision.Count == 0 || len(got) != len(asked.Indexes) {
				t.Fatalf("%d at %v, %v", len(got), revision, err)
			}
			for i, index := range asked.Indexes {
				want := len(rangeOf(records, search.Range{Kind: asked.Kind, Indexes: []search.Index{index}}))
				if got[i] != want {
					t.Errorf("%+v has %d, expected %d", index, got[i], want)
				}
			}
		}
	})
}
