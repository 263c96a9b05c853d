package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
)

func TestExpectations(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		first := s.load(t, clinic()...)
		second := s.commit(t, set(member("mark"), admin.Fields{"name": "M"}))
		if second.Count != first.Count+1 {
			t.Fatalf("from %v to %v", first, second)
		}
		edits := []admin.Edit{set(member("mark"), admin.Fields{"name": "N"})}
		expect := func(mine bool, key authz.Key, since authz.Revision) admin.Expectation {
			return admin.Expectation{Key: key, Since: since, IfMatch: mine}
		}
		for name, test := range map[string]struct {
			change admin.Change
			kind   authz.ErrorKind
		}{
			"changed since":        {admin.Change{Edits: edits, Expect: []admin.Expectation{expect(false, member("mark"), first)}}, authz.Conflict},
			"another history":      {admin.Change{Edits: edits, Expect: []admin.Expectation{expect(false, member("mark"), authz.Revision{Count: 2, Nonce: "x"})}}, authz.Conflict},
			"does not exist":       {admin.Change{Edits: edits, Expect: []admin.Expectation{expect(false, member("none"), first)}}, authz.Conflict},
			"exists":               {admin.Change{Edits: edits, Expect: []admin.Expectation{expect(false, patient("p-1"), authz.Revision{})}}, authz.Conflict},
			"if match":             {admin.Change{Edits: edits, Expect: []admin.Expectation{expect(true, member("mark"), first)}}, authz.Changed},
			"if match before both": {admin.Change{Edits: edits, Expect: []admin.Expectation{expect(false, member("mark"), first), expect(true, member("mark"), first)}}, authz.Changed},
			"if match, the other":  {admin.Change{Edits: edits, Expect: []admin.Expectation{expect(true, member("mark"), second), expect(false, member("noor"), second)}}, authz.Conflict},
			"revision":             {admin.Change{Edits: edits, ExpectRevision: &first}, authz.Conflict},
			"no organisation":      {admin.Change{Edits: edits, ExpectRevision: &authz.Revision{}}, authz.Conflict},
			// It is looked at before the edits are.
			"and a bad edit": {admin.Change{Edits: []admin.Edit{cancel("none", false)}, ExpectRevision: &first}, authz.Conflict},
		} {
			t.Run(name, func(t *testing.T) {
				before := s.dump(t)
				_, err := s.Commit(t.Context(), s.org, test.change)
				if authz.KindOf(err) != test.kind || errors.Is(err, admin.ErrMoved) != (test.kind == authz.Conflict) {
					t.Errorf("the error is %v of kind %d", err, authz.KindOf(err))
				}
				if s.dump(t) != before {
					t.Error("something is written")
				}
			})
		}
		s.refuses(t, admin.Change{Edits: edits, Expect: []admin.Expectation{{}}}, authz.Malformed, "expect[0].key.kind", "is missing")
		third, err := s.Commit(t.Context(), s.org, admin.Change{Edits: edits, ExpectRevision: &second, Expect: []admin.Expectation{
			expect(true, member("mark"), second), expect(false, patient("p-1"), first), expect(false, patient("p-404"), authz.Revision{}), expect(false, patient("\n"), authz.Revision{}),
		}})
		if err != nil || !third.Changed || third.Revision.Count != 3 {
			t.Errorf("%+v, %v", third, err)
		}
		s.org = "new"
		done, err := s.Commit(t.Context(), s.org, admin.Change{Edits: []admin.Edit{put(admin.Record{Kind: authz.KindGroup, ID: "g"})}, ExpectRevision: &authz.Revision{}})
		if err != nil || done.Revision.Count != 1 {
			t.Errorf("a new organisation: %+v, %v", done, err)
		}
	})
}

// The limits on what one change touches, cascades included.
func TestTooManyTouched(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, bulky(1001)...) // that many members and patients, all of one group and role
		refused := func(edit admin.Edit, kind authz.ErrorKind) (named, count int) {
			t.Helper()
			before := s.raw.HGetAll(t.Context(), script.HeadKey(s.org)).Val()
			_, err := s.Commit(t.Context(), s.org, admin.Change{Edits: []admin.Edit{edit}})
			e, ok := errors.AsType[*authz.Error](err)
			if !ok || e.Kind != kind {
				t.Fatalf("%v: %v", edit.Key, err)
			}
			if after := s.raw.HGetAll(t.Context(), script.HeadKey(s.org)).Val(); !maps.Equal(before, after) {
				t.Errorf("%v: the head was %v and is %v", edit.Key, before, after)
			}
			return len(e.InUse), e.InUseCount
		}
		for key, want := range map[authz.Key]int{role("r"): 1001, group("g"): 1001, patientGroup("pg"): 2002} {
			refused(cascade(key), authz.TooLarge)
			if named, count := refused(remove(key), authz.Conflict); named != 100 || count != want {
				t.Errorf("%v is in use by %d, %d of them named", key, count, named)
			}
		}
		// 1,000 members are left, and with the role they are too many.
		s.commit(t, cascade(patient("p-0")), cascade(member("m-0")))
		refused(cascade(role("r")), authz.TooLarge)
		s.commit(t, cascade(member("m-1")))
		s.commit(t, cascade(role("r")))
		if got := s.entities(t); strings.Contains(got["team_member:m-7"], `"role"="r"`) || got["role-members:r"] != "" {
			t.Errorf("m-7 is %s, the role has %s", got["team_member:m-7"], got["role-members:r"])
		}
		// A patient with as many bookings.
		edits := []admin.Edit{set(member("m-5"), admin.Fields{"provider": true})}
		for i := range admin.MaxEdits - 2 {
			edits = append(edits, book(fmt.Sprint("b-", i), "p-5", "m-5"))
		}
		s.commit(t, edits...)
		s.commit(t, book("last", "p-5", "m-5"))
		s.commit(t, book("very last", "p-5", "m-5"))
		refused(cascade(patient("p-5")), authz.TooLarge)
		s.commit(t, remove(booking("last")))
		s.commit(t, cascade(patient("p-5")))
		roundTrip(t, s)
	})
}

