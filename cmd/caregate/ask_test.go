package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/review"
)

// What a policy costs is said once, however often it is asked.
func TestTheWatcherSaysItOnce(t *testing.T) {
	var said bytes.Buffer
	w := &watcher{log: slog.New(slog.NewJSONHandler(&said, nil))}
	for range 3 {
		w.Evaluated([]string{"visibility.rego:12: count of routes"}, 1000)
	}
	if got := said.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"WARN"`) || !strings.Contains(got, "visibility.rego:12") {
		t.Errorf("it says %s", got)
	}
}

// The example's mapping is one that can be tried, and that serve reads.
func TestTheExamplesMapping(t *testing.T) {
	text, err := data.ExampleFilters()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filter.ParseTables(text); err != nil {
		t.Error(err)
	}
	for _, typ := range []string{"patient", "appointment", "provider"} {
		code, stdout, stderr := called(t, nil, "filter", "--subject", "team_member:mark", "--action", "view", "--resource", typ, "--dialect", "postgresql")
		if code == 1 || !strings.Contains(stdout, "at revision ") {
			t.Errorf("%s: exit code %d, %s%s", typ, code, stdout, stderr)
		}
	}
	// Another catalogue has other types; the example's mapping then stands aside.
	none, err := new(tablesSource).loadTables(true, &authz.Catalogue{})
	if none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
}

// A policy of somebody else's explains itself in a form of its own.
func TestAnExplanationInAnotherForm(t *testing.T) {
	stated := authz.Stated{Revision: authz.Revision{Count: 7, Nonce: "ab"}}
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	edit := admin.Edit{Op: admin.Delete, Key: authz.Key{Kind: authz.KindGroup, ID: "ward"}}
	for want, why := range map[string]review.Explanation{
		"deny\n  {\"routes\":\"none\"}\n  at revision 7.ab\n": {User: raw(`{"routes":"none"}`)},
		"allow  \n\nat revision 7.ab\n":                       {Decision: authz.Decision{Allow: true}},
		"deny  a b\n  No.\n\nwhat would allow it\n" +
			"  adds 1 patient                        t\n" +
			"  adds 18,204 patients for 2 members    u\n" +
			"  adds patients that cannot be counted  v\n" +
			"  and there is more that was not tried\n\nat revision 7.ab\n": {
			User: raw(`{"reasons":["a","b"],"reason_user":{"en":"No."}}`), More: true,
			Remedies: []review.Remedy{
				{Edit: edit, Text: "t", Members: 1, Patients: 1}, {Edit: edit, Text: "u", Members: 2, Patients: 18204},
				{Edit: edit, Text: "v", Members: 1, Patients: -1},
			},
		},
	} {
		var b strings.Builder
		if err := (&explaining{app: &app{stdout: &b}}).print(&why, stated); err != nil || b.String() != want {
			t.Errorf("%v\n got %q\nwant %q", err, b.String(), want)
		}
	}
	none := &review.Explanation{User: raw(`[]`)}
	if err := (&explaining{app: &app{stdout: io.Discard}}).print(none, stated); err == nil {
		t.Error("what is no explanation is printed")
	}
	for n, want := range map[int]string{0: "0 patients", 1: "1 patient", 999: "999 patients", 1000: "1,000 patients", 1234567: "1,234,567 patients"} {
		if got := count(n, "patient"); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
	if got := facts(map[string]any{"b": []any{"x", map[string]any{}, "y"}, "a": 7.0, "c": []any{}, "d": nil}); got != "a 7, b x or y, d" {
		t.Errorf("%q", fmt.Sprint(got))
	}
}
