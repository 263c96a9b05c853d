package review

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// candidate is a change that might allow a question, with the facts as it would leave
// them.
type candidate struct {
	edit  admin.Edit
	text  string
	facts []*authz.Fact // those that it changes, and those that come into question with it
	// holders is how members relate to the role or group that is changed, "" for a change
	// of something else.
	holders admin.Relation
}

// overlay returns a reading with the facts as the candidate would leave them.
func (c *candidate) overlay(facts *authz.Facts) *authz.Facts {
	all := make([]*authz.Fact, 0, len(facts.All())+len(c.facts))
	for _, f := range facts.All() {
		if !slices.ContainsFunc(c.facts, func(g *authz.Fact) bool { return g.Key == f.Key }) {
			all = append(all, f)
		}
	}
	return authz.NewFacts(facts.Organisation, facts.Revision, append(all, c.facts...)...)
}

// altered returns a fact as it would be after a change. Facts are shared, and never
// changed themselves.
func altered(f *authz.Fact, change func(*authz.Fact)) *authz.Fact {
	out := &authz.Fact{
		Key: f.Key, Found: f.Found, Since: f.Since, Permissions: f.Permissions,
		Role: f.Role, Groups: f.Groups, Access: f.Access, Booking: f.Booking, Provider: f.Provider,
		PatientGroup: f.PatientGroup, CareTeam: f.CareTeam,
	}
	change(out)
	return out
}

// with returns a set with one element more, in order.
func with(set []string, element string) []string {
	return slices.Sorted(slices.Values(append(slices.Clip(set), element)))
}

// concerned are the entities that a question is about, those that exist.
type concerned struct {
	member    *authz.Fact // who asks, nil for others than team members
	patients  []*authz.Fact
	groups    []string // patient groups in question, and those of the patients
	providers []*authz.Fact
}

// concerned looks at who asks, at the resource, and at what it refers to.
func (t *trial) concerned() *concerned {
	c, q := &concerned{}, &t.question
	look := func(typ, id string) {
		k, known := t.decisions.Lookup(typ, id)
		if !known {
			return
		}
		f := q.Facts.Get(k)
		switch {
		case !f.Found || slices.Contains(c.patients, f) || slices.Contains(c.providers, f):
		case f.Kind == authz.KindPatient:
			c.patients = append(c.patients, f)
			c.groups = append(c.groups, f.PatientGroup)
		case f.Kind == authz.KindPatientGroup:
			c.groups = append(c.groups, f.ID)
		case f.Kind == authz.KindTeamMember && t.rules.Catalogue().Types[typ].RequireProvider:
			c.providers = append(c.providers, f)
		}
	}
	look(q.Request.Subject.Type, q.Request.Subject.ID)
	look(q.Request.Resource.Type, q.Request.Resource.ID)
	for _, reference := range q.References {
		look(reference.Name, reference.Fact.ID)
	}
	if k, ok := t.decisions.Lookup(q.Request.Subject.Type, q.Request.Subject.ID); ok && k.Kind == authz.KindTeamMember {
		if f := q.Facts.Get(k); f.Found {
			c.member = f
		}
	}
	slices.Sort(c.groups)
	c.groups = slices.Compact(c.groups)
	return c
}

