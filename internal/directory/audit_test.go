package directory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
)

// audit returns what an audit finds.
func (s *store) audit(t testing.TB) (Audited, []Finding) {
	t.Helper()
	var found []Finding
	done, err := s.Audit(t.Context(), s.org, AuditConfig{Report: func(f Finding) error {
		found = append(found, f)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if done.Breaches+done.Advice != len(found) {
		t.Errorf("%d findings are reported, and counted are %+v", len(found), done)
	}
	return done, found
}

// clean expects an audit to find no breach.
func (s *store) clean(t testing.TB) Audited {
	t.Helper()
	done, found := s.audit(t)
	if done.Breaches > 0 {
		t.Fatalf("a sound organisation has breaches: %+v", onlyBreaches(found))
	}
	return done
}

func onlyBreaches(found []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(found), func(f Finding) bool { return f.Advice })
}

// randomly imports random batches until there is something of everything.
func (s *store) randomly(t testing.TB, r *rand.Rand, rounds int) {
	t.Helper()
	for range rounds {
		record := randomRecord(r)
		line, _ := record.appendLine(nil)
		if _, err := s.Import(t.Context(), s.org, strings.NewReader(string(line)), nil); err != nil && authz.KindOf(err) == authz.Unavailable {
			t.Fatal(err)
		}
	}
}

func random(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestAuditOfSoundOrganisations(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		revision := s.facts(t).Revision
		if done := s.clean(t); done.Entities != 9 || done.First != revision || done.Last != revision {
			t.Errorf("audited %+v, imported at %v", done, revision)
		}
		r := random(t)
		// What stands beside an organisation is not its own, whatever it is called.
		for _, org := range []string{"riverside2", "*", "a?[b-d]\\*{x}", "riverside}:", "øre", strings.Repeat("x", 256)} {
			s.org = org
			s.randomly(t, r, 200)
			s.clean(t)
		}
		s.org = "riverside"
		if done := s.clean(t); done.Entities != 9 {
			t.Errorf("audited %+v", done)
		}
	})
}

func TestAuditOfNothing(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for _, org := range []string{"elsewhere", "river*", "", "a\nb"} {
			if _, err := s.Audit(t.Context(), org, AuditConfig{}); authz.KindOf(err) != authz.NotFound {
				t.Errorf("%q: %v", org, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Audit(ctx, s.org, AuditConfig{}); authz.KindOf(err) != authz.Timeout {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// damage is one thing wrong with one key, and a finding that must name it.
type damage struct {
	what, key string
	do        func(key string) error
	want      Finding // Rule "" for any
}

func (d damage) isIn(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool {
		return !f.Advice && f.Kind == d.want.Kind && f.ID == d.want.ID && (d.want.Rule == "" || f.Rule == d.want.Rule) && f.What != "" && f.Remedy != ""
	})
}

// damages lists everything that can be wrong with a key, from the layout: its
// type, its being there, and each of its fields or members.
func (s *store) damages(t *testing.T, name string) []damage {
	ctx := t.Context()
	prefix := strings.TrimSuffix(headKey(s.org), "head")
	what, id, _ := strings.Cut(name, ":")
	var out []damage
	add := func(text string, want Finding, do func(key string) error) {
		out = append(out, damage{what: text + " " + name, key: prefix + name, do: do, want: want})
	}
	mistype := func(key string) error {
		s.raw.Del(ctx, key)
		return s.raw.Set(ctx, key, "rubbish", 0).Err()
	}
	remove := func(key string) error { return s.raw.Del(ctx, key).Err() }
	hset := func(field, value string) func(string) error {
		return func(key string) error { return s.raw.HSet(ctx, key, field, value).Err() }
	}
	hdel := func(field string) func(string) error {
		return func(key string) error { return s.raw.HDel(ctx, key, field).Err() }
	}
	switch {
	case name == "head":
		head := func(rule Rule) Finding { return Finding{Rule: rule, Kind: "head", ID: "head"} }
		add("mistype", head(RuleType), mistype)
		add("remove", head(RuleHead), remove)
		for _, field := range []string{"rev", "nonce", "schema"} {
			rule := RuleHead
			if field == "schema" {
				rule = RuleSchema
			}
			add("drop "+field, head(rule), hdel(field))
			for _, value := range []string{"", "-1", "0", "01", "1.0", "2a\x00", "0x2", "99999999999999999999999", "\n"} {
				if field != "nonce" || value == "" || value == "\n" || value == "2a\x00" {
					add(fmt.Sprintf("set %s to %q", field, value), head(rule), hset(field, value))
				}
			}
		}
		add("newer schema", head(RuleSchema), hset("schema", "2"))
		add("further field", head(RuleHead), hset("x", "y"))
	case validKind(authz.Kind(what)):
		self := func(rule Rule) Finding { return Finding{Rule: rule, Kind: what, ID: id} }
		add("mistype", self(RuleType), mistype)
		add("remove", self(RuleMissing), remove)
		add("further field", self(RuleFields), hset("found\x00", "true"))
		add("empty field", self(RuleFields), hset("", ""))
		hash := s.raw.HGetAll(ctx, prefix+name).Val()
		for field, value := range hash {
			text, ghost := "set "+field, func(rule Rule, value string) { add("set "+field, self(rule), hset(field, value)) }
			edge, to, isEdge := strings.Cut(field, ":")
			switch {
			case isEdge && edge == "c":
				add("drop "+field, self(RuleBothSides), hdel(field))
				add("another "+field, self(RuleReference), hset("c:ghost", "manual"))
				if strings.Contains(value, "booking:") {
					booking := strings.TrimPrefix(value[strings.Index(value, "booking:"):], "booking:")
					booking, _, _ = strings.Cut(booking, "\n")
					add("take the bookings out of "+field, Finding{Rule: RuleBooked, Kind: "booking", ID: booking}, hset(field, "manual"))
				}
				for _, value := range []string{"", "rubbish", "manual\nmanual", "manual\nbooking:b1", "manual\n", "booking:", "\xff", "MANUAL"} {
					ghost(RuleSources, value)
				}
				ghost(RuleSources, "booking:ghost")
				ghost(RuleSources, "booking:ghost\nmanual")
			case isEdge:
				add("drop "+field, self(RuleBothSides), hdel(field))
				ghost(RuleFields, "1")
				add("another "+field, self(RuleReference), hset(edge+":ghost", ""))
			case field == "name":
				add("drop name", self(unlessLast(hash, RuleFields)), hdel(field))
				ghost(RuleFields, "a\nb")
				ghost(RuleFields, "\xff")
				ghost(RuleFields, strings.Repeat("x", 2000))
			case field == "permissions":
				add("drop permissions", self(RuleFields), hdel(field))
				for _, value := range []string{"", "null", "{}", `"*:*"`, `["a:b"`, `["a"]`, `["*:view"]`, `["a:c","a:b"]`, `["a:b","a:b"]`, `["a:b",1]`, `["a:\u0000"]`} {
					ghost(RuleFields, value)
				}
			case field == "role":
				add("drop role", self(RuleFields), hdel(field))
				ghost(RuleReference, "ghost")
				if value != "" {
					ghost(RuleBothSides, "")
				}
			case field == "provider" && what == "team_member":
				add("drop provider", self(RuleFields), hdel(field))
				ghost(RuleFields, "true")
				add("not a provider with Booking", self(RuleBooking), func(key string) error {
					return s.raw.HSet(ctx, key, "provider", "0", "b:pg0", "").Err()
				})
			case field == "patient_group":
				add("drop patient_group", self(unlessLast(hash, RuleGroup)), hdel(field))
				ghost(RuleGroup, "")
				ghost(RuleGroup, "ghost")
			case what == "booking":
				add("drop "+field, self(RuleFields), hdel(field))
				ghost("", "ghost")
				if field == "state" && value == stateReleased {
					ghost(RuleBooked, stateBooked)
				}
				if field == "state" && value != stateReleased {
					of := s.raw.HGet(ctx, prefix+name, "patient").Val()
					add("release", Finding{Rule: RuleSources, Kind: "patient", ID: of}, hset(field, stateReleased))
				}
			default:
				t.Errorf("there is no damage for %s %s, to %s", text, name, to)
			}
		}
	default:
		out = append(out, s.indexDamages(t, prefix, name, what, id, mistype, remove)...)
	}
	return out
}

// unlessLast returns the rule that is broken without one field of a hash: one
// without any does not exist.
func unlessLast(hash map[string]string, rule Rule) Rule {
	if len(hash) == 1 {
		return RuleMissing
	}
	return rule
}

func (s *store) indexDamages(t *testing.T, prefix, name, what, id string, mistype, remove func(string) error) []damage {
	ctx := t.Context()
	kind, typ := indexKinds(what, id)
	if typ == "" {
		t.Errorf("no index is called %s", name)
	}
	self := Finding{Rule: RuleType, Kind: "index", ID: name}
	out := []damage{{"mistype " + name, prefix + name, mistype, self}}
	rule := RuleBothSides
	if what == "ids" {
		rule = RuleListed
	}
	insert := func(key, member string, score float64) error {
		if typ == "zset" {
			return s.raw.ZAdd(ctx, key, redis.Z{Member: member, Score: score}).Err()
		}
		return s.raw.SAdd(ctx, key, member).Err()
	}
	members := s.raw.SMembers(ctx, prefix+name).Val()
	if typ == "zset" {
		members = s.raw.ZRange(ctx, prefix+name, 0, -1).Val()
	}
	for _, member := range members {
		of := Finding{Rule: rule, Kind: string(kind), ID: member}
		out = append(out,
			damage{"remove from " + name, prefix + name, remove, of},
			damage{"take " + member + " out of " + name, prefix + name, func(key string) error {
				if typ == "zset" {
					return s.raw.ZRem(ctx, key, member).Err()
				}
				return s.raw.SRem(ctx, key, member).Err()
			}, of})
		if typ == "zset" {
			out = append(out, damage{"score " + member, prefix + name, func(key string) error { return insert(key, member, 1) },
				Finding{Rule: RuleScore, Kind: string(kind), ID: member}})
		}
	}
	for ghost, as := range map[string]string{"ghost": "ghost", "": "", "\xff\x00": `\xff\x00`, "\u202e": `\u202e`} {
		out = append(out, damage{fmt.Sprintf("add %q to %s", ghost, name), prefix + name, func(key string) error { return insert(key, ghost, 0) },
			Finding{Rule: RuleMissing, Kind: string(kind), ID: as}})
	}
	if what == "ids" {
		return out
	}
	for _, other := range s.raw.ZRange(ctx, prefix+"ids:"+string(kind), 0, -1).Val() {
		if !slices.Contains(members, other) {
			out = append(out, damage{"add " + other + " to " + name, prefix + name, func(key string) error { return insert(key, other, 0) },
				Finding{Rule: RuleBothSides, Kind: string(kind), ID: other}})
		}
	}
	return append(out, damage{"another " + what, prefix + what + ":ghost", func(key string) error { return insert(key, members[0], 0) },
		Finding{Rule: RuleOrphan, Kind: "index", ID: what + ":ghost"}})
}

// strays are keys that nothing accounts for.
func (s *store) strays(t *testing.T) []damage {
	ctx := t.Context()
	prefix := strings.TrimSuffix(headKey(s.org), "head")
	var out []damage
	for name, want := range map[string]Finding{
		"rubbish":         {Rule: RuleKey, Kind: "key", ID: "rubbish"},
		"":                {Rule: RuleKey, Kind: "key"},
		"head:":           {Rule: RuleKey, Kind: "key", ID: "head:"},
		"Role:x":          {Rule: RuleKey, Kind: "key", ID: "Role:x"},
		"ids:rubbish":     {Rule: RuleKey, Kind: "key", ID: "ids:rubbish"},
		"ids:":            {Rule: RuleKey, Kind: "key", ID: "ids:"},
		"a\x00\xff\nb":    {Rule: RuleKey, Kind: "key", ID: `a\x00\xff\nb`},
		"role:stray":      {Rule: RuleListed, Kind: "role", ID: "stray"},
		"role:":           {Rule: RuleID, Kind: "role"},
		"role:a\nb":       {Rule: RuleID, Kind: "role", ID: `a\nb`},
		"patient:\xff":    {Rule: RuleID, Kind: "patient", ID: `\xff`},
		"access:ghost":    {Rule: RuleType, Kind: "index", ID: "access:ghost"},
		"bookings-of:a:b": {Rule: RuleType, Kind: "index", ID: "bookings-of:a:b"},
	} {
		out = append(out, damage{fmt.Sprintf("stray key %q", name), prefix + name, func(key string) error {
			return s.raw.HSet(ctx, key, "name", "x", "permissions", `[]`).Err()
		}, want})
	}
	long := "role:" + strings.Repeat("x", 257)
	return append(out, damage{"long id", prefix + long, func(key string) error {
		return s.raw.HSet(ctx, key, "name", "x", "permissions", `[]`).Err()
	}, Finding{Rule: RuleID, Kind: "role", ID: strings.TrimPrefix(long, "role:")}})
}

// keep returns what puts a key back as it is now.
func (s *store) keep(ctx context.Context, t *testing.T, key string) func() {
	t.Helper()
	hash, set := map[string]string{}, []string{}
	var sorted []redis.Z
	typ := s.raw.Type(ctx, key).Val()
	switch typ {
	case "hash":
		hash = s.raw.HGetAll(ctx, key).Val()
	case "set":
		set = s.raw.SMembers(ctx, key).Val()
	case "zset":
		sorted = s.raw.ZRangeWithScores(ctx, key, 0, -1).Val()
	}
	return func() {
		s.raw.Del(ctx, key)
		switch typ {
		case "hash":
			s.raw.HSet(ctx, key, hash)
		case "set":
			s.raw.SAdd(ctx, key, set)
		case "zset":
			s.raw.ZAdd(ctx, key, sorted...)
		}
	}
}

// TestAuditFindsEveryDamage damages one thing at a time, everything that the
// layout has, and expects the audit to name it.
func TestAuditFindsEveryDamage(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.randomly(t, random(t), 250)
		s.load(t, `{"kind":"patient_group","id":"pg0"}`, `{"kind":"team_member","id":"m9","provider":true,"access":["pg0"],"booking":["pg0"]}`,
			`{"kind":"patient","id":"p9","patient_group":"pg0"}`, `{"kind":"booking","id":"b90","patient":"p9","provider":"m9","state":"booked"}`,
			`{"kind":"booking","id":"b91","patient":"p9","provider":"m9","state":"released"}`, `{"kind":"role","id":"r9","permissions":["t:a"]}`,
			`{"kind":"group","id":"g9","permissions":["t:a"]}`, `{"kind":"team_member","id":"m8","role":"r9","groups":["g9"]}`)
		s.clean(t)
		all := s.strays(t)
		for name := range s.keys(t) {
			all = append(all, s.damages(t, name)...)
		}
		// The embedded store is slow, the more so under the race detector, and runs the
		// same script: there a part of them has to do, another one each time.
		if s.embedded != nil {
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			all = all[:len(all)/4]
		}
		rules := map[Rule]int{}
		for _, d := range all {
			restore := s.keep(t.Context(), t, d.key)
			if err := d.do(d.key); err != nil {
				t.Fatalf("%s: %v", d.what, err)
			}
			_, found := s.audit(t)
			if !d.isIn(found) {
				t.Errorf("%s: expected %+v, got %+v", d.what, d.want, onlyBreaches(found))
			}
			for _, f := range found {
				rules[f.Rule]++
				if f.Rule.Title() == string(f.Rule) || f.What != Printable(f.What) || f.ID != Printable(f.ID) && !strings.Contains(f.ID, `\`) {
					t.Errorf("%s: a finding cannot be shown: %+v", d.what, f)
				}
			}
			restore()
		}
		s.clean(t)
		t.Logf("%d damages, findings by rule: %v", len(all), rules)
		if s.embedded == nil && len(rules) < 17 {
			t.Errorf("only these rules are broken: %v", rules)
		}
	})
}

// A hash that nobody should read in one go.
func TestAuditOfHugeHash(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		fields := make([]string, 0, 2*(maxEntityFields+1))
		for i := range maxEntityFields + 1 {
			fields = append(fields, fmt.Sprintf("c:%d", i), "manual")
		}
		if err := s.raw.HSet(t.Context(), strings.TrimSuffix(headKey(s.org), "head")+"patient:p-1", fields).Err(); err != nil {
			t.Fatal(err)
		}
		if _, found := s.audit(t); len(onlyBreaches(found)) != 1 || !(damage{want: Finding{Rule: RuleFields, Kind: "patient", ID: "p-1"}}).isIn(found) {
			t.Errorf("found %+v", found)
		}
	})
}

// Booking sources that name somebody else's booking.
func TestAuditOfForeignSources(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, append(clinic(), `{"kind":"patient","id":"p-2","patient_group":"diabetes","care_team":["mark"]}`)...)
		prefix := strings.TrimSuffix(headKey(s.org), "head")
		s.raw.HSet(t.Context(), prefix+"patient:p-2", "c:mark", "booking:b-1\nmanual")
		s.raw.HSet(t.Context(), prefix+"patient:p-1", "c:noor", "booking:b-1\nmanual")
		_, found := s.audit(t)
		if len(found) < 2 || !(damage{want: Finding{Rule: RuleSources, Kind: "patient", ID: "p-2"}}).isIn(found) ||
			!(damage{want: Finding{Rule: RuleSources, Kind: "patient", ID: "p-1"}}).isIn(found) {
			t.Errorf("found %+v", found)
		}
	})
}

func TestAuditAdvice(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, append(clinic(), `{"kind":"role","id":"idle","permissions":[]}`, `{"kind":"group","id":"idle","permissions":[]}`,
			`{"kind":"patient_group","id":"empty"}`, `{"kind":"patient","id":"p-2","patient_group":"aftercare"}`)...)
		done, found := s.audit(t)
		if done.Breaches != 0 || len(found) != 3 {
			t.Fatalf("found %+v", found)
		}
		for _, want := range []Finding{{Rule: RuleUnused, Kind: "role", ID: "idle"}, {Rule: RuleUnused, Kind: "group", ID: "idle"}, {Rule: RuleUnassigned, Kind: "patient_group", ID: "aftercare"}} {
			if !slices.ContainsFunc(found, func(f Finding) bool {
				return f.Advice && f.Rule == want.Rule && f.Kind == want.Kind && f.ID == want.ID
			}) {
				t.Errorf("no %+v in %+v", want, found)
			}
		}
	})
}

// Whoever reviews gets what can be read, and is spared what cannot.
func TestAuditReview(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		s.raw.HSet(t.Context(), strings.TrimSuffix(headKey(s.org), "head")+"group:stock", "permissions", "rubbish")
		var seen []string
		_, err := s.Audit(t.Context(), s.org, AuditConfig{Review: func(_ context.Context, f *authz.Fact, facts *authz.Facts) error {
			seen = append(seen, string(f.Kind)+":"+f.ID)
			if f.Role != "" && !facts.Get(role(f.Role)).Found {
				t.Errorf("%v comes without its role", f.Key)
			}
			return nil
		}})
		if err != nil || !slices.Equal(sorted(seen), []string{"group:clinicians", "role:practitioner", "team_member:noor"}) {
			t.Errorf("reviewed %q, %v", seen, err)
		}
		for _, c := range []AuditConfig{
			{Report: func(Finding) error { return context.DeadlineExceeded }},
			{Review: func(context.Context, *authz.Fact, *authz.Facts) error { return context.DeadlineExceeded }},
		} {
			if _, err := s.Audit(t.Context(), s.org, c); err != context.DeadlineExceeded { //nolint:errorlint // as it is
				t.Errorf("the error is %v", err)
			}
		}
	})
}

// Changes in the meantime are no breaches, and the range of revisions shows them.
func TestAuditWhileFactsChange(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		r := random(t)
		s.randomly(t, r, 200)
		ctx, cancel := context.WithCancel(t.Context())
		var importing sync.WaitGroup
		importing.Go(func() {
			for ctx.Err() == nil {
				s.randomly(t, r, 1)
			}
		})
		moved := 0
		for range 60 {
			if done := s.clean(t); done.First != done.Last {
				moved++
			}
		}
		cancel()
		importing.Wait()
		if moved < 20 {
			t.Errorf("the facts changed during %d audits only", moved)
		}
	})
}

// What was repaired before the end is not reported; what was not is.
func TestAuditReportsWhatStillHolds(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		prefix := strings.TrimSuffix(headKey(s.org), "head")
		ctx := t.Context()
		for _, key := range []string{"access:diabetes", "group-members:stock", "care:mark"} {
			s.raw.Del(ctx, prefix+key)
		}
		s.raw.SAdd(ctx, prefix+"bookable:diabetes", "noor")
		s.raw.SAdd(ctx, prefix+"bookable:aftercare", "noor")
		s.raw.Set(ctx, prefix+"rubbish", "x", 0)
		var found []string
		repaired := false
		done, err := s.Audit(ctx, s.org, AuditConfig{
			Report: func(f Finding) error {
				found = append(found, fmt.Sprintf("%s %s: %s", f.Kind, f.ID, f.What))
				return nil
			},
			Review: func(context.Context, *authz.Fact, *authz.Facts) error { // after all was looked at once
				if repaired {
					return nil
				}
				repaired = true
				s.raw.SAdd(ctx, prefix+"access:diabetes", "mark")
				s.raw.SRem(ctx, prefix+"bookable:diabetes", "noor")
				s.raw.Del(ctx, prefix+"rubbish")
				s.load(t, `{"kind":"role","id":"new","permissions":[]}`)
				return nil
			},
		})
		want := []string{
			"patient p-1: is not in care:mark, which its care_team says it is in",
			"team_member mark: is not in group-members:stock, which its groups says it is in",
			"team_member noor: is in bookable:aftercare, which its own fields do not say",
		}
		if got := slices.DeleteFunc(sorted(found), func(f string) bool { return strings.Contains(f, "nobody") || strings.Contains(f, "no members") }); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, found %q, expected %q", err, got, want)
		}
		if done.Breaches != 3 || done.Last.Count != done.First.Count+1 {
			t.Errorf("done is %+v", done)
		}
	})
}

// An organisation of some size, in bounded memory, with nothing and with
// everything wrong.
func TestAuditOfManyPatients(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		patients := 20_000
		if s.embedded != nil {
			patients /= 4
		}
		lines := []string{`{"kind":"patient_group","id":"pg"}`}
		for i := range 20 {
			lines = append(lines, fmt.Sprintf(`{"kind":"team_member","id":"m-%d","provider":true,"access":["pg"]}`, i))
		}
		for i := range patients {
			lines = append(lines, fmt.Sprintf(`{"kind":"patient","id":"p-%d","patient_group":"pg","care_team":["m-%d"]}`, i, i%20))
		}
		s.load(t, lines...)
		start := time.Now()
		done := s.clean(t)
		took := time.Since(start)
		t.Logf("%d entities in %v, %.0f a second", done.Entities, took, float64(done.Entities)/took.Seconds())
		if done.Entities != len(lines) || took > time.Minute {
			t.Errorf("audited %+v in %v", done, took)
		}
		prefix := strings.TrimSuffix(headKey(s.org), "head")
		s.raw.Del(t.Context(), prefix+"ids:patient")
		s.raw.ZAdd(t.Context(), prefix+"care:m-3", redis.Z{Member: "p-0"})
		before, most, count, other := heap(), uint64(0), 0, 0
		_, err := s.Audit(t.Context(), s.org, AuditConfig{Report: func(f Finding) error {
			if count%4000 == 0 {
				most = max(most, heap())
			}
			if count++; f.Rule != RuleListed {
				other++
			}
			return nil
		}})
		if err != nil || count != patients+1 || other != 1 {
			t.Errorf("%d findings, %d of them others, %v", count, other, err)
		}
		if s.embedded == nil && most > before+24<<20 {
			t.Errorf("the heap went from %d to %d MiB", before>>20, most>>20)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The user that operators are told to make for audits has no command that writes,
// and is enough.
func TestAuditingUser(t *testing.T) {
	server := startRedis(t)
	admin := openStore(t, server)
	admin.load(t, clinic()...)
	guide, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, documented := strings.Cut(string(guide), "\nACL SETUSER caregate-auditor ")
	line, _, _ := strings.Cut(rest, "\n")
	if !documented || strings.Contains(line, "+@") {
		t.Fatalf("operators are told %q", line)
	}
	rules := []any{"ACL", "SETUSER", "caregate-auditor"}
	for rule := range strings.FieldsSeq(line) {
		rules = append(rules, rule)
	}
	if err := admin.raw.Do(t.Context(), rules...).Err(); err != nil {
		t.Fatal(err)
	}
	server.url = strings.Replace(server.url, "redis://", "redis://caregate-auditor:AUDITOR-PASSWORD@", 1)
	s := openStore(t, server)
	reviewed := 0
	done, err := s.Audit(t.Context(), s.org, AuditConfig{Review: func(context.Context, *authz.Fact, *authz.Facts) error {
		reviewed++
		return nil
	}})
	if err != nil || done.Breaches != 0 || done.Entities != 9 || reviewed != 5 {
		t.Errorf("%+v, %d reviewed, %v", done, reviewed, err)
	}
}

// In a cluster SCAN asks one server only, which must be the one that has the
// organisation.
func TestAuditCluster(t *testing.T) {
	one, two := startRedis(t, "--cluster-enabled", "yes"), startRedis(t, "--cluster-enabled", "yes")
	first, second := openStore(t, one), openStore(t, two)
	ctx := t.Context()
	for _, err := range []error{
		first.raw.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", "0", "8191").Err(),
		second.raw.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", "8192", "16383").Err(),
		first.raw.ClusterMeet(ctx, "127.0.0.1", two.url[strings.LastIndex(two.url, ":")+1:]).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	settled := func(s *store) bool {
		info := s.raw.ClusterInfo(ctx).Val()
		return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384")
	}
	for range 2000 {
		if settled(first) && settled(second) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	one.url = strings.Replace(one.url, "redis://", "redis+cluster://", 1)
	s := openStore(t, one)
	for _, org := range []string{"a", "b", "c", "d", "e", "f"} {
		s.org = org
		s.load(t, clinic()...)
		if done := s.clean(t); done.Entities != 9 {
			t.Errorf("%s: audited %+v", org, done)
		}
		s.raw.Del(ctx, "cg:{"+org+"}:access:diabetes")
		if _, found := s.audit(t); !(damage{want: Finding{Rule: RuleBothSides, Kind: "team_member", ID: "mark"}}).isIn(found) {
			t.Errorf("%s: found %+v", org, found)
		}
	}
	if first.raw.DBSize(ctx).Val() == 0 || second.raw.DBSize(ctx).Val() == 0 {
		t.Error("one of the servers has all organisations")
	}
}
