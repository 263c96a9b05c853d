package directory

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
)

// A3: who, when, and what it was before.
func TestHistory(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		first := s.load(t, clinic()...)
		start := time.Now().Add(-time.Minute)
		author := admin.Author{Actor: "team_member:amara", Via: "api", Request: "r-1"}
		done, err := s.Commit(t.Context(), s.org, admin.Change{Author: author, Edits: []admin.Edit{
			set(member("mark"), admin.Fields{"name": "M", "role": ""}),
			link(admin.MemberOfGroup, "noor", "stock"), unlink(admin.MemberOfGroup, "mark", "stock"),
			set(role("practitioner"), admin.Fields{"permissions": []string{"patient:create"}}),
			cascade(booking("b-1")), link(admin.CareTeam, "p-1", "mark"),
		}})
		if err != nil {
			t.Fatal(err)
		}
		history, err := s.History(t.Context(), s.org, admin.After(first), 10)
		if err != nil || len(history.Events) != 1 || history.Oldest != first || history.Newest != done.Revision {
			t.Fatalf("%+v, %v", history, err)
		}
		event := history.Events[0]
		if event.Author != author || event.Previous != first || event.Revision != done.Revision || event.At.Before(start) || event.At.After(time.Now().Add(time.Minute)) {
			t.Errorf("the event is %+v", event)
		}
		want := []admin.EntityEvent{
			{Key: role("practitioner"), Existed: true, Exists: true,
				Before: map[string]any{"permissions": []string{"patient:view"}}, After: map[string]any{"permissions": []string{"patient:create"}}},
			{Key: member("mark"), Existed: true, Exists: true,
				Before: map[string]any{"name": "Mark", "role": "practitioner", "groups": []string{"stock"}}, After: map[string]any{"name": "M"}},
			{Key: member("noor"), Existed: true, Exists: true, Before: map[string]any{}, After: map[string]any{"groups": []string{"stock"}}},
			{Key: patient("p-1"), Existed: true, Exists: true,
				Before: map[string]any{"care_team": map[string][]string{"mark": {"booking:b-1"}}}, After: map[string]any{"care_team": map[string][]string{"mark": {"manual"}}}},
			{Key: booking("b-1"), Existed: true, Before: map[string]any{"patient": "p-1", "provider": "mark", "state": "booked"}, After: map[string]any{}},
		}
		if !reflect.DeepEqual(event.Entities, want) {
			t.Errorf("the event is about\n%+v\nexpected\n%+v", event.Entities, want)
		}
		if page, err := s.History(t.Context(), s.org, admin.After(done.Revision), 10); err != nil || len(page.Events) != 0 || page.Newest != done.Revision {
			t.Errorf("after the newest: %+v, %v", page, err)
		}
		if page, err := s.History(t.Context(), s.org, admin.Place{}, 1); err != nil || len(page.Events) != 1 || page.Events[0].Revision != first || page.Events[0].Author.Via != "import" {
			t.Errorf("the first: %+v, %v", page, err)
		}
		for _, after := range []authz.Revision{{Count: 1, Nonce: "x"}, {Count: 2, Nonce: first.Nonce}, {Count: 3, Nonce: done.Revision.Nonce}, {Count: 1 << 60, Nonce: "x"}} {
			if _, err := s.History(t.Context(), s.org, admin.After(after), 10); authz.KindOf(err) != authz.Behind {
				t.Errorf("after %v: %v", after, err)
			}
		}
		for _, org := range []string{"elsewhere", "", "a\nb"} {
			if _, err := s.History(t.Context(), org, admin.Place{}, 10); authz.KindOf(err) != authz.NotFound {
				t.Errorf("%q: %v", org, err)
			}
		}
	})
}

