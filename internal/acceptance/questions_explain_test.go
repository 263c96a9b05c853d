package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// explanation is the answer to "why".
type explanation struct {
	Decision *bool
	Context  struct {
		Reasons     []string
		ReasonUser  map[string]string `json:"reason_user"`
		ReasonAdmin map[string]string `json:"reason_admin"`
		Permission  *struct {
			Name    string
			Held    bool
			Sources []struct {
				Role, Group string
				Grants      bool
			}
		}
		Routes []struct {
			Route   string
			To      map[string]string
			Holds   bool
			By      json.RawMessage
			Missing json.RawMessage
		}
		Requirements []struct {
			Requirement string
			Met         *bool
			Missing     json.RawMessage
		}
		Remedies     []remedy
		MoreRemedies bool `json:"more_remedies"`
	}
}

type remedy struct {
	Text     string
	Edit     object
	Members  *int
	Patients *int
}

// plainly renames everything in a world, so that no id is a part of anything
// else.
func (d *dice) plainly() {
	names := map[string]map[string]string{}
	name := func(kind, id string) string {
		if names[kind] == nil {
			names[kind] = map[string]string{}
		}
		if _, there := names[kind][id]; !there {
			names[kind][id] = fmt.Sprintf("zq%s%dvk", kind, len(names[kind]))
		}
		return names[kind][id]
	}
	all := func(kind string, ids []string) (out []string) {
		for _, id := range ids {
			out = append(out, name(kind, id))
		}
		return out
	}
	w := &world{roles: map[string][]string{}, groups: map[string][]string{}, members: map[string]staff{}, patients: map[string]person{}}
	for id, permissions := range d.w.roles {
		w.roles[name("role", id)] = permissions
	}
	for id, permissions := range d.w.groups {
		w.groups[name("group", id)] = permissions
	}
	w.patientGroups = all("ward", d.w.patientGroups)
	for _, id := range d.members {
		m := d.w.members[id]
		if m.role != "" {
			m.role = name("role", m.role)
		}
		m.groups, m.access, m.booking = all("group", m.groups), all("ward", m.access), all("ward", m.booking)
		w.members[name("member", id)] = m
	}
	for _, id := range d.patients {
		p := d.w.patients[id]
		var visits []visit
		for _, v := range p.bookings {
			visits = append(visits, visit{name("booking", v.id), name("member", v.provider), v.state})
		}
		w.patients[name("patient", id)] = person{name("ward", p.group), all("member", p.manual), visits}
	}
	w.roles["zqrootrolevk"], w.members["zqrootvk"] = []string{"*:*"}, staff{role: "zqrootrolevk"}
	d.w = w
	d.learn()
}

// secrets are the ids of an organisation that a question does not name.
func (w *world) secrets(named string) []string {
	var out []string
	keep := func(id string) {
		if !strings.Contains(named, id) {
			out = append(out, id)
		}
	}
	for _, r := range (&dice{w: w}).records() {
		keep(r.id)
	}
	return out
}

// decided is a random question that has nothing forged in it.
func (d *dice) decided() question {
	for {
		if q := d.question(); q.Context == nil && q.Action.Properties == nil && q.Subject.Properties == nil {
			return q
		}
	}
}

// explained holds what an administrator is told against the rules.
func (w *world) explained(q question, e explanation) string {
	c := e.Context
	m, isMember := w.members[q.Subject.ID]
	isMember = isMember && q.Subject.Type == "team_member"
	permission, acted := theCatalogue[q.Resource.Type].actions[q.Action.Name]
	met := len(c.Requirements) > 0
	for _, r := range c.Requirements {
		if r.Met == nil || *r.Met == (len(r.Missing) > 0) {
			return "a requirement is neither met nor missing something: " + r.Requirement
		}
		met = met && *r.Met
	}
	if met != *e.Decision {
		return fmt.Sprintf("all requirements met: %v", met)
	}
	if c.ReasonAdmin["en"] == "" {
		return "nothing is said to administrators"
	}
	if isMember && m.suspended { // P7, and nothing can be said of permissions or routes
		if last := c.Requirements[len(c.Requirements)-1]; last.Requirement != "subject_active" || c.Permission != nil || c.Routes != nil {
			return fmt.Sprintf("a suspended member is told %+v", c)
		}
		return ""
	}
	if isMember && acted {
		if c.Permission == nil || c.Permission.Name != permission || c.Permission.Held != w.may(m, permission) {
			return fmt.Sprintf("the permission is %+v", c.Permission)
		}
		granted := w.grantors(m, permission)
		sources := 0
		for _, s := range c.Permission.Sources {
			sources++
			is := s.Role != "" && s.Role == m.role || slices.Contains(m.groups, s.Group)
			grants := s.Role != "" && s.Role == granted.Role || s.Group != "" && slices.Contains(granted.Groups, s.Group)
			if !is || s.Grants != grants {
				return fmt.Sprintf("the source %+v", s)
			}
		}
		want := len(m.groups)
		if m.role != "" {
			want++
		}
		if sources != want {
			return fmt.Sprintf("%d sources of %d", sources, want)
		}
	}
	if !isMember || !acted {
		return ""
	}
	n := w.references(q)
	about, wanted := w.inQuestion(q, n)
	var all, holding []string
	switch {
	case about != nil && wanted:
		all, holding = []string{"view_all_patients", "patient_group_access", "care_team"}, w.routes(q.Subject.ID, m, *about)
	case n.group != "":
		all, holding = []string{"view_all_patients", "patient_group_access"}, w.groupRoutes(m, n.group)
	}
	var got, held []string
	for _, r := range c.Routes {
		got = append(got, r.Route)
		if r.Holds {
			held = append(held, r.Route)
		}
		if r.Holds != (len(r.By) > 0) || r.Holds == (len(r.Missing) > 0) {
			return "a route neither holds by something nor misses something: " + r.Route
		}
	}
	if !slices.Equal(got, all) || !sameSet(held, holding) {
		return fmt.Sprintf("routes %q hold of %q, expected %q of %q", held, got, holding, all)
	}
	return ""
}

