package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
)

func TestImportRefusesWhatDoesNotFit(t *testing.T) {
	tests := map[string]struct {
		kind authz.ErrorKind
		line string
		want string
	}{
		"unknown role":           {authz.Malformed, `{"kind":"team_member","id":"x","role":"nobody"}`, "line 3: role: names a role that"},
		"unknown group":          {authz.Malformed, `{"kind":"team_member","id":"x","groups":["stock","nobody"]}`, "line 3: groups[1]: names a group that"},
		"unknown access":         {authz.Malformed, `{"kind":"team_member","id":"x","access":["nobody"]}`, "line 3: access[0]: names a patient group that"},
		"unknown booking":        {authz.Malformed, `{"kind":"team_member","id":"x","provider":true,"booking":["diabetes","nobody"]}`, "line 3: booking[1]: names a patient group that"},
		"unknown patient group":  {authz.Malformed, `{"kind":"patient","id":"x","patient_group":"nobody"}`, "line 3: patient_group: names a patient group that"},
		"unknown care team":      {authz.Malformed, `{"kind":"patient","id":"x","patient_group":"diabetes","care_team":["mark","noor","nobody"]}`, "line 3: care_team[2]: names a team member that"},
		"unknown patient":        {authz.Malformed, `{"kind":"booking","id":"x","patient":"nobody","provider":"mark","state":"booked"}`, "line 3: patient: names a patient that"},
		"unknown provider":       {authz.Malformed, `{"kind":"booking","id":"x","patient":"p-1","provider":"nobody","state":"booked"}`, "line 3: provider: names a team member that"},
		"another patient":        {authz.Conflict, `{"kind":"booking","id":"b-1","patient":"p-2","provider":"mark","state":"booked"}`, "line 3: patient: is another one"},
		"another provider":       {authz.Conflict, `{"kind":"booking","id":"b-1","patient":"p-1","provider":"noor","state":"booked"}`, "line 3: provider: is another one"},
		"bad record":             {authz.Malformed, `{"kind":"patient","id":"x"}`, "line 3: patient_group: is missing"},
		"an id that is a prefix": {authz.Malformed, `{"kind":"team_member","id":"x","role":"practitione"}`, "line 3: role: names a role that"},
	}
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				s.refuse(t, test.kind, test.want, `{"kind":"patient","id":"p-2","patient_group":"aftercare"}`, "", test.line)
				s.refuse(t, test.kind, "(nothing is imported)", `{"kind":"patient","id":"p-2","patient_group":"aftercare"}`, "", test.line)
			})
		}
		s.refuse(t, authz.Malformed, "line 2: care_team[0]", // a reference to a later line
			`{"kind":"role","id":"x","permissions":[]}`, `{"kind":"patient","id":"x","patient_group":"diabetes","care_team":["new"]}`, `{"kind":"team_member","id":"new"}`)
	})
}

// A bad record takes its batch with it, and the error says what stays.
func TestImportBatches(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		lines := bulky(1000)
		lines[1500] = `{"kind":"patient","id":"x","patient_group":"nobody"}`
		var progress []int
		done, err := s.Import(t.Context(), s.org, strings.NewReader(strings.Join(lines, "\n")), ImportOptions{Progress: func(n int) { progress = append(progress, n) }})
		if err == nil || !strings.Contains(err.Error(), "line 1501: patient_group: ") ||
			!strings.Contains(err.Error(), "the 1000 records of earlier batches are committed") || !strings.Contains(err.Error(), "again is safe") {
			t.Errorf("the error is %v", err)
		}
		if done.Records != 1000 || done.Revision.Count != 1 || !slices.Equal(progress, []int{1000}) {
			t.Errorf("done is %+v, progress %v", done, progress)
		}
		if n := strings.Count(s.export(t), "\n"); n != 1000 {
			t.Errorf("%d records are there", n)
		}
		lines[1500] = `{"kind":"patient","id":"x","patient_group":"pg"}`
		done, err = s.Import(t.Context(), s.org, strings.NewReader(strings.Join(lines, "\r\n")+"\r\n"), ImportOptions{})
		if err != nil || done.Records != len(lines) || done.Revision.Count != 3 { // the first batch changes nothing
			t.Errorf("done is %+v, the error %v", done, err)
		}
	})
}