// A provider's id that looks like a flag stays an id.
func TestHistoryOfOddIDs(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, `{"kind":"patient_group","id":"0"}`, `{"kind":"team_member","id":"1","provider":true,"booking":["0"]}`,
			`{"kind":"patient","id":"0","patient_group":"0"}`, `{"kind":"booking","id":"c:x","patient":"0","provider":"1","state":"booked"}`)
		history, err := s.History(t.Context(), s.org, admin.Place{}, 10)
		if err != nil || len(history.Events) != 1 {
			t.Fatalf("%+v, %v", history, err)
		}
		got := fmt.Sprint(history.Events[0].Entities)
		for _, want := range []string{"map[booking:[0] provider:true]", "care_team:map[1:[booking:c:x]]", "map[patient:0 provider:1 state:booked]"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s is not in %s", want, got)
			}
		}
	})
}

// The stream keeps so many changes and so many bytes, and knows how many.
func TestRetention(t *testing.T) {
	server := startRedis(t)
	for name, config := range map[string]Config{"entries": {ChangesKept: 5}, "bytes": {ChangesBytes: 300}, "one": {ChangesKept: 1, ChangesBytes: 1}, "all": {}} {
		t.Run(name, func(t *testing.T) {
			config.URL = server.url
			embedded, err := OpenEmbedded(config)
			if err != nil {
				t.Fatal(err)
			}
			server, err := Open(config)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range []*Directory{server, embedded} {
				t.Cleanup(func() { closed(t, d) })
				s := &store{Directory: d, raw: d.bulk, org: name}
				var revisions []authz.Revision
				for i := range 40 {
					revisions = append(revisions, s.commit(t, put(admin.Record{Kind: authz.KindPatientGroup, ID: "pg", Name: strings.Repeat("x", i+1)})))
					s.retained(t, config)
				}
				history, err := s.History(t.Context(), s.org, admin.Place{}, 100)
				if err != nil || len(history.Events) == 0 || history.Newest != revisions[39] || history.Oldest != history.Events[0].Revision {
					t.Fatalf("%d events from %v to %v, %v", len(history.Events), history.Oldest, history.Newest, err)
				}
				for i, revision := range revisions { // the one before the oldest will do
					page, err := s.History(t.Context(), s.org, admin.After(revision), 100)
					if isThere := revision.Count+1 >= history.Oldest.Count; isThere != (err == nil) || !isThere && authz.KindOf(err) != authz.Behind ||
						isThere && len(page.Events) != 39-i {
						t.Errorf("after %v, oldest %v: %d events, %v", revision, history.Oldest, len(page.Events), err)
					}
				}
			}
		})
	}
}

// retained expects that the stream keeps its limits and that the head knows.
func (s *store) retained(t *testing.T, c Config) {
	t.Helper()
	entries, err := s.raw.XRange(t.Context(), script.StreamKey(s.org), "-", "+").Result()
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	bytes := 0
	for _, e := range entries {
		bytes += len(e.Values["images"].(string))
	}
	if log := s.raw.HGet(t.Context(), script.HeadKey(s.org), "log").Val(); log != strconv.Itoa(bytes) {
		t.Fatalf("the head says %s bytes and there are %d", log, bytes)
	}
	if c.ChangesKept > 0 && len(entries) > c.ChangesKept || c.ChangesBytes > 0 && int64(bytes) > c.ChangesBytes && len(entries) > 1 {
		t.Fatalf("there are %d entries and %d bytes", len(entries), bytes)
	}
}

