package review

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// Member reviews what a team member sees. A viewer is told how many, and by name of those
// whom they may view only; a member whom they may not view is not found (A5). Errors: Forbidden for a viewer who is no
// administrator; NotFound for an organisation that does not exist; Behind for facts
// that do not include fresh.AtLeast; Unsupported for a policy whose patients cannot
// be counted by index and group; Unavailable when the facts kept changing; Timeout.
func (s *Service) Member(
	ctx context.Context, organisation, member string, viewer Viewer, fresh authz.Freshness,
) (out *MemberReview, stated authz.Stated, err error) {
	key := authz.Key{Kind: authz.KindTeamMember, ID: member}
	stated, err = s.reviewed(ctx, organisation, key, viewer, fresh, func(ctx context.Context, facts *authz.Facts, c *counter) error {
		out, err = s.member(ctx, member, withSources(facts.Get(key), facts), c)
		return err
	})
	if err == nil && out.Found {
		err = s.knowledge(organisation, viewer).inMember(ctx, member, out)
	}
	if err != nil {
		return nil, stated, err
	}
	return out, stated, nil
}

// Patient reviews who sees a patient. Errors are those of Member.
func (s *Service) Patient(
	ctx context.Context, organisation, patient string, viewer Viewer, fresh authz.Freshness,
) (out *PatientReview, stated authz.Stated, err error) {
	key := authz.Key{Kind: authz.KindPatient, ID: patient}
	stated, err = s.reviewed(ctx, organisation, key, viewer, fresh, func(ctx context.Context, facts *authz.Facts, c *counter) error {
		out, err = s.patient(ctx, facts.Get(key), c)
		return err
	})
	if err == nil && out.Found {
		err = s.knowledge(organisation, viewer).inPatient(ctx, patient, out)
	}
	if err != nil {
		return nil, stated, err
	}
	return out, stated, nil
}

// reviewed reads an entity for a viewer and lets review answer about it, all at one
// revision.
func (s *Service) reviewed(
	ctx context.Context, organisation string, key authz.Key, viewer Viewer, fresh authz.Freshness,
	review func(context.Context, *authz.Facts, *counter) error,
) (authz.Stated, error) {
	stated := authz.Stated{Policy: s.rules.Digest()}
	if err := s.mayReview(ctx, organisation, viewer); err != nil {
		return stated, err
	}
	r := search.Range{Kind: key.Kind, Limit: 1, Facts: true}
	if admin.ValidID(key.ID) { // nothing else is called so
		r.IDs = []string{key.ID}
	}
	ctx, end, err := authz.LongWork(ctx)
	if err != nil {
		return stated, err
	}
	defer end()
	err = atOneRevision(ctx, func() error {
		found, err := s.store.Range(ctx, organisation, r, fresh)
		if err != nil {
			return err
		}
		stated.Revision = found.Revision
		return review(ctx, found.Facts, s.counter(organisation, found.Revision))
	})
	return stated, err
}

// mayReview refuses a viewer who is no administrator, and a policy under which the
// directory knows no team members or no patients.
func (s *Service) mayReview(ctx context.Context, organisation string, viewer Viewer) error {
	may, err := s.administrator(ctx, organisation, viewer)
	if err != nil {
		return err
	}
	if !may {
		return authz.Errorf(authz.Forbidden, "",
			"reviews and previews are for administrators; ask as a team member who may update settings, or have settings:update granted")
	}
	ask, declared := s.rules.Administration().Question(authz.ViewPatient)
	if !declared {
		return undeclared()
	}
	member, known := s.decisions.Lookup(memberType, nobody)
	patient, also := s.decisions.Lookup(ask.Resource, nobody)
	if !known || !also || member.Kind != authz.KindTeamMember || patient.Kind != authz.KindPatient {
		return authz.Errorf(authz.Unsupported, "",
			"the catalogue of this policy has no team_member and patient with the facts of the directory, and so nobody's sight can be reviewed")
	}
	return nil
}

// administrator reports whether a viewer may see other people's facts.
func (s *Service) administrator(ctx context.Context, organisation string, viewer Viewer) (bool, error) {
	if viewer.Operator || viewer.Actor == (admin.Actor{}) {
		return viewer.Operator, nil
	}
	administers := s.knowledge(organisation, viewer).ask(authz.Explain, "explanations")
	if administers == nil {
		return false, nil
	}
	d, _, err := s.decisions.Decide(ctx, organisation, administers, authz.Freshness{Full: true})
	return d.Allow && err == nil, err
}

