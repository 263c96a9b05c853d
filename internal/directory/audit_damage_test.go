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
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/soak"
)

// damage is one thing wrong with one key, and a finding that must name it.
type damage struct {
	what, key string
	do        func(key string) error
	want      audit.Finding // Rule "" for any, the zero one for any breach
}

func (d damage) isIn(found []audit.Finding) bool {
	return slices.ContainsFunc(found, func(f audit.Finding) bool {
		if d.want == (audit.Finding{}) {
			return !f.Advice
		}
		return !f.Advice && f.Kind == d.want.Kind && f.ID == d.want.ID && (d.want.Rule == "" || f.Rule == d.want.Rule) && f.What != "" && f.Remedy != ""
	})
}

// damages lists everything that can be wrong with a key, from the layout: its
// type, its being there, and each of its fields or members.
func (s *store) damages(t *testing.T, name string) []damage {
	ctx := t.Context()
	prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
	what, id, _ := strings.Cut(name, ":")
	var out []damage
	add := func(text string, want audit.Finding, do func(key string) error) {
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
		head := func(rule audit.Rule) audit.Finding { return audit.Finding{Rule: rule, Kind: "head", ID: "head"} }
		add("mistype", head(audit.RuleType), mistype)
		add("remove", head(audit.RuleHead), remove)
		for _, field := range []string{"rev", "nonce", "schema", "log"} {
			rule := audit.RuleHead
			if field == "schema" {
				rule = audit.RuleSchema
			}
			add("drop "+field, head(rule), hdel(field))
			for _, value := range []string{"", "-1", "0", "01", "1.0", "2a\x00", "0x2", "99999999999999999999999", "\n"} {
				if field != "nonce" || value == "" || value == "\n" || value == "2a\x00" { // others may be one
					add(fmt.Sprintf("set %s to %q", field, value), head(rule), hset(field, value))
				}
			}
		}
		add("newer schema", head(audit.RuleSchema), hset("schema", "4"))
		add("older schema", head(audit.RuleSchema), hset("schema", "1"))
		add("another log", head(audit.RuleHead), hset("log", "1"))
		stream := audit.Finding{Rule: audit.RuleHistory, Kind: "key", ID: "changes"}
		add("another nonce", stream, hset("nonce", "AAAAAAAA000000"))
		add("another revision", stream, hset("rev", "1"))
		add("a revision to come", stream, hset("rev", "100000"))
		add("further field", head(audit.RuleHead), hset("x", "y"))
	case model.Has(authz.Kind(what)):
		self := func(rule audit.Rule) audit.Finding { return audit.Finding{Rule: rule, Kind: what, ID: id} }
		add("mistype", self(audit.RuleType), mistype)
		add("remove", self(audit.RuleMissing), remove)
		add("further field", self(audit.RuleFields), hset("found\x00", "true"))
		add("empty field", self(audit.RuleFields), hset("", ""))
		hash := s.raw.HGetAll(ctx, prefix+name).Val()
		newest := s.raw.HGet(ctx, script.HeadKey(s.org), "rev").Val()
		for field, value := range hash {
			text, ghost := "set "+field, func(rule audit.Rule, value string) { add("set "+field, self(rule), hset(field, value)) }
			edge, to, isEdge := strings.Cut(field, ":")
			switch {
			case isEdge && edge == "c":
				add("drop "+field, self(audit.RuleBothSides), hdel(field))
				add("another "+field, self(audit.RuleReference), hset("c:ghost", "manual"))
				if strings.Contains(value, "booking:") {
					booking := strings.TrimPrefix(value[strings.Index(value, "booking:"):], "booking:")
					booking, _, _ = strings.Cut(booking, "\n")
					add("take the bookings out of "+field, audit.Finding{Rule: audit.RuleBooked, Kind: "booking", ID: booking}, hset(field, "manual"))
				}
				for _, value := range []string{"", "rubbish", "manual\nmanual", "manual\nbooking:b1", "manual\n", "booking:", "\xff", "MANUAL"} {
					ghost(audit.RuleSources, value)
				}
				ghost(audit.RuleSources, "booking:ghost")
				ghost(audit.RuleSources, "booking:ghost\nmanual")
			case isEdge:
				add("drop "+field, self(audit.RuleBothSides), hdel(field))
				ghost(audit.RuleFields, "1")
				add("another "+field, self(audit.RuleReference), hset(edge+":ghost", ""))
			case field == "rev":
				add("drop rev", self(audit.RuleSince), hdel(field))
				for _, value := range []string{"", "1", ".", "0.AAAAAAAA", "01.AAAAAAAA", "1.", "1.0", "-1.AAAAAAAA", "x.AAAAAAAA", "1.A\nA", "100000.AAAAAAAA"} {
					ghost(audit.RuleSince, value)
				}
				count, nonce, _ := strings.Cut(value, ".")
				ghost(audit.RuleHistory, count+".AAAAAAAA")
				for _, other := range []string{"1", "2", newest} {
					if other != count {
						ghost(audit.RuleHistory, other+"."+nonce)
						ghost(audit.RuleHistory, other+"."+s.nonceOf(t, other))
					}
				}
			case field == "name":
				add("drop name", self(audit.RuleFields), hdel(field))
				ghost(audit.RuleHistory, value+"x")
				ghost(audit.RuleFields, "a\nb")
				ghost(audit.RuleFields, "\xff")
				ghost(audit.RuleFields, strings.Repeat("x", 2000))
			case field == "permissions":
				add("drop permissions", self(audit.RuleFields), hdel(field))
				ghost(audit.RuleHistory, `["t:another"]`)
				if layout.HoldsAdmin(authz.Kind(what), []string{field, value}) {
					ghost(audit.RuleAdmins, `["t:user"]`)
				} else {
					ghost(audit.RuleAdmins, `["user:*"]`)
					ghost(audit.RuleAdmins, `["*:*"]`)
				}
				for _, value := range []string{"", "null", "{}", `"*:*"`, `["a:b"`, `["a"]`, `["*:view"]`, `["a:c","a:b"]`, `["a:b","a:b"]`, `["a:b",1]`, `["a:\u0000"]`} {
					ghost(audit.RuleFields, value)
				}
			case field == "role":
				add("drop role", self(audit.RuleFields), hdel(field))
				ghost(audit.RuleReference, "ghost")
				if value != "" {
					ghost(audit.RuleBothSides, "")
				}
			case field == "provider" && what == "team_member":
				add("drop provider", self(audit.RuleFields), hdel(field))
				ghost(audit.RuleFields, "true")
				ghost(audit.RuleHistory, map[string]string{"0": "1", "1": "0"}[value])
				add("not a provider with Booking", self(audit.RuleBooking), func(key string) error {
					return s.raw.HSet(ctx, key, "provider", "0", "b:pg0", "").Err()
				})
			case field == "suspended": // only where it is true
				add("drop suspended", self(audit.RuleHistory), hdel(field))
				ghost(audit.RuleFields, "0")
				ghost(audit.RuleFields, "true")
			case field == "patient_group":
				add("drop patient_group", self(audit.RuleGroup), hdel(field))
				ghost(audit.RuleGroup, "")
				ghost(audit.RuleGroup, "ghost")
			case what == "booking":
				add("drop "+field, self(audit.RuleFields), hdel(field))
				ghost("", "ghost")
				switch admin.State(value) {
				case admin.Released:
					ghost(audit.RuleBooked, string(admin.Booked))
				case admin.Booked:
					ghost(audit.RuleHistory, string(admin.Cancelled))
					fallthrough
				case admin.Cancelled:
					of := s.raw.HGet(ctx, prefix+name, "patient").Val()
					add("release", audit.Finding{Rule: audit.RuleSources, Kind: "patient", ID: of}, hset(field, string(admin.Released)))
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
	kind, known := layout.IndexKind(what, id)
	if !known {
		t.Errorf("no index is called %s", name)
	}
	// about is whom a finding about a member names.
	about := func(member string) (string, string) {
		if what != layout.IndexAdmins {
			return string(kind), member
		}
		kind, id, _ := strings.Cut(member, ":")
		return kind, id
	}
	self := audit.Finding{Rule: audit.RuleType, Kind: "index", ID: name}
	out := []damage{{"mistype " + name, prefix + name, mistype, self}}
	rule := audit.RuleBothSides
	switch what {
	case "ids":
		rule = audit.RuleListed
	case layout.IndexAdmins:
		rule = audit.RuleAdmins
	}
	insert := func(key, member string, score float64) error {
		return s.raw.ZAdd(ctx, key, redis.Z{Member: member, Score: score}).Err()
	}
	members := s.raw.ZRange(ctx, prefix+name, 0, -1).Val()
	for _, member := range members {
		kind, id := about(member)
		of := audit.Finding{Rule: rule, Kind: kind, ID: id}
		out = append(out,
			damage{"remove from " + name, prefix + name, remove, of},
			damage{"take " + member + " out of " + name, prefix + name, func(key string) error { return s.raw.ZRem(ctx, key, member).Err() }, of},
			damage{"score " + member, prefix + name, func(key string) error { return insert(key, member, 1) }, audit.Finding{Rule: audit.RuleScore, Kind: kind, ID: id}})
	}
	for _, ghost := range []string{"ghost", "", "\xff\x00", "\u202e", "role:ghost", "patient:p9", "role"} {
		kind, id := about(ghost)
		out = append(out, damage{fmt.Sprintf("add %q to %s", ghost, name), prefix + name, func(key string) error { return insert(key, ghost, 0) },
			audit.Finding{Rule: audit.RuleMissing, Kind: audit.Printable(kind), ID: audit.Printable(id)}})
	}
	switch what {
	case "ids":
		return out
	case layout.IndexAdmins:
		for _, kind := range []string{"role", "group"} {
			for _, id := range s.raw.ZRange(ctx, prefix+"ids:"+kind, 0, -1).Val() {
				if member := kind + ":" + id; !slices.Contains(members, member) {
					out = append(out, damage{"add " + member + " to " + name, prefix + name, func(key string) error { return insert(key, member, 0) },
						audit.Finding{Rule: audit.RuleAdmins, Kind: kind, ID: id}})
				}
			}
		}
		return out
	}
	for _, other := range s.raw.ZRange(ctx, prefix+"ids:"+string(kind), 0, -1).Val() {
		if !slices.Contains(members, other) {
			out = append(out, damage{"add " + other + " to " + name, prefix + name, func(key string) error { return insert(key, other, 0) },
				audit.Finding{Rule: audit.RuleBothSides, Kind: string(kind), ID: other}})
		}
	}
	return append(out, damage{"another " + what, prefix + what + ":ghost", func(key string) error { return insert(key, members[0], 0) },
		audit.Finding{Rule: audit.RuleOrphan, Kind: "index", ID: what + ":ghost"}})
}

// strays are keys that nothing accounts for.
func (s *store) strays(t *testing.T) []damage {
	ctx := t.Context()
	prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
	var out []damage
	for name, want := range map[string]audit.Finding{
		"rubbish":         {Rule: audit.RuleKey, Kind: "key", ID: "rubbish"},
		"":                {Rule: audit.RuleKey, Kind: "key"},
		"head:":           {Rule: audit.RuleKey, Kind: "key", ID: "head:"},
		"Role:x":          {Rule: audit.RuleKey, Kind: "key", ID: "Role:x"},
		"ids:rubbish":     {Rule: audit.RuleKey, Kind: "key", ID: "ids:rubbish"},
		"ids:":            {Rule: audit.RuleKey, Kind: "key", ID: "ids:"},
		"a\x00\xff\nb":    {Rule: audit.RuleKey, Kind: "key", ID: `a\x00\xff\nb`},
		"role:stray":      {Rule: audit.RuleListed, Kind: "role", ID: "stray"},
		"role:":           {Rule: audit.RuleID, Kind: "role"},
		"role:a\nb":       {Rule: audit.RuleID, Kind: "role", ID: `a\nb`},
		"patient:\xff":    {Rule: audit.RuleID, Kind: "patient", ID: `\xff`},
		"access:ghost":    {Rule: audit.RuleType, Kind: "index", ID: "access:ghost"},
		"bookings-of:a:b": {Rule: audit.RuleType, Kind: "index", ID: "bookings-of:a:b"},
		"user-admins:x":   {Rule: audit.RuleKey, Kind: "key", ID: "user-admins:x"},
		"role":            {Rule: audit.RuleKey, Kind: "key", ID: "role"},
		"access":          {Rule: audit.RuleKey, Kind: "key", ID: "access"},
		"changes:1":       {Rule: audit.RuleKey, Kind: "key", ID: "changes:1"},
	} {
		out = append(out, damage{fmt.Sprintf("stray key %q", name), prefix + name, func(key string) error {
			return s.raw.HSet(ctx, key, "name", "x", "permissions", `[]`).Err()
		}, want})
	}
	long := "role:" + strings.Repeat("x", 257)
	return append(out, damage{"long id", prefix + long, func(key string) error {
		return s.raw.HSet(ctx, key, "name", "x", "permissions", `[]`).Err()
	}, audit.Finding{Rule: audit.RuleID, Kind: "role", ID: strings.TrimPrefix(long, "role:")}})
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
		rules := map[audit.Rule]int{}
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
				if f.Rule.Title() == string(f.Rule) || f.What != audit.Printable(f.What) || f.ID != audit.Printable(f.ID) && !strings.Contains(f.ID, `\`) {
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
