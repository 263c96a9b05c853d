package admin

import (
	"cmp"
	"context"
	"fmt"
	"iter"
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
//     makes nothing of today, and the one that stands for all that there will ever be,
//     the actor has to hold as it is listed, or hold the one for all;
//   - sight of the patients of a patient group, with Access to it: the actor has to
//     see them, whoever they are. That is so for a group without patients as well, and for
//     one that the change itself makes: a group may be meant by those who are to come, or
//     have had its id before;
//   - sight of a patient, with a manual place on the care team: the actor has to see
//     the patient, or for a new patient those of the group;
//   - with the end of a suspension everything that the member has kept (P7). If they are on
//     care teams the actor has to see every patient: the places are not gone through.
//
// Who moves a patient has to see the patient, which the question about the move
// says; who books likewise, and a patient who books gives sight of themself. What is
// taken away needs nothing of this. Members may change themselves under the same
// rules.

// source is a role or a group that grants permissions, as the change leaves it.
type source struct {
	key         authz.Key
	permissions []string // as listed
}

// growth is a record before an edit and after it, as far as the actor sees it: of a team
// member, a role or a group.
type growth struct {
	was, now *Record
}

// showGroup refuses what shows the patients of a group to an actor who does not see them.
func (p *permit) showGroup(ctx context.Context, field, group string) error {
	d, err := p.sight(ctx, group)
	if err != nil || d.Allow {
		return err
	}
	return refused(field, "it would show the patients of a group whom the actor does not see (A4)"+reasonsOf(d))
}

// showPatient does the same with one patient. Whoever sees any patient is told of one that
// does not exist.
func (p *permit) showPatient(ctx context.Context, field, patient string) error {
	sees, err := p.sees(ctx, authz.Key{Kind: authz.KindPatient, ID: patient})
	if err != nil || sees {
		return err
	}
	d, err := p.sight(ctx, nobody)
	switch {
	case err != nil:
		return err
	case d.Allow:
		return withField(field, notFound(authz.KindPatient))
	default:
		return refused(field, "it would show a patient whom the actor does not see (A4)"+reasonsOf(d))
	}
}

// gives judges what a record gives that it did not before.
func (p *permit) gives(ctx context.Context, w *whole) error {
	field, was := w.field, w.was
	switch {
	case was.IsSuspended && !w.now.IsSuspended: // P7: what stayed while they held nothing
		was, field = &Record{Kind: was.Kind, ID: was.ID}, field+".suspended"
	case w.now.Kind == authz.KindRole || w.now.Kind == authz.KindGroup:
		field += ".permissions"
	case w.now.Kind != authz.KindTeamMember:
		return nil
	case strings.HasSuffix(field, ".fields"):
		field += ".role"
	}
	if err := p.give(ctx, field, &growth{was: was, now: w.now}); err != nil {
		return err
	}
	for _, group := range added(was.Access, w.now.Access) {
		if err := p.showGroup(ctx, fmt.Sprintf("%s.access[%d]", w.field, slices.Index(w.now.Access, group)), group); err != nil {
			return err
		}
	}
	if was != w.was && p.draft.onTeams[w.now.ID] {
		if d, err := p.sight(ctx, nobody); err != nil || !d.Allow {
			return cmp.Or(err, refused(field, "it would show patients on whose care team the member is to an actor who does not see every patient (A4)"+reasonsOf(d)))
		}
	}
	return nil
}

// give refuses what gives permissions that the actor lacks.
func (p *permit) give(ctx context.Context, field string, g *growth) error {
	if p.listed[p.names.Everything] {
		return nil
	}
	before, after, err := p.sources(ctx, g)
	if err != nil {
		return err
	}
	lacking, err := p.lacking(ctx, before, after)
	if err == nil && len(lacking) > 0 {
		err = refused(field, "it would grant "+someOf(lacking)+", which the actor does not hold (A4)")
	}
	return err
}

// sources returns where permissions come from before and after an edit, as the edits so far
// leave the roles and the groups. Those that the actor does not see are left out: they
// were there before, for what is new has to be seen.
func (p *permit) sources(ctx context.Context, g *growth) (before, after []source, err error) {
	if g.now.Kind != authz.KindTeamMember {
		return []source{{g.was.Key(), g.was.Permissions}}, []source{{g.now.Key(), g.now.Permissions}}, nil
	}
	if before, err = p.granting(ctx, authz.Sources(g.was.Role, g.was.Groups)); err == nil {
		after, err = p.granting(ctx, authz.Sources(g.now.Role, g.now.Groups))
	}
	return before, after, err
}

func (p *permit) granting(ctx context.Context, keys iter.Seq[authz.Key]) ([]source, error) {
	var out []source
	for key := range keys {
		s := source{key, p.fact(key).Permissions}
		if e := p.draft.entities[key]; e != nil && (e.changed || e.deleted) {
			s.permissions = nil
			if e.now != nil {
				s.permissions = e.now.Permissions
			}
		} else if sees, err := p.sees(ctx, key); err != nil {
			return nil, err
		} else if !sees {
			continue
		}
		out = append(out, s)
	}
	return out, nil
}

// lacking returns the permissions that sources give together, others did not, and the actor
// does not hold.
func (p *permit) lacking(ctx context.Context, before, after []source) ([]string, error) {
	held, err := p.expand(ctx, before)
	if err != nil {
		return nil, err
	}
	gained, err := p.expand(ctx, after)
	if err != nil {
		return nil, err
	}
	lacking := map[string]bool{}
	for permission := range gained {
		if _, had := held[permission]; had {
			continue
		}
		if _, has := p.held[permission]; !has {
			lacking[permission] = true
		}
	}
	had, everything := listed(before), p.names.Everything
	for _, s := range after {
		for _, permission := range s.permissions {
			if had[permission] || had[everything] || p.listed[permission] {
				continue
			}
			today, err := p.expand(ctx, []source{{s.key, []string{permission}}})
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

// expand returns what sources grant together, as the policy reads it (P2, P3).
func (j *judge) expand(ctx context.Context, sources []source) (map[string]authz.Grant, error) {
	if len(sources) == 0 {
		return nil, nil //nolint:nilnil // nothing grants nothing
	}
	member := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: nobody}, Found: true}
	facts := []*authz.Fact{member}
	for _, s := range sources {
		facts = append(facts, &authz.Fact{Key: s.key, Found: true, Permissions: s.permissions})
		if s.key.Kind == authz.KindRole {
			member.Role = s.key.ID
		} else {
			member.Groups = append(member.Groups, s.key.ID)
		}
	}
	return j.decisions.Policy().Permissions(ctx, member, authz.NewFacts(true, authz.Revision{}, facts...))
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

// someOf names permissions in a message, not too many of them.
func someOf(permissions []string) string {
	const most = 12
	if len(permissions) > most {
		return strings.Join(permissions[:most], ", ") + " and more"
	}
	return strings.Join(permissions, ", ")
}