// A limit that is much lower than before is reached in steps.
func TestRetentionLowered(t *testing.T) {
	server := startRedis(t)
	s := openStore(t, server)
	for i := range 1500 {
		s.commit(t, put(admin.Record{Kind: authz.KindPatientGroup, ID: "pg", Name: strconv.Itoa(i)}))
	}
	d, err := Open(Config{URL: server.url, ChangesKept: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	s.Directory = d
	for i, least := range []int64{400, 3, 3} {
		s.commit(t, put(admin.Record{Kind: authz.KindPatientGroup, ID: "pg", Name: "new" + strconv.Itoa(i)}))
		if got := s.raw.XLen(t.Context(), script.StreamKey(s.org)).Val(); got < least || got > least+101 {
			t.Errorf("%d changes are kept, expected %d", got, least)
		}
	}
	s.retained(t, Config{ChangesKept: 3})
}

// Large changes come in parts, each within a bound, and all of them. A single entity is
// given even where it is larger.
func TestHistoryOfLargeChanges(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		const changes, records = 6, 900
		name := strings.Repeat("x", admin.MaxName-8)
		for i := range changes {
			var edits []admin.Edit
			for j := range records {
				edits = append(edits, put(admin.Record{Kind: authz.KindPatientGroup, ID: strconv.Itoa(j), Name: name + strconv.Itoa(i)}))
			}
			s.commit(t, edits...)
			s.commit(t, put(admin.Record{Kind: authz.KindGroup, ID: "small", Name: strconv.Itoa(i)}))
		}
		var many []string
		for j := range 3000 {
			many = append(many, strings.Repeat("y", 200)+strconv.Itoa(j)+":view")
		}
		s.commit(t, put(admin.Record{Kind: authz.KindGroup, ID: "large", Permissions: many}), put(admin.Record{Kind: authz.KindGroup, ID: "after"}))

		told := map[uint64]map[authz.Key]bool{}
		var at admin.Place
		for more := true; more; {
			page, err := s.History(t.Context(), s.org, at, 0)
			if err != nil || len(page.Events) == 0 {
				t.Fatalf("after %v: %v", at, err)
			}
			size := 0
			for i, e := range page.Events {
				if !e.Whole() && i > 0 && e.From == 0 {
					t.Errorf("%v begins in the middle of a page", e.Revision)
				}
				for _, entity := range e.Entities {
					for _, side := range []map[string]any{entity.Before, entity.After} {
						text, _ := side["name"].(string)
						size += len(text)
						list, _ := side["permissions"].([]string)
						size += len(strings.Join(list, ","))
					}
					if told[e.Revision.Count] == nil {
						told[e.Revision.Count] = map[authz.Key]bool{}
					}
					if told[e.Revision.Count][entity.Key] {
						t.Fatalf("%v of %v is told twice", entity.Key, e.Revision)
					}
					told[e.Revision.Count][entity.Key] = true
				}
				at = e.Next(len(e.Entities))
			}
			if size > maxEventBytes && (len(page.Events) > 1 || len(page.Events[0].Entities) > 1) {
				t.Errorf("a page has %d bytes", size)
			}
			more = at != admin.After(page.Newest)
			if token, err := admin.ParsePlace(at.String()); err != nil || token != at {
				t.Fatalf("%v is read as %v, %v", at, token, err)
			}
		}
		for i := range uint64(changes) {
			if len(told[2*i+1]) != records || len(told[2*i+2]) != 1 {
				t.Errorf("change %d tells of %d records", 2*i+1, len(told[2*i+1]))
			}
		}
		if len(told[2*changes+1]) != 2 {
			t.Errorf("the last change tells of %d records", len(told[2*changes+1]))
		}
		first, err := s.History(t.Context(), s.org, admin.Place{}, 1)
		if err != nil || first.Events[0].Whole() {
			t.Fatalf("%v", err)
		}
		for _, place := range []admin.Place{
			{Revision: first.Events[0].Revision, Entities: 5}, {Entities: 1 << 20}, {Revision: first.Newest, Entities: 1},
		} {
			page, err := s.History(t.Context(), s.org, place, 0)
			if kind := authz.KindOf(err); err == nil && len(page.Events) > 0 || err != nil && kind != authz.Malformed && kind != authz.Behind {
				t.Errorf("%v: %d changes, %v", place, len(page.Events), err)
			}
		}
	})
}