func TestImportWithoutAChange(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		first := s.load(t, clinic()...)
		before := s.dump(t)
		if again := s.load(t, clinic()...); again != first {
			t.Errorf("the revision went from %v to %v", first, again)
		}
		// Lists are sets.
		again := s.load(t,
			`{"kind":"group","id":"clinicians","name":"Clinicians","permissions":["patient:create","patient:update"]}`,
			`{"provider":true,"id":"mark","booking":["diabetes","aftercare"],"kind":"team_member","name":"Mark","role":"practitioner","groups":["clinicians","stock"],"access":["diabetes"]}`)
		// Back and forth within a batch is no change either.
		s.load(t, `{"kind":"patient","id":"p-1","patient_group":"aftercare"}`, `{"kind":"patient","id":"p-1","patient_group":"diabetes","care_team":["noor"]}`)
		if again != first || s.dump(t) != before {
			t.Errorf("something changed:\n%s\nbefore, and after\n%s", before, s.dump(t))
		}
		s.org = "empty"
		if done, err := s.Import(t.Context(), s.org, strings.NewReader("\n\n"), ImportOptions{}); err != nil || done != (Imported{NextLine: 1}) {
			t.Errorf("an import of nothing gives %+v, %v", done, err)
		}
		if s.dump(t) != "" {
			t.Error("an import of nothing makes an organisation")
		}
	})
}

// V5: a move is one change, seen from the patient and from both groups.
func TestMovePatient(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		first := s.load(t, clinic()...)
		moved := s.load(t, `{"kind":"patient","id":"p-1","patient_group":"aftercare","care_team":["noor"]}`)
		if moved.Count != first.Count+1 {
			t.Errorf("the move went from %v to %v", first, moved)
		}
		keys := s.keys(t)
		if keys["patients:aftercare"] != `"p-1"` || keys["patients:diabetes"] != "" {
			t.Errorf("the groups have %s and %s", keys["patients:aftercare"], keys["patients:diabetes"])
		}
		p := s.facts(t, patient("p-1")).Get(patient("p-1"))
		if p.PatientGroup != "aftercare" || !slices.Equal(sorted(p.CareTeam), []string{"mark", "noor"}) {
			t.Errorf("p-1 is read as %+v", p)
		}
	})
}

// B5, B6: where a place on a care team comes from.
func TestCareTeamSources(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		booking := func(id, state string) string {
			return fmt.Sprintf(`{"kind":"booking","id":%q,"patient":"p-1","provider":"mark","state":%q}`, id, state)
		}
		careTeam := func(members ...string) string {
			for i, m := range members {
				members[i] = `"` + m + `"`
			}
			return `{"kind":"patient","id":"p-1","patient_group":"diabetes","care_team":[` + strings.Join(members, ",") + `]}`
		}
		s.load(t, clinic()...)
		for _, step := range []struct {
			what, record string
			careTeam     []string
			sources      string
		}{
			{"booked", booking("b-1", "booked"), []string{"mark", "noor"}, "booking:b-1"},
			{"another", booking("b-2", "booked"), []string{"mark", "noor"}, "booking:b-1\nbooking:b-2"},
			{"cancelled", booking("b-1", "cancelled"), []string{"mark", "noor"}, "booking:b-1\nbooking:b-2"},
			{"the team replaced", careTeam(), []string{"mark"}, "booking:b-1\nbooking:b-2"},
			{"by hand as well", careTeam("noor", "mark"), []string{"mark", "noor"}, "booking:b-1\nbooking:b-2\nmanual"},
			{"released", booking("b-1", "released"), []string{"mark", "noor"}, "booking:b-2\nmanual"},
			{"no longer by hand", careTeam("noor"), []string{"mark", "noor"}, "booking:b-2"},
			{"the last one released", booking("b-2", "released"), []string{"noor"}, ""},
			{"booked again", booking("b-2", "booked"), []string{"mark", "noor"}, "booking:b-2"},
		} {
			s.load(t, step.record)
			p := s.facts(t, patient("p-1")).Get(patient("p-1"))
			if !slices.Equal(sorted(p.CareTeam), step.careTeam) {
				t.Errorf("%s: the care team is %q, expected %q", step.what, p.CareTeam, step.careTeam)
			}
			sources := s.raw.HGet(t.Context(), strings.TrimSuffix(script.HeadKey(s.org), "head")+"patient:p-1", "c:mark").Val()
			if sources != step.sources {
				t.Errorf("%s: the sources are %q, expected %q", step.what, sources, step.sources)
			}
		}
	})
}

