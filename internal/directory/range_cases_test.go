package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/soak"
)

// Many indexes, which a page takes its ids from all over, and whose ids begin apart
// and in many alike.
func TestRangeOfManyIndexes(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		groups := 3000
		if s.embedded != nil && !soak.All() { // it is slow
			groups = 600
		}
		var records []admin.Record
		var edits []admin.Edit
		add := func(record admin.Record) {
			records = append(records, record)
			edits = append(edits, put(record))
		}
		r := rand.New(rand.NewPCG(3, 3))
		asked := search.Range{Kind: authz.KindPatient, Limit: 250, IDs: []string{"p-1/x"}}
		for i := range groups {
			add(admin.Record{Kind: authz.KindPatientGroup, ID: fmt.Sprint("pg", i)})
			asked.Indexes = append(asked.Indexes, search.Index{Relation: admin.PatientGroupOf, To: fmt.Sprint("pg", i)})
		}
		for i := range 2 * groups {
			id := fmt.Sprintf("p-%d", r.IntN(1<<40))
			if i%3 == 0 {
				id = fmt.Sprintf("%c/%d", rune('!'+r.IntN(90)), i)
			}
			add(admin.Record{Kind: authz.KindPatient, ID: id, PatientGroup: fmt.Sprint("pg", r.IntN(groups))})
		}
		for part := range slices.Chunk(edits, admin.MaxEdits) {
			s.commit(t, part...)
		}
		want := rangeOf(records, asked)
		for range 3 {
			if err := pagesOf(t, s, asked, want); err != nil {
				t.Fatal(err)
			}
			asked.After = want[len(want)/2]
			want = rangeOf(records, asked)
		}
		asked.Indexes = append(asked.Indexes, make([]search.Index, maxIndexes-groups+1)...)
		if _, err := s.Range(t.Context(), s.org, asked, authz.Freshness{}); authz.KindOf(err) != authz.TooLarge {
			t.Errorf("of %d indexes: %v", len(asked.Indexes), err)
		}
		if _, _, err := s.Sizes(t.Context(), s.org, asked.Kind, asked.Indexes); authz.KindOf(err) != authz.TooLarge {
			t.Errorf("sizes of %d indexes: %v", len(asked.Indexes), err)
		}
		asked.Indexes = nil
		for i := range maxIndexes + 1 {
			asked.IDs = append(asked.IDs, fmt.Sprint("x-", i))
		}
		asked.After = ""
		if _, err := s.Range(t.Context(), s.org, asked, authz.Freshness{}); authz.KindOf(err) != authz.TooLarge {
			t.Errorf("of %d ids: %v", len(asked.IDs), err)
		}
		asked.After = "x-1" // there are no more than the most after it
		if found, err := s.Range(t.Context(), s.org, asked, authz.Freshness{}); err != nil || len(found.IDs) > 0 || found.More {
			t.Errorf("of ids that there are not: %+v, %v", found, err)
		}
	})
}

// A page that would take long ends earlier and says so.
func TestRangeEndsEarly(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		const groups, members = 200, 900
		var edits []admin.Edit
		var access []string
		for i := range groups {
			access = append(access, fmt.Sprint("pg", i))
			edits = append(edits, put(admin.Record{Kind: authz.KindPatientGroup, ID: access[i]}))
		}
		asked := search.Range{Kind: authz.KindTeamMember, Limit: 1000}
		for _, id := range access {
			asked.Indexes = append(asked.Indexes, search.Index{Relation: admin.Access, To: id})
		}
		rest := members // of whom pages of a few are taken
		if s.embedded != nil && !soak.All() {
			rest = 60 // it is slow
		}
		var want []string
		for i := range members {
			want = append(want, fmt.Sprintf("m%03d", i))
			edits = append(edits, put(admin.Record{Kind: authz.KindTeamMember, ID: want[i], Access: access}))
		}
		for part := range slices.Chunk(edits, admin.MaxEdits) {
			s.commit(t, part...)
		}
		for _, test := range []struct {
			asked       search.Range
			rest        int
			least, most int
		}{
			{asked, rest, maxAgain/(groups-1) + 1, maxAgain/(groups-1) + 1},
			{search.Range{Kind: authz.KindTeamMember, Indexes: make([]search.Index, 1), Limit: 1000, Facts: true}, members, members / 2, members - 1},
		} {
			want := want[members-test.rest:]
			if test.rest < members {
				test.asked.After = fmt.Sprintf("m%03d", members-test.rest-1)
			}
			var got []string
			for more := true; more; {
				found, err := s.Range(t.Context(), s.org, test.asked, authz.Freshness{})
				if err != nil || len(found.IDs) == 0 {
					t.Fatalf("%d ids, %v", len(found.IDs), err)
				}
				if n := len(found.IDs); got == nil && (n < test.least || n > test.most) {
					t.Errorf("the first page has %d ids, expected %d to %d", n, test.least, test.most)
				}
				if err := sameFacts(t, s, test.asked, found); err != nil {
					t.Fatal(err)
				}
				got, more = append(got, found.IDs...), found.More
				test.asked.After = got[len(got)-1]
			}
			if !slices.Equal(got, want) {
				t.Errorf("all pages have %d ids, expected %d", len(got), len(want))
			}
		}
	})
}

