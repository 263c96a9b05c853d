package directory

import (
	"context"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/search"
)

// No script reads on and on, whatever is asked: it gives so many commands at the most.
// Only a change, which is made whole or not at all, and its preview give more.
func TestScriptsAreBounded(t *testing.T) {
	s := openStore(t, startRedis(t))
	l := loadLarge(t, s)
	m := s.metered(t)
	const (
		keys     = maxWork / keyWork  // of one script
		some     = 20                 // for the head, the master and expectations
		imported = 2 * admin.MaxEdits // that one change has: bookings, and their patients
	)
	bounds := map[string]int{
		"read": keys + some, "records": 2*keys + some, "list": keys + some, "related": some,
		"range": maxPart + 2*keys + some, "sizes": maxSizes + some, "history": maxEvents + some,
		"export": keys + some, "audit": max(audit.MaxCommands+3*audit.MaxMembers, audit.MaxChangeCommands+imported) + some,
	}
	for _, c := range l.cases(t, s) {
		kind, _, _ := strings.Cut(c.name, "/")
		bound := bounds[kind]
		if bound == 0 {
			continue
		}
		for i, did := range m.during(t, c.ask) {
			if did.commands > bound {
				t.Errorf("%s: script %d gives %d commands, expected %d at the most", c.name, i, did.commands, bound)
				break
			}
		}
	}
}

// What is read in parts is what one script reads.
func TestReadInParts(t *testing.T) {
	s := openStore(t, startRedis(t))
	l := loadLarge(t, s)
	keys := slices.Concat(l.keys, []authz.Key{member("wide"), member("nobody"), role("role"), role("none"), group(groupName(3))})
	asked := askedFor(keys)
	reply, err := s.scripts.Read.RunRO(t.Context(), s.bulk, []string{script.HeadKey(s.org)}, readArgs(asked, 0)...).Slice()
	if err != nil {
		t.Fatal(err)
	}
	want, err := factsOf(reply, asked)
	if err != nil {
		t.Fatal(err)
	}
	got := s.facts(t, keys...)
	if got.Revision != want.Revision || len(got.All()) != len(want.All()) {
		t.Errorf("%d facts at %v, expected %d at %v", len(got.All()), got.Revision, len(want.All()), want.Revision)
	}
	for _, fact := range want.All() {
		sameFact(t, got.Get(fact.Key), fact)
	}
	records, _, err := s.Records(t.Context(), s.org, keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		if fact := want.Get(key); fact.Found != (records[i] != nil) || fact.Found && records[i].Since != fact.Since {
			t.Errorf("the record of %v is %+v", key.Kind, records[i])
		}
	}
	found, err := s.Range(t.Context(), s.org, search.Range{
		Kind: authz.KindTeamMember, Indexes: []search.Index{{Relation: admin.RoleOf, To: "role"}}, After: "member-0990", Facts: true,
	}, authz.Freshness{})
	if err != nil || found.More || len(found.IDs) != 10 {
		t.Fatalf("%d ids, more %v, %v", len(found.IDs), found.More, err)
	}
	wide := want.Get(member("wide"))
	sameFact(t, found.Facts.Get(wide.Key), wide)
	for _, id := range wide.Groups {
		if !found.Facts.Get(group(id)).Found {
			t.Fatal("a group of a member is missing")
		}
	}
}

func sameFact(t *testing.T, got, want *authz.Fact) {
	t.Helper()
	lists := func(f *authz.Fact) map[string][]string {
		out := map[string][]string{"role": {f.Role}, "group": {f.PatientGroup}}
		for name, list := range map[string][]string{"p": f.Permissions, "g": f.Groups, "a": f.Access, "b": f.Booking, "c": f.CareTeam} {
			out[name] = sorted(list)
		}
		return out
	}
	if got.Found != want.Found || got.Since != want.Since || !maps.EqualFunc(lists(got), lists(want), slices.Equal) {
		t.Errorf("a %s is %d, %d, %d, %d long, or has something else", want.Kind, len(got.Groups), len(got.Access), len(got.Booking), len(got.CareTeam))
	}
}

// What is read in parts while the facts change is of one revision, however often they do.
func TestReadInPartsWhileFactsChange(t *testing.T) {
	s := openStore(t, startRedis(t))
	s.load(t, bulky(1500)...)
	first, last := "m-0", "m-1499"
	keys := []authz.Key{}
	var indexes []search.Index
	for i := range 1500 {
		keys = append(keys, member("m-"+strconv.Itoa(i)))
		indexes = append(indexes, search.Index{Relation: admin.CareTeam, To: "m-" + strconv.Itoa(i)})
	}
	c := &changing{s: s}
	for _, client := range []redis.UniversalClient{s.Directory.facts, s.bulk, s.administers} {
		client.AddHook(c)
	}
	for name, read := range map[string]func() (bool, bool, error){
		"facts": func() (bool, bool, error) {
			facts, err := s.Read(t.Context(), s.org, keys, authz.Freshness{})
			if err != nil {
				return false, false, err
			}
			return len(facts.Get(member(first)).Groups) > 0, len(facts.Get(member(last)).Groups) > 0, nil
		},
		"records": func() (bool, bool, error) {
			records, _, err := s.Records(t.Context(), s.org, keys)
			if err != nil {
				return false, false, err
			}
			return len(records[0].Groups) > 0, len(records[1499].Groups) > 0, nil
		},
		"sizes": func() (bool, bool, error) {
			_, _, err := s.Sizes(t.Context(), s.org, authz.KindPatient, indexes)
			return false, false, err
		},
		"list": func() (bool, bool, error) {
			_, err := s.List(t.Context(), s.org, authz.KindTeamMember, "", 0)
			return false, false, err
		},
	} {
		for _, times := range []int{0, 1, 2, 3, 1000} {
			c.left, c.made = times, 0
			a, b, err := read()
			c.left = 0
			if err != nil || a != b {
				t.Errorf("%s with %d changes: %v, %v, %v", name, c.made, a, b, err)
			}
		}
	}
}

// changing commits a change after a script, so many times.
type changing struct {
	s          *store
	left, made int
	linked     bool
}

func (c *changing) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return next(ctx, network, address)
	}
}

func (c *changing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *changing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		if c.left > 0 && strings.HasPrefix(command.Name(), "eval") {
			c.left, c.made = c.left-1, c.made+1
			op := link
			if !c.linked {
				op = unlink
			}
			c.linked = !c.linked
			if _, failed := c.s.Commit(ctx, c.s.org, admin.Change{Edits: []admin.Edit{
				op(admin.MemberOfGroup, "m-0", "g"), op(admin.MemberOfGroup, "m-1499", "g"),
			}}); failed != nil {
				return failed
			}
		}
		return err
	}
}
