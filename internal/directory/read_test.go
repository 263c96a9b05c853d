package directory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/directory/transfer"
)

// clinic is a small organisation.
func clinic() []string {
	return []string{
		`{"kind":"role","id":"practitioner","name":"Practitioner","permissions":["patient:view"]}`,
		`{"kind":"group","id":"clinicians","name":"Clinicians","permissions":["patient:update","patient:create"]}`,
		`{"kind":"group","id":"stock","name":"Stock","permissions":["stock:*"]}`,
		`{"kind":"patient_group","id":"diabetes","name":"Diabetes"}`,
		`{"kind":"patient_group","id":"aftercare","name":"Aftercare"}`,
		`{"kind":"team_member","id":"mark","name":"Mark","role":"practitioner","groups":["stock","clinicians"],"provider":true,"access":["diabetes"],"booking":["aftercare","diabetes"]}`,
		`{"kind":"team_member","id":"noor","name":"Noor"}`,
		`{"kind":"patient","id":"p-1","patient_group":"diabetes","care_team":["noor"]}`,
		`{"kind":"booking","id":"b-1","patient":"p-1","provider":"mark","state":"booked"}`,
	}
}

func TestRead(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		revision := s.load(t, clinic()...)
		if revision.Count != 1 || revision.Nonce == "" {
			t.Errorf("the first revision is %v", revision)
		}
		facts := s.facts(t, member("mark"), patient("p-1"), member("noor"), member("mark"), patient("p-404"),
			role("practitioner"), authz.Key{Kind: authz.KindPatientGroup, ID: "aftercare"}, authz.Key{Kind: authz.KindBooking, ID: "b-1"})
		if !facts.Organisation || facts.Revision != revision {
			t.Errorf("read at %v of %v, imported at %v", facts.Revision, facts.Organisation, revision)
		}
		mark := facts.Get(member("mark"))
		if !mark.Found || mark.Role != "practitioner" || !mark.Provider ||
			!slices.Equal(sorted(mark.Groups), []string{"clinicians", "stock"}) ||
			!slices.Equal(mark.Access, []string{"diabetes"}) ||
			!slices.Equal(sorted(mark.Booking), []string{"aftercare", "diabetes"}) {
			t.Errorf("mark is read as %+v", mark)
		}
		if got := facts.Get(role("practitioner")).Permissions; !slices.Equal(got, []string{"patient:view"}) {
			t.Errorf("the role grants %q", got)
		}
		if got := facts.Get(group("clinicians")).Permissions; !slices.Equal(got, []string{"patient:create", "patient:update"}) {
			t.Errorf("the group grants %q", got)
		}
		if got := facts.Get(group("stock")).Permissions; !slices.Equal(got, []string{"stock:*"}) {
			t.Errorf("the group grants %q", got)
		}
		p1 := facts.Get(patient("p-1")) // B5: the booking brings mark
		if !p1.Found || p1.PatientGroup != "diabetes" || !slices.Equal(sorted(p1.CareTeam), []string{"mark", "noor"}) {
			t.Errorf("p-1 is read as %+v", p1)
		}
		noor := facts.Get(member("noor"))
		if !noor.Found || noor.Role != "" || noor.Groups != nil || noor.Provider {
			t.Errorf("noor is read as %+v", noor)
		}
		if facts.Get(patient("p-404")).Found {
			t.Error("p-404 is found")
		}
		if !facts.Get(authz.Key{Kind: authz.KindPatientGroup, ID: "aftercare"}).Found ||
			!facts.Get(authz.Key{Kind: authz.KindBooking, ID: "b-1"}).Found {
			t.Error("the patient group or the booking is not found")
		}
	})
}

func TestReadUnknownOrganisation(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for _, org := range []string{"elsewhere", "", "riverside\x00", strings.Repeat("x", 257), "\xff", "RIVERSIDE", "riverside}:head"} {
			facts, err := s.Read(t.Context(), org, []authz.Key{member("mark")}, authz.Freshness{})
			if err != nil {
				t.Fatal(err)
			}
			if facts.Organisation || facts.Revision != (authz.Revision{}) || facts.Get(member("mark")).Found {
				t.Errorf("%q: read %+v", org, facts)
			}
		}
	})
}

