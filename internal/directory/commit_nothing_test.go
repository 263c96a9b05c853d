package directory

import (
	"strconv"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
)

// nothings are changes that change nothing where mark has no role: an edit, and what was
// worked out to be none.
func nothings(at authz.Revision) map[string]admin.Change {
	return map[string]admin.Change{
		"an edit without effect": {Edits: []admin.Edit{set(member("mark"), admin.Fields{"role": ""})}},
		"no edit at all":         {ExpectRevision: &at},
	}
}

// That a change changes nothing is acknowledged only by a server that could have made it.
// One that fell behind would say so of facts that are not the current ones.
func TestNothingIsAcknowledgedByAServerThatCannotWrite(t *testing.T) {
	master, replica := startRedis(t), startRedis(t)
	s, behind := openStore(t, master), openStore(t, replica)
	s.load(t, `{"kind":"role","id":"nurse","permissions":["patient:view"]}`, `{"kind":"team_member","id":"mark"}`)
	if _, err := replica.Do("REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port)); err != nil {
		t.Fatal(err)
	}
	at := authz.Revision{}
	for deadline := time.Now().Add(20 * time.Second); at.Count == 0; time.Sleep(10 * time.Millisecond) {
		if text, _ := behind.raw.HGet(t.Context(), script.HeadKey(s.org), "rev").Result(); text != "" {
			at = s.facts(t).Revision
		}
		if time.Now().After(deadline) {
			t.Fatal("the replica does not follow")
		}
	}
	if _, err := replica.Do("REPLICAOF", "127.0.0.1", "1"); err != nil { // cut off
		t.Fatal(err)
	}
	s.commit(t, set(member("mark"), admin.Fields{"role": "nurse"}))
	for name, change := range nothings(at) {
		if done, err := behind.Commit(t.Context(), s.org, change); authz.KindOf(err) != authz.Unavailable || err == nil {
			t.Errorf("%s, at a replica that was cut off: %+v, %v", name, done, err)
		}
	}
	if _, err := replica.Do("REPLICAOF", "NO", "ONE"); err != nil {
		t.Fatal(err)
	}
	if _, err := replica.Do("CONFIG", "SET", "min-replicas-to-write", "1"); err != nil {
		t.Fatal(err)
	}
	for name, change := range nothings(at) {
		if done, err := behind.Commit(t.Context(), s.org, change); authz.KindOf(err) != authz.Unavailable || err == nil {
			t.Errorf("%s, at a master without the replicas that it must have: %+v, %v", name, done, err)
		}
	}
}

// A change without edits looks at what is expected, and is no revision.
func TestNoEditsLookAtTheExpectations(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		first := s.load(t, clinic()...)
		second := s.commit(t, set(member("mark"), admin.Fields{"name": "M"}))
		before := s.dump(t)
		done, err := s.Commit(t.Context(), s.org, admin.Change{ExpectRevision: &second})
		if err != nil || done.Changed || done.Revision != second {
			t.Errorf("%+v, %v", done, err)
		}
		for name, change := range map[string]admin.Change{
			"an earlier revision":        {ExpectRevision: &first},
			"a revision of another past": {ExpectRevision: &authz.Revision{Count: second.Count, Nonce: first.Nonce}},
			"an earlier version":         {ExpectRevision: &second, Expect: []admin.Expectation{{Key: member("mark"), Since: first}}},
		} {
			if _, err := s.Commit(t.Context(), s.org, change); authz.KindOf(err) != authz.Conflict {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, change := range map[string]admin.Change{"nothing at all": {}, "and a record": {Expect: []admin.Expectation{{Key: member("mark"), Since: second}}}} {
			if _, err := s.Commit(t.Context(), s.org, change); authz.KindOf(err) != authz.Malformed {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.Preview(t.Context(), s.org, admin.Change{}); authz.KindOf(err) != authz.Malformed {
			t.Errorf("a preview of nothing: %v", err)
		}
		if s.dump(t) != before {
			t.Error("something is written")
		}
	})
}
