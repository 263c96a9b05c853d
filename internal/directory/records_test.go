package directory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
)

// ward is a small organisation, and the revisions of its two changes.
func ward(t *testing.T, s *store) (first, second authz.Revision) {
	first = s.load(t,
		`{"kind":"role","id":"nurse","name":"Nurse","permissions":["patient:view","patient:update"]}`,
		`{"kind":"group","id":"night","permissions":[]}`,
		`{"kind":"patient_group","id":"a","name":"A"}`, `{"kind":"patient_group","id":"b"}`,
		`{"kind":"team_member","id":"mark","name":"Mark","role":"nurse","groups":["night"],"provider":true,"access":["b","a"],"booking":["a"]}`,
		`{"kind":"team_member","id":"noor"}`,
		`{"kind":"patient","id":"p-1","patient_group":"a","care_team":["noor","mark"]}`,
		`{"kind":"patient","id":"p-2","patient_group":"a"}`)
	second = s.load(t, `{"kind":"booking","id":"b-1","patient":"p-1","provider":"mark","state":"booked"}`)
	return first, second
}

func TestRecords(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		first, second := ward(t, s)
		keys := []authz.Key{
			patient("p-1"), role("ghost"), {Kind: "rubbish", ID: "x"}, member("mark"), member("a\nb"), member(""), patient("p-1"),
			role("nurse"), {Kind: authz.KindBooking, ID: "b-1"}, patient("p-2"),
		}
		got, revision, err := s.Records(t.Context(), s.org, keys)
		if err != nil || revision != second || len(got) != len(keys) {
			t.Fatalf("%d records at %v, %v", len(got), revision, err)
		}
		for i, want := range map[int]admin.Stored{
			0: {
				Record:  admin.Record{Kind: authz.KindPatient, ID: "p-1", PatientGroup: "a", CareTeam: []string{"mark", "noor"}},
				Since:   second,
				Sources: map[string][]string{"mark": {"booking:b-1", "manual"}, "noor": {"manual"}},
			},
			3: {
				Record: admin.Record{
					Kind: authz.KindTeamMember, ID: "mark", Name: "Mark", Role: "nurse", Groups: []string{"night"},
					IsProvider: true, Access: []string{"a", "b"}, Booking: []string{"a"},
				},
				Since: first,
			},
			7: {Record: admin.Record{Kind: authz.KindRole, ID: "nurse", Name: "Nurse", Permissions: []string{"patient:update", "patient:view"}}, Since: first},
			8: {Record: admin.Record{Kind: authz.KindBooking, ID: "b-1", Patient: "p-1", Provider: "mark", State: admin.Booked}, Since: second},
			9: {Record: admin.Record{Kind: authz.KindPatient, ID: "p-2", PatientGroup: "a"}, Since: first},
		} {
			if got[i] == nil || fmt.Sprintf("%+v", *got[i]) != fmt.Sprintf("%+v", want) {
				t.Errorf("%v is %+v, expected %+v", keys[i], got[i], want)
			}
		}
		for _, i := range []int{1, 2, 4, 5} {
			if got[i] != nil {
				t.Errorf("%v is %+v", keys[i], got[i])
			}
		}
		if got, revision, err = s.Records(t.Context(), s.org, nil); err != nil || len(got) != 0 || revision != second {
			t.Errorf("of no keys: %v at %v, %v", got, revision, err)
		}
	})
}

