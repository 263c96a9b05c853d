package acceptance

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/internal/soak"
)

// ward is who has what, as the history of changes tells it: names of relations, "access"
// and what it is to, and on each who has it, with where from on care teams.
type ward struct {
	role map[string]string
	has  map[string]map[string][]string
}

// relates reports whether a relation holds, by hand only where that is asked for.
func (w *ward) relates(relation, from, to string, byHand bool) bool {
	sources, holds := w.has[relation+" "+to][from]
	return holds && (!byHand || slices.Contains(sources, "manual"))
}

func (w *ward) set(relation, from, to string, holds bool, sources ...string) {
	key := relation + " " + to
	if w.has[key] == nil {
		w.has[key] = map[string][]string{}
	}
	if delete(w.has[key], from); holds {
		w.has[key][from] = sources
	}
}

// take makes what one side of a change says so, or no longer so.
func (w *ward) take(kind, id string, image object, holds bool) {
	for field, value := range image {
		switch {
		case kind == "team_member" && field == "role":
			if w.role[id] = ""; holds {
				w.role[id] = value.(string)
			}
		case kind == "team_member" && (field == "access" || field == "groups" || field == "booking"):
			for _, to := range value.([]any) {
				w.set(field, id, to.(string), holds)
			}
		case kind == "patient" && field == "care_team":
			for member, sources := range value.(object) {
				var list []string
				for _, s := range sources.([]any) {
					list = append(list, s.(string))
				}
				w.set("care_team", id, member, holds, list...)
			}
		}
	}
}

// asked is one write over HTTP, with what has to be so once it is acknowledged.
type asked struct {
	method, path string
	body         any
	holds        func(w *ward) string // what is wrong, "" for nothing
	request      string
	revision     string // that the answer stated
	status       int
}

func (a *asked) String() string { return fmt.Sprint(a.method, " ", a.path, " ", a.body) }

// exactly asks that exactly ids relate to one end: from is whether that is where the relation
// goes out.
func exactly(relation, end string, from bool, ids, everybody []string) func(*ward) string {
	return func(w *ward) string {
		for _, id := range everybody {
			a, b := id, end
			if from {
				a, b = end, id
			}
			switch in := slices.Contains(ids, id); {
			case in && !w.relates(relation, a, b, false):
				return id + " is missing"
			case !in && w.relates(relation, a, b, relation == "care_team"):
				return id + " is there still"
			}
		}
		return ""
	}
}

// someWrite makes a write about a few people of the example.
func someWrite(r *rand.Rand) *asked {
	members, patients := []string{"mark", "noor", "li", "ruth"}, []string{"p-1", "p-2", "p-3", "p-4", "p-5"}
	patientGroups, groups, roles := []string{"diabetes", "cardiology", "maternity"}, []string{"clinicians", "stockroom"}, []string{"", "nurse", "practitioner"}
	one := func(of []string) string { return of[r.IntN(len(of))] }
	some := func(of []string) []string {
		out := []string{}
		for _, id := range of {
			if r.IntN(3) == 0 {
				out = append(out, id)
			}
		}
		return out
	}
	set := func(relation, collection, end, view string, from bool, everybody []string) *asked {
		ids := some(everybody)
		return &asked{method: http.MethodPut, path: at(collection, end, view), body: object{"ids": ids}, holds: exactly(relation, end, from, ids, everybody)}
	}
	switch r.IntN(9) {
	case 0, 1, 2:
		return set("care_team", "team-members", one(members), "patients", false, patients)
	case 3:
		return set("care_team", "patients", one(patients), "care-team", true, members)
	case 4:
		return set("access", "team-members", one(members), "access", true, patientGroups)
	case 5:
		member, to, put := one(members), one(patients), r.IntN(2) == 0
		a := &asked{method: http.MethodDelete, path: at("patients", to, "care-team", member)}
		if put {
			a.method = http.MethodPut
		}
		a.holds = func(w *ward) string {
			if w.relates("care_team", to, member, true) != put {
				return "the place is not as asked for"
			}
			return ""
		}
		return a
	case 6:
		member, role := one(members), one(roles)
		return &asked{method: http.MethodPatch, path: at("team-members", member), body: object{"role": role}, holds: func(w *ward) string {
			if w.role[member] != role {
				return "the role is " + w.role[member]
			}
			return ""
		}}
	case 7:
		member, to, put := one(members), one(groups), r.IntN(2) == 0
		a := &asked{method: http.MethodDelete, path: at("groups", to, "members", member)}
		if put {
			a.method = http.MethodPut
		}
		a.holds = func(w *ward) string {
			if w.relates("groups", member, to, false) != put {
				return "membership is not as asked for"
			}
			return ""
		}
		return a
	default:
		member, list := one(members), some(patientGroups)
		return &asked{method: http.MethodPatch, path: at("team-members", member), body: object{"access": list}, holds: exactly("access", member, true, list, patientGroups)}
	}
}

