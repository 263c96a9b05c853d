package directory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/transfer"
)

// verdictOfWrites goes through every history that there was, with the model beside it, and
// returns what is wrong about the writes and about what was seen of them.
func (l *ledger) verdictOfWrites() []string {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	wrong := l.wrong
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	unchanged := map[authz.Revision][]*attempted{} // writes that say that they changed nothing
	at := map[string]map[authz.Revision]bool{}     // where the stream has each write
	for id, a := range l.writes {
		at[id] = map[authz.Revision]bool{}
		if a.ended && a.err == nil && !a.done.Changed {
			unchanged[a.done.Revision] = append(unchanged[a.done.Revision], a)
		}
	}
	seen := map[authz.Revision]bool{{}: true}
	var m *reference
	for _, chain := range l.chains {
		m = newReference()
		here := map[string]int{}
		for i, event := range chain {
			if event.Revision.Count != uint64(i+1) {
				say("revision %s stands where number %d has to", event.Revision, i+1)
				return wrong
			}
			id := event.Author.Request
			a := l.writes[id]
			if a == nil {
				say("revision %s is of a write that nobody made", event.Revision)
				return wrong
			}
			if here[id]++; here[id] > 1 {
				say("%s is there %d times", a.what, here[id])
			}
			at[id][event.Revision] = true
			next, fit := a.asked(m)
			if !fit {
				say("at revision %s: %s does not fit what was there, and was made", event.Revision, a.what)
			}
			if a.expects != nil && m.since[a.expects.Key] != a.expects.Since {
				say("at revision %s: %s was about version %s, and made of %s", event.Revision, a.what, a.expects.Since, m.since[a.expects.Key])
			}
			was, is := m.view(), next.view()
			if got, want := told(event.Entities), alterations(was, is); !reflect.DeepEqual(got, want) || len(want) == 0 {
				say("at revision %s: %s did\n%v\nwhere it should have done\n%v", event.Revision, a.what, got, want)
				// From here on nothing would fit: what is there is taken as it is.
			}
			next.changed(m, event.Revision)
			m = next
			if seen[event.Revision] {
				continue
			}
			seen[event.Revision] = true
			for _, s := range l.sights[event.Revision] {
				if w := s.wrong(m); w != "" {
					say("at revision %s: %s %s", event.Revision, s.what, w)
				}
			}
			for _, a := range unchanged[event.Revision] {
				after, fit := a.asked(m)
				// One whose number the revision has is an import, which does not say.
				if own := a == l.writes[id]; !own && (!fit || len(changedKeys(m.view(), after.view())) > 0) {
					say("at revision %s: %s is said to change nothing, and would change %v", event.Revision, a.what, changedKeys(m.view(), after.view()))
				}
			}
		}
	}
	for id, a := range l.writes {
		unknown := a.err != nil && (authz.KindOf(a.err) == authz.Unavailable || authz.KindOf(a.err) == authz.Timeout)
		switch {
		case a.ended && a.err == nil && !seen[a.done.Revision]:
			say("%s states revision %s, which there never was", a.what, a.done.Revision)
		case a.err == nil && a.done.Changed && !at[id][a.done.Revision]:
			say("%s is acknowledged at revision %s, which is of another write", a.what, a.done.Revision)
		case a.err == nil && !a.done.Changed && !a.imported && len(at[id]) > 0:
			say("%s is said to change nothing, and is there", a.what)
		case a.err != nil && !unknown && len(at[id]) > 0:
			say("%s is refused (%v), and is there", a.what, a.err)
		case a.err != nil && authz.KindOf(a.err) == authz.Internal:
			say("%s fails: %v", a.what, a.err)
		}
	}
	for revision, sights := range l.sights {
		if !seen[revision] {
			say("%d answers state revision %s, which there never was", len(sights), revision)
		}
	}
	if got := l.written(); !reflect.DeepEqual(got.view(), m.view()) {
		say("the directory does not hold what the writes made:\n%v", alterations(m.view(), got.view()))
	}
	return wrong
}

// written reads what the directory holds into a model.
func (l *ledger) written() *reference {
	l.t.Helper()
	var b bytes.Buffer
	if _, err := l.direct.Export(l.t.Context(), exactOrganisation, &b); err != nil {
		l.t.Fatal(err)
	}
	m := newReference()
	reader := transfer.NewRecordReader(&b)
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err != nil {
			l.t.Fatal(err)
		}
		if kind := m.put(*record); kind != fits {
			l.t.Fatalf("%v is exported and does not fit", record.Key())
		}
	}
}

// viewOf returns a record as the history names its fields.
func viewOf(s *admin.Stored) map[string]any {
	if s == nil {
		return nil
	}
	m := newReference()
	r := s.Record
	r.CareTeam = nil
	m.records[r.Key()] = r
	for member, sources := range s.Sources {
		for _, source := range sources {
			m.source(r.ID, member, source, true)
		}
	}
	return m.view()[r.Key()]
}

func changedKeys(was, is map[authz.Key]map[string]any) map[authz.Key]bool {
	out := map[authz.Key]bool{}
	for _, view := range []map[authz.Key]map[string]any{was, is} {
		for key := range view {
			if !reflect.DeepEqual(was[key], is[key]) {
				out[key] = true
			}
		}
	}
	return out
}

// alterations returns what the history tells of a change between two views, by key.
func alterations(was, is map[authz.Key]map[string]any) map[authz.Key]admin.EntityEvent {
	out := map[authz.Key]admin.EntityEvent{}
	for key := range changedKeys(was, is) {
		e := admin.EntityEvent{Key: key, Existed: was[key] != nil, Exists: is[key] != nil, Before: map[string]any{}, After: map[string]any{}}
		for _, fields := range []map[string]any{was[key], is[key]} {
			for name := range fields {
				part(e.Before, name, was[key][name], is[key][name])
				part(e.After, name, is[key][name], was[key][name])
			}
		}
		switch { // what Redis does not have is told as false beside a true
		case e.Existed && e.After["suspended"] == true:
			e.Before["suspended"] = false
		case e.Exists && e.Before["suspended"] == true:
			e.After["suspended"] = false
		}
		out[key] = e
	}
	return out
}

// part sets what of a value is not in another one.
func part(to map[string]any, name string, value, other any) {
	switch value := value.(type) {
	case nil:
	case []string:
		list, _ := other.([]string)
		if rest := without(value, list); len(rest) > 0 {
			to[name] = rest
		}
	case map[string][]string:
		team, _ := other.(map[string][]string)
		rest := maps.Clone(value)
		maps.DeleteFunc(rest, func(member string, sources []string) bool { return slices.Equal(team[member], sources) })
		if len(rest) > 0 {
			to[name] = rest
		}
	default:
		if value != other {
			to[name] = value
		}
	}
}

// told returns what an event tells, by key.
func told(entities []admin.EntityEvent) map[authz.Key]admin.EntityEvent {
	out := map[authz.Key]admin.EntityEvent{}
	for _, e := range entities {
		out[e.Key] = e
	}
	return out
}
