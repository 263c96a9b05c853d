package directory

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/directory/transfer"
	"github.com/caregate/caregate/internal/soak"
)

// TestChangesAgainstModel commits and imports random changes: after each, Redis
// holds exactly what the rules say, in entities and on the other side of each
// relationship, the revision has moved by one if anything changed, and the history
// leads from what was to what is, and back. It goes on until there were changes of each kind.
func TestChangesAgainstModel(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		rounds, enough := max(300, soak.Cases(1200)), max(40, soak.Cases(150))
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		m := newReference()
		done := admin.Committed{}
		committed, refused, unchanged := 0, map[authz.ErrorKind]int{}, 0
		shown := func() bool {
			return committed >= enough && unchanged > 0 && refused[authz.Malformed] > 0 && refused[authz.NotFound] > 0 && refused[authz.Conflict] > 0
		}
		for round := 0; round < rounds || !shown(); round++ {
			if round == 20*rounds {
				t.Fatalf("%d committed, %d without a change, refused by kind: %v: the changes are too much alike to show anything", committed, unchanged, refused)
			}
			change := admin.Change{Author: admin.Author{Actor: "team_member:" + strconv.Itoa(round), Request: "q"}}
			imports := round%4 == 3
			for range 1 + r.IntN(6) {
				if imports {
					change.Edits = append(change.Edits, admin.Edit{Op: admin.Put, Record: new(randomRecord(r))})
				} else {
					change.Edits = append(change.Edits, randomEdit(r))
				}
			}
			next, want := m.commit(change)
			got, err := s.either(t, change, imports)
			if want == fits && err != nil || want != fits && (err == nil || authz.KindOf(err) != want) {
				t.Fatalf("round %d: the error is %v of kind %d, expected kind %d\n%s", round, err, authz.KindOf(err), want, describe(change))
			}
			if err == nil && got.Changed != (got.Revision != done.Revision) {
				t.Fatalf("round %d: from %v to %+v", round, done.Revision, got)
			}
			switch isChanged := !reflect.DeepEqual(m.view(), next.view()); {
			case err != nil:
				refused[want]++
			case !isChanged:
				unchanged++
				if got.Changed {
					t.Fatalf("round %d: nothing changed and the revision went from %v to %v\n%s", round, done.Revision, got.Revision, describe(change))
				}
			default:
				committed++
				if got.Revision.Count != done.Revision.Count+1 || got.Revision.Nonce == done.Revision.Nonce {
					t.Fatalf("round %d: the revision went from %v to %v", round, done.Revision, got.Revision)
				}
				next.changed(m, got.Revision)
				s.tells(t, m, next, done.Revision, got.Revision, change.Author, imports)
				done = got
			}
			m = next
			s.holds(t, m, fmt.Sprintf("round %d\n%s", round, describe(change)))
		}
		t.Logf("%d committed, %d without a change, refused by kind: %v", committed, unchanged, refused)
		s.undo(t, m, done.Revision)
		roundTrip(t, s)
	})
}

// either commits a change, or imports its records.
func (s *store) either(t *testing.T, change admin.Change, imports bool) (admin.Committed, error) {
	t.Helper()
	if !imports {
		return s.Commit(t.Context(), s.org, change)
	}
	var text []byte
	for _, e := range change.Edits {
		text, _ = transfer.AppendLine(text, e.Record)
	}
	before, _ := s.raw.HGet(t.Context(), script.HeadKey(s.org), "rev").Uint64()
	done, err := s.Import(t.Context(), s.org, strings.NewReader(string(text)), ImportOptions{Author: change.Author})
	return admin.Committed{Revision: done.Revision, Changed: done.Revision.Count > before}, err
}

func describe(change admin.Change) string {
	var out []string
	for _, e := range change.Edits {
		if e.Record != nil {
			out = append(out, fmt.Sprintf("%s %+v", e.Op, *e.Record))
		} else {
			out = append(out, fmt.Sprintf("%+v", e))
		}
	}
	return strings.Join(out, "\n")
}

// holds expects exactly what the model says in Redis.
func (s *store) holds(t *testing.T, m *reference, what string) {
	t.Helper()
	got := s.keysAnd(t, false)
	delete(got, "head")
	delete(got, "changes")
	if want := m.keys(); !maps.Equal(got, want) {
		t.Fatalf("%s\nRedis differs from the model:\n%s", what, difference(got, want))
	}
}