func TestImportIntoBadOrganisation(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		for _, org := range []string{"", "a\nb", strings.Repeat("x", 257), "\xff"} {
			_, err := s.Import(t.Context(), org, strings.NewReader(clinic()[0]), ImportOptions{})
			if e, ok := errors.AsType[*authz.Error](err); !ok || e.Kind != authz.Malformed || e.Field != "organisation" {
				t.Errorf("%q: %v", org, err)
			}
		}
	})
}

func TestImportFromBrokenReader(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		_, err := s.Import(t.Context(), s.org, io.MultiReader(strings.NewReader(clinic()[0]+"\n"), iotest.ErrReader(io.ErrUnexpectedEOF)), ImportOptions{})
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "after line 1") {
			t.Errorf("the error is %v", err)
		}
		if s.dump(t) != "" {
			t.Error("part of a file that cannot be read is imported")
		}
	})
}

func TestImportCancelled(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Import(ctx, s.org, strings.NewReader(strings.Join(clinic(), "\n")), ImportOptions{})
		if authz.KindOf(err) != authz.Timeout {
			t.Errorf("the error is %v", err)
		}
	})
}

// Facts of a newer schema are neither read nor written.
func TestNewerSchema(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for schema, want := range map[string]string{
			"4": "schema 4 and this build of Caregate is too old", "17": "schema 17", "1": "schema 1 and this build of Caregate knows schema 3; export them with the build", "0": "damaged", "": "damaged", "one": "damaged", "02": "damaged", "2.0": "damaged",
		} {
			if err := s.raw.HSet(t.Context(), script.HeadKey(s.org), "schema", schema).Err(); err != nil {
				t.Fatal(err)
			}
			s.unreadable(t, "schema "+schema, want)
			before := s.dump(t)
			_, err := s.Import(t.Context(), s.org, strings.NewReader(`{"kind":"role","id":"x","permissions":[]}`), ImportOptions{})
			if authz.KindOf(err) != authz.Unavailable || !strings.Contains(err.Error(), want) {
				t.Errorf("schema %q: import: %v", schema, err)
			}
			if s.dump(t) != before {
				t.Errorf("schema %q: something is written", schema)
			}
		}
	})
}

// unreadable expects that neither a read nor an export gives anything.
func (s *store) unreadable(t *testing.T, what, want string) {
	t.Helper()
	_, err := s.Read(t.Context(), s.org, []authz.Key{member("mark"), patient("p-1")}, authz.Freshness{})
	if authz.KindOf(err) != authz.Unavailable || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: read: %v is no error of kind Unavailable with %q", what, err, want)
	}
	_, err = s.Export(t.Context(), s.org, io.Discard)
	if authz.KindOf(err) != authz.Unavailable {
		t.Errorf("%s: export: %v is no error of kind Unavailable", what, err)
	}
	if err != nil && (strings.Contains(err.Error(), "mark") || strings.Contains(err.Error(), "p-1")) {
		t.Errorf("%s: the error repeats an id: %v", what, err)
	}
}

