package acceptance

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// change is one change as the API tells it.
type change struct {
	Revision, Previous, Actor, Via, Request string
	At                                      time.Time
	Entities                                []changed
}

type changed struct {
	Kind, ID, Change string
	Before, After    object
}

type changesPage struct {
	Changes              []change
	Next, Oldest, Newest string
}

// changes reads all changes after a revision, limit at a time.
func (d directory) changes(t *testing.T, after string, limit int) []change {
	t.Helper()
	d.actor = ""
	var out []change
	for range 10_000 {
		query := fmt.Sprintf("/changes?limit=%d", limit)
		if after != "" {
			query += "&after=" + url.QueryEscape(after)
		}
		p := decode[changesPage](t, d.get(t, query))
		require(t, len(p.Changes) <= limit, "%d changes on a page of %d", len(p.Changes), limit)
		out = append(out, p.Changes...)
		if after = p.Next; after == p.Newest {
			return out
		}
	}
	t.Fatal("the changes do not end")
	return nil
}

// deedOf is a write and what its change has to say.
type deedOf struct {
	name string
	do   func(*testing.T, directory) reply
	want []changed
}

func writesAndTheirChanges() []deedOf {
	return []deedOf{
		{"a creation", put("/groups/renal", object{"name": "Renal", "permissions": array{"stock:view"}}),
			[]changed{{"group", "renal", "created", nil, object{"name": "Renal", "permissions": array{"stock:view"}}}}},
		{"one member changed", patch("/groups/renal", object{"name": "Kidneys"}),
			[]changed{{"group", "renal", "updated", object{"name": "Renal"}, object{"name": "Kidneys"}}}},
		{"what left a list and what joined it", patch("/groups/renal", object{"permissions": array{"report:view"}}),
			[]changed{{"group", "renal", "updated", object{"permissions": array{"stock:view"}}, object{"permissions": array{"report:view"}}}}},
		{"a move", patch("/patients/p-2", object{"patient_group": "cardiology"}),
			[]changed{{"patient", "p-2", "updated", object{"patient_group": "diabetes"}, object{"patient_group": "cardiology"}}}},
		{"a role", patch("/team-members/noor", object{"role": "nurse"}),
			[]changed{{"team_member", "noor", "updated", nil, object{"role": "nurse"}}}},
		{"another role", patch("/team-members/noor", object{"role": "auditor"}),
			[]changed{{"team_member", "noor", "updated", object{"role": "nurse"}, object{"role": "auditor"}}}},
		{"Access from one side", put("/patient-groups/diabetes/access/noor", nil),
			[]changed{{"team_member", "noor", "updated", nil, object{"access": array{"diabetes"}}}}},
		{"Access from the other", remove("/team-members/noor/access/diabetes"),
			[]changed{{"team_member", "noor", "updated", object{"access": array{"diabetes"}}, nil}}},
		{"a place on a care team", put("/patients/p-1/care-team/noor", nil),
			[]changed{{"patient", "p-1", "updated", nil, object{"care_team": object{"noor": array{"manual"}}}}}},
		{"a place with two sources", remove("/patients/p-1/care-team/mark"),
			[]changed{{"patient", "p-1", "updated", object{"care_team": object{"mark": array{"booking:b-1", "manual"}}}, object{"care_team": object{"mark": array{"booking:b-1"}}}}}},
		{"a booking", submit("/bookings", visitOf("b-9", "p-10", "hana")),
			[]changed{{"booking", "b-9", "created", nil, object{"patient": "p-10", "provider": "hana", "state": "booked"}},
				{"patient", "p-10", "updated", object{"care_team": object{"hana": array{"booking:b-6"}}}, object{"care_team": object{"hana": array{"booking:b-6", "booking:b-9"}}}}}},
		{"a cancellation", submit("/bookings/b-9/cancel", object{}),
			[]changed{{"booking", "b-9", "updated", object{"state": "booked"}, object{"state": "cancelled"}}}},
		{"two at once", submit("/groups/renal/members", object{"add": array{"noor", "tomas"}}),
			[]changed{{"team_member", "noor", "updated", nil, object{"groups": array{"renal"}}}, {"team_member", "tomas", "updated", nil, object{"groups": array{"renal"}}}}},
		{"a cascade", remove("/groups/renal?cascade=true"),
			[]changed{{"group", "renal", "deleted", object{"name": "Kidneys", "permissions": array{"report:view"}}, nil},
				{"team_member", "noor", "updated", object{"groups": array{"renal"}}, nil}, {"team_member", "tomas", "updated", object{"groups": array{"renal"}}, nil}}},
	}
}