// tells expects an event in the history that leads from a model to the next one.
func (s *store) tells(t *testing.T, before, after *reference, from, to authz.Revision, author admin.Author, imported bool) {
	t.Helper()
	history, err := s.History(t.Context(), s.org, admin.After(from), 10)
	if err != nil || len(history.Events) != 1 {
		t.Fatalf("the history after %v has %d events, %v", from, len(history.Events), err)
	}
	event := history.Events[0]
	author.Via = "api"
	if imported {
		author.Via = "import"
	}
	if event.Revision != to || event.Previous != from || event.Author != author || history.Newest != to || event.At.Year() < 2020 {
		t.Fatalf("the event is %+v, expected one from %v to %v by %+v", event, from, to, author)
	}
	view := before.view()
	redo(t, view, event, false)
	if want := after.view(); !reflect.DeepEqual(view, want) {
		t.Fatalf("the event %+v leads to\n%v\nexpected\n%v", event, view, want)
	}
	redo(t, view, event, true)
	if want := before.view(); !reflect.DeepEqual(view, want) {
		t.Fatalf("the event %+v leads back to\n%v\nexpected\n%v", event, view, want)
	}
}

// undo undoes the whole history, page by page, and redoes it.
func (s *store) undo(t *testing.T, m *reference, newest authz.Revision) {
	t.Helper()
	var events []admin.Event
	for after := (authz.Revision{}); after != newest; {
		page, err := s.History(t.Context(), s.org, admin.After(after), 7)
		if err != nil || len(page.Events) == 0 || page.Oldest.Count != 1 {
			t.Fatalf("after %v: %d events, oldest %v, %v", after, len(page.Events), page.Oldest, err)
		}
		events = append(events, page.Events...)
		after = page.Events[len(page.Events)-1].Revision
	}
	view := m.view()
	for _, event := range slices.Backward(events) {
		redo(t, view, event, true)
	}
	if len(view) != 0 {
		t.Errorf("with all undone there is %v", view)
	}
	for _, event := range events {
		redo(t, view, event, false)
	}
	if !reflect.DeepEqual(view, m.view()) {
		t.Error("with all redone the facts are others")
	}
}

// redo applies an event to a view, or undoes it. All that it says must be so.
func redo(t *testing.T, view map[authz.Key]map[string]any, event admin.Event, undo bool) {
	t.Helper()
	for _, e := range event.Entities {
		if undo {
			e.Existed, e.Exists, e.Before, e.After = e.Exists, e.Existed, e.After, e.Before
		}
		fields, existed := view[e.Key]
		if existed != e.Existed {
			t.Fatalf("%v existed: %v, and the event says %v", e.Key, existed, e.Existed)
		}
		fields = maps.Clone(fields)
		if fields == nil {
			fields = map[string]any{}
		}
		e.Before, e.After = maps.Clone(e.Before), maps.Clone(e.After)
		if e.Existed && e.Exists && (e.Before["suspended"] != nil || e.After["suspended"] != nil) {
			if e.Before["suspended"] == e.After["suspended"] {
				t.Fatalf("%v: suspended is %v, and then %v", e.Key, e.Before["suspended"], e.After["suspended"])
			}
			for _, told := range []map[string]any{e.Before, e.After} {
				if told["suspended"] == false { // the view has what is true
					delete(told, "suspended")
				} else if told["suspended"] != true {
					t.Fatalf("%v: suspended is told by halves: %v, %v", e.Key, e.Before["suspended"], e.After["suspended"])
				}
			}
		}
		for name, value := range e.Before {
			fields[name] = taken(t, fields[name], value)
		}
		for name, value := range e.After {
			fields[name] = given(t, fields[name], value)
		}
		maps.DeleteFunc(fields, func(_ string, value any) bool { return value == nil })
		if view[e.Key] = fields; !e.Exists {
			if len(fields) > 0 {
				t.Fatalf("%v is deleted and has %v", e.Key, fields)
			}
			delete(view, e.Key)
		}
	}
}

// taken returns a value without what left it, nil if nothing stays.
func taken(t *testing.T, from, value any) any {
	t.Helper()
	switch value := value.(type) {
	case []string:
		rest := without(from.([]string), value)
		if len(rest)+len(value) != len(from.([]string)) {
			t.Fatalf("%v left %v", value, from)
		}
		if len(rest) > 0 {
			return rest
		}
	case map[string][]string:
		rest := maps.Clone(from.(map[string][]string))
		for member, sources := range value {
			if !slices.Equal(rest[member], sources) {
				t.Fatalf("%v left %v", value, from)
			}
			delete(rest, member)
		}
		if len(rest) > 0 {
			return rest
		}
	default:
		if from != value {
			t.Fatalf("%v was %v", value, from)
		}
	}
	return nil
}

// given returns a value with what joined it.
func given(t *testing.T, to, value any) any {
	t.Helper()
	switch value := value.(type) {
	case []string:
		list, _ := to.([]string)
		return sorted(append(slices.Clone(list), value...))
	case map[string][]string:
		team, _ := to.(map[string][]string)
		out := maps.Clone(value)
		for member, sources := range team {
			if out[member] != nil {
				t.Fatalf("%s joined %v", member, to)
			}
			out[member] = sources
		}
		return out
	default:
		if to != nil {
			t.Fatalf("%v is set, and was %v", value, to)
		}
		return value
	}
}
