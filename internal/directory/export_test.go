package directory

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/directory/transfer"
	"github.com/caregate/caregate/internal/soak"
)

// What the design documents is exported as it was written.
func TestExportIsWhatWasImported(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		text, err := os.ReadFile("testdata/format.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		s.load(t, strings.Split(strings.TrimSpace(string(text)), "\n")...)
		got := s.export(t)
		want := strings.Replace(string(text), `["patient:view","patient:create","patient:update"]`, `["patient:create","patient:update","patient:view"]`, 1)
		if got != want {
			t.Errorf("got\n%s\nexpected\n%s", got, want)
		}
	})
}

func TestExportPages(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		lines := bulky(1200)
		// Ids that a range of ids could take for its own signs, at every place.
		for _, id := range []string{"+", "-", "(", "[", "\u00a0"} {
			lines = append(lines, `{"kind":"patient","id":"`+id+`","patient_group":"pg"}`)
		}
		s.load(t, lines...)
		whole := s.export(t)
		var ids []string
		for line := range strings.Lines(whole) {
			if _, rest, ok := strings.Cut(line, `{"kind":"patient","id":"`); ok {
				id, _, _ := strings.Cut(rest, `"`)
				ids = append(ids, id)
			}
		}
		if len(ids) != 1205 || !slices.IsSorted(ids) {
			t.Errorf("%d patients, sorted: %v", len(ids), slices.IsSorted(ids))
		}
		roundTrip(t, s)
		for _, size := range []int{1, 7, 1205} { // each id as the last of a page
			if size == 1 && s.embedded != nil && !soak.All() {
				continue
			}
			if text, _ := s.exportBy(t, size); text != whole {
				t.Errorf("by pages of %d it is another export", size)
			}
		}
	})
}

func TestExportUnknownOrganisation(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, `{"kind":"role","id":"r","permissions":[]}`)
		for _, org := range []string{"elsewhere", "", "a\nb"} {
			if _, err := s.Export(t.Context(), org, io.Discard); authz.KindOf(err) != authz.NotFound {
				t.Errorf("%q: %v", org, err)
			}
		}
	})
}

// exportBy exports by pages of a size.
func (s *store) exportBy(t testing.TB, size int) (string, Exported) {
	t.Helper()
	var b bytes.Buffer
	done, err := transfer.Export(t.Context(), exportPages{s.Directory}, s.org, &b, size)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), done
}

// between runs a function before every command of a directory but the first one and
// those that the function gives.
type between struct {
	do       func()
	commands int
	inside   bool
}

func (*between) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if b.do != nil && !b.inside {
			if b.commands++; b.commands > 1 {
				b.inside = true
				b.do()
				b.inside = false
			}
		}
		return next(ctx, cmd)
	}
}

// hook sets what happens between the commands of an export, nil for nothing.
func (s *store) hook() *between {
	b := &between{}
	s.bulk.AddHook(b)
	s.administers.AddHook(b)
	return b
}

func (b *between) set(do func()) { b.do, b.commands = do, 0 }

// manyPatients are an organisation with a few pages of each kind, where pages are
// small.
func manyPatients(patients int) []string {
	lines := []string{`{"kind":"role","id":"r0","permissions":["user:*"]}`, `{"kind":"group","id":"g0","permissions":["t:a"]}`}
	for i := range 4 {
		lines = append(lines, `{"kind":"patient_group","id":"pg`+strconv.Itoa(i)+`"}`)
	}
	for i := range 6 {
		lines = append(lines, `{"kind":"team_member","id":"m`+strconv.Itoa(i)+`","role":"r0","provider":true,"access":["pg1"],"booking":["pg0","pg1"]}`)
	}
	for i := range patients {
		n := strconv.Itoa(i)
		lines = append(lines, `{"kind":"patient","id":"p`+n+`","patient_group":"pg`+strconv.Itoa(i%4)+`","care_team":["m`+strconv.Itoa(i%6)+`"]}`)
		if i%3 == 0 {
			lines = append(lines, `{"kind":"booking","id":"b`+n+`","patient":"p`+n+`","provider":"m1","state":"booked"}`)
		}
	}
	return lines
}

