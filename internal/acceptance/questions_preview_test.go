package acceptance

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// sight is a part of a preview: patients, by route.
type sight struct {
	Patients int
	Routes   []routeCount
	Examples []string
}

type routeCount struct {
	Route    string
	Patients int
	Alone    int
	Examples []string
	Causes   struct {
		CareTeam      int `json:"care_team"`
		PatientGroups []struct {
			ID       string
			Patients int
		} `json:"patient_groups"`
		GrantedBy *grant `json:"granted_by"`
	}
}

type preview struct {
	Changes             *bool
	Gained, Lost, Still sight
	TeamMembers         int `json:"team_members"`
	Members             []memberPreview
	MoreMembers         bool `json:"more_members"`
}

type memberPreview struct {
	TeamMember          string `json:"team_member"`
	Before, After       int
	Gained, Lost, Still sight
	Remaining           []routeCount
}

func (s sight) counts() map[string]int { return counts(s.Routes) }

func counts(routes []routeCount) map[string]int {
	out := map[string]int{}
	for _, r := range routes {
		if r.Patients > 0 {
			out[r.Route] = r.Patients
		}
	}
	return out
}

// sees is whom a member may view, by the rules, each with the routes.
func (w *world) sees(id string) map[string][]string {
	m, there := w.members[id]
	if !there || m.suspended || !w.may(m, "patient:view") {
		return nil
	}
	return w.leads(id)
}

// leads is whom the routes lead a member to, permitted or not.
func (w *world) leads(id string) map[string][]string {
	out := map[string][]string{}
	for patient, p := range w.patients {
		if routes := w.routes(id, w.members[id], p); len(routes) > 0 {
			out[patient] = routes
		}
	}
	return out
}

// difference is what a preview has to say of a member.
func difference(before, after map[string][]string) (gained, lost, still sight) {
	into := func(s *sight, routes []string) {
		s.Patients++
		for _, route := range routes {
			at := slices.IndexFunc(s.Routes, func(r routeCount) bool { return r.Route == route })
			if at < 0 {
				s.Routes, at = append(s.Routes, routeCount{Route: route}), len(s.Routes)
			}
			s.Routes[at].Patients++
		}
	}
	for patient, routes := range after {
		if before[patient] == nil {
			into(&gained, routes)
		} else if slices.ContainsFunc(before[patient], func(r string) bool { return !slices.Contains(routes, r) }) {
			into(&still, routes)
		}
	}
	for patient, routes := range before {
		if after[patient] == nil {
			into(&lost, routes)
		}
	}
	return gained, lost, still
}

func (s *sight) add(other sight) {
	s.Patients += other.Patients
	for _, r := range other.Routes {
		at := slices.IndexFunc(s.Routes, func(mine routeCount) bool { return mine.Route == r.Route })
		if at < 0 {
			s.Routes, at = append(s.Routes, routeCount{Route: r.Route}), len(s.Routes)
		}
		s.Routes[at].Patients += r.Patients
	}
}

func (s sight) same(other sight) bool {
	return s.Patients == other.Patients && reflect.DeepEqual(s.counts(), other.counts())
}

// seen enumerates by searches whom everybody may view.
func (a asker) seen(t *testing.T, members []string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, id := range members {
		out[id] = a.walk(t, searchResource, object{"subject": member(id), "action": object{"name": "view"}, "resource": object{"type": "patient"}}, 1000)
	}
	return out
}

