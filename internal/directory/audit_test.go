package directory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/directory/transfer"
	"github.com/caregate/caregate/internal/soak"
)

// audit returns what an audit finds.
func (s *store) audit(t testing.TB) (audit.Result, []audit.Finding) {
	t.Helper()
	var found []audit.Finding
	done, err := s.Audit(t.Context(), s.org, audit.Config{Report: func(f audit.Finding) error {
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
func (s *store) clean(t testing.TB) audit.Result {
	t.Helper()
	done, found := s.audit(t)
	if done.Breaches > 0 {
		t.Fatalf("a sound organisation has breaches: %+v", onlyBreaches(found))
	}
	return done
}

func onlyBreaches(found []audit.Finding) []audit.Finding {
	return slices.DeleteFunc(slices.Clone(found), func(f audit.Finding) bool { return f.Advice })
}

// randomly imports random records and makes random edits until there is something
// of everything.
func (s *store) randomly(t testing.TB, r *rand.Rand, rounds int) {
	t.Helper()
	for range rounds {
		if r.IntN(2) == 0 {
			_, err := s.Commit(t.Context(), s.org, admin.Change{Edits: []admin.Edit{busyEdit(r, 8)}, Author: admin.Author{Via: "api"}})
			if kind := authz.KindOf(err); err != nil && (kind == authz.Unavailable || kind == authz.Internal) {
				t.Fatal(err)
			}
			continue
		}
		record := randomRecord(r)
		line, _ := transfer.AppendLine(nil, &record)
		if _, err := s.Import(t.Context(), s.org, strings.NewReader(string(line)), ImportOptions{}); err != nil && authz.KindOf(err) == authz.Unavailable {
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
			if _, err := s.Audit(t.Context(), org, audit.Config{}); authz.KindOf(err) != authz.NotFound {
				t.Errorf("%q: %v", org, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Audit(ctx, s.org, audit.Config{}); authz.KindOf(err) != authz.Timeout {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// A hash that nobody should read in one go.
func TestAuditOfHugeHash(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		fields := make([]string, 0, 2*(audit.MaxFields+1))
		for i := range audit.MaxFields + 1 {
			fields = append(fields, fmt.Sprintf("c:%d", i), "manual")
		}
		if err := s.raw.HSet(t.Context(), strings.TrimSuffix(script.HeadKey(s.org), "head")+"patient:p-1", fields).Err(); err != nil {
			t.Fatal(err)
		}
		if _, found := s.audit(t); len(onlyBreaches(found)) != 1 || !(damage{want: audit.Finding{Rule: audit.RuleFields, Kind: "patient", ID: "p-1"}}).isIn(found) {
			t.Errorf("found %+v", found)
		}
	})
}

// Booking sources that name somebody else's booking.
func TestAuditOfForeignSources(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, append(clinic(), `{"kind":"patient","id":"p-2","patient_group":"diabetes","care_team":["mark"]}`)...)
		prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
		s.raw.HSet(t.Context(), prefix+"patient:p-2", "c:mark", "booking:b-1\nmanual")
		s.raw.HSet(t.Context(), prefix+"patient:p-1", "c:noor", "booking:b-1\nmanual")
		_, found := s.audit(t)
		if len(found) < 2 || !(damage{want: audit.Finding{Rule: audit.RuleSources, Kind: "patient", ID: "p-2"}}).isIn(found) ||
			!(damage{want: audit.Finding{Rule: audit.RuleSources, Kind: "patient", ID: "p-1"}}).isIn(found) {
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
		for _, want := range []audit.Finding{{Rule: audit.RuleUnused, Kind: "role", ID: "idle"}, {Rule: audit.RuleUnused, Kind: "group", ID: "idle"}, {Rule: audit.RuleUnassigned, Kind: "patient_group", ID: "aftercare"}} {
			if !slices.ContainsFunc(found, func(f audit.Finding) bool {
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
		s.raw.HSet(t.Context(), strings.TrimSuffix(script.HeadKey(s.org), "head")+"group:stock", "permissions", "rubbish")
		var seen []string
		_, err := s.Audit(t.Context(), s.org, audit.Config{Review: func(_ context.Context, f *authz.Fact, facts *authz.Facts) error {
			seen = append(seen, string(f.Kind)+":"+f.ID)
			if f.Role != "" && !facts.Get(role(f.Role)).Found {
				t.Errorf("%v comes without its role", f.Key)
			}
			return nil
		}})
		if err != nil || !slices.Equal(sorted(seen), []string{"group:clinicians", "role:practitioner", "team_member:noor"}) {
			t.Errorf("reviewed %q, %v", seen, err)
		}
		for _, c := range []audit.Config{
			{Report: func(audit.Finding) error { return context.DeadlineExceeded }},
			{Review: func(context.Context, *authz.Fact, *authz.Facts) error { return context.DeadlineExceeded }},
		} {
			if _, err := s.Audit(t.Context(), s.org, c); err != context.DeadlineExceeded { //nolint:errorlint // as it is
				t.Errorf("the error is %v", err)
			}
		}
	})
}

// An organisation of some size, in bounded memory, with nothing and with
// everything wrong.
func TestAuditOfManyPatients(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		patients := soak.Cases(40_000)
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
		if done := s.clean(t); done.Entities != len(lines) {
			t.Errorf("audited %+v of %d", done, len(lines))
		}
		prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
		s.raw.Del(t.Context(), prefix+"ids:patient")
		s.raw.ZAdd(t.Context(), prefix+"care:m-3", redis.Z{Member: "p-0"})
		before, most, count, other := heap(), uint64(0), 0, 0
		_, err := s.Audit(t.Context(), s.org, audit.Config{Report: func(f audit.Finding) error {
			if count%4000 == 0 {
				most = max(most, heap())
			}
			if count++; f.Rule != audit.RuleListed {
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
	guide, err := os.ReadFile("../../docs/operating.md")
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
	done, err := s.Audit(t.Context(), s.org, audit.Config{Review: func(context.Context, *authz.Fact, *authz.Facts) error {
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
		if _, found := s.audit(t); !(damage{want: audit.Finding{Rule: audit.RuleBothSides, Kind: "team_member", ID: "mark"}}).isIn(found) {
			t.Errorf("%s: found %+v", org, found)
		}
	}
	if first.raw.DBSize(ctx).Val() == 0 || second.raw.DBSize(ctx).Val() == 0 {
		t.Error("one of the servers has all organisations")
	}
}