// A page has the records after an id, as many as were asked for, and says whether
// there are more.
func TestList(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		lines := []string{`{"kind":"patient_group","id":"pg"}`}
		ids := []string{"+", "-", "(", "[", "\u00a0", "é", "z", "Z"}
		for i := range 1200 {
			ids = append(ids, "p"+strconv.Itoa(i))
		}
		for _, id := range ids {
			lines = append(lines, `{"kind":"patient","id":"`+id+`","patient_group":"pg"}`)
		}
		s.load(t, lines...)
		revision := s.facts(t).Revision
		slices.Sort(ids)
		for limit, want := range map[int]int{1: 1, 7: 7, 151: 151, 1000: 1000, 1001: 1000, 0: 1000, -1: 1000} {
			var got []string
			for after, more := "", true; more; after = got[len(got)-1] {
				page, err := s.List(t.Context(), s.org, authz.KindPatient, after, limit)
				if err != nil || page.Revision != revision || len(page.Records) > want || page.More && len(page.Records) != want {
					t.Fatalf("limit %d after %q: %d records, more %v, at %v, %v", limit, after, len(page.Records), page.More, page.Revision, err)
				}
				for _, r := range page.Records {
					if got = append(got, r.ID); r.Kind != authz.KindPatient || r.PatientGroup != "pg" || r.Since.Count == 0 {
						t.Fatalf("a record is %+v", r)
					}
				}
				more = page.More
			}
			if !slices.Equal(got, ids) {
				t.Errorf("limit %d: %d records, expected %d", limit, len(got), len(ids))
			}
			if limit == 1 && s.embedded != nil {
				break
			}
		}
		for _, after := range []string{"\xff", "p1199\x00", "p119", "p999"} {
			page, err := s.List(t.Context(), s.org, authz.KindPatient, after, 1000)
			from, _ := slices.BinarySearch(ids, after)
			if from < len(ids) && ids[from] == after {
				from++
			}
			if want := min(len(ids)-from, 1000); err != nil || len(page.Records) != want {
				t.Errorf("after %q: %d records, expected %d, %v", after, len(page.Records), want, err)
			}
		}
		if page, err := s.List(t.Context(), s.org, authz.KindRole, "", 0); err != nil || len(page.Records) != 0 || page.More {
			t.Errorf("roles: %+v, %v", page, err)
		}
		if _, err := s.List(t.Context(), s.org, "rubbish", "", 0); authz.KindOf(err) != authz.Malformed {
			t.Errorf("a kind that there is not: %v", err)
		}
	})
}

// Records that are very long make a page short, so that none takes long.
func TestListOfLongRecords(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		groups, members, access := 6000, 20, []string{}
		if s.embedded != nil { // which cannot hold longer ones
			groups, members = 1000, 150
		}
		var lines []string
		for i := range groups {
			id := "pg" + strconv.Itoa(i)
			access = append(access, strconv.Quote(id))
			lines = append(lines, `{"kind":"patient_group","id":"`+id+`"}`)
		}
		for i := range members {
			lines = append(lines, fmt.Sprintf(`{"kind":"team_member","id":"m%03d","access":[%s]}`, i, strings.Join(access, ",")))
		}
		s.load(t, lines...)
		for _, limit := range []int{1000, members} {
			var got []string
			pages := 0
			for after, more := "", true; more; pages++ {
				page, err := s.List(t.Context(), s.org, authz.KindTeamMember, after, limit)
				if err != nil || len(page.Records) == 0 {
					t.Fatalf("%d records, %v", len(page.Records), err)
				}
				size := 0
				for _, r := range page.Records {
					if len(r.Access) != groups {
						t.Fatalf("a record has %d of %d", len(r.Access), groups)
					}
					got = append(got, r.ID)
					for _, id := range r.Access {
						size += len("a:") + len(id)
					}
				}
				if size > maxPageBytes {
					t.Errorf("a page has %d bytes", size)
				}
				after, more = page.Records[len(page.Records)-1].ID, page.More
			}
			if len(got) != members || !slices.IsSorted(got) || pages != 2 {
				t.Errorf("%d records on %d pages", len(got), pages)
			}
		}
	})
}