// Whatever somebody else does to a key, nothing is read by half.
func TestDamagedFacts(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
		ctx := t.Context()
		hset := func(key string, values ...any) func() { return func() { s.raw.HSet(ctx, prefix+key, values...) } }
		hdel := func(key, field string) func() { return func() { s.raw.HDel(ctx, prefix+key, field) } }
		del := func(key string) func() { return func() { s.raw.Del(ctx, prefix+key) } }
		set := func(key string) func() {
			return func() { s.raw.Del(ctx, prefix+key); s.raw.Set(ctx, prefix+key, "rubbish", 0) }
		}
		for what, damage := range map[string]func(){
			"head is a string":            set("head"),
			"head without a revision":     hdel("head", "rev"),
			"head without a nonce":        hdel("head", "nonce"),
			"head without a schema":       hdel("head", "schema"),
			"revision is rubbish":         hset("head", "rev", "-1"),
			"revision is zero":            hset("head", "rev", "0"),
			"member is a string":          set("team_member:mark"),
			"member is gone":              del("team_member:mark"),
			"member without a revision":   hdel("team_member:mark", "rev"),
			"member with a bad revision":  hset("team_member:mark", "rev", "7"),
			"patient at revision 0":       hset("patient:p-1", "rev", "0.abc"),
			"member without a role":       hdel("team_member:mark", "role"),
			"member without a provider":   hdel("team_member:mark", "provider"),
			"provider is rubbish":         hset("team_member:mark", "provider", "true"),
			"member with an unknown edge": hset("team_member:mark", "x:diabetes", ""),
			"member with a bad edge":      hset("team_member:mark", "g:", ""),
			"role is gone":                del("role:practitioner"),
			"role is a string":            set("role:practitioner"),
			"group is gone":               del("group:stock"),
			"permissions are null":        hset("role:practitioner", "permissions", "null"),
			"permissions are a string":    hset("role:practitioner", "permissions", `"*:*"`),
			"permissions are rubbish":     hset("role:practitioner", "permissions", `["patient:view"`),
			"permissions are gone":        hdel("role:practitioner", "permissions"),
			"patient is a string":         set("patient:p-1"),
			"patient is gone":             del("patient:p-1"),
			"patient without a group":     hdel("patient:p-1", "patient_group"),
			"patient in no group":         hset("patient:p-1", "patient_group", ""),
			"patient with a bad edge":     hset("patient:p-1", "c:mark", ""),
			"patient with a bad source":   hset("patient:p-1", "c:mark", "manual\nrubbish"),
			"patient with more":           hset("patient:p-1", "found", "true"),
		} {
			s.raw.FlushAll(ctx)
			s.load(t, clinic()...)
			damage()
			s.unreadable(t, what, "")
		}
		s.raw.FlushAll(ctx)
		s.load(t, clinic()...)
		hset("team_member:mark", "role", "nobody")()
		if _, err := s.Read(ctx, s.org, []authz.Key{member("mark")}, authz.Freshness{}); authz.KindOf(err) != authz.Unavailable {
			t.Errorf("a member whose role is gone is read: %v", err)
		}
	})
}

// An import over a key of the wrong type writes nothing.
func TestImportOverDamage(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
		for _, key := range []string{"head", "role:new", "ids:role", "role-members:new", "group-members:stock", "bookable:diabetes", "access:diabetes", "care:mark", "patients:diabetes", "patient:p-2", "bookings-of:p-2", "bookings-with:noor", "changes"} {
			s.raw.FlushAll(t.Context())
			s.load(t, clinic()...)
			s.raw.Del(t.Context(), prefix+key)
			s.raw.Set(t.Context(), prefix+key, "rubbish", 0)
			s.refuse(t, authz.Unavailable, "",
				`{"kind":"role","id":"new","permissions":["a:b"]}`,
				`{"kind":"patient_group","id":"new"}`,
				`{"kind":"team_member","id":"noor","role":"new","provider":true,"groups":["stock"],"access":["diabetes"],"booking":["diabetes"]}`,
				`{"kind":"patient","id":"p-2","patient_group":"diabetes","care_team":["mark"]}`,
				`{"kind":"booking","id":"b-2","patient":"p-2","provider":"noor","state":"booked"}`)
		}
	})
}