// TestPreviewsAreWhatHappens previews random changes, makes them, and compares
// what was said with full searches before and after.
func TestPreviewsAreWhatHappens(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	made, total := 0, map[string]int{}
	for i := range 3 {
		d := newDice(n, uint64(71_000+i))
		d.w.roles["root role"], d.w.members["root"] = []string{"*:*"}, staff{role: "root role"}
		for _, id := range slices.Sorted(maps.Keys(d.w.roles)) { // else hardly anybody may view
			if d.often(0.6) {
				d.w.roles[id] = with(d.w.roles[id], "patient:view")
			}
		}
		for _, id := range d.members { // and by more than one route
			if m := d.w.members[id]; d.often(0.6) {
				m.access = with(m.access, pick(d, d.w.patientGroups))
				d.w.members[id] = m
			}
		}
		for _, id := range d.patients {
			if p := d.w.patients[id]; d.often(0.6) {
				p.manual = with(p.manual, pick(d, d.members))
				d.w.patients[id] = p
			}
		}
		d.learn()
		a := asker{newOrganisation(t, redisStore{}, d.records()...), "root"}
		before := a.seen(t, d.members)
		for range 45 {
			ids := []string{"b-1", "b-2", "b-3", "b-77", "b-78"}
			steps := []step{d.step(ids)}
			for d.often(0.3) {
				if next := d.step(ids); next.edit["delete"] == nil && steps[0].edit["delete"] == nil {
					steps = append(steps, next)
				}
			}
			after, fits, edits, repeated := d.w.clone(), true, array{}, false
			for _, s := range steps {
				fits = fits && s.apply(after)
				repeated = repeated || s.repeated
				edits = append(edits, s.edit)
			}
			sent, _ := json.Marshal(edits)
			r := a.ask(t, "/v1/previews", object{"edits": edits})
			really := a.directory().post(t, "/edits", object{"edits": edits})
			if r.status == http.StatusOK && (really.status == http.StatusForbidden || strings.Contains(string(really.body), "in a change of its own")) {
				continue // whether it may be made is not looked at: B4 is asked when somebody books
			}
			if r.status == http.StatusOK && really.status == http.StatusNotFound && !*decode[preview](t, r).Changes {
				continue // to delete what is not there changes nothing, and a booking that is hidden answers so too (A5)
			}
			if (r.status == http.StatusOK) != (really.status == http.StatusOK) {
				t.Errorf("previewed as %v, made as %v: %s\n facts:\n%s", r, really, sent, d.w.canonical())
				return
			}
			if r.status != http.StatusOK {
				refused(t, r, r.status)
				if fits && !repeated && d.w.canonical() != after.canonical() && !strings.Contains(string(r.body), "in a change of its own") {
					t.Errorf("refused: %v: %s", r, sent)
				}
				continue
			}
			made++
			p := decode[preview](t, r)
			equal(t, r.header.Get("Caregate-Revision"), a.revision, "a preview at")
			a.revision = really.header.Get("Caregate-Revision")
			everybody := slices.Sorted(maps.Keys(after.members))
			now := a.seen(t, everybody)
			var gained, lost, still sight
			concerned := 0
			for _, id := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(d.members, everybody)))) {
				g, l, s := difference(d.w.sees(id), after.sees(id))
				// The rules, said by searches.
				if g.Patients != len(slices.DeleteFunc(slices.Clone(now[id]), func(p string) bool { return slices.Contains(before[id], p) })) ||
					l.Patients != len(slices.DeleteFunc(slices.Clone(before[id]), func(p string) bool { return slices.Contains(now[id], p) })) {
					t.Fatalf("%q sees %q and then %q, by the rules %v and %v", id, before[id], now[id], d.w.sees(id), after.sees(id))
				}
				gained.add(g)
				lost.add(l)
				still.add(s)
				if g.Patients+l.Patients+s.Patients == 0 {
					continue
				}
				concerned++
				at := slices.IndexFunc(p.Members, func(m memberPreview) bool { return m.TeamMember == id })
				if at < 0 {
					t.Errorf("%q is not told of: %s: %v", id, sent, r)
					continue
				}
				m := p.Members[at]
				if m.Before != len(before[id]) || m.After != len(now[id]) || !m.Gained.same(g) || !m.Lost.same(l) || !m.Still.same(s) {
					t.Errorf("%q: %+v, expected %d and %d, gained %+v lost %+v still %+v: %s", id, m, len(before[id]), len(now[id]), g, l, s, sent)
				}
				for _, one := range slices.Concat(m.Gained.Examples) {
					check(t, !slices.Contains(before[id], one) && slices.Contains(now[id], one), "%q does not gain %q", id, one)
				}
				for _, one := range m.Lost.Examples {
					check(t, slices.Contains(before[id], one) && !slices.Contains(now[id], one), "%q does not lose %q", id, one)
				}
				for _, one := range m.Still.Examples {
					check(t, slices.Contains(before[id], one) && slices.Contains(now[id], one), "%q does not still see %q", id, one)
				}
			}
			if p.Changes == nil || *p.Changes != (d.w.canonical() != after.canonical()) || !p.Gained.same(gained) || !p.Lost.same(lost) || !p.Still.same(still) || p.TeamMembers != concerned || len(p.Members) != concerned {
				t.Errorf("%v\n  expected gained %+v lost %+v still %+v of %d: %s\n facts:\n%s", r, gained, lost, still, concerned, sent, d.w.canonical())
			}
			total["gained"] += gained.Patients
			total["lost"] += lost.Patients
			total["still"] += still.Patients
			d.w, before = after, now
			d.learn()
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d changes, %v", made, total)
	check(t, made >= 50 && total["gained"] >= 20 && total["lost"] >= 20 && total["still"] >= 5, "%d changes, %v: too few to show anything", made, total)
}