// Each relation from its other side (A2), in the same order at every limit.
func TestRelated(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		_, second := ward(t, s)
		s.load(t, `{"kind":"booking","id":"b-2","patient":"p-1","provider":"mark","state":"released"}`)
		for relation, want := range map[admin.Relation]struct {
			to  string
			ids []string
		}{
			admin.RoleOf: {"nurse", []string{"mark"}}, admin.MemberOfGroup: {"night", []string{"mark"}},
			admin.Access: {"b", []string{"mark"}}, admin.Booking: {"a", []string{"mark"}},
			admin.PatientGroupOf: {"a", []string{"p-1", "p-2"}}, admin.CareTeam: {"mark", []string{"p-1"}},
			admin.BookingOf: {"p-1", []string{"b-1", "b-2"}}, admin.BookingsWith: {"mark", []string{"b-1", "b-2"}},
		} {
			page, err := s.Related(t.Context(), s.org, relation, want.to, "", 0)
			if err != nil || !slices.Equal(page.IDs, want.ids) || page.More || page.Revision.Count != second.Count+1 {
				t.Errorf("%s: %+v, %v", relation, page, err)
			}
			if page, err = s.Related(t.Context(), s.org, relation, want.to, want.ids[0], 1); err != nil || len(page.IDs) != len(want.ids)-1 || page.More {
				t.Errorf("%s: after the first: %+v, %v", relation, page, err)
			}
			page, err = s.Related(t.Context(), s.org, relation, want.to, "", 1)
			if err != nil || !slices.Equal(page.IDs, want.ids[:1]) || page.More != (len(want.ids) > 1) {
				t.Errorf("%s: one of them: %+v, %v", relation, page, err)
			}
			for _, ghost := range []string{"ghost", "", "a\nb"} {
				if _, err = s.Related(t.Context(), s.org, relation, ghost, "", 0); authz.KindOf(err) != authz.NotFound {
					t.Errorf("%s of %q: %v", relation, ghost, err)
				}
			}
		}
		if page, err := s.Related(t.Context(), s.org, admin.Access, "a", "zz", 0); err != nil || len(page.IDs) != 0 || page.More {
			t.Errorf("after the last: %+v, %v", page, err)
		}
		if page, err := s.Related(t.Context(), s.org, admin.CareTeam, "noor", "p-1", 0); err != nil || len(page.IDs) != 0 {
			t.Errorf("of somebody with one patient, after that: %+v, %v", page, err)
		}
		if _, err := s.Related(t.Context(), s.org, "rubbish", "a", "", 0); authz.KindOf(err) != authz.Malformed {
			t.Errorf("a relation that there is not: %v", err)
		}
	})
}

func TestRelatedIsLimited(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		lines := []string{`{"kind":"patient_group","id":"pg"}`}
		for i := range maxListed + 5 {
			lines = append(lines, fmt.Sprintf(`{"kind":"patient","id":"p%05d","patient_group":"pg"}`, i))
		}
		s.load(t, lines...)
		for _, limit := range []int{0, -1, maxListed, maxListed + 1, 1 << 40} {
			page, err := s.Related(t.Context(), s.org, admin.PatientGroupOf, "pg", "", limit)
			if err != nil || len(page.IDs) != maxListed || !page.More {
				t.Errorf("limit %d: %d ids, more %v, %v", limit, len(page.IDs), page.More, err)
			}
			if page, err = s.Related(t.Context(), s.org, admin.PatientGroupOf, "pg", page.IDs[maxListed-1], limit); err != nil || len(page.IDs) != 5 || page.More {
				t.Errorf("limit %d: %d further ids, more %v, %v", limit, len(page.IDs), page.More, err)
			}
		}
	})
}

// What does not exist, and what is damaged, is never an empty answer.
func TestRecordsOfNothing(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		ward(t, s)
		calls := func(org string) map[string]error {
			_, _, records := s.Records(t.Context(), org, []authz.Key{patient("p-1")})
			_, list := s.List(t.Context(), org, authz.KindPatient, "", 0)
			_, related := s.Related(t.Context(), org, admin.Access, "a", "", 0)
			return map[string]error{"records": records, "list": list, "related": related}
		}
		for _, org := range []string{"elsewhere", "", "a\nb"} {
			for name, err := range calls(org) {
				if authz.KindOf(err) != authz.NotFound || !strings.Contains(err.Error(), "organisation") {
					t.Errorf("%s of %q: %v", name, org, err)
				}
			}
		}
		prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
		s.raw.Del(t.Context(), prefix+"patient:p-1")
		damaged := calls(s.org)
		delete(damaged, "related")
		for name, err := range damaged {
			if authz.KindOf(err) != authz.Unavailable || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s of a patient that was lost: %v", name, err)
			}
		}
		s.raw.HSet(t.Context(), script.HeadKey(s.org), "schema", "4")
		for name, err := range calls(s.org) {
			if authz.KindOf(err) != authz.Unavailable || !strings.Contains(err.Error(), "schema 4") {
				t.Errorf("%s of a newer schema: %v", name, err)
			}
		}
	})
}