func TestChangeOf(t *testing.T) {
	good := func() redis.XMessage {
		return redis.XMessage{ID: "7-0", Values: map[string]any{
			"prev": "aa", "nonce": "bb", "at": "1700000000123", "by": "team_member:x", "via": "api", "req": "q",
			"images": "role:a:b\x0111\x01name\x00x\x01name\x00y\x02patient:p\x0101\x01\x01patient_group\x00g",
		}}
	}
	c, err := layout.ChangeOf(good())
	if err != nil || c.Revision.String() != "7.bb" || c.Previous.String() != "6.aa" || !c.At.Equal(time.UnixMilli(1700000000123)) ||
		!reflect.DeepEqual(c.Touched, []authz.Key{role("a:b"), patient("p")}) || !reflect.DeepEqual(c.Images[0].After, []string{"name", "y"}) || c.Images[1].Existed {
		t.Errorf("%+v, %v", c, err)
	}
	for what, damage := range map[string]func(*redis.XMessage){
		"id":              func(m *redis.XMessage) { m.ID = "7-1" },
		"id 0":            func(m *redis.XMessage) { m.ID = "0-0" },
		"rubbish id":      func(m *redis.XMessage) { m.ID = "x" },
		"no nonce":        func(m *redis.XMessage) { delete(m.Values, "nonce") },
		"empty nonce":     func(m *redis.XMessage) { m.Values["nonce"] = "" },
		"empty prev":      func(m *redis.XMessage) { m.Values["prev"] = "" },
		"prev of a first": func(m *redis.XMessage) { m.ID = "1-0" },
		"bad time":        func(m *redis.XMessage) { m.Values["at"] = "x" },
		"no author":       func(m *redis.XMessage) { delete(m.Values, "by") },
		"no images":       func(m *redis.XMessage) { delete(m.Values, "images") },
		"empty images":    func(m *redis.XMessage) { m.Values["images"] = "" },
		"no kind":         func(m *redis.XMessage) { m.Values["images"] = "role\x0111\x01\x01" },
		"bad flags":       func(m *redis.XMessage) { m.Values["images"] = "role:a\x0121\x01\x01" },
		"cut off":         func(m *redis.XMessage) { m.Values["images"] = "role:a\x0111\x01name" },
		"odd fields":      func(m *redis.XMessage) { m.Values["images"] = "role:a\x0111\x01name\x01" },
	} {
		m := good()
		damage(&m)
		if c, err := layout.ChangeOf(m); authz.KindOf(err) != authz.Unavailable {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
}

func TestWait(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		revision := s.load(t, clinic()...)
		if err := s.Wait(t.Context(), s.org, authz.Revision{}); err != nil {
			t.Errorf("what is there already: %v", err)
		}
		if err := s.Wait(t.Context(), s.org, authz.Revision{Count: 5, Nonce: "x"}); err != nil {
			t.Errorf("another history: %v", err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		start := time.Now()
		if err := s.Wait(ctx, s.org, revision); authz.KindOf(err) != authz.Timeout || time.Since(start) > time.Second {
			t.Errorf("nothing new: %v after %v", err, time.Since(start))
		}
		for _, org := range []string{s.org, "new"} {
			after := revision
			if org == "new" {
				after = authz.Revision{}
			}
			woken := make(chan error, 1)
			go func() { woken <- s.Wait(context.Background(), org, after) }()
			time.Sleep(50 * time.Millisecond)
			select {
			case err := <-woken:
				t.Fatalf("%s: woken by nothing: %v", org, err)
			default:
			}
			committed := time.Now()
			if _, err := s.Commit(t.Context(), org, admin.Change{Edits: []admin.Edit{put(admin.Record{Kind: authz.KindGroup, ID: "x"})}}); err != nil {
				t.Fatal(err)
			}
			if err := <-woken; err != nil || time.Since(committed) > 500*time.Millisecond {
				t.Errorf("%s: woken after %v, %v", org, time.Since(committed), err)
			}
		}
		// A history that is replaced by a shorter one is noticed too.
		after := s.commit(t, remove(group("x")))
		woken := make(chan error, 1)
		go func() { woken <- s.Wait(context.Background(), s.org, after) }()
		time.Sleep(50 * time.Millisecond)
		s.raw.FlushAll(t.Context())
		if err := <-woken; err != nil {
			t.Errorf("a lost history: %v", err)
		}
	})
}