func TestReadNothing(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		revision := s.load(t, clinic()...)
		if facts := s.facts(t); !facts.Organisation || facts.Revision != revision {
			t.Errorf("read %+v", facts)
		}
	})
}

// hostileIDs are ids that are valid and look like something else.
func hostileIDs() []string {
	return []string{
		"a", "A", "+", "-", "(", "[", "[a", "(a", "*", "{", "}", "{}", "{a}", ":", "a:b", "role:x", "%", "%2B", "%00", "%s%d",
		"'", `"`, `\`, `\n`, "`", "$(x)", "${x}", " ", " a ", "0", "-1", "nil", "null", "head", "c:x", "g:x", "manual", "booking:b",
		"é", "e\u0301", "名前", "👩‍⚕️", "\u2028", "\u202e", "<script>", "a/b", "../..", "a\u00a0b",
		strings.Repeat("x", 256), strings.Repeat("é", 128),
	}
}

func TestHostileIDs(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		quote := func(id string) string {
			r := admin.Record{Kind: authz.KindPatientGroup, ID: id}
			line, err := transfer.AppendLine(nil, &r)
			if err != nil {
				t.Fatal(err)
			}
			_, text, _ := strings.Cut(string(line), `"id":`)
			return strings.TrimSuffix(text, "}\n")
		}
		var lines []string
		for _, kind := range []string{
			`{"kind":"role","permissions":["patient:view"],"id":%[1]s}`,
			`{"kind":"group","permissions":["stock:*"],"id":%[1]s}`,
			`{"kind":"patient_group","id":%[1]s}`,
			`{"kind":"team_member","id":%[1]s,"role":%[1]s,"groups":[%[1]s],"provider":true,"access":[%[1]s],"booking":[%[1]s]}`,
			`{"kind":"patient","id":%[1]s,"patient_group":%[1]s,"care_team":[%[1]s]}`,
			`{"kind":"booking","id":%[1]s,"patient":%[1]s,"provider":%[1]s,"state":"booked"}`,
		} {
			for _, id := range hostileIDs() {
				lines = append(lines, fmt.Sprintf(kind, quote(id)))
			}
		}
		s.load(t, lines...)
		for _, id := range hostileIDs() {
			facts := s.facts(t, member(id), patient(id))
			m, p := facts.Get(member(id)), facts.Get(patient(id))
			only := []string{id}
			if m.Role != id || !slices.Equal(m.Groups, only) || !slices.Equal(m.Access, only) || !slices.Equal(m.Booking, only) {
				t.Errorf("%q is read as %+v", id, m)
			}
			if p.PatientGroup != id || !slices.Equal(p.CareTeam, only) {
				t.Errorf("patient %q is read as %+v", id, p)
			}
			if !facts.Get(role(id)).Found || !facts.Get(group(id)).Found {
				t.Errorf("the role or the group %q is not found", id)
			}
		}
		for _, id := range []string{"", "b", "a\x00", "a\n", "\x7f", "\u0085", "\xff", strings.Repeat("x", 257), "c", "role"} {
			facts := s.facts(t, member(id), patient(id), role(id))
			if facts.Get(member(id)).Found || facts.Get(patient(id)).Found || facts.Get(role(id)).Found {
				t.Errorf("%q is found", id)
			}
		}
		if facts := s.facts(t, authz.Key{Kind: "head", ID: "a"}, authz.Key{Kind: "", ID: "head"}, authz.Key{Kind: "ids", ID: "role"}); facts.Get(authz.Key{Kind: "", ID: "head"}).Found {
			t.Error("a key of no kind is found")
		}
		whole := s.export(t)
		if got := strings.Count(whole, "\n"); got != len(lines) {
			t.Errorf("%d records exported, expected %d", got, len(lines))
		}
	})
}