// TestChanges is A3: every write is there, with who, when and what it was, in
// order.
func TestChanges(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		start, _ := d.now(t)
		began := time.Now().Add(-2 * time.Second) // Redis's clock, in milliseconds
		var revisions []string
		deeds := writesAndTheirChanges()
		for i, deed := range deeds {
			r := deed.do(t, d)
			revision := r.header.Get("Caregate-Revision")
			require(t, r.status < 300 && revision != "", "%s: %v at %q", deed.name, r, revision)
			revisions = append(revisions, revision)
			got := d.changes(t, start, 1000)
			require(t, len(got) == i+1, "%s: %d changes, expected %d", deed.name, len(got), i+1)
			c := got[i]
			if c.Revision != revision || c.Actor != "team_member:amara" || c.Via != "api" || c.Request != r.header.Get("X-Request-ID") ||
				c.At.Before(began) || c.At.After(time.Now().Add(2*time.Second)) {
				t.Errorf("%s: %+v at %s", deed.name, c, revision)
			}
			d.tells(t, deed, c)
		}
		whole := d.changes(t, "", 1000)
		for i, c := range whole {
			if i > 0 && (c.Previous != whole[i-1].Revision || countOf(t, c.Revision) != countOf(t, whole[i-1].Revision)+1 || c.At.Before(whole[i-1].At)) {
				t.Errorf("%s at %v follows on %s at %v, and says %s", c.Revision, c.At, whole[i-1].Revision, whole[i-1].At, c.Previous)
			}
		}
		if first := whole[0]; first.Via != "import" && first.Revision != "1" && first.Actor != "" {
			t.Errorf("the first change is %+v", first)
		}
		for limit := range 5 {
			if got := d.changes(t, start, limit+1); len(got) != len(deeds) || got[len(got)-1].Revision != revisions[len(revisions)-1] {
				t.Errorf("%d changes in pages of %d, expected %d", len(got), limit+1, len(deeds))
			}
		}
		byPost := decode[changesPage](t, d.post(t, "/changes", object{"after": start, "limit": 3}))
		check(t, len(byPost.Changes) == 3 && byPost.Next == revisions[2] && byPost.Newest == revisions[len(revisions)-1] && byPost.Oldest != "", "%+v by POST", byPost)
		if p := decode[changesPage](t, d.get(t, "/changes?after="+revisions[len(revisions)-1])); len(p.Changes) != 0 || p.Next != p.Newest {
			t.Errorf("%+v after the newest", p)
		}
		count, _ := d.now(t)
		for _, after := range []string{"1.AAAAAAAA", "x", "-1.AAAAAAAA", "999999.AAAAAAAA", "999999", fmt.Sprintf("%d.AAAAAAAA", countOf(t, count))} {
			answeredOneOf(t, d.get(t, "/changes?after="+after), []int{http.StatusPreconditionFailed, http.StatusBadRequest}, "changes after %s", after)
		}
		refused(t, d.get(t, "/changes?after=999999.AAAAAAAA"), http.StatusPreconditionFailed)
	})
}