// A writer who may not write the stream writes nothing.
func TestNothingIsHalfWritten(t *testing.T) {
	server := startRedis(t)
	root := openStore(t, server)
	root.load(t, clinic()...)
	err := root.raw.Do(t.Context(), "ACL", "SETUSER", "writer", "on", ">pass", "~cg:*", "+@all", "-xadd").Err()
	if err != nil {
		t.Fatal(err)
	}
	server.url = strings.Replace(server.url, "redis://", "redis://writer:pass@", 1)
	s := openStore(t, server)
	for _, edit := range []admin.Edit{put(admin.Record{Kind: authz.KindGroup, ID: "new"}), cascade(member("mark")), set(patient("p-1"), admin.Fields{"patient_group": "aftercare"})} {
		before := root.dump(t)
		if _, err := s.Commit(t.Context(), s.org, admin.Change{Edits: []admin.Edit{edit}}); authz.KindOf(err) != authz.Unavailable {
			t.Errorf("%v: %v", edit.Op, err)
		}
		if root.dump(t) != before {
			t.Errorf("%v: something is written", edit.Op)
		}
	}
	s.refuse(t, authz.Unavailable, "", `{"kind":"role","id":"new","permissions":[]}`)
}

// The writing user needs no more than the documentation of the package says.
func TestWritingUser(t *testing.T) {
	server := startRedis(t)
	root := openStore(t, server)
	commands := "+evalsha +eval +time +exists +type +del +hgetall +hmget +hget +hset +hdel +zadd +zrem +zcard +zscore +zrange +xadd +xlen +xrange"
	args := []any{"ACL", "SETUSER", "writer", "on", ">pass", "~cg:*", "-@all", "+info|replication", "+hello"}
	for command := range strings.FieldsSeq(commands) {
		args = append(args, command)
	}
	if err := root.raw.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	server.url = strings.Replace(server.url, "redis://", "redis://writer:pass@", 1)
	d, err := Open(Config{URL: server.url, ChangesKept: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	s := &store{Directory: d, raw: root.raw, org: "riverside"}
	s.load(t, clinic()...)
	s.commit(t, set(role("practitioner"), admin.Fields{"permissions": []string{"user:*"}}))
	s.commit(t, put(admin.Record{Kind: authz.KindTeamMember, ID: "noor", Role: "practitioner"}))
	s.commit(t, cascade(member("mark")))
	s.commit(t, cascade(patientGroup("diabetes")))
}

// Where the stream is ahead of the head, somebody else wrote one of them.
func TestStreamAhead(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		if err := s.raw.HSet(t.Context(), script.HeadKey(s.org), "rev", 0).Err(); err != nil {
			t.Fatal(err)
		}
		one := admin.Change{Edits: []admin.Edit{put(admin.Record{Kind: authz.KindGroup, ID: "new"})}}
		s.refuses(t, one, authz.Unavailable, "", "damaged")
		s.raw.HSet(t.Context(), script.HeadKey(s.org), "rev", 1)
		s.commit(t, put(admin.Record{Kind: authz.KindGroup, ID: "another"}))
		s.raw.HSet(t.Context(), script.HeadKey(s.org), "rev", 1)
		s.refuses(t, one, authz.Unavailable, "", "damaged")
		for _, log := range []string{"", "x", "-1"} {
			s.raw.HSet(t.Context(), script.HeadKey(s.org), "rev", 2, "log", log)
			s.refuses(t, one, authz.Unavailable, "", "damaged")
		}
	})
}

// A script whose answer was lost is sent again, and finds its own change.
func TestCommitSentTwice(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		batch := s.commits().Begin(admin.Author{Via: "import"}, admin.MaxEdits)
		for _, r := range []admin.Record{
			{Kind: authz.KindPatient, ID: "p-new", PatientGroup: "diabetes"},
			{Kind: authz.KindBooking, ID: "b-2", Patient: "p-1", Provider: "mark", State: admin.Released},
		} {
			if err := batch.Put(&r); err != nil {
				t.Fatal(err)
			}
		}
		var revisions []authz.Revision
		for range 2 {
			done, refused, err := batch.Commit(context.Background(), s.org)
			if err != nil || refused != nil || !done.Changed {
				t.Fatalf("%+v, %+v, %v", done, refused, err)
			}
			revisions = append(revisions, done.Revision)
		}
		if revisions[0] != revisions[1] || revisions[0].Count != 2 {
			t.Errorf("committed as %v", revisions)
		}
	})
}