// Organisations whose names look like keys of each other must stay apart.
func TestOrganisationsDoNotCollide(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		names := []string{
			"a", "A", "a}", "{a}", "a}:role:x", "a:role", "a%7D", "a%7d", "%61", "a}:head", "}:head", "{", "}", ":", "*", "?", "a ", "é", "e\u0301",
			strings.Repeat("a", 256),
		}
		prefixes := make(map[string]string)
		for i, name := range names {
			if other, taken := prefixes[script.HeadKey(name)]; taken {
				t.Errorf("%q and %q have the same head", name, other)
			}
			prefixes[script.HeadKey(name)] = name
			if strings.Count(script.HeadKey(name), "{") != 1 || strings.Count(script.HeadKey(name), "}") != 1 {
				t.Errorf("%q: the hash tag of %q is ambiguous", name, script.HeadKey(name))
			}
			s.org = name
			s.load(t, fmt.Sprintf(`{"kind":"role","id":"x","name":"%d","permissions":["t:a%d"]}`, i, i))
		}
		for i, name := range names {
			s.org = name
			if got := s.facts(t, role("x")).Get(role("x")).Permissions; !slices.Equal(got, []string{fmt.Sprintf("t:a%d", i)}) {
				t.Errorf("%q: the role grants %q", name, got)
			}
			if got := strings.Count(s.export(t), "\n"); got != 1 {
				t.Errorf("%q: %d records", name, got)
			}
		}
	})
}

// bulky is an organisation with n patients and members of the care team.
func bulky(n int) []string {
	lines := []string{
		`{"kind":"role","id":"r","permissions":["patient:view"]}`,
		`{"kind":"group","id":"g","permissions":["patient:view"]}`,
		`{"kind":"patient_group","id":"pg"}`,
	}
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"kind":"team_member","id":"m-%d","role":"r","groups":["g"],"access":["pg"]}`, i))
	}
	for i := range n {
		lines = append(lines, fmt.Sprintf(`{"kind":"patient","id":"p-%d","patient_group":"pg","care_team":["m-%d"]}`, i, i))
	}
	return lines
}

func TestReadBatch(t *testing.T) {
	const n = 2500
	overStores(t, func(t *testing.T, s *store) {
		revision := s.load(t, bulky(n)...)
		if revision.Count != 6 { // 5,003 records in batches of 1,000
			t.Errorf("imported at revision %d", revision.Count)
		}
		var keys []authz.Key
		for i := range n {
			keys = append(keys, member("m-"+strconv.Itoa(i)), patient("p-"+strconv.Itoa(i)), patient("p-"+strconv.Itoa(i/2)))
		}
		start := time.Now()
		facts := s.facts(t, keys...)
		t.Logf("%d keys in %v", 2*n, time.Since(start))
		for _, key := range keys {
			if fact := facts.Get(key); !fact.Found {
				t.Fatalf("%v is not found", key)
			}
		}
		if !facts.Get(role("r")).Found || !facts.Get(group("g")).Found {
			t.Error("the role or the group is not found")
		}
	})
}

func TestScriptCacheFlushed(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for range 2 {
			if err := s.raw.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			if !s.facts(t, member("mark")).Get(member("mark")).Found {
				t.Error("mark is not found")
			}
			if err := s.raw.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			s.load(t, clinic()...)
		}
	})
}

// An outage is an error within the facts timeout, never an absence.
func TestOutage(t *testing.T) {
	server := startRedis(t)
	fill := openStore(t, server)
	fill.load(t, clinic()...)
	d, err := Open(Config{URL: server.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, d) })
	answers := func() {
		t.Helper()
		for range 20 { // the first tries may meet connections that died
			if facts, err := d.Read(t.Context(), "riverside", []authz.Key{member("mark")}, authz.Freshness{}); err == nil && facts.Get(member("mark")).Found {
				if err := d.Ready(t.Context(), "riverside"); err != nil {
					t.Error(err)
				}
				return
			}
		}
		t.Error("Redis is there and mark is not found")
	}
	fails := func(what string) {
		t.Helper()
		for name, call := range map[string]func() error{
			"read": func() error {
				_, err := d.Read(t.Context(), "riverside", []authz.Key{member("mark")}, authz.Freshness{})
				return err
			},
			"ready": func() error { return d.Ready(t.Context(), "riverside") },
		} {
			start := time.Now()
			err := call()
			if took := time.Since(start); took > 2*defaultFactsTimeout {
				t.Errorf("%s: %s took %v", what, name, took)
			}
			if err == nil || authz.KindOf(err) != authz.Unavailable {
				t.Errorf("%s: %s: %v is no error of kind Unavailable", what, name, err)
			}
		}
	}
	answers()
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	fails("paused")
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	answers()
	server.Kill()
	fails("killed")
	fails("killed, again")
}
