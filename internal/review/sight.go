package review

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// memberType is the type of those whose sight is asked about. What they are asked to do, to
// which type, the policy declares: its question for viewing a patient.
const memberType = string(authz.KindTeamMember)

// maxRoutes is the most routes that a policy may have to be reviewed: one bit each.
const maxRoutes = 64

// sight is what is left of the rule about who may view which patient, when one of
// the two is known. The zero sight is that of nobody.
type sight struct {
	allow  *authz.Residual
	routes map[string]*authz.Residual // nil for a policy without routes
}

// ofMember returns what a team member sees by facts, which have to hold the member,
// their role and their groups, and by what members hold by those. One who does not
// exist sees nobody (V9).
func (c *counter) ofMember(ctx context.Context, member string, facts *authz.Facts, held *authz.Holdings) (*sight, error) {
	fact := facts.Get(authz.Key{Kind: authz.KindTeamMember, ID: member})
	if !fact.Found {
		return nobodys(), nil
	}
	general, err := c.anybodys(ctx)
	if err != nil {
		return nil, err
	}
	if general == nil {
		return c.sight(ctx, member, "", authz.Open{}, facts)
	}
	out := general.evaluated(authz.SubjectLeaf, held.Candidate(ctx, fact, facts))
	return out, held.Err()
}

// ofPatient returns by whom a patient is seen, by a fact. One who does not exist is
// seen by nobody.
func (c *counter) ofPatient(ctx context.Context, patient *authz.Fact) (*sight, error) {
	if patient == nil || !patient.Found {
		return nobodys(), nil
	}
	general, err := c.anybodys(ctx)
	if err != nil {
		return nil, err
	}
	if general == nil {
		return c.sight(ctx, "", patient.ID, authz.Open{Subject: true}, authz.NewFacts(true, c.at, patient))
	}
	out := general.evaluated("", &authz.Candidate{Fact: patient})
	for _, r := range out.residuals() { // what remains is asked about members, as if there were nothing else
		for _, all := range r.Any {
			for i := range all {
				all[i].Leaf.Reference, all[i].Other.Reference = "", ""
			}
		}
	}
	return out, nil
}

func nobodys() *sight { return &sight{allow: &authz.Residual{}} }

// anybodys returns who sees whom when neither of them is known, so that the policy is
// asked once and not about each. It is nil where that cannot be said: a policy may leave
// the fragment for nobody in particular, and not for those that there are.
func (c *counter) anybodys(ctx context.Context) (*sight, error) {
	if c.generalKnown {
		return c.general, nil
	}
	general, err := c.sight(ctx, "", "", authz.Open{Both: true}, authz.NewFacts(true, c.at))
	if err != nil && authz.KindOf(err) != authz.Unsupported {
		return nil, err
	}
	c.general, c.generalKnown = general, true
	return general, nil
}

// evaluated returns what is left of a sight once one of the two is known.
func (s *sight) evaluated(reference string, known *authz.Candidate) *sight {
	out := &sight{allow: s.allow.Settle(reference, known)}
	if s.routes == nil {
		return out
	}
	out.routes = make(map[string]*authz.Residual, len(s.routes))
	for name, r := range s.routes {
		if left := r.Settle(reference, known); !left.Never() {
			out.routes[name] = left
		}
	}
	return out
}

// names returns the names of the routes, in order.
func (s *sight) names() []string { return slices.Sorted(maps.Keys(s.routes)) }

// residuals returns every residual of a sight.
func (s *sight) residuals() []*authz.Residual {
	return append(slices.Collect(maps.Values(s.routes)), s.allow)
}