// What a range rests on has to be so in the same snapshot.
func TestRangeBasis(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		first, second := ward(t, s)
		third := s.commit(t, set(member("noor"), admin.Fields{"name": "Noor"}))
		holds := []admin.Expectation{
			{Key: member("mark"), Since: first}, {Key: member("noor"), Since: third}, {Key: patient("p-1"), Since: second},
			{Key: member("nobody")}, {Key: member("")}, {Key: member("a\nb")}, {Key: patient("mark")},
		}
		asked := search.Range{Kind: authz.KindPatient, Indexes: []search.Index{{Relation: admin.PatientGroupOf, To: "a"}}, Limit: 10}
		for name, test := range map[string]struct {
			basis []admin.Expectation
			at    *authz.Revision
			moved bool
		}{
			"nothing": {}, "all": {basis: holds}, "at": {at: &third}, "both": {basis: holds, at: &third},
			"changed":         {basis: append(slices.Clone(holds), admin.Expectation{Key: member("noor"), Since: first}), moved: true},
			"another history": {basis: []admin.Expectation{{Key: member("mark"), Since: authz.Revision{Count: first.Count, Nonce: "x"}}}, moved: true},
			"gone":            {basis: []admin.Expectation{{Key: member("nobody"), Since: first}}, moved: true},
			"outside limits":  {basis: []admin.Expectation{{Key: member("a\nb"), Since: first}}, moved: true},
			"exists":          {basis: []admin.Expectation{{Key: patient("p-1")}}, moved: true},
			"at before":       {at: &second, moved: true},
			"at nothing":      {at: &authz.Revision{}, moved: true},
			"at elsewhere":    {at: &authz.Revision{Count: third.Count, Nonce: "x"}, moved: true},
			"at and not all":  {basis: []admin.Expectation{{Key: patient("p-1"), Since: first}}, at: &third, moved: true},
		} {
			asked.Basis, asked.At = test.basis, test.at
			found, err := s.Range(t.Context(), s.org, asked, authz.Freshness{})
			if errors.Is(err, admin.ErrMoved) != test.moved || test.moved != (authz.KindOf(err) == authz.Conflict) || !test.moved && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil && (!slices.Equal(found.IDs, []string{"p-1", "p-2"}) || found.More || found.Revision != third) {
				t.Errorf("%s: %+v", name, found)
			}
		}
		asked.Basis, asked.At = nil, nil
		for want, kind := range map[authz.Revision]authz.ErrorKind{
			first: authz.Internal, third: authz.Internal, {Count: 2, Nonce: "x"}: authz.Behind, {Count: 4, Nonce: "x"}: authz.Behind,
		} {
			_, err := s.Range(t.Context(), s.org, asked, authz.Freshness{AtLeast: want, Full: true})
			if kind == authz.Internal && err != nil || kind == authz.Behind && authz.KindOf(err) != kind {
				t.Errorf("at least %v: %v", want, err)
			}
		}
	})
}

