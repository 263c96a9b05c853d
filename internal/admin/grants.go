package admin

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// No change grants what its actor lacks (A4). What a change gives is
//
//   - permissions that a role or a group had not, and those that a team member had
//     not and gets with a role or a group: the actor has to hold them, wherever
//     from. Wildcards count as the policy reads them. A permission that the policy
//     makes nothing of today, and "*:*", which is all that there will ever be, the
//     actor has to hold as it is listed, or hold "*:*";
//   - sight of the patients of a patient group, with Access to it: the actor has to
//     have Access to it as well, or hold patient:view_all. A patient group that the
//     change itself makes has nobody in it, and takes nothing: otherwise nobody
//     without patient:view_all could ever work with a new one;
//   - sight of a patient, with a manual place on the care team: the actor has to see
//     the patient, or for a new patient the group.
//
// Who moves a patient has to see the patient, which the question about the move
// says; who books likewise, and a patient who books gives sight of themself. What is
// taken away needs nothing of this. Members may change themselves under the same
// rules.

// viewAll is the permission that makes every patient visible (V1).
const viewAll = "patient:view_all"

// everything is the permission that stands for all others, those to come as well.
const everything = "*:*"

// source is a role or a group that grants permissions.
type source struct {
	key         authz.Key
	known       bool     // the change says what it grants; else the facts do
	permissions []string // as listed
}

// growth is what somebody holds before an edit and after it.
type growth struct {
	before, after []source
}

func (p *permit) grow(field string, g *growth) {
	p.needs = append(p.needs, need{field: field, growth: g})
}

// seeGroup asks that the actor sees a patient group.
func (p *permit) seeGroup(field, group string) {
	if e := p.draft.entities[authz.Key{Kind: authz.KindPatientGroup, ID: group}]; e == nil || !e.isNew() {
		p.needs = append(p.needs, need{field: field, group: group})
	}
}

// seePatient asks that the actor sees the patient r.
func (p *permit) seePatient(field string, e *entity, r *Record) {
	if e.stored == nil && r.PatientGroup != "" {
		p.seeGroup(field, r.PatientGroup)
		return
	}
	p.needs = append(p.needs, need{field: field, patient: r.ID})
}

// lacking returns the permissions that g gives and the actor does not hold.
func (j *judge) lacking(ctx context.Context, g *growth) ([]string, error) {
	before, after := j.resolve(g.before), j.resolve(g.after)
	held, err := j.expand(ctx, before)
	if err != nil {
		return nil, err
	}
	gained, err := j.expand(ctx, after)
	if err != nil {
		return nil, err
	}
	lacking := map[string]bool{}
	for permission := range gained {
		if _, had := held[permission]; had {
			continue
		}
		if _, has := j.held[permission]; !has {
			lacking[permission] = true
		}
	}
	had := listed(before)
	for _, s := range after {
		for _, permission := range s.permissions {
			if had[permission] || had[everything] || j.listed[permission] || j.listed[everything] {
				continue
			}
			today, err := j.expand(ctx, []source{{key: s.key, permissions: []string{permission}}})
			if err != nil {
				return nil, err
			}
			if permission == everything || len(today) == 0 {
				lacking[permission] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(lacking)), nil
}

// resolve fills in what sources grant that the change says nothing of.
func (j *judge) resolve(sources []source) []source {
	out := make([]source, len(sources))
	for i, s := range sources {
		if !s.known {
			s.permissions = j.consulted.Facts.Get(s.key).Permissions
		}
		out[i] = s
	}
	return out
}

// expand returns what sources grant together, as the policy reads it (P2, P3).
func (j *judge) expand(ctx context.Context, sources []source) (map[string]authz.Grant, error) {
	if len(sources) == 0 {
		return nil, nil //nolint:nilnil // nothing grants nothing
	}
	member := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: "nobody"}, Found: true}
	facts := []*authz.Fact{member}
	for _, s := range sources {
		facts = append(facts, &authz.Fact{Key: s.key, Found: true, Permissions: s.permissions})
		if s.key.Kind == authz.KindRole {
			member.Role = s.key.ID
		} else {
			member.Groups = append(member.Groups, s.key.ID)
		}
	}
	return j.policy.Permissions(ctx, member, authz.NewFacts(true, authz.Revision{}, facts...))
}

// listed returns the permissions of sources as they are listed.
func listed(sources []source) map[string]bool {
	out := map[string]bool{}
	for _, s := range sources {
		for _, permission := range s.permissions {
			out[permission] = true
		}
	}
	return out
}

// seesGroup reports whether the actor sees the patients of a group.
func (j *judge) seesGroup(group string) bool {
	return j.seesAll() || slices.Contains(j.member.Access, group)
}

// seesPatient reports whether a route leads the actor to a patient (V1-V3).
func (j *judge) seesPatient(id string) bool {
	fact := j.consulted.Facts.Get(authz.Key{Kind: authz.KindPatient, ID: id})
	return j.seesAll() || fact.Found && (slices.Contains(j.member.Access, fact.PatientGroup) ||
		slices.Contains(fact.CareTeam, j.actor.ID) && j.actor.Type == teamMember)
}

func (j *judge) seesAll() bool {
	_, all := j.held[viewAll]
	return all
}

// someOf names permissions in a message, not too many of them.
func someOf(permissions []string) string {
	const most = 12
	if len(permissions) > most {
		return strings.Join(permissions[:most], ", ") + " and more"
	}
	return strings.Join(permissions, ", ")
}
