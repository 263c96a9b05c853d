package review_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/soak"
)

// treatment is an organisation in which remedies are tried for real.
type treatment struct {
	*testing.T
	*review.Service
	decisions *authz.Service
	store     review.Store
	commit    func(edit admin.Edit) error
	types     map[string]accountType
	records   map[authz.Key]*admin.Record
	members   []string
}

// keepers is the group of somebody who holds everything.
const keepers = "keepers"

// admit makes an organisation of random facts.
func admit(t *testing.T, w *ward, rules authz.Rules, d dice) *treatment {
	t.Helper()
	c := &treatment{T: t, types: accountTypes(t), records: map[authz.Key]*admin.Record{}, members: diceMembers}
	c.decisions = authz.NewService(w.store, rules)
	c.Service, c.store = review.NewService(c.decisions, rules, w.store), w.store
	c.commit = func(edit admin.Edit) error {
		_, err := w.store.Commit(t.Context(), w.org, admin.Change{Edits: []admin.Edit{edit}})
		return err
	}
	kept := func(names []string) []string { // a store refuses what is not there and what means nothing
		return slices.DeleteFunc(distinctOf(names), func(name string) bool { return name == "gone" || name == "*:view" })
	}
	// Somebody always holds everything (A4), so that each change can be taken back.
	everything := &admin.Record{Kind: authz.KindGroup, ID: keepers, Permissions: []string{"*:*"}}
	c.records[everything.Key()] = everything
	w.put(
		admin.Edit{Op: admin.Put, Record: everything},
		admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindTeamMember, ID: "keeper", Groups: []string{keepers}}},
	)
	facts := d.facts()
	for _, kind := range []authz.Kind{authz.KindRole, authz.KindGroup, authz.KindPatientGroup, authz.KindTeamMember, authz.KindPatient} {
		for _, f := range facts {
			if f.Kind != kind {
				continue
			}
			r := &admin.Record{
				Kind: kind, ID: f.ID, Permissions: kept(f.Permissions), Role: f.Role, Groups: kept(f.Groups), Access: f.Access,
				IsProvider: f.Provider, IsSuspended: f.Suspended, PatientGroup: f.PatientGroup, CareTeam: f.CareTeam,
			}
			if r.Role == "gone" {
				r.Role = ""
			}
			if f.Provider {
				r.Booking = f.Booking
			}
			c.records[f.Key] = r
			if err := c.commit(admin.Edit{Op: admin.Put, Record: r}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

func distinctOf(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// one is an edit and what takes it back.
type one struct{ do, undo admin.Edit }

// everything lists all single changes that are tried for a question, from the records
// alone.
func (c *treatment) everything(r *authz.Request) []one {
	var out []one
	link := func(relation admin.Relation, from, to string) {
		do := admin.Edit{Op: admin.Link, Relation: relation, From: from, To: to}
		undo := do
		undo.Op = admin.Unlink
		out = append(out, one{do, undo})
	}
	set := func(k authz.Key, do, undo admin.Fields) {
		out = append(out, one{admin.Edit{Op: admin.Set, Key: k, Fields: do}, admin.Edit{Op: admin.Set, Key: k, Fields: undo}})
	}
	get := func(kind authz.Kind, id any) *admin.Record {
		name, _ := id.(string)
		return c.records[authz.Key{Kind: kind, ID: name}]
	}
	var patients, providers []*admin.Record
	groups := map[string]bool{}
	named := func(typ string, id any) {
		r := get(c.types[typ].Facts, id)
		switch {
		case r == nil:
		case r.Kind == authz.KindPatient:
			patients = append(patients, r)
			groups[r.PatientGroup] = true
		case r.Kind == authz.KindPatientGroup:
			groups[r.ID] = true
		case typ == "provider":
			providers = append(providers, r)
		}
	}
	named(r.Subject.Type, r.Subject.ID)
	named(r.Resource.Type, r.Resource.ID)
	for name := range c.types[r.Resource.Type].References {
		named(name, r.Resource.Properties[name])
	}
	yes, no := true, false
	resumed := map[authz.Key]bool{}
	resume := func(r *admin.Record) {
		if r.IsSuspended && !resumed[r.Key()] { // P7
			resumed[r.Key()] = true
			set(r.Key(), admin.Fields{"suspended": no}, admin.Fields{"suspended": yes})
		}
	}
	for _, p := range providers {
		resume(p)
		if !p.IsProvider {
			set(p.Key(), admin.Fields{"provider": yes}, admin.Fields{"provider": no})
		}
		for g := range groups {
			if p.IsProvider && !slices.Contains(p.Booking, g) {
				link(admin.Booking, p.ID, g)
			}
		}
	}
	member := get(authz.KindTeamMember, r.Subject.ID)
	if member == nil || c.types[r.Subject.Type].Facts != authz.KindTeamMember {
		return out
	}
	resume(member)
	for g := range groups {
		if !slices.Contains(member.Access, g) {
			link(admin.Access, member.ID, g)
		}
	}
	for _, p := range patients {
		if !slices.Contains(p.CareTeam, member.ID) {
			link(admin.CareTeam, p.ID, member.ID)
		}
	}
	permission := c.types[r.Resource.Type].Actions[r.Action.Name].Permission
	if permission == "" {
		permission = r.Resource.Type + ":" + r.Action.Name
	}
	link(admin.MemberOfGroup, member.ID, keepers)
	for i := range diceRoles {
		role, group := get(authz.KindRole, diceRoles[i]), get(authz.KindGroup, diceGroups[i])
		if member.Role != role.ID {
			set(member.Key(), admin.Fields{"role": role.ID}, admin.Fields{"role": member.Role})
		}
		if !slices.Contains(member.Groups, group.ID) {
			link(admin.MemberOfGroup, member.ID, group.ID)
		}
		for _, source := range []*admin.Record{role, group} {
			if source == role && member.Role != role.ID || source == group && !slices.Contains(member.Groups, group.ID) {
				continue
			}
			for _, more := range distinctOf([]string{permission, "patient:view_all"}) {
				if !slices.Contains(source.Permissions, more) {
					set(source.Key(), admin.Fields{"permissions": distinctOf(append(slices.Clip(source.Permissions), more))},
						admin.Fields{"permissions": source.Permissions})
				}
			}
		}
	}
	return out
}

// opens returns all pairs of a member and a patient for whom a question is allowed, and
// those of a patient's own questions under "".
func (c *treatment) opens(org string, r *authz.Request) map[[2]string]bool {
	c.Helper()
	var requests []*authz.Request
	var of [][2]string
	ask := func(who, patient, typ string, change func(q *authz.Request)) {
		q := *r
		q.Resource.Properties = map[string]any{}
		for name, value := range r.Resource.Properties {
			q.Resource.Properties[name] = value
		}
		q.Subject.ID = who
		change(&q)
		if typ == "" || c.types[typ].Facts != "" {
			requests, of = append(requests, &q), append(of, [2]string{who, patient})
		}
	}
	referred := func(name string) bool {
		id, _ := r.Resource.Properties[name].(string)
		_, refers := c.types[r.Resource.Type].References[name]
		return refers && c.records[authz.Key{Kind: c.types[name].Facts, ID: id}] != nil
	}
	for _, patient := range dicePeople {
		if c.types[r.Subject.Type].Facts == authz.KindPatient {
			ask(patient, patient, "", func(q *authz.Request) {
				if q.Resource.Properties["patient"] == any(r.Subject.ID) {
					q.Resource.Properties["patient"] = patient
				}
			})
			continue
		}
		for _, member := range c.members {
			switch {
			case r.Resource.Type == "patient":
				ask(member, patient, "patient", func(q *authz.Request) { q.Resource.ID = patient })
			case referred("patient"):
				ask(member, patient, "patient", func(q *authz.Request) { q.Resource.Properties["patient"] = patient })
			case r.Resource.Type == "patient_group" || referred("patient_group"):
				group := c.records[authz.Key{Kind: authz.KindPatient, ID: patient}].PatientGroup
				ask(member, patient, "patient_group", func(q *authz.Request) { q.Resource.Properties["patient_group"] = group })
			}
		}
	}
	decisions, failed, _, err := c.decisions.DecideAll(c.Context(), org, requests, authz.ExecuteAll, authz.Freshness{Full: true})
	if err != nil {
		c.Fatal(err, failed)
	}
	out := map[[2]string]bool{}
	for i, d := range decisions {
		if d.Allow {
			out[of[i]] = true
		}
	}
	return out
}

// holders returns how many members an edit is about.
func (c *treatment) holders(edit admin.Edit) int {
	n := 0
	for _, id := range c.members {
		m := c.records[authz.Key{Kind: authz.KindTeamMember, ID: id}]
		if edit.Key.Kind == authz.KindRole && m.Role == edit.Key.ID || edit.Key.Kind == authz.KindGroup && slices.Contains(m.Groups, edit.Key.ID) {
			n++
		}
	}
	return n
}

// editText tells edits apart.
func editText(e admin.Edit) string {
	return fmt.Sprintf("%s %s %s %q %q %q", e.Op, e.Relation, e.Key, e.From, e.To, fmt.Sprintf("%q", e.Fields))
}

// tried makes every single change for real and returns what those that allow the
// question open.
func (c *treatment) tried(org string, r *authz.Request) map[string][2]int {
	c.Helper()
	before, out := c.opens(org, r), map[string][2]int{}
	for _, change := range c.everything(r) {
		if c.commit(change.do) != nil {
			continue // the store refuses it
		}
		d, _, err := c.decisions.Decide(c.Context(), org, r, authz.Freshness{Full: true})
		if err != nil {
			c.Fatal(err)
		}
		if d.Allow {
			patients, members := 0, 1
			of := change.do.Key.Kind == authz.KindRole || change.do.Key.Kind == authz.KindGroup
			for pair := range c.opens(org, r) {
				// What others gain by a change of one provider is not counted.
				mine := of || pair[0] == r.Subject.ID || c.types[r.Subject.Type].Facts == authz.KindPatient
				if !before[pair] && mine {
					patients++
				}
			}
			if of {
				members = c.holders(change.do)
			}
			out[editText(change.do)] = [2]int{patients, members}
		}
		if err := c.commit(change.undo); err != nil {
			c.Fatal(err)
		}
	}
	return out
}

// The remedies of a deny are exactly the single changes that turn it into an allow when
// they are made for real, with the patients that they open, and those that open least
// come first.
func TestRemediesAreWhatFlips(t *testing.T) {
	rules := orgtest.Policy(t)
	store := orgstore.Embedded(t)
	denied, found, opening := 0, 0, 0
	for seed := range soak.Seeds(t, max(20, soak.Cases(80))) {
		d := dice{rand.New(rand.NewPCG(seed, 7))}
		org := fmt.Sprint("o", seed)
		w := newWard(t, store, rules, org)
		c := admit(t, w, rules, d)
		for range 12 {
			r := d.request()
			e, _, err := c.Explain(t.Context(), org, r, operator, authz.Freshness{Full: true})
			if err != nil {
				t.Fatalf("seed %d: %+v: %v", seed, r, err)
			}
			if e.Decision.Allow {
				if e.Remedies != nil {
					t.Errorf("seed %d: %+v is allowed and has remedies", seed, r)
				}
				continue
			}
			denied++
			want := c.tried(org, r)
			last := review.Remedy{}
			for _, remedy := range e.Remedies {
				expected, flips := want[editText(remedy.Edit)]
				if !flips {
					t.Errorf("seed %d: %+v: %q does not allow it", seed, r, remedy.Text)
				} else if expected != [2]int{remedy.Patients, remedy.Members} {
					t.Errorf("seed %d: %+v: %q opens %v, and says %d to %d", seed, r, remedy.Text, expected, remedy.Patients, remedy.Members)
				}
				delete(want, editText(remedy.Edit))
				if remedy.Patients < last.Patients || remedy.Patients == last.Patients && remedy.Members < last.Members {
					t.Errorf("seed %d: %+v: %q comes after %q", seed, r, remedy.Text, last.Text)
				}
				if last = remedy; remedy.Patients > 0 {
					opening++
				}
				found++
			}
			for missed := range want {
				t.Errorf("seed %d: %+v: %s allows it too", seed, r, missed)
			}
		}
	}
	if t.Logf("%d denied, %d remedies, %d that open patients", denied, found, opening); !soak.Repeats() && (found < denied || opening < found/2) {
		t.Error("too few remedies to show anything")
	}
}

// What is tried and counted is bounded, and says so.
func TestRemediesAreBounded(t *testing.T) {
	w := newWard(t, orgstore.Embedded(t), orgtest.Policy(t), "o")
	lines := []string{
		`{"kind":"role","id":"many","name":"m","permissions":["patient:view"]}`,
		`{"kind":"patient_group","id":"g","name":"g"}`,
	}
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf(`{"kind":"group","id":"g-%04d","name":"g","permissions":["patient:view_all"]}`, i))
	}
	for i := range 1001 {
		lines = append(lines, fmt.Sprintf(`{"kind":"team_member","id":"m-%04d","name":"m","role":"many"}`, i))
	}
	w.load(append(lines, `{"kind":"patient","id":"p","patient_group":"g"}`)...)
	e := w.why(operator, "m-0500", "view", "p")
	// 50 of the groups; the care team, Access and the scope for the role.
	if !e.More || len(e.Remedies) != 50+3 {
		t.Errorf("%d remedies, and there are more: %v", len(e.Remedies), e.More)
	}
	last := e.Remedies[len(e.Remedies)-1]
	if last.Text != "add patient:view_all to role many (1001 members)" || last.Members != 1001 || last.Patients != -1 {
		t.Errorf("the last remedy is %+v", last)
	}
}