// A question that does not fit is none about nothing.
func TestRangeRefused(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		ward(t, s)
		all := []search.Index{{}}
		for name, test := range map[string]struct {
			asked search.Range
			want  string
		}{
			"no kind":            {search.Range{Indexes: all}, "kind"},
			"unknown kind":       {search.Range{Kind: "rubbish", Indexes: all}, "kind"},
			"relation of others": {search.Range{Kind: authz.KindPatient, Indexes: []search.Index{{Relation: admin.Access, To: "a"}}}, "relation"},
			"unknown relation":   {search.Range{Kind: authz.KindPatient, Indexes: []search.Index{{Relation: "rubbish", To: "a"}}}, "relation"},
			"no relation":        {search.Range{Kind: authz.KindPatient, Indexes: []search.Index{{To: "a"}}}, "relation"},
			"control character":  {search.Range{Kind: authz.KindPatient, Indexes: all, After: "a\x00"}, "after"},
		} {
			_, err := s.Range(t.Context(), s.org, test.asked, authz.Freshness{})
			if e, ok := errors.AsType[*authz.Error](err); !ok || e.Kind != authz.Malformed || e.Field != test.want {
				t.Errorf("%s: %v", name, err)
			}
			if test.want == "after" {
				continue
			}
			if _, _, err = s.Sizes(t.Context(), s.org, test.asked.Kind, test.asked.Indexes); authz.KindOf(err) != authz.Malformed {
				t.Errorf("sizes, %s: %v", name, err)
			}
		}
		calls := func(ctx context.Context, org string) map[string]error {
			_, found := s.Range(ctx, org, search.Range{Kind: authz.KindPatient, Indexes: all, Facts: true}, authz.Freshness{})
			_, _, sizes := s.Sizes(ctx, org, authz.KindPatient, all)
			return map[string]error{"range": found, "sizes": sizes}
		}
		expect := func(org string, kind authz.ErrorKind, want string) {
			t.Helper()
			for name, err := range calls(t.Context(), org) {
				if authz.KindOf(err) != kind || !strings.Contains(err.Error(), want) {
					t.Errorf("%s of %q: %v", name, org, err)
				}
			}
		}
		for _, org := range []string{"elsewhere", "", "a\nb"} {
			expect(org, authz.NotFound, "organisation")
		}
		prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
		s.raw.HDel(t.Context(), prefix+"patient:p-1", "patient_group")
		if err := calls(t.Context(), s.org)["range"]; authz.KindOf(err) != authz.Unavailable || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("a patient without a group: %v", err)
		}
		s.raw.Del(t.Context(), prefix+"patient:p-1")
		if err := calls(t.Context(), s.org)["range"]; authz.KindOf(err) != authz.Unavailable || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("a patient that was lost: %v", err)
		}
		s.raw.HSet(t.Context(), script.HeadKey(s.org), "schema", "4")
		expect(s.org, authz.Unavailable, "schema 4")
		s.raw.Del(t.Context(), script.HeadKey(s.org))
		expect(s.org, authz.NotFound, "organisation")
	})
}

// A cache reads each time, and no page is from before what was committed through it,
// or of a master that is not to be believed.
func TestRangeOfCache(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		ward(t, s)
		asked := search.Range{Kind: authz.KindPatient, Indexes: make([]search.Index, 1), Limit: 10, Facts: true}
		calls := func(c *Cache) (search.Found, []error) {
			found, err := c.Range(t.Context(), s.org, asked, authz.Freshness{})
			_, _, err2 := c.Sizes(t.Context(), s.org, authz.KindPatient, asked.Indexes)
			return found, []error{err, err2}
		}
		c, err := NewCache(s.Directory, CacheConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if found, errs := calls(c); errors.Join(errs...) != nil || len(found.IDs) != 2 || found.Facts.Until.IsZero() {
			t.Errorf("%+v, %v", found, errs)
		}
		caches := []*Cache{c}
		// Each is asked once: a refusal makes its follower look, and give up what it
		// believes to have written when it is not there.
		for i, name := range []string{"range", "sizes"} {
			once, err := NewCache(s.Directory, CacheConfig{})
			if err != nil {
				t.Fatal(err)
			}
			caches = append(caches, once)
			if _, err := once.Read(t.Context(), s.org, nil, authz.Freshness{}); err != nil {
				t.Fatal(err)
			}
			once.kept.Wrote(s.org, authz.Revision{Count: 1 << 40, Nonce: "x"})
			if i == 0 {
				_, err = once.Range(t.Context(), s.org, asked, authz.Freshness{})
			} else {
				_, _, err = once.Sizes(t.Context(), s.org, authz.KindPatient, asked.Indexes)
			}
			if authz.KindOf(err) != authz.Unavailable {
				t.Errorf("%s from before what was committed: %v", name, err)
			}
			stranger, err := NewCache(s.Directory, CacheConfig{})
			if err != nil {
				t.Fatal(err)
			}
			caches = append(caches, stranger)
			if _, errs := calls(stranger); errors.Join(errs...) != nil {
				t.Errorf("%s of what nobody follows: %v", name, errs)
			}
		}
		// The directory is closed by itself, and looks for other replicas only while nobody reads.
		stop := func(caches ...*Cache) {
			for _, c := range caches {
				if err := c.kept.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		stop(caches...)
		if s.embedded != nil {
			return
		}
		doubtful, err := NewCache(s.Directory, CacheConfig{MinReplicas: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, errs := calls(doubtful); authz.KindOf(errs[0]) != authz.Unavailable || authz.KindOf(errs[1]) != authz.Unavailable {
			t.Errorf("of a master that is not to be believed: %v", errs)
		}
		stop(doubtful)
	})
}