// TestExplanationsTellNobodyMoreThanTheyMayKnow asks why, as an administrator, as a service
// for nobody, and in the name of somebody else, who is told nothing.
func TestExplanationsTellNobodyMoreThanTheyMayKnow(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	denied, remedies := 0, 0
	for i := range 3 {
		d := newDice(n, uint64(51_000+i))
		d.plainly()
		a := asker{newOrganisation(t, redisStore{}, d.records()...), ""}
		ordinary := ""
		for _, id := range d.members {
			if !d.w.may(d.w.members[id], "settings:update") {
				ordinary = id
			}
		}
		for k := range 250 {
			q := d.decided()
			sent, _ := json.Marshal(q)
			checked := decode[decision](t, post(t, a.url("/access/v1/evaluation"), q, a.included()...))
			named := "zqnobodyvk"
			if k%2 == 0 && ordinary != "" {
				named = ordinary
			}
			if q.Subject.Type != "team_member" || q.Subject.ID != named {
				refusedFor(t, a.as(named).ask(t, "/v1/explanations", q), http.StatusForbidden, "subject", "%s in the name of %s", sent, named)
			}
			r := a.ask(t, "/v1/explanations", q)
			var e explanation
			var raw struct{ Context map[string]any }
			if e = decode[explanation](t, r); json.Unmarshal(r.body, &raw) != nil || e.Decision == nil || *e.Decision != d.w.decide(q) {
				t.Fatalf("%s: explained as %v", sent, r)
			}
			for name := range raw.Context {
				check(t, name == "reasons" || name == "reason_user", "an ordinary caller is told %s: %v", name, r)
			}
			if !slices.Equal(e.Context.Reasons, checked.reasons().Reasons) || e.Context.ReasonUser["en"] == "" {
				t.Errorf("%s: explained as %v, decided as %v", sent, r, checked)
			}
			said := string(r.body) + fmt.Sprint(r.header)
			for _, id := range d.w.secrets(string(sent)) {
				check(t, !strings.Contains(said, id), "%s: an ordinary caller is told of %s: %v", sent, id, r)
			}
			admin := decode[explanation](t, a.as("zqrootvk").ask(t, "/v1/explanations", q))
			if *admin.Decision != *e.Decision || !reflect.DeepEqual(admin.Context.Reasons, e.Context.Reasons) || !reflect.DeepEqual(admin.Context.ReasonUser, e.Context.ReasonUser) {
				t.Errorf("%s: explained as %+v and as %v", sent, admin, r)
			}
			if wrong := d.w.explained(q, admin); wrong != "" {
				t.Errorf("%s: %s: %+v\n  %s", sent, wrong, admin, d.w.facts(q))
			}
			check(t, !*admin.Decision || len(admin.Context.Remedies) == 0, "%s: an allow with remedies: %+v", sent, admin.Context.Remedies)
			if !*admin.Decision {
				denied++
			}
			remedies += len(admin.Context.Remedies)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d denied, %d remedies", denied, remedies)
	check(t, denied >= 200 && remedies >= 100, "%d denied, %d remedies: too few to show anything", denied, remedies)
	a := asker{&organisation{name: "riverside", server: serve(t)}, "amara"}
	good := object{"subject": member("oscar"), "action": object{"name": "view"}, "resource": patient("p-1")}
	for name, c := range map[string]object{"context.x": {"context": object{"x": 1}}, "x": {"x": 1}, "subject.x": {"subject": object{"type": "team_member", "id": "oscar", "x": 1}}, "resource.id": {"resource": object{"type": "patient"}}} {
		r := a.ask(t, "/v1/explanations", merged(good, c))
		if name == "context.x" {
			decode[explanation](t, r)
		} else if p := refused(t, r, http.StatusBadRequest); p.Field != name {
			t.Errorf("the problem is with %q, expected %q", p.Field, name)
		}
	}
}
