package acceptance

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// TestPagesWhileFactsChange changes the facts between pages: each page is true
// at the revision that it states, and none before the one that was passed back.
func TestPagesWhileFactsChange(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	pagesTurned, changes := 0, 0
	for i := range 3 {
		d := newDice(n, uint64(91_000+i))
		d.w.roles["root role"], d.w.members["root"] = []string{"*:*"}, staff{role: "root role"}
		d.learn()
		a := asker{newOrganisation(t, redisStore{}, d.records()...), "root"}
		for range 40 {
			q := d.wanted()
			for q.candidates || len(q.universe) < 4 || q.path == searchAction {
				q = d.wanted()
			}
			var got, from []string
			for token, turn := "", 0; turn == 0 || token != ""; turn++ {
				r := a.ask(t, q.path, paged(q.body, 2, token))
				page := searched(t, r, 2)
				pagesTurned++
				require(t, r.header.Get("Caregate-Revision") == a.revision, "a page at %s, expected %s", r.header.Get("Caregate-Revision"), a.revision)
				// What the rules say now, after what was found before.
				var now []string
				for k, one := range q.universe {
					if id := q.name(k); d.w.decide(one) && (len(from) == 0 || id > from[len(from)-1]) {
						now = append(now, id)
					}
				}
				found := page.found(t)
				if len(found) > len(now) || !slices.Equal(found, now[:len(found)]) || (*page.Page.Next == "" && len(found) != len(now)) {
					t.Fatalf("%s %v: page %d at %s is %q and the token %q, expected of %q", q.path, q.body, turn, a.revision, found, *page.Page.Next, now)
				}
				if got = append(got, found...); len(found) > 0 {
					from = got
				}
				token = *page.Page.Next
				for range d.IntN(3) {
					s, after := d.step([]string{"b-1", "b-2", "b-77"}), d.w.clone()
					if s.edit["put"] != nil || s.edit["delete"] != nil || s.edit["book"] != nil || !s.apply(after) { // who is there stays the same
						continue
					}
					if r := a.directory().post(t, "/edits", object{"edits": array{s.edit}}); r.status == http.StatusOK {
						a.revision, d.w = r.header.Get("Caregate-Revision"), after
						changes++
					}
				}
			}
		}
	}
	check(t, pagesTurned >= 60 && changes >= 30, "%d pages and %d changes: too few to show anything", pagesTurned, changes)
}

func manyPatients(n int) []record {
	out := []record{role("viewer", "patient:view", "patient:update"), patientGroup("g"), patientGroup("h"), teamMember("ann").holding("viewer").seeing("g"),
		teamMember("bob").holding("viewer").seeing("g"), teamMember("eve").holding("viewer").seeing("h")}
	for i := range n {
		out = append(out, patientIn("g", fmt.Sprintf("p-%05d", i)))
	}
	return out
}

// TestTokensAreGoodForTheirSearchAlone uses a token for everything else.
func TestTokensAreGoodForTheirSearchAlone(t *testing.T) {
	t.Parallel()
	overBothStores(t, func(t *testing.T, s store) {
		a := asker{newOrganisation(t, s, manyPatients(20)...), ""}
		good := object{"subject": member("ann"), "action": object{"name": "view"}, "resource": object{"type": "patient"}}
		first := searched(t, a.ask(t, searchResource, paged(good, 3, "")), 3)
		token := *first.Page.Next
		require(t, token != "", "20 patients on a page of 3 have no next")
		for name, limit := range map[string]object{"with its limit": {"limit": 3, "token": token}, "without": {"token": token}} {
			next := searched(t, a.ask(t, searchResource, merged(good, object{"page": limit})), 3)
			sameList(t, next.found(t), []string{"p-00003", "p-00004", "p-00005"}, "the second page %s", name)
		}
		for name, change := range map[string]object{
			"subject": {"subject": member("bob")}, "nobody": {"subject": member("nobody")}, "a patient": {"subject": patient("p-00001")}, "action": {"action": object{"name": "update"}},
			"action's properties": {"action": object{"name": "view", "properties": object{"x": 1}}}, "type": {"resource": object{"type": "provider"}},
			"properties": {"resource": object{"type": "patient", "properties": object{"x": 1}}}, "context": {"context": object{"x": 1}},
			"subject's properties": {"subject": member("ann").naming("x", 1)},
		} {
			refusedToken(t, "another "+name, a.ask(t, searchResource, merged(paged(good, 3, token), change)), http.StatusBadRequest)
		}
		refusedFor(t, a.ask(t, searchResource, paged(good, 4, token)), http.StatusBadRequest, "page.limit", "another limit")
		refusedToken(t, "a search for subjects", a.ask(t, searchSubject, paged(object{"subject": object{"type": "team_member"}, "action": object{"name": "view"}, "resource": patient("p-00001")}, 3, token)), http.StatusBadRequest)
		refusedToken(t, "a search for actions", a.ask(t, searchAction, paged(object{"subject": member("ann"), "resource": patient("p-00001")}, 3, token)), http.StatusBadRequest)
		// Every token that is another is refused, or means another place to begin at.
		for i := strings.IndexByte(token, '.'); i < len(token) && !t.Failed(); i++ {
			for _, other := range []string{token[:i], token[:i] + token[i+1:], token[:i] + "A" + token[i+1:], token[:i] + "_" + token[i+1:], token[:i] + token[i:i+1] + token[i:]} {
				if other == token {
					continue
				}
				r := a.ask(t, searchResource, paged(good, 3, other))
				if r.status == http.StatusOK {
					// It may only mean another place to begin at, or the same.
					if found := searched(t, r, 3).found(t); !whole(found) {
						t.Errorf("the token %q of %q: %q", other, token, found)
					}
					continue
				}
				refusedToken(t, "damaged "+other, r, http.StatusBadRequest, http.StatusConflict, http.StatusPreconditionFailed)
			}
		}
		for _, garbage := range []string{" ", "x", "p-00003", "1", ".", "s.", "s.AAAA", "2.", "2.!", "s." + token[2:], token + "A", token + token, strings.Repeat("A", 70_000),
			base64.StdEncoding.EncodeToString([]byte("p-00003")), "\x00", "é", "null", "{}"} {
			refusedToken(t, fmt.Sprintf("the token %.40q", garbage), a.ask(t, searchResource, paged(good, 3, garbage)), http.StatusBadRequest)
		}
		another := asker{newOrganisation(t, s, manyPatients(20)...), ""}
		refusedToken(t, "another organisation", another.ask(t, searchResource, paged(good, 3, token)), http.StatusBadRequest, http.StatusPreconditionFailed)
		nowhere := *a.organisation
		nowhere.name, nowhere.revision = "not-there", ""
		refusedToken(t, "no organisation", (asker{&nowhere, ""}).ask(t, searchResource, paged(good, 3, token)), http.StatusBadRequest, http.StatusPreconditionFailed)

		revision := a.revision
		if r := a.ask(t, searchResource, paged(good, 3, token), "Caregate-Consistency", "full"); r.status != http.StatusOK || !slices.Equal(searched(t, r, 3).found(t), []string{"p-00003", "p-00004", "p-00005"}) {
			t.Errorf("a page read now: %v", r)
		}
		a.revision = "999999.abcdef"
		for path, body := range everyQuestion("ann", "p-00001") {
			if r := a.ask(t, path, body); path != "/v1/filters" && path != "/v1/reviews" && path != "/v1/previews" {
				refused(t, r, http.StatusPreconditionFailed)
			} else if r.status < 400 {
				t.Errorf("%s of a revision that is not there: %v", path, r)
			}
		}
		a.revision = "rubbish"
		refusedFor(t, a.ask(t, searchResource, good), http.StatusBadRequest, "Caregate-At-Least", "rubbish for a revision")
		a.revision = revision
	})
}

