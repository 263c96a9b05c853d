package review

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// form is how a candidate would change what a member may do.
type form int

const (
	direct     form = iota // by a fact of the member, the patient or the provider
	furtherOne             // by one group more
	anotherOne             // by another role
	changedOne             // by what a role or a group that they have grants
)

// candidate is a change that might allow a question, with the facts as it would leave
// them.
type candidate struct {
	edit  admin.Edit
	text  string
	form  form
	facts []*authz.Fact // those that it changes, and those that come into question with it
	// member is who asks as the change would leave them, nil for a change of anything but
	// them, their role and their groups; source is the role or group of forms that have one,
	// as it would be.
	member, source *authz.Fact
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
	out := f.Clone()
	change(out)
	return out
}

// withElement returns a set with one element more, in order.
func withElement(set []string, element string) []string {
	return slices.Sorted(slices.Values(append(slices.Clip(set), element)))
}

// concerned are the entities that a question is about, those that exist.
type concerned struct {
	patients  []*authz.Fact
	groups    []string // patient groups in question, and those of the patients
	providers []*authz.Fact
}

// concerned looks at who asks, if that is a patient, at the resource, and at what it
// refers to.
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
	slices.Sort(c.groups)
	c.groups = slices.Compact(c.groups)
	return c
}

// candidates yields every change of one fact that is tried, one at a time: who is in
// thousands of groups is large. own are roles and groups of the member.
func (t *trial) candidates(roles, groups, own []*authz.Fact) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		for _, c := range t.direct(t.concerned()) {
			if !yield(c) {
				return
			}
		}
		_ = t.member == nil || t.ofSources(roles, groups, yield) && t.ofPermissions(own, yield)
	}
}

// direct returns changes of the providers in question, and of what the member sees.
func (t *trial) direct(c *concerned) (out []candidate) {
	try := func(edit admin.Edit, of *authz.Fact, change func(*authz.Fact), text string, args ...any) {
		changed := altered(of, change)
		next := candidate{edit: edit, facts: []*authz.Fact{changed}, text: fmt.Sprintf(text, args...)}
		if of == t.member && (edit.Relation == admin.Access || edit.Fields[authz.FactSuspended] != nil) {
			next.member = changed
		}
		out = append(out, next)
	}
	resume := func(member *authz.Fact) {
		if member.Suspended { // P7
			try(setFields(member.Key, admin.Fields{authz.FactSuspended: false}), member, func(f *authz.Fact) { f.Suspended = false },
				"end the suspension of %s", member.ID)
		}
	}
	for _, provider := range c.providers {
		if provider != t.member {
			resume(provider)
		}
		if !provider.Provider { // only providers have Booking assignments (B1)
			try(setFields(provider.Key, admin.Fields{authz.FactProvider: true}), provider, func(f *authz.Fact) { f.Provider = true },
				"make %s a provider", provider.ID)
			continue
		}
		for _, id := range c.groups {
			if !slices.Contains(provider.Booking, id) {
				try(linking(admin.Booking, provider.ID, id), provider, func(f *authz.Fact) { f.Booking = withElement(f.Booking, id) },
					"give %s a Booking assignment for patient group %s", provider.ID, id)
			}
		}
	}
	if t.member == nil {
		return out
	}
	resume(t.member)
	for _, id := range c.groups {
		if !slices.Contains(t.member.Access, id) {
			try(linking(admin.Access, t.member.ID, id), t.member, func(f *authz.Fact) { f.Access = withElement(f.Access, id) },
				"give %s Access to patient group %s", t.member.ID, id)
		}
	}
	for _, patient := range c.patients {
		if !slices.Contains(patient.CareTeam, t.member.ID) {
			try(linking(admin.CareTeam, patient.ID, t.member.ID), patient, func(f *authz.Fact) { f.CareTeam = withElement(f.CareTeam, t.member.ID) },
				"put %s on the care team of patient %s", t.member.ID, patient.ID)
		}
	}
	return out
}

// ofSources yields the groups and the roles that the member does not have. Like ofPermissions
// it reports whether to go on.
func (t *trial) ofSources(roles, groups []*authz.Fact, yield func(candidate) bool) bool {
	has := make(map[string]bool, len(t.member.Groups))
	for _, id := range t.member.Groups {
		has[id] = true
	}
	for _, group := range groups {
		if has[group.ID] {
			continue
		}
		member := altered(t.member, func(f *authz.Fact) { f.Groups = append(slices.Clip(f.Groups), group.ID) })
		if !yield(candidate{
			edit: linking(admin.MemberOfGroup, member.ID, group.ID), form: furtherOne, member: member, source: group,
			facts: []*authz.Fact{group, member}, text: fmt.Sprintf("put %s in group %s", member.ID, group.ID),
		}) {
			return false
		}
	}
	for _, role := range roles {
		if role.ID == t.member.Role {
			continue
		}
		member := altered(t.member, func(f *authz.Fact) { f.Role = role.ID })
		if !yield(candidate{
			edit: setFields(member.Key, admin.Fields{authz.FactRole: role.ID}), form: anotherOne, member: member, source: role,
			facts: []*authz.Fact{role, member}, text: fmt.Sprintf("give %s the role %s", member.ID, role.ID),
		}) {
			return false
		}
	}
	return true
}

// ofPermissions yields further permissions of what the member has.
func (t *trial) ofPermissions(own []*authz.Fact, yield func(candidate) bool) bool {
	for _, source := range own {
		holders, kind := admin.MemberOfGroup, "group"
		if source.Kind == authz.KindRole {
			holders, kind = admin.RoleOf, "role"
		}
		for _, permission := range t.permissions() {
			if slices.Contains(source.Permissions, permission) {
				continue
			}
			changed := altered(source, func(f *authz.Fact) { f.Permissions = withElement(f.Permissions, permission) })
			if !yield(candidate{
				edit: setFields(source.Key, admin.Fields{authz.FactPermissions: changed.Permissions}), form: changedOne, holders: holders,
				member: t.member, source: changed, facts: []*authz.Fact{changed},
				text: fmt.Sprintf("add %s to %s %s", permission, kind, source.ID),
			}) {
				return false
			}
		}
	}
	return true
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