// busyEdit changes something: a move, a booking, a deletion, whatever.
func busyEdit(r *rand.Rand, patients int) admin.Edit {
	pick := func(prefix string, n int) string { return prefix + strconv.Itoa(r.IntN(n)) }
	keys := []authz.Key{
		{Kind: authz.KindPatient, ID: pick("p", patients+5)}, {Kind: authz.KindPatient, ID: pick("p", patients+5)},
		{Kind: authz.KindBooking, ID: pick("b", patients)}, {Kind: authz.KindTeamMember, ID: pick("m", 8)},
		{Kind: authz.KindPatientGroup, ID: pick("pg", 5)}, {Kind: authz.KindRole, ID: pick("r", 3)}, {Kind: authz.KindGroup, ID: pick("g", 3)},
	}
	switch r.IntN(9) {
	case 0:
		return admin.Edit{Op: admin.Delete, Key: keys[r.IntN(3)], Cascade: true}
	case 1:
		if r.IntN(6) == 0 {
			return admin.Edit{Op: admin.Delete, Key: keys[r.IntN(len(keys))], Cascade: true}
		}
		return admin.Edit{Op: admin.Cancel, Key: keys[2], Release: r.IntN(2) == 0}
	case 2:
		return admin.Edit{Op: admin.Set, Key: keys[0], Fields: admin.Fields{"patient_group": pick("pg", 4)}}
	case 3:
		return admin.Edit{Op: admin.Book, Record: &admin.Record{Kind: authz.KindBooking, ID: pick("b", patients), Patient: pick("p", patients), Provider: pick("m", 6)}}
	case 4:
		return admin.Edit{Op: []admin.Op{admin.Link, admin.Unlink}[r.IntN(2)], Relation: admin.CareTeam, From: pick("p", patients), To: pick("m", 6)}
	case 5:
		return admin.Edit{Op: []admin.Op{admin.Link, admin.Unlink}[r.IntN(2)], Relation: admin.Access, From: pick("m", 6), To: pick("pg", 4)}
	case 6, 7:
		return admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindPatient, ID: pick("p", patients+5), PatientGroup: pick("pg", 4), CareTeam: []string{pick("m", 6)}}}
	default:
		record := randomRecord(r)
		return admin.Edit{Op: admin.Put, Record: &record}
	}
}

// edit makes random changes until one is committed.
func (s *store) edit(t testing.TB, r *rand.Rand, patients int) authz.Revision {
	t.Helper()
	for range 200 {
		change := admin.Change{Author: admin.Author{Actor: "team_member:m0", Via: "api"}}
		for range 1 + r.IntN(3) {
			change.Edits = append(change.Edits, busyEdit(r, patients))
		}
		done, err := s.Commit(t.Context(), s.org, change)
		switch kind := authz.KindOf(err); {
		case err != nil && kind != authz.Malformed && kind != authz.NotFound && kind != authz.Conflict:
			t.Fatal(err)
		case err == nil && done.Changed:
			return done.Revision
		}
	}
	t.Fatal("none of 200 changes is committed")
	return authz.Revision{}
}

// While others write, at every point between two readings, an export is the one
// that was to be had before: no move is seen by half, nobody twice or not at all.
func TestExportWhileFactsChange(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		const patients = 40
		r := random(t)
		rounds := 60
		if s.embedded != nil {
			rounds = 15
		}
		hook := s.hook()
		s.load(t, manyPatients(patients)...)
		for round := range rounds {
			size := 1 + r.IntN(9)
			whole, before := s.exportBy(t, 100)
			most, changes := 1+r.IntN(4), 0
			hook.set(func() {
				for range r.IntN(most + 1) {
					s.edit(t, r, patients)
					changes++
				}
			})
			got, done := s.exportBy(t, size)
			hook.set(nil)
			if got != whole || done != before {
				t.Fatalf("round %d: after %d changes, by pages of %d, it is another export:\n%s", round, changes, size, diffLines(got, whole))
			}
			if round%10 == 0 {
				roundTrip(t, s)
			}
		}
		s.clean(t)
	})
}