// sight asks the policy. What is not looked up by the directory as a team member and
// as a patient cannot be reviewed.
func (c *counter) sight(ctx context.Context, member, patient string, open authz.Open, facts *authz.Facts) (*sight, error) {
	r, err := c.viewing(member, patient)
	if err != nil {
		return nil, err
	}
	out := &sight{}
	over := authz.NewService(reading{facts}, c.rules)
	_, err = over.Survey(ctx, c.organisation, r, open, authz.Freshness{}, func(q *authz.Survey) error {
		var err error
		if out.allow, err = c.rules.Residual(ctx, q.Question, open); err != nil {
			return err
		}
		out.routes, err = c.rules.Routes(ctx, q.Question, open)
		return err
	})
	if outside, ok := errors.AsType[*authz.Outside](err); ok {
		return nil, &authz.Error{
			Kind:    authz.Unsupported,
			Message: "who sees whom cannot be counted by this policy: it leaves what can be turned into a filter; caregate policy check says where, and single checks still answer",
			Err:     outside,
		}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// viewing is the question whether a member may view a patient.
func (c *counter) viewing(member, patient string) (*authz.Request, error) {
	ask, declared := c.rules.Administration().Question(authz.ViewPatient)
	if !declared {
		return nil, undeclared()
	}
	return &authz.Request{
		Subject:  authz.Entity{Type: memberType, ID: member},
		Action:   authz.Action{Name: ask.Action},
		Resource: authz.Entity{Type: ask.Resource, ID: patient},
	}, nil
}

// permitted reports whether a member holds the permission that viewing a patient takes. The
// policy names it in its answer about a patient who is made up; of one that does not, a member
// is permitted to whom any patient could be open.
func (c *counter) permitted(
	ctx context.Context, member *authz.Fact, facts *authz.Facts, grants map[string]authz.Grant, of *sight,
) (bool, error) {
	r, err := c.viewing(member.ID, nobody)
	if err != nil {
		return false, err
	}
	patient := &authz.Fact{Key: authz.Key{Kind: authz.KindPatient, ID: nobody}, Found: true}
	with := authz.NewFacts(true, facts.Revision, append(facts.All(), patient)...)
	d, _, err := authz.NewService(reading{with}, c.rules).Decide(ctx, c.organisation, r, authz.Freshness{})
	if err != nil {
		return false, err
	}
	if takes := permissionIn(d.Context); takes != "" {
		_, held := grants[takes]
		return held, nil
	}
	return !of.allow.Never(), nil
}

// withSources returns a member with their role and groups, out of facts that may hold many
// more. They do not expire: what is read beside them has to be of their revision.
func withSources(member *authz.Fact, facts *authz.Facts) *authz.Facts {
	of := []*authz.Fact{member}
	for source := range member.Sources() {
		of = append(of, facts.Get(source))
	}
	return authz.NewFacts(true, facts.Revision, of...)
}

// reading is a directory of facts that were read already.
type reading struct{ facts *authz.Facts }

// Read implements authz.Directory.
func (r reading) Read(context.Context, string, []authz.Key, authz.Freshness) (*authz.Facts, error) {
	return r.facts, nil
}

// undeclared is the error for a policy that does not say by which question a patient is viewed.
func undeclared() error {
	return authz.Errorf(authz.Unsupported, "",
		"the policy declares no administration, and so nobody's sight can be reviewed; add data.administration to it, which names the questions")
}

// uncountable is the error for a policy that says yes by something else than groups,
// care teams and ids.
func uncountable() error {
	return authz.Errorf(authz.Unsupported, "",
		"who sees whom cannot be counted by this policy: it looks at more than the group, the care team and the id of a patient; single checks still answer")
}

// seen is how one member sees one patient.
type seen struct {
	allowed bool
	routes  uint64 // one bit for each of the names of a lens, and whatever the permission
}

// lens is several sights made ready to be asked, with the routes of all of them.
type lens struct {
	names  []string // in order
	routed bool     // the policy has routes
	sights []ready
	asked  []*authz.Residual // all that the answers depend on
}

type ready struct {
	allow  *authz.Predicate
	routes []*authz.Predicate // by name; nil for one that leads nowhere
}

// newLens makes sights ready.
func newLens(sights ...*sight) (*lens, error) {
	l := &lens{sights: make([]ready, len(sights))}
	names := map[string]bool{}
	for _, s := range sights {
		l.routed = l.routed || s.routes != nil
		for name := range s.routes {
			names[name] = true
		}
	}
	l.names = slices.Sorted(maps.Keys(names))
	if len(l.names) > maxRoutes {
		return nil, authz.Errorf(authz.Unsupported, "", "the policy has more than %d routes, which is more than a review can tell apart", maxRoutes)
	}
	for i, s := range sights {
		l.sights[i] = ready{allow: l.ready(s.allow), routes: make([]*authz.Predicate, len(l.names))}
		for j, name := range l.names {
			if r := s.routes[name]; r != nil {
				l.sights[i].routes[j] = l.ready(r)
			}
		}
	}
	return l, nil
}

func (l *lens) ready(r *authz.Residual) *authz.Predicate {
	l.asked = append(l.asked, r)
	return r.Predicate()
}

// ofPatients makes sights of members ready, for patients that are counted by group.
func ofPatients(sights ...*sight) (*lens, error) {
	about := make([]*sight, len(sights))
	for i, s := range sights {
		about[i] = &sight{}
		var ok bool
		if about[i].allow, ok = aboutPatients(s.allow); !ok {
			return nil, uncountable()
		}
		if s.routes == nil {
			continue
		}
		about[i].routes = make(map[string]*authz.Residual, len(s.routes))
		for name, r := range s.routes {
			if about[i].routes[name], ok = aboutPatients(r); !ok {
				return nil, uncountable()
			}
		}
	}
	return newLens(about...)
}

// seenBy answers by the sight of a number. An entity that is nil is not there.
func (l *lens) seenBy(n int, c *authz.Candidate) seen {
	if c.Fact == nil {
		return seen{}
	}
	s := &l.sights[n]
	out := seen{allowed: s.allow.Holds(c)}
	for i, route := range s.routes {
		if route != nil && route.Holds(c) {
			out.routes |= 1 << i
		}
	}
	return out
}

// namesOf returns the names of routes, nil for a policy without any.
func (l *lens) namesOf(routes uint64) []string {
	if !l.routed {
		return nil
	}
	out := []string{}
	for i, name := range l.names {
		if routes&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}
