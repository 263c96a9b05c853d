package directory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/script"
)

// streamEntry is an entry of the stream with its fields and values in turn, in
// order.
type streamEntry struct {
	id     string
	fields []string
}

func (e streamEntry) with(name, value string) streamEntry {
	out := streamEntry{e.id, slices.Clone(e.fields)}
	for i := 0; i < len(out.fields); i += 2 {
		if out.fields[i] == name {
			out.fields[i+1] = value
		}
	}
	return out
}

// stream returns the stream of changes as it is.
func (s *store) stream(t testing.TB) []streamEntry {
	t.Helper()
	reply, err := s.raw.Do(t.Context(), "XRANGE", script.StreamKey(s.org), "-", "+").Slice()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]streamEntry, len(reply))
	for i := range reply {
		entry, _ := script.Item[[]any](reply, i)
		out[i].id, _ = script.Item[string](entry, 0)
		out[i].fields, _ = script.Texts(entry, 1)
	}
	return out
}

// putStream makes entries the stream.
func (s *store) putStream(t testing.TB, entries []streamEntry) {
	t.Helper()
	s.raw.Del(t.Context(), script.StreamKey(s.org))
	for _, e := range entries {
		if err := s.raw.XAdd(t.Context(), &redis.XAddArgs{Stream: script.StreamKey(s.org), ID: e.id, Values: e.fields}).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// nonceOf returns the nonce of the change with a number.
func (s *store) nonceOf(t testing.TB, number string) string {
	t.Helper()
	for _, e := range s.stream(t) {
		if e.id == number+"-0" {
			return script.ValueOf(e.fields, "nonce")
		}
	}
	return ""
}

// streamDamages lists what can be wrong with the stream: its type, its entries being
// there, and each of their fields, of some entries chosen at random and of both ends.
func (s *store) streamDamages(t *testing.T) []damage {
	t.Helper()
	key := script.StreamKey(s.org)
	stream := func(rule audit.Rule) audit.Finding { return audit.Finding{Rule: rule, Kind: "key", ID: "changes"} }
	log := audit.Finding{Rule: audit.RuleHead, Kind: "head", ID: "head"}
	entries := s.stream(t)
	out := []damage{
		{"remove changes", key, func(string) error { return s.raw.Del(t.Context(), key).Err() }, stream(audit.RuleHistory)},
		{"mistype changes", key, func(string) error {
			s.raw.Del(t.Context(), key)
			return s.raw.Set(t.Context(), key, "rubbish", 0).Err()
		}, stream(audit.RuleType)},
		{"remove the first change", key, func(string) error { s.putStream(t, entries[1:]); return nil }, log},
		{"empty changes", key, func(string) error { return s.raw.XTrimMaxLen(t.Context(), key, 0).Err() }, stream(audit.RuleHistory)},
	}
	places := []int{0, 1, len(entries) - 2, len(entries) - 1}
	for range 6 {
		places = append(places, rand.IntN(len(entries)))
	}
	for _, at := range places {
		e := entries[at]
		self := audit.Finding{Rule: audit.RuleHistory, Kind: "change", ID: e.id}
		next := stream(audit.RuleHistory)
		if at+1 < len(entries) {
			next = audit.Finding{Rule: audit.RuleHistory, Kind: "change", ID: entries[at+1].id}
		}
		replace := func(what string, want audit.Finding, with ...streamEntry) {
			out = append(out, damage{fmt.Sprintf("%s change %s", what, e.id), key, func(string) error {
				s.putStream(t, slices.Concat(entries[:at], with, entries[at+1:]))
				return nil
			}, want})
		}
		field := func(name string, want audit.Finding, values ...string) {
			for _, value := range values {
				if value != script.ValueOf(e.fields, name) {
					replace(fmt.Sprintf("set %s to %q in", name, value), want, e.with(name, value))
				}
			}
		}
		if at > 0 {
			replace("remove", next)
		}
		number := strings.TrimSuffix(e.id, "-0")
		replace("add one after", audit.Finding{Rule: audit.RuleHistory, Kind: "change", ID: number + "-1"}, e, streamEntry{number + "-1", e.fields})
		replace("renumber", audit.Finding{Rule: audit.RuleHistory, Kind: "change", ID: number + "-7"}, streamEntry{number + "-7", e.fields})
		if at == len(entries)-1 {
			replace("go on after", stream(audit.RuleHistory), e, streamEntry{"100000-0", e.fields})
		}
		field("prev", self, "AAAAAAAA000000", "", "rubbish", "A\nAAAAAA000000")
		field("nonce", next, "AAAAAAAA000000", "")
		field("nonce", self, "", "short", "AAAAAAA=000000", "\n\n\n\n\n\n\n\n")
		field("at", self, "", "-1", "0", "now", "01", "1.5")
		field("by", self, "a\nb", "\xff")
		field("via", self, "", "API", "sql")
		field("req", self, "\x00", "\xff")
		replace("drop a field of", self, streamEntry{e.id, e.fields[2:]})
		replace("add a field to", self, streamEntry{e.id, append(slices.Clone(e.fields), "x", "y")})
		replace("put the fields in another order in", self, streamEntry{e.id, append(slices.Clone(e.fields[2:]), e.fields[:2]...)})
		replace("repeat a field in", self, streamEntry{e.id, append(slices.Clone(e.fields), e.fields[:2]...)})
		text := script.ValueOf(e.fields, "images")
		field("images", self, "", "rubbish", "\x02"+text, text+"\x02", text+"\x02"+text, text+"\x00", text+"\x01")
		field("images", log, text+"\x02role:ghost\x0101\x01\x01name\x00\x00permissions\x00[]")
		out = append(out, s.imageDamages(t, at, entries)...)
	}
	return out
}

// imageDamages changes bytes of the images of an entry, without changing their
// number: whatever it is then, it does not agree with the other changes or with the
// facts.
func (s *store) imageDamages(t *testing.T, at int, entries []streamEntry) []damage {
	e := entries[at]
	text := script.ValueOf(e.fields, "images")
	var out []damage
	for range 8 {
		place := rand.IntN(len(text))
		b := []byte(text)
		b[place] = "019abpr:\x00\x01\x02\n"[rand.IntN(12)]
		if b[place] == text[place] {
			continue
		}
		changed := slices.Clone(entries)
		changed[at] = e.with("images", string(b))
		out = append(out, damage{fmt.Sprintf("make byte %d of the images %q in change %s, which are %q,", place, b[place], e.id, text), script.StreamKey(s.org),
			func(string) error { s.putStream(t, changed); return nil }, audit.Finding{}})
	}
	return out
}