// diffLines returns the lines that only one of two texts has.
func diffLines(got, want string) string {
	var b strings.Builder
	only := func(sign, text, other string) {
		lines := map[string]bool{}
		for line := range strings.Lines(other) {
			lines[line] = true
		}
		for line := range strings.Lines(text) {
			if !lines[line] {
				b.WriteString(sign + line)
			}
		}
	}
	only("+ ", got, want)
	only("- ", want, got)
	return b.String()
}

// Real concurrency: somebody writes all the time, and knows what it was at each
// revision.
func TestExportBesideWriter(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		const patients = 60
		r := random(t)
		s.load(t, manyPatients(patients)...)
		wholes := map[authz.Revision]string{}
		keep := func() {
			whole, done := s.exportBy(t, 500) // nobody else writes
			wholes[done.Revision] = whole
		}
		keep()
		ended := make(chan struct{})
		type outcome struct {
			text string
			done Exported
		}
		var got []outcome
		go func() {
			defer close(ended)
			for range 25 {
				var b bytes.Buffer
				done, err := transfer.Export(t.Context(), exportPages{s.Directory}, s.org, &b, 2)
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, outcome{b.String(), done})
			}
		}()
		for running := true; running; {
			s.edit(t, r, patients)
			keep()
			select {
			case <-ended:
				running = false
			default:
			}
		}
		revisions := map[authz.Revision]bool{}
		for _, o := range got {
			if wholes[o.done.Revision] != o.text || o.done.Records != strings.Count(o.text, "\n") {
				t.Fatalf("the export at %v is not what there was then:\n%s", o.done.Revision, diffLines(o.text, wholes[o.done.Revision]))
			}
			revisions[o.done.Revision] = true
		}
		t.Logf("%d exports at %d revisions, %d changes", len(got), len(revisions), len(wholes))
	})
}

// What cannot be taken back to one revision is refused, and nothing else is written
// instead.
func TestExportRefused(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		r := random(t)
		const patients = 20
		lines := manyPatients(patients)
		hook := s.hook()
		again := func() {
			s.raw.FlushAll(t.Context())
			s.load(t, lines...)
		}
		for what, test := range map[string]struct {
			do   func()
			want string
		}{
			"changes that are forgotten": {func() {
				for range 4 {
					s.edit(t, r, patients)
				}
			}, "keep more"},
			"a stream that is gone": {func() {
				s.edit(t, r, patients)
				s.raw.Del(t.Context(), script.StreamKey(s.org))
			}, "keep more"},
			"no facts any more":           {func() { s.raw.FlushAll(t.Context()) }, "another history"},
			"other facts, as many":        {again, "another history"},
			"other facts, and more":       {func() { again(); s.edit(t, r, patients) }, "another history"},
			"other facts, and many more":  {func() { again(); s.edit(t, r, patients); s.edit(t, r, patients) }, "another history"},
			"other facts, after a change": {func() { s.edit(t, r, patients); again(); s.edit(t, r, patients) }, "another history"},
		} {
			t.Run(what, func(t *testing.T) {
				for after := range 6 {
					s.raw.FlushAll(t.Context())
					s.changesKept = DefaultChangesKept
					s.load(t, lines...)
					s.edit(t, r, patients)
					s.changesKept = 3
					s.export(t) // the script is known from then on
					commands := 0
					hook.set(func() {
						if commands++; commands == after+1 {
							test.do()
						}
					})
					_, err := transfer.Export(t.Context(), exportPages{s.Directory}, s.org, io.Discard, 2)
					hook.set(nil)
					if authz.KindOf(err) != authz.Conflict || !strings.Contains(err.Error(), "try again") || !strings.Contains(err.Error(), test.want) {
						t.Errorf("after %d commands: the error is %v", after+1, err)
					}
				}
			})
		}
	})
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestExportToBrokenWriter(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, `{"kind":"role","id":"r","permissions":[]}`)
		if _, err := s.Export(t.Context(), s.org, broken{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("the error is %v", err)
		}
	})
}