// candidates returns every change of one fact that is tried.
func (t *trial) candidates(roles, groups []*authz.Fact) []candidate {
	c := t.concerned()
	var out []candidate
	add := func(edit admin.Edit, holders admin.Relation, facts []*authz.Fact, format string, args ...any) {
		out = append(out, candidate{edit: edit, holders: holders, facts: facts, text: fmt.Sprintf(format, args...)})
	}
	for _, provider := range c.providers {
		if !provider.Provider {
			yes := true
			add(setFields(provider.Key, admin.Fields{IsProvider: &yes}), "",
				[]*authz.Fact{altered(provider, func(f *authz.Fact) { f.Provider = true })},
				"make %s a provider", provider.ID)
			continue // only providers have Booking assignments (B1)
		}
		for _, id := range c.groups {
			if !slices.Contains(provider.Booking, id) {
				add(linking(admin.Booking, provider.ID, id), "",
					[]*authz.Fact{altered(provider, func(f *authz.Fact) { f.Booking = with(f.Booking, id) })},
					"give %s a Booking assignment for patient group %s", provider.ID, id)
			}
		}
	}
	if c.member == nil {
		return out
	}
	member := c.member
	for _, id := range c.groups {
		if !slices.Contains(member.Access, id) {
			add(linking(admin.Access, member.ID, id), "",
				[]*authz.Fact{altered(member, func(f *authz.Fact) { f.Access = with(f.Access, id) })},
				"give %s Access to patient group %s", member.ID, id)
		}
	}
	for _, patient := range c.patients {
		if !slices.Contains(patient.CareTeam, member.ID) {
			add(linking(admin.CareTeam, patient.ID, member.ID), "",
				[]*authz.Fact{altered(patient, func(f *authz.Fact) { f.CareTeam = with(f.CareTeam, member.ID) })},
				"put %s on the care team of patient %s", member.ID, patient.ID)
		}
	}
	for _, group := range groups {
		if !slices.Contains(member.Groups, group.ID) {
			add(linking(admin.InGroup, member.ID, group.ID), "",
				[]*authz.Fact{group, altered(member, func(f *authz.Fact) { f.Groups = with(f.Groups, group.ID) })},
				"put %s in group %s", member.ID, group.ID)
		}
	}
	for _, role := range roles {
		if role.ID != member.Role {
			add(setFields(member.Key, admin.Fields{Role: &role.ID}), "",
				[]*authz.Fact{role, altered(member, func(f *authz.Fact) { f.Role = role.ID })},
				"give %s the role %s", member.ID, role.ID)
		}
	}
	for _, source := range t.sourcesOf(member) {
		holders, kind := admin.InGroup, "group"
		if source.Kind == authz.KindRole {
			holders, kind = admin.RoleOf, "role"
		}
		for _, permission := range t.permissions() {
			if !slices.Contains(source.Permissions, permission) {
				changed := altered(source, func(f *authz.Fact) { f.Permissions = with(f.Permissions, permission) })
				add(setFields(source.Key, admin.Fields{Permissions: changed.Permissions}), holders, []*authz.Fact{changed},
					"add %s to %s %s", permission, kind, source.ID)
			}
		}
	}
	return out
}

// sourcesOf returns the role and the groups of a member, those that exist.
func (t *trial) sourcesOf(member *authz.Fact) []*authz.Fact {
	var out []*authz.Fact
	add := func(kind authz.Kind, id string) {
		if f := t.question.Facts.Get(authz.Key{Kind: kind, ID: id}); f.Found {
			out = append(out, f)
		}
	}
	add(authz.KindRole, member.Role)
	for _, id := range member.Groups {
		add(authz.KindGroup, id)
	}
	return out
}

// permissions are those that are tried: the one that the question needs, and all that
// are scopes.
func (t *trial) permissions() []string {
	var out []string
	if t.needs != "" {
		out = append(out, t.needs)
	}
	types := t.rules.Catalogue().Types
	for _, typ := range slices.Sorted(maps.Keys(types)) {
		for _, scope := range types[typ].Scopes {
			if name := typ + ":" + scope; name != t.needs {
				out = append(out, name)
			}
		}
	}
	return out
}

func setFields(k authz.Key, fields admin.Fields) admin.Edit {
	return admin.Edit{Op: admin.Set, Key: k, Fields: fields}
}

func linking(relation admin.Relation, from, to string) admin.Edit {
	return admin.Edit{Op: admin.Link, Relation: relation, From: from, To: to}
}

// members says how many they are.
func members(n int) string {
	if n == 1 {
		return " (1 member)"
	}
	return fmt.Sprintf(" (%d members)", n)
}