// TestTurningOffViewAllPatients is "I turned off View All Patients and she
// still sees them": nothing changes by asking, and what is said happens.
func TestTurningOffViewAllPatients(t *testing.T) {
	overTheExample(t, func(t *testing.T, amara directory) {
		a := asker{amara.organisation, "amara"}
		off := object{"edits": array{object{"set": object{"kind": "role", "id": "practice-manager", "permissions": array{"patient:view", "report:view", "schedule:*", "settings:view", "settings:update", "user:view"}}}}}
		before, _ := amara.now(t)
		p := decode[preview](t, a.ask(t, "/v1/previews", off))
		if after, _ := amara.now(t); after != before {
			t.Errorf("a preview made the revision %s of %s", after, before)
		}
		all := map[string]int{"view_all_patients": 6}
		remain := map[string]int{"care_team": 1, "patient_group_access": 6}
		if p.TeamMembers != 1 || len(p.Members) != 1 || p.Members[0].TeamMember != "elena" || p.Gained.Patients != 0 || !reflect.DeepEqual(p.Lost.counts(), all) || p.Lost.Patients != 6 ||
			p.Still.Patients != 6 || !reflect.DeepEqual(p.Still.counts(), remain) || !reflect.DeepEqual(counts(p.Members[0].Remaining), remain) || p.Members[0].Before != 12 || p.Members[0].After != 6 {
			t.Errorf("%+v", p)
		}
		for _, actor := range []string{"mark", "", "nobody", "team_member:ruth"} {
			refused(t, a.as(actor).ask(t, "/v1/previews", off), http.StatusForbidden)
			refused(t, a.as(actor).ask(t, "/v1/reviews", object{"team_member": "elena"}), http.StatusForbidden)
			refused(t, a.as(actor).ask(t, "/v1/reviews", object{"patient": "p-1"}), http.StatusForbidden)
		}
		for _, actor := range []string{"patient:p-1", "x:y"} {
			answeredOneOf(t, a.as(actor).ask(t, "/v1/previews", off), []int{http.StatusForbidden, http.StatusBadRequest, http.StatusUnauthorized}, "as %s", actor)
		}
		for _, actor := range []string{"elena", "ines", "team_member:amara"} { // who may update settings
			decode[preview](t, a.as(actor).ask(t, "/v1/previews", off))
		}
		for field, body := range map[string]any{
			"edits":             object{"edits": object{}},
			"x":                 object{"edits": array{}, "x": 1},
			"edits[0]":          object{"edits": array{object{}}},
			"edits[0].if_match": object{"edits": array{object{"if_match": "1.x", "delete": object{"kind": "role", "id": "nurse"}}}},
		} {
			r := a.ask(t, "/v1/previews", body)
			if p := refused(t, r, http.StatusBadRequest); !strings.HasPrefix(p.Field, strings.TrimSuffix(field, ".if_match")) {
				t.Errorf("the problem is with %q, expected %q: %v", p.Field, field, r)
			}
		}
		for _, body := range []object{{"team_member": "elena", "patient": "p-1"}, {}, {"team_member": ""}, {"team_member": 1}, {"role": "nurse"}, {"team_member": "elena", "x": 1}} {
			refused(t, a.ask(t, "/v1/reviews", body), http.StatusBadRequest)
		}
		refused(t, a.ask(t, "/v1/reviews", object{"team_member": "nobody"}), http.StatusNotFound)
		refused(t, a.ask(t, "/v1/reviews", object{"patient": "p-404"}), http.StatusNotFound)
		if after, _ := amara.now(t); after != before {
			t.Errorf("asking made the revision %s of %s", after, before)
		}
		made := amara.post(t, "/edits", off)
		require(t, made.status == http.StatusOK, "turning it off: %v", made)
		a.revision = made.header.Get("Caregate-Revision")
		hasLength(t, a.seen(t, []string{"elena"})["elena"], 6, "elena still sees")
		r := decode[review](t, a.ask(t, "/v1/reviews", object{"team_member": "elena"}))
		check(t, reflect.DeepEqual(counts(r.Routes), remain) && r.Patients == 6, "the review says %+v", r)
		p = decode[preview](t, a.ask(t, "/v1/previews", off))
		check(t, !*p.Changes && p.TeamMembers == 0 && len(p.Members) == 0, "the same once more: %+v", p)
	})
}
