package directory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/soak"
)

// everyKey are all that random edits can be about.
func everyKey() []authz.Key {
	var keys []authz.Key
	for kind, ids := range map[authz.Kind]struct {
		prefix string
		n      int
	}{
		authz.KindRole: {"r", 3}, authz.KindGroup: {"g", 3}, authz.KindPatientGroup: {"pg", 4},
		authz.KindTeamMember: {"m", 6}, authz.KindPatient: {"p", 6}, authz.KindBooking: {"b", 20},
	} {
		for i := range ids.n {
			keys = append(keys, authz.Key{Kind: kind, ID: fmt.Sprint(ids.prefix, i)})
		}
	}
	return keys
}

func (s *store) recordsOf(t *testing.T, keys []authz.Key) map[authz.Key]*admin.Stored {
	t.Helper()
	records, _, err := s.Records(t.Context(), s.org, keys)
	if err != nil {
		t.Fatal(err)
	}
	out := map[authz.Key]*admin.Stored{}
	for i, record := range records {
		out[keys[i]] = record
	}
	return out
}

// randomExpectations are of what is there, and at times of what is not.
func randomExpectations(r *rand.Rand, keys []authz.Key, now map[authz.Key]*admin.Stored) []admin.Expectation {
	var out []admin.Expectation
	for range r.IntN(3) {
		e := admin.Expectation{Key: keys[r.IntN(len(keys))], IfMatch: r.IntN(3) == 0}
		if record := now[e.Key]; record != nil {
			e.Since = record.Since
		}
		if r.IntN(12) == 0 {
			e.Since = authz.Revision{Count: 1 + r.Uint64N(20), Nonce: "x"}
		}
		out = append(out, e)
	}
	return out
}

// Whatever the change, its preview is what the commit then does, or the error that it
// ends with, and by itself does nothing.
func TestPreview(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		const seed = 11
		r := rand.New(rand.NewPCG(seed, seed))
		keys := everyKey()
		s.load(t, `{"kind":"role","id":"r0","permissions":["user:*"]}`, `{"kind":"team_member","id":"m5","role":"r0"}`)
		var revision authz.Revision
		committed, refused := 0, 0
		rounds := soak.Cases(2500)
		for round := range rounds {
			before := s.recordsOf(t, keys)
			change := admin.Change{Expect: randomExpectations(r, keys, before)}
			for range 1 + r.IntN(4) {
				change.Edits = append(change.Edits, randomEdit(r))
			}
			if r.IntN(10) == 0 {
				change.ExpectRevision = &authz.Revision{Count: revision.Count, Nonce: revision.Nonce}
			}
			keysBefore := ""
			if round%25 == 0 {
				keysBefore = s.dump(t)
			}
			preview, previewErr := s.Preview(t.Context(), s.org, change)
			if keysBefore != "" && s.dump(t) != keysBefore {
				t.Fatalf("seed %d, round %d: the preview changed something", seed, round)
			}
			if round%5 == 4 { // without the change, so that the next one finds the same
				if !reflect.DeepEqual(before, s.recordsOf(t, keys)) {
					t.Fatalf("seed %d, round %d: the preview changed a record", seed, round)
				}
				continue
			}
			done, err := s.Commit(t.Context(), s.org, change)
			if err := sameError(previewErr, err); err != nil {
				t.Fatalf("seed %d, round %d, %+v: %v", seed, round, change, err)
			}
			if err != nil {
				refused++
				continue
			}
			committed++
			if err := foretold(preview, done, revision, before, s.recordsOf(t, keys)); err != nil {
				t.Fatalf("seed %d, round %d, %+v: %v", seed, round, change, err)
			}
			revision = done.Revision
		}
		if committed < rounds/20 || refused < rounds/20 {
			t.Errorf("%d changes were committed and %d refused", committed, refused)
		}
	})
}

