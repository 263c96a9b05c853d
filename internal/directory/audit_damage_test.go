package directory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/soak"
)

// damage is one thing wrong with one key, and a finding that must name it.
type damage struct {
	what, key string
	do        func(key string) error
	want      Finding // Rule "" for any, the zero one for any breach
}

func (d damage) isIn(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool {
		if d.want == (Finding{}) {
			return !f.Advice
		}
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
	case name == "changes": // see streamDamages
	case name == "head":
		head := func(rule Rule) Finding { return Finding{Rule: rule, Kind: "head", ID: "head"} }
		add("mistype", head(RuleType), mistype)
		add("remove", head(RuleHead), remove)
		for _, field := range []string{"rev", "nonce", "schema", "log"} {
			rule := RuleHead
			if field == "schema" {
				rule = RuleSchema
			}
			add("drop "+field, head(rule), hdel(field))
			for _, value := range []string{"", "-1", "0", "01", "1.0", "2a\x00", "0x2", "99999999999999999999999", "\n"} {
				if field != "nonce" || value == "" || value == "\n" || value == "2a\x00" { // others may be one
					add(fmt.Sprintf("set %s to %q", field, value), head(rule), hset(field, value))
				}
			}
		}
		add("newer schema", head(RuleSchema), hset("schema", "3"))
		add("older schema", head(RuleSchema), hset("schema", "1"))
		add("another log", head(RuleHead), hset("log", "1"))
		stream := Finding{Rule: RuleHistory, Kind: "key", ID: "changes"}
		add("another nonce", stream, hset("nonce", "AAAAAAAA000000"))
		add("another revision", stream, hset("rev", "1"))
		add("a revision to come", stream, hset("rev", "100000"))
		add("further field", head(RuleHead), hset("x", "y"))
	case model.Has(authz.Kind(what)):
		self := func(rule Rule) Finding { return Finding{Rule: rule, Kind: what, ID: id} }
		add("mistype", self(RuleType), mistype)
		add("remove", self(RuleMissing), remove)
		add("further field", self(RuleFields), hset("found\x00", "true"))
		add("empty field", self(RuleFields), hset("", ""))
		hash := s.raw.HGetAll(ctx, prefix+name).Val()
		newest := s.raw.HGet(ctx, headKey(s.org), "rev").Val()
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
			case field == "rev":
				add("drop rev", self(RuleSince), hdel(field))
				for _, value := range []string{"", "1", ".", "0.AAAAAAAA", "01.AAAAAAAA", "1.", "1.0", "-1.AAAAAAAA", "x.AAAAAAAA", "1.A\nA", "100000.AAAAAAAA"} {
					ghost(RuleSince, value)
				}
				count, nonce, _ := strings.Cut(value, ".")
				ghost(RuleHistory, count+".AAAAAAAA")
				for _, other := range []string{"1", "2", newest} {
					if other != count {
						ghost(RuleHistory, other+"."+nonce)
						ghost(RuleHistory, other+"."+s.nonceOf(t, other))
					}
				}
			case field == "name":
				add("drop name", self(RuleFields), hdel(field))
				ghost(RuleHistory, value+"x")
				ghost(RuleFields, "a\nb")
				ghost(RuleFields, "\xff")
				ghost(RuleFields, strings.Repeat("x", 2000))
			case field == "permissions":
				add("drop permissions", self(RuleFields), hdel(field))
				ghost(RuleHistory, `["t:another"]`)
				if holdsAdmin(authz.Kind(what), []string{field, value}) {
					ghost(RuleAdmins, `["t:user"]`)
				} else {
					ghost(RuleAdmins, `["user:*"]`)
					ghost(RuleAdmins, `["*:*"]`)
				}
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
				ghost(RuleHistory, map[string]string{"0": "1", "1": "0"}[value])
				add("not a provider with Booking", self(RuleBooking), func(key string) error {
					return s.raw.HSet(ctx, key, "provider", "0", "b:pg0", "").Err()
				})
			case field == "patient_group":
				add("drop patient_group", self(RuleGroup), hdel(field))
				ghost(RuleGroup, "")
				ghost(RuleGroup, "ghost")
			case what == "booking":
				add("drop "+field, self(RuleFields), hdel(field))
				ghost("", "ghost")
				switch admin.State(value) {
				case admin.Released:
					ghost(RuleBooked, string(admin.Booked))
				case admin.Booked:
					ghost(RuleHistory, string(admin.Cancelled))
					fallthrough
				case admin.Cancelled:
					of := s.raw.HGet(ctx, prefix+name, "patient").Val()
					add("release", Finding{Rule: RuleSources, Kind: "patient", ID: of}, hset(field, string(admin.Released)))
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

func (s *store) indexDamages(t *testing.T, prefix, name, what, id string, mistype, remove func(string) error) []damage {
	ctx := t.Context()
	kind, known := indexKind(what, id)
	if !known {
		t.Errorf("no index is called %s", name)
	}
	// about is whom a finding about a member names.
	about := func(member string) (string, string) {
		if what != indexAdmins {
			return string(kind), member
		}
		kind, id, _ := strings.Cut(member, ":")
		return kind, id
	}
	self := Finding{Rule: RuleType, Kind: "index", ID: name}
	out := []damage{{"mistype " + name, prefix + name, mistype, self}}
	rule := RuleBothSides
	switch what {
	case "ids":
		rule = RuleListed
	case indexAdmins:
		rule = RuleAdmins
	}
	insert := func(key, member string, score float64) error {
		return s.raw.ZAdd(ctx, key, redis.Z{Member: member, Score: score}).Err()
	}
	members := s.raw.ZRange(ctx, prefix+name, 0, -1).Val()
	for _, member := range members {
		kind, id := about(member)
		of := Finding{Rule: rule, Kind: kind, ID: id}
		out = append(out,
			damage{"remove from " + name, prefix + name, remove, of},
			damage{"take " + member + " out of " + name, prefix + name, func(key string) error { return s.raw.ZRem(ctx, key, member).Err() }, of},
			damage{"score " + member, prefix + name, func(key string) error { return insert(key, member, 1) }, Finding{Rule: RuleScore, Kind: kind, ID: id}})
	}
	for _, ghost := range []string{"ghost", "", "\xff\x00", "\u202e", "role:ghost", "patient:p9", "role"} {
		kind, id := about(ghost)
		out = append(out, damage{fmt.Sprintf("add %q to %s", ghost, name), prefix + name, func(key string) error { return insert(key, ghost, 0) },
			Finding{Rule: RuleMissing, Kind: Printable(kind), ID: Printable(id)}})
	}
	switch what {
	case "ids":
		return out
	case indexAdmins:
		for _, kind := range []string{"role", "group"} {
			for _, id := range s.raw.ZRange(ctx, prefix+"ids:"+kind, 0, -1).Val() {
				if member := kind + ":" + id; !slices.Contains(members, member) {
					out = append(out, damage{"add " + member + " to " + name, prefix + name, func(key string) error { return insert(key, member, 0) },
						Finding{Rule: RuleAdmins, Kind: kind, ID: id}})
				}
			}
		}
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
		"user-admins:x":   {Rule: RuleKey, Kind: "key", ID: "user-admins:x"},
		"role":            {Rule: RuleKey, Kind: "key", ID: "role"},
		"access":          {Rule: RuleKey, Kind: "key", ID: "access"},
		"changes:1":       {Rule: RuleKey, Kind: "key", ID: "changes:1"},
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
	hash := map[string]string{}
	var sorted []redis.Z
	var changes []streamEntry
	typ := s.raw.Type(ctx, key).Val()
	switch typ {
	case "hash":
		hash = s.raw.HGetAll(ctx, key).Val()
	case "stream":
		changes = s.stream(t)
	case "zset":
		sorted = s.raw.ZRangeWithScores(ctx, key, 0, -1).Val()
	}
	return func() {
		s.raw.Del(ctx, key)
		switch typ {
		case "hash":
			s.raw.HSet(ctx, key, hash)
		case "stream":
			s.putStream(t, changes)
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
			`{"kind":"group","id":"g9","permissions":["t:a"]}`, `{"kind":"team_member","id":"m8","role":"r9","groups":["g9"]}`,
			`{"kind":"role","id":"r8","permissions":["user:*"]}`, `{"kind":"group","id":"g8","permissions":["*:*","t:a"]}`)
		s.clean(t)
		all := append(s.strays(t), s.streamDamages(t)...)
		for name := range s.keys(t) {
			all = append(all, s.damages(t, name)...)
		}
		// The embedded store is slow, the more so under the race detector, and runs the
		// same script: there a part of them has to do, another one each time.
		some := soak.Cases(len(all))
		if s.embedded != nil {
			some /= 8
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		all = all[:min(some, len(all))]
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
		if s.embedded == nil && (soak.All() && len(rules) < 17 || len(rules) < 10) {
			t.Errorf("only these rules are broken: %v", rules)
		}
	})
}