// tells compares a change with what it has to say.
func (d directory) tells(t *testing.T, deed deedOf, c change) {
	t.Helper()
	if len(c.Entities) != len(deed.want) {
		t.Errorf("%s: %+v, expected %+v", deed.name, c.Entities, deed.want)
		return
	}
	for _, want := range deed.want {
		found := false
		for _, got := range c.Entities {
			if got.Kind != want.Kind || got.ID != want.ID {
				continue
			}
			found = true
			check(t, got.Change == want.Change && sameImage(got.Before, want.Before) && sameImage(got.After, want.After), "%s: %+v, expected %+v", deed.name, got, want)
		}
		check(t, found, "%s: nothing is said of the %s %s", deed.name, want.Kind, want.ID)
	}
}

// sameImage compares images of a record, without what is empty.
func sameImage(got, want object) bool {
	if len(got) == 0 && len(want) == 0 {
		return true
	}
	flat := func(o object) object {
		out := object{}
		for name, value := range o {
			if team, is := value.(object); is {
				for id, sources := range team {
					out[name+" "+id] = sources
				}
				continue
			}
			out[name] = value
		}
		return out
	}
	return sameFields(flat(got), flat(want))
}

// TestChangesAreForEyesThatSeeAll takes user:view, settings:view and
// patient:view_all.
func TestChangesAreForEyesThatSeeAll(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		for who, want := range map[string]int{"amara": 200, "elena": 200, "": 200, "ines": 403, "tomas": 403, "mark": 403, "noor": 403, "nobody": 403, "patient:p-1": 403} {
			for _, r := range []reply{d.as(who).get(t, "/changes"), d.as(who).post(t, "/changes", object{}), d.as(who).get(t, "/changes?after=1.x")} {
				if r.status != want && (want != 200 || r.status != http.StatusPreconditionFailed && r.status != http.StatusBadRequest) {
					t.Errorf("%q reads changes with %v, expected %d", who, r.status, want)
				}
			}
		}
		refused(t, d.as("ines").get(t, "/changes", "Accept", "text/event-stream"), http.StatusForbidden)
	})
}

// A change that is larger than a page is told in parts, each on a page of at most 1 MiB,
// and in the stream in events of that size.
func TestAChangeLargerThanAPageComesInParts(t *testing.T) {
	t.Parallel()
	const records = 1000
	d := directory{&organisation{name: "riverside", records: exampleRecords(t), server: serve(t, "--max-body", "16777216", "--request-timeout", "1m")}, "amara"}
	start, _ := d.now(t)
	for n := range 2 {
		edits := array{}
		for i := range records {
			edits = append(edits, object{"put": object{"kind": "patient_group", "id": fmt.Sprintf("g-%d", i), "name": strings.Repeat("x", 1000) + fmt.Sprint(n)}})
		}
		if r := d.post(t, "/edits", object{"edits": edits}); r.status != http.StatusOK {
			t.Fatal(r)
		}
	}
	type part struct{ From, Of int }
	type told struct {
		Revision string
		Entities []changed
		Part     *part
	}
	seen, pages := map[string]int{}, 0
	d.actor = ""
	for after, more := start, true; more; pages++ {
		r := d.get(t, "/changes?limit=1000&after="+url.QueryEscape(after))
		check(t, len(r.body) <= 1<<20, "a page has %d bytes", len(r.body))
		p := decode[struct {
			Changes      []told
			Next, Newest string
		}](t, r)
		for _, c := range p.Changes {
			if c.Part == nil || c.Part.From != seen[c.Revision] || c.Part.Of != records {
				t.Fatalf("after %d records of a change: %+v", seen[c.Revision], c.Part)
			}
			seen[c.Revision] += len(c.Entities)
		}
		after, more = p.Next, p.Next != p.Newest
	}
	check(t, len(seen) == 2 && pages >= 4, "%d changes on %d pages", len(seen), pages)
	for revision, n := range seen {
		check(t, n == records, "%s has %d records", revision, n)
	}
}