// sameError returns nil if the errors of a preview and a commit say the same.
func sameError(preview, commit error) error {
	a, ok := errors.AsType[*authz.Error](preview)
	b, ok2 := errors.AsType[*authz.Error](commit)
	if ok != ok2 || (preview == nil) != (commit == nil) || errors.Is(preview, admin.ErrMoved) != errors.Is(commit, admin.ErrMoved) ||
		ok && (preview.Error() != commit.Error() || a.Kind != b.Kind || a.Field != b.Field || a.Message != b.Message ||
			a.InUseCount != b.InUseCount || !reflect.DeepEqual(a.InUse, b.InUse)) {
		return fmt.Errorf("the preview ends with %w and the commit with %w", preview, commit)
	}
	return nil
}

// foretold compares a preview with what the commit made of the records.
func foretold(preview admin.Previewed, done admin.Committed, was authz.Revision, before, after map[authz.Key]*admin.Stored) error {
	if done.Changed != (len(preview.Altered) > 0) || was.Count > 0 && preview.Revision != was {
		return fmt.Errorf("%d entities at %v, and the change made of %v %+v", len(preview.Altered), preview.Revision, was, done)
	}
	altered := map[authz.Key]bool{}
	for _, a := range preview.Altered {
		either := a.Before
		if either == nil {
			either = a.After
		}
		key := either.Key()
		if altered[key] {
			return fmt.Errorf("%v is altered twice", key)
		}
		altered[key] = true
		if !reflect.DeepEqual(a.Before, before[key]) {
			return fmt.Errorf("%v is %+v before, expected %+v", key, a.Before, before[key])
		}
		if a.After != nil {
			since := authz.Revision{}
			if a.Before != nil {
				since = a.Before.Since
			}
			if a.After.Since != since || after[key] == nil || after[key].Since != done.Revision {
				return fmt.Errorf("%v is of %v after, expected %v", key, a.After.Since, since)
			}
			a.After.Since = done.Revision
		}
		if !reflect.DeepEqual(a.After, after[key]) {
			return fmt.Errorf("%v is %+v after, expected %+v", key, a.After, after[key])
		}
	}
	for key := range after {
		if !altered[key] && !reflect.DeepEqual(before[key], after[key]) {
			return fmt.Errorf("the change altered %v too", key)
		}
	}
	return nil
}

// The refusals that take more than a few entities, and damage.
func TestPreviewRefused(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, bulky(1001)...)
		for _, edit := range []admin.Edit{cascade(role("r")), remove(role("r")), remove(patientGroup("pg")), cascade(patientGroup("pg")), put(admin.Record{})} {
			change := admin.Change{Edits: []admin.Edit{edit}}
			_, previewErr := s.Preview(t.Context(), s.org, change)
			_, err := s.Commit(t.Context(), s.org, change)
			if same := sameError(previewErr, err); err == nil || same != nil {
				t.Errorf("%v: %v", edit.Key, same)
			}
		}
		one := admin.Change{Edits: []admin.Edit{put(admin.Record{Kind: authz.KindGroup, ID: "new"})}}
		for org, kind := range map[string]authz.ErrorKind{"elsewhere": authz.NotFound, "": authz.Malformed, "a\nb": authz.Malformed} {
			if _, err := s.Preview(t.Context(), org, one); authz.KindOf(err) != kind {
				t.Errorf("of %q: %v", org, err)
			}
		}
		if s.raw.Exists(t.Context(), script.HeadKey("elsewhere")).Val() != 0 {
			t.Error("a preview made an organisation")
		}
		prefix := script.HeadKey(s.org)[:len(script.HeadKey(s.org))-len("head")]
		s.raw.Del(t.Context(), prefix+"ids:group")
		s.raw.Set(t.Context(), prefix+"ids:group", "x", 0)
		for _, damage := range []string{"", "schema", "rev", "nonce"} {
			if damage != "" {
				s.raw.HSet(t.Context(), script.HeadKey(s.org), damage, "")
			}
			_, previewErr := s.Preview(t.Context(), s.org, one)
			_, err := s.Commit(t.Context(), s.org, one)
			if same := sameError(previewErr, err); authz.KindOf(err) != authz.Unavailable || same != nil {
				t.Errorf("damaged in %q: %v, %v", damage, err, same)
			}
		}
	})
}
