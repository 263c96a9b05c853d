package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/verify"
)

// imported returns the records of JSON Lines, by way of a store.
func imported(t *testing.T, lines string) []admin.Record {
	t.Helper()
	s := embedded(t)
	if err := s.Import(t.Context(), "o", strings.NewReader(lines)); err != nil {
		t.Fatal(err)
	}
	records, err := verify.ReadOrganisation(func(kind authz.Kind, after string) (admin.Page, error) {
		return s.List(t.Context(), "o", kind, after, 7)
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// wrong is a run over a policy that forgets the care team.
func wrong(t *testing.T) verify.Config {
	t.Helper()
	s := source(t, edit{"authz/visibility/visibility.rego", "\npatient_visible if _care_team\n", "\n"})
	snapshot := orgtest.Compile(t, s, policy.Config{})
	return verify.Config{
		Rules: snapshot, Oracle: reference{snapshot}, Seed: 6,
		Stores: []verify.NamedStore{embedded(t)}, Databases: []verify.Database{sqlite(t)},
	}
}

// TestACounterexampleIsSmallAndCanBeTakenUp makes a counterexample, and gives it to a run
// of its own as the organisation to ask about.
func TestACounterexampleIsSmallAndCanBeTakenUp(t *testing.T) {
	config := wrong(t)
	config.Organisations = within
	first, err := verify.Run(t.Context(), config)
	if err != nil || first.Disagreement == nil {
		t.Fatal(err, first)
	}
	d := first.Disagreement
	text := printed(t, first)
	if !d.Repeated || len(d.Organisation) > 4 {
		t.Fatalf("it is not small:\n%s", text)
	}
	for _, part := range append(d.Organisation, "WRONG ", d.Question, "which in they do", "seed 6\n") {
		if part != "which in they do" && !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	config = wrong(t)
	config.Given = imported(t, strings.Join(d.Organisation, "\n"))
	again, err := verify.Run(t.Context(), config)
	if err != nil || again.Disagreement == nil || again.Organisations != 1 {
		t.Fatalf("it does not show it again: %v, %+v", err, again)
	}
	if got := len(again.Disagreement.Organisation); got > 4 {
		t.Errorf("it became larger:\n%s", printed(t, again))
	}
}

// TestALargeOrganisationIsSampled gives one that is too large to be asked about as a
// whole.
func TestALargeOrganisationIsSampled(t *testing.T) {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add(`{"kind":"role","id":"nurse","permissions":["patient:view","appointment:*"]}`)
	for i := range 5 {
		add(`{"kind":"patient_group","id":"w%d"}`, i)
	}
	for i := range 300 {
		add(`{"kind":"team_member","id":"m%d","role":"nurse","access":["w%d"]}`, i, i%5)
	}
	for i := range 2500 {
		add(`{"kind":"patient","id":"p%d","patient_group":"w%d","care_team":["m%d"]}`, i, i%5, i%300)
	}
	snapshot := orgtest.Compile(t, source(t), policy.Config{})
	r, err := verify.Run(t.Context(), verify.Config{
		Rules: snapshot, Oracle: reference{snapshot}, Given: imported(t, strings.Join(lines, "\n")), Questions: 4,
		Stores: []verify.NamedStore{embedded(t)}, Databases: []verify.Database{sqlite(t)},
	})
	if err != nil || r.Disagreement != nil {
		t.Fatalf("%v\n%s", err, printed(t, r))
	}
	want := "of the given organisation 5 samples were asked about, each of up to 12 of its 300 members and 60 of its 2500 patients"
	if r.Organisations != 5 || len(r.Notes) != 1 || r.Notes[0] != want {
		t.Errorf("%d organisations, %q", r.Organisations, r.Notes)
	}
	config := wrong(t)
	config.Given = imported(t, strings.Join(lines, "\n"))
	r, err = verify.Run(t.Context(), config)
	if err != nil || r.Disagreement == nil {
		t.Fatalf("a sample does not show what is wrong: %v\n%s", err, printed(t, r))
	}
}

// TestNothingIsConcludedFromNothing asks policies of which nothing can be said.
func TestNothingIsConcludedFromNothing(t *testing.T) {
	for name, c := range map[string]struct {
		rego, data map[string]string
		says       string
	}{
		"no catalogue": {map[string]string{"a.rego": "package authz\n\nallow if input.subject.id == \"ada\"\n"}, nil, "no data.catalogue"},
		"nothing allowed": {
			map[string]string{"a.rego": "package authz\n\nallow if input.subject.type == \"nobody\"\n"},
			map[string]string{"catalogue/data.json": `{"types":{"team_member":{"facts":"team_member","actions":{"view":{}}}}}`}, "nothing was allowed",
		},
		"nothing to ask": {
			map[string]string{"a.rego": "package authz\n\nallow if input.subject.type == \"nobody\"\n"},
			map[string]string{"catalogue/data.json": `{"types":{"stock":{"actions":{"view":{}}}}}`}, "nothing was allowed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot := orgtest.Compile(t, written(t, c.rego, c.data), policy.Config{})
			_, err := verify.Run(t.Context(), verify.Config{
				Rules: snapshot, Oracle: snapshot, Organisations: 2, Stores: []verify.NamedStore{embedded(t)}, Databases: []verify.Database{sqlite(t)},
			})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}