// TestAWriteIsWhatWasAskedFor has many write the same few records, by sets from either side,
// lists and single links, through several sidecars whose connections to Redis are cut: what
// is acknowledged is so at the revision that the answer states, and is that write's change
// or nobody's.
func TestAWriteIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	org := newOrganisation(t, redisStore{}, exampleRecords(t)...)
	proxy := try(redistest.NewProxy(workbench.redis.Addr)).must(t)
	defer proxy.Close()
	var desks []directory
	for range 3 {
		here := *org
		here.server = serve(t, "--redis", proxy.URL()+"?read_timeout=5s", "--organisation", org.name, "--admin-addr", "127.0.0.1:0")
		desks = append(desks, directory{&here, "amara"})
	}
	calm := directory{org, "amara"}
	_, first := calm.now(t)

	seed := soak.Seed(t)
	const writes = 80 // of each of six
	var mu sync.Mutex
	var all []*asked
	var group sync.WaitGroup
	for i := range 2 * len(desks) {
		group.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range writes {
				a := someWrite(r)
				a.request = fmt.Sprintf("write-%d-%d", i, n)
				got, err := desks[i%len(desks)].try(t.Context(), a.method, a.path, a.body, "X-Request-ID", a.request)
				if err != nil {
					t.Errorf("%s: %v", a, err)
					return
				}
				if a.status, a.revision = got.status, got.header.Get("Caregate-Revision"); a.status >= 400 && a.status != 503 && a.status != 504 && a.status != 409 {
					t.Errorf("%s: %v", a, got)
				}
				mu.Lock()
				all = append(all, a)
				cut := len(all)%5 == 0
				mu.Unlock()
				if cut { // what the others write meanwhile is interrupted
					proxy.Cut()
				}
			}
		})
	}
	group.Wait()

	// The history tells what there was at each revision.
	w := &ward{role: map[string]string{}, has: map[string]map[string][]string{}}
	byRevision, byRequest, acknowledged := map[string][]*asked{}, map[string]*asked{}, 0
	for _, a := range all {
		byRequest[a.request] = a
		if a.status < 300 {
			byRevision[a.revision] = append(byRevision[a.revision], a)
			acknowledged++
		}
	}
	seen := 0
	for after := "0"; ; {
		page := decode[struct {
			Changes []struct {
				Revision, Request string
				Entities          []struct {
					Kind, ID      string
					Before, After object
				}
			}
			Next, Newest string
		}](t, calm.get(t, "/changes?limit=500&after="+after))
		for _, c := range page.Changes {
			for _, e := range c.Entities {
				w.take(e.Kind, e.ID, e.Before, false)
				w.take(e.Kind, e.ID, e.After, true)
			}
			a := byRequest[c.Request]
			switch {
			case a != nil && a.status < 300 && a.revision != c.Revision:
				t.Errorf("%s states revision %s and is revision %s", a, a.revision, c.Revision)
			case a != nil && a.status == http.StatusConflict:
				t.Errorf("%s is refused, and is revision %s", a, c.Revision)
			case a == nil && strings.HasPrefix(c.Request, "write-"), a == nil && countOf(t, c.Revision) > first:
				t.Errorf("revision %s is nobody's", c.Revision)
			}
			for _, a := range byRevision[c.Revision] {
				equal(t, a.holds(w), "", "%s is acknowledged at revision %s, where", a, c.Revision)
				seen++
			}
		}
		if after = page.Next; after == page.Newest {
			break
		}
	}
	t.Logf("%d writes, %d of them acknowledged", len(all), acknowledged)
	check(t, seen == acknowledged && acknowledged >= len(all)/2, "%d of %d acknowledged writes state a revision that there is", seen, acknowledged)
}