func (s *Service) member(ctx context.Context, member string, facts *authz.Facts, c *counter) (*MemberReview, error) {
	fact := facts.Get(authz.Key{Kind: authz.KindTeamMember, ID: member})
	if !fact.Found {
		return &MemberReview{}, nil
	}
	grants, err := s.rules.Permissions(ctx, fact, facts)
	if err != nil {
		return nil, err
	}
	sight, err := c.ofMember(ctx, member, facts, authz.NewHoldings(s.rules))
	if err != nil {
		return nil, err
	}
	lens, err := ofPatients(sight)
	if err != nil {
		return nil, err
	}
	apart, err := c.exceptions(ctx, lens.asked...)
	if err != nil {
		return nil, err
	}
	out, ways := &MemberReview{Found: true}, newWays(lens)
	if out.Permitted, err = c.permitted(ctx, fact, facts, grants, sight); err != nil {
		return nil, err
	}
	err = c.eachPatient(ctx, apart, func(patient *authz.Fact, many int) {
		look := lens.seenBy(0, &authz.Candidate{Fact: patient})
		if look.allowed {
			out.Patients += many
		}
		ways.countPatient(lens, patient, many, look.routes)
	})
	if err != nil {
		return nil, err
	}
	if out.Routes, err = s.memberRoutes(ctx, lens, ways, fact, grants, c); err != nil {
		return nil, err
	}
	for i := range out.Routes {
		n := slices.Index(lens.names, out.Routes[i].Name)
		if out.Routes[i].Examples, err = ways.examples(ctx, n, c, apart); err != nil {
			return nil, err
		}
	}
	out.Notes = notesOn(out)
	return out, nil
}

// memberRoutes returns the routes of a member with their causes.
func (s *Service) memberRoutes(
	ctx context.Context, l *lens, w *ways, member *authz.Fact, grants map[string]authz.Grant, c *counter,
) ([]MemberRoute, error) {
	if !l.routed {
		return nil, nil
	}
	bases, err := c.bases(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := c.sizes(ctx)
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int, len(groups))
	for _, group := range groups {
		sizes[group.Group] = group.Patients
	}
	out := []MemberRoute{}
	for i, name := range l.names {
		care, of := 0, bases[name]
		if of.careTeam {
			team, err := c.team(ctx, member.ID)
			if err != nil {
				return nil, err
			}
			care = len(team)
		}
		route := w.route(i, name, of, member, grants, sizes, care)
		if route.Patients > 0 || route.Causes.any() {
			out = append(out, route)
		}
	}
	return out, nil
}

// route writes out a route without examples, with what it stands on as its causes. sizes are of the patient groups, and care is
// how many patients the member looks after.
func (w *ways) route(
	i int, name string, of basis, member *authz.Fact, grants map[string]authz.Grant, sizes map[string]int, care int,
) MemberRoute {
	out := MemberRoute{Name: name, Patients: w.led[i].patients, Alone: w.alone[i].patients}
	if of.access {
		for _, group := range slices.Sorted(slices.Values(member.Access)) {
			out.Causes.Groups = append(out.Causes.Groups, GroupCount{Group: group, Patients: sizes[group]})
		}
	}
	if of.careTeam {
		out.Causes.CareTeam = care
	}
	_, out.Causes.Grant = of.grant(grants)
	return out
}

func (c *Causes) any() bool { return len(c.Groups) > 0 || c.Grant != nil || c.CareTeam > 0 }

func notesOn(r *MemberReview) []string {
	if r.Permitted || len(r.Routes) == 0 {
		return nil
	}
	all := slices.ContainsFunc(r.Routes, func(route MemberRoute) bool { return route.Causes.Grant != nil })
	var notes []string
	if !all || len(r.Routes) > 1 {
		notes = append(notes, NoteRouteWithoutView)
	}
	if all {
		notes = append(notes, NoteViewAllWithoutView)
	}
	return notes
}

func (s *Service) patient(ctx context.Context, patient *authz.Fact, c *counter) (*PatientReview, error) {
	if !patient.Found {
		return &PatientReview{}, nil
	}
	sight, err := c.ofPatient(ctx, patient)
	if err != nil {
		return nil, err
	}
	lens, err := newLens(sight)
	if err != nil {
		return nil, err
	}
	out, all, holdings := &PatientReview{Found: true}, &tally{}, authz.NewHoldings(s.rules)
	err = c.members(ctx, func(member *authz.Fact, facts *authz.Facts) error {
		look := lens.seenBy(0, holdings.Candidate(ctx, member, facts))
		if !look.allowed {
			return holdings.Err()
		}
		all.count(lens, 1, look.routes)
		if len(out.Members) < MaxMembers {
			out.Members = append(out.Members, PatientViewer{Member: member.ID, Routes: lens.namesOf(look.routes)})
		}
		return holdings.Err()
	})
	if err != nil {
		return nil, err
	}
	out.Total, out.Routes = all.patients, all.result(lens).Routes
	out.More = out.Total > len(out.Members)
	return out, nil
}