// whole says whether ids are patients of manyPatients, one after the other.
func whole(found []string) bool {
	for i, id := range found {
		if !strings.HasPrefix(id, "p-00") || i > 0 && id <= found[i-1] {
			return false
		}
	}
	return true
}

// TestTokensOfLostFacts loses the facts and brings them back: the same records
// are another history, and the sealed tokens of a process end with it.
func TestTokensOfLostFacts(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	file := writeFacts(t, manyPatients(12_000))
	load := func() { mustRun(t, "", "import", "--redis", redis.URL(), "--organisation", "riverside", file) }
	load()
	flags := append([]string{"--redis", redis.Unhurried(), "--max-staleness", "400ms", "--policies", outside(t)}, administered...)
	s := serve(t, flags...)
	a := asker{&organisation{name: "riverside", server: s}, ""}
	good := object{"subject": member("ann"), "action": object{"name": "view"}, "resource": object{"type": "patient"}}
	plain := *searched(t, a.ask(t, searchResource, paged(good, 3, "")), 3).Page.Next
	// Whoever sees none of very many gets a page without results before it knows.
	seesNone := merged(good, object{"subject": member("eve")})
	seal := func() string {
		page := searched(t, a.ask(t, searchResource, paged(seesNone, 3, "")), 3)
		if len(page.Results) != 0 || !strings.HasPrefix(*page.Page.Next, "s.") {
			t.Fatalf("the page of somebody who sees nobody: %d results and the token %q", len(page.Results), *page.Page.Next)
		}
		return *page.Page.Next
	}
	sealed := seal()

	try(redis.Do("FLUSHALL")).must(t)
	r := a.ask(t, searchResource, paged(good, 3, plain), "Caregate-Consistency", "full")
	refusedToken(t, "after FLUSHALL", r, http.StatusPreconditionFailed)
	load()
	refusedToken(t, "after a restore", a.ask(t, searchResource, paged(good, 3, plain), "Caregate-Consistency", "full"), http.StatusPreconditionFailed)
	refusedToken(t, "sealed, after a restore", a.ask(t, searchResource, paged(seesNone, 3, sealed), "Caregate-Consistency", "full"), http.StatusPreconditionFailed)
	hasLength(t, a.walk(t, searchResource, good, 1000), 12_000, "after a restore are found")
	hasLength(t, a.walk(t, searchResource, seesNone, 1000), 0, "she sees nobody, and finds")
	sealed = seal()
	for i := 2; i < len(sealed); i++ {
		refusedToken(t, "a sealed token that was opened", a.ask(t, searchResource, paged(seesNone, 3, sealed[:i]+string(sealed[i]^1)+sealed[i+1:])), http.StatusBadRequest)
	}
	plain = *searched(t, a.ask(t, searchResource, paged(good, 3, "")), 3).Page.Next
	s.end(t)
	a.server = serve(t, flags...)
	sameList(t, searched(t, a.ask(t, searchResource, paged(good, 3, plain)), 3).found(t), []string{"p-00003", "p-00004", "p-00005"}, "after a restart")
	refusedToken(t, "sealed by another process", a.ask(t, searchResource, paged(seesNone, 3, sealed)), http.StatusBadRequest)
	// Another policy says something else of what comes next.
	b := asker{&organisation{name: "riverside", server: serve(t, append([]string{"--redis", redis.Unhurried()}, administered...)...)}, ""}
	refusedToken(t, "of another policy", b.ask(t, searchResource, paged(good, 3, plain)), http.StatusConflict)
}
