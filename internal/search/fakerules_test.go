package search_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// term is one condition of a rule, in two forms that are written apart: what it means
// for two known entities, and what is left of it when one of them is open.
type term struct {
	name  string
	holds func(subject, resource *authz.Fact, facts *authz.Facts) bool
	// openResource and openSubject return what is left, or nil and the answer.
	openResource func(subject *authz.Fact, facts *authz.Facts) (*authz.Condition, bool)
	openSubject  func(resource *authz.Fact, facts *authz.Facts) (*authz.Condition, bool)
}

func in(fact string, values ...string) *authz.Condition {
	values = slices.Sorted(slices.Values(values))
	return &authz.Condition{Op: authz.In, Leaf: authz.Leaf{Fact: fact}, Values: slices.Compact(values)}
}

func has(fact, value string) *authz.Condition {
	return &authz.Condition{Op: authz.Has, Leaf: authz.Leaf{Fact: fact}, Values: []string{value}}
}

// permitted reports whether a member holds a permission.
func permitted(member *authz.Fact, facts *authz.Facts, permission string) bool {
	from := []authz.Key{{Kind: authz.KindRole, ID: member.Role}}
	for _, g := range member.Groups {
		from = append(from, authz.Key{Kind: authz.KindGroup, ID: g})
	}
	return slices.ContainsFunc(from, func(k authz.Key) bool { return slices.Contains(facts.Get(k).Permissions, permission) })
}

// ofSubject is a term about the subject alone, ofResource one about the resource.
func ofSubject(name string, c *authz.Condition, holds func(f *authz.Fact, facts *authz.Facts) bool) term {
	return term{
		name:         name,
		holds:        func(s, _ *authz.Fact, facts *authz.Facts) bool { return holds(s, facts) },
		openResource: func(s *authz.Fact, facts *authz.Facts) (*authz.Condition, bool) { return nil, holds(s, facts) },
		openSubject:  func(*authz.Fact, *authz.Facts) (*authz.Condition, bool) { return c, false },
	}
}

func ofResource(name string, c *authz.Condition, holds func(f *authz.Fact, facts *authz.Facts) bool) term {
	t := ofSubject(name, c, holds)
	return term{
		name:         name,
		holds:        func(_, r *authz.Fact, facts *authz.Facts) bool { return holds(r, facts) },
		openResource: t.openSubject,
		openSubject:  t.openResource,
	}
}

// terms are the conditions that rules are made of, for a subject and a resource of
// these kinds.
func terms(r *rand.Rand, subject, resource authz.Kind) []term {
	group, role := fmt.Sprintf("pg%d", r.IntN(5)), fmt.Sprintf("r-p:%c", "abc"[r.IntN(3)])
	out := []term{}
	facts := func(of func(string, *authz.Condition, func(*authz.Fact, *authz.Facts) bool) term, side string, kind authz.Kind) {
		permission := fmt.Sprintf("p:%c", "abc"[r.IntN(3)])
		switch kind {
		case authz.KindTeamMember:
			out = append(out,
				of(side+" holds "+permission, has(authz.FactPermissions, permission), func(f *authz.Fact, facts *authz.Facts) bool { return permitted(f, facts, permission) }),
				of(side+" has role", in(authz.FactRole, role, "r-p:a", ""), func(f *authz.Fact, _ *authz.Facts) bool { return f.Role == role || f.Role == "r-p:a" }),
				of(side+" in group", has(authz.FactGroups, "g-p:b"), func(f *authz.Fact, _ *authz.Facts) bool { return slices.Contains(f.Groups, "g-p:b") }),
				of(side+" has access", has(authz.FactAccess, group), func(f *authz.Fact, _ *authz.Facts) bool { return slices.Contains(f.Access, group) }),
				of(side+" is provider", &authz.Condition{Op: authz.IsTrue, Leaf: authz.Leaf{Fact: authz.FactProvider}}, func(f *authz.Fact, _ *authz.Facts) bool { return f.Provider }),
				of(side+" is suspended", &authz.Condition{Op: authz.IsTrue, Leaf: authz.Leaf{Fact: authz.FactSuspended}}, func(f *authz.Fact, _ *authz.Facts) bool { return f.Suspended }),
				of(side+" is named", in(authz.FactID, "mA1", "m\x00", "nobody", "mé3"), func(f *authz.Fact, _ *authz.Facts) bool { return f.ID == "mA1" || f.ID == "mé3" }),
			)
		case authz.KindPatient:
			out = append(out,
				of(side+" in patient group", in(authz.FactPatientGroup, group, "\x01"), func(f *authz.Fact, _ *authz.Facts) bool { return f.PatientGroup == group }),
				of(side+" has care team", has(authz.FactCareTeam, "mA1"), func(f *authz.Fact, _ *authz.Facts) bool { return slices.Contains(f.CareTeam, "mA1") }),
				of(side+" is named", in(authz.FactID, "pA1", "p é"), func(f *authz.Fact, _ *authz.Facts) bool { return f.ID == "pA1" }),
			)
		}
	}
	facts(ofSubject, "subject", subject)
	facts(ofResource, "resource", resource)
	switch {
	case subject == authz.KindTeamMember && resource == authz.KindPatient:
		out = append(out, term{
			name:  "V2",
			holds: func(s, r *authz.Fact, _ *authz.Facts) bool { return slices.Contains(s.Access, r.PatientGroup) },
			openResource: func(s *authz.Fact, _ *authz.Facts) (*authz.Condition, bool) {
				return in(authz.FactPatientGroup, s.Access...), false
			},
			openSubject: func(r *authz.Fact, _ *authz.Facts) (*authz.Condition, bool) {
				return has(authz.FactAccess, r.PatientGroup), false
			},
		}, term{
			name:  "V3",
			holds: func(s, r *authz.Fact, _ *authz.Facts) bool { return slices.Contains(r.CareTeam, s.ID) },
			openResource: func(s *authz.Fact, _ *authz.Facts) (*authz.Condition, bool) {
				return has(authz.FactCareTeam, s.ID), false
			},
			openSubject: func(r *authz.Fact, _ *authz.Facts) (*authz.Condition, bool) {
				return in(authz.FactID, r.CareTeam...), false
			},
		})
	case subject == authz.KindPatient && resource == authz.KindTeamMember:
		out = append(out, term{
			name:  "B3",
			holds: func(s, r *authz.Fact, _ *authz.Facts) bool { return slices.Contains(r.Booking, s.PatientGroup) },
			openResource: func(s *authz.Fact, _ *authz.Facts) (*authz.Condition, bool) {
				return has(authz.FactBooking, s.PatientGroup), false
			},
			openSubject: func(r *authz.Fact, _ *authz.Facts) (*authz.Condition, bool) {
				return in(authz.FactPatientGroup, r.Booking...), false
			},
		})
	}
	return out
}

// rule is alternatives of terms and their negations.
type rule [][]used

type used struct {
	term
	not bool
}

func (r rule) String() string {
	out := ""
	for _, all := range r {
		out += " or ("
		for _, u := range all {
			out += fmt.Sprintf(" %v:%s", !u.not, u.name)
		}
		out += " )"
	}
	return out
}

func randomRule(r *rand.Rand, subject, resource authz.Kind) rule {
	from := terms(r, subject, resource)
	var out rule
	for range r.IntN(4) {
		var all []used
		for range r.IntN(4) {
			all = append(all, used{from[r.IntN(len(from))], r.IntN(4) == 0})
		}
		out = append(out, all)
	}
	return out
}

// fakeRules is a policy in plain Go: `do` by a rule, and whatever stock does.
type fakeRules struct {
	digest    string
	rule      rule
	catalogue *authz.Catalogue
	outside   bool
	// candidates are those of stock and of action, with properties.
	candidates map[string][]authz.CandidateEntity
	permission error // of Permissions
	broken     error // of Decide
	residual   func(authz.Question)
}

func newRules(r rule) *fakeRules {
	return &fakeRules{digest: "policy-1", rule: r, catalogue: &authz.Catalogue{Types: map[string]authz.TypeSpec{
		"patient":     {Facts: authz.KindPatient, Actions: []string{"do", "view"}},
		"team_member": {Facts: authz.KindTeamMember, Actions: []string{"do"}},
		"provider":    {Facts: authz.KindTeamMember, RequireProvider: true, Actions: []string{"do"}},
		"stock":       {Actions: []string{"count", "do", "order"}, References: map[string]authz.ReferenceSpec{"patient": {}}},
	}}}
}

func (f *fakeRules) Catalogue() *authz.Catalogue { return f.catalogue }
func (f *fakeRules) Digest() string              { return f.digest }

// Decide lets whoever is found do what the rule says; `view` and all about stock
// depend on the permissions and on the patient that the stock is for.
func (f *fakeRules) Decide(_ context.Context, q authz.Question) (authz.Decision, error) {
	if f.broken != nil {
		return authz.Decision{}, f.broken
	}
	if f.catalogue == nil {
		return authz.Decision{Allow: q.Subject == nil && q.Request.Resource.Properties["open"] != false && q.Request.Resource.ID+q.Action.Name != "odd"}, nil
	}
	if q.Subject == nil || !q.Subject.Found {
		return authz.Decision{}, nil
	}
	if q.Request.Resource.Type == "stock" {
		patient := len(q.References) == 0 || q.References[0].Fact.Found && slices.Contains(q.Subject.Access, q.References[0].Fact.PatientGroup)
		return authz.Decision{Allow: patient && q.Request.Resource.Properties["open"] != false && (q.Action.Name != "order" || q.Subject.Provider)}, nil
	}
	if q.Action.Name != "do" || q.Resource == nil || !q.Resource.Found {
		return authz.Decision{}, nil
	}
	return authz.Decision{Allow: slices.ContainsFunc(f.rule, func(all []used) bool {
		return !slices.ContainsFunc(all, func(u used) bool { return u.holds(q.Subject, q.Resource, q.Facts) == u.not })
	})}, nil
}

func (*fakeRules) Administration() *authz.Administration { return nil }

func (f *fakeRules) Permissions(_ context.Context, member *authz.Fact, facts *authz.Facts) (map[string]authz.Grant, error) {
	if f.permission != nil {
		return nil, f.permission
	}
	out := map[string]authz.Grant{}
	for _, permission := range []string{"p:a", "p:b", "p:c"} {
		if permitted(member, facts, permission) {
			out[permission] = authz.Grant{}
		}
	}
	return out, nil
}

func (f *fakeRules) Residual(_ context.Context, q authz.Question, open authz.Open) (*authz.Residual, error) {
	if f.residual != nil {
		f.residual(q)
	}
	if f.outside {
		return nil, &authz.Error{Kind: authz.Internal, Err: &authz.Outside{Where: []string{"authz.rego:1 counts"}}}
	}
	known, sought := q.Subject, q.Request.Resource.Type
	if open.Subject {
		known, sought = q.Resource, q.Request.Subject.Type
	}
	out := &authz.Residual{}
	if known == nil || !known.Found || q.Action.Name != "do" {
		return out, nil
	}
	for _, all := range f.rule {
		var left []authz.Condition
		if f.catalogue.Types[sought].RequireProvider {
			left = append(left, authz.Condition{Op: authz.IsTrue, Leaf: authz.Leaf{Fact: authz.FactProvider}})
		}
		possible := true
		for _, u := range all {
			of := u.openResource
			if open.Subject {
				of = u.openSubject
			}
			c, answer := of(known, q.Facts)
			if c == nil {
				possible = possible && answer != u.not
				continue
			}
			c.Not = u.not
			left = append(left, *c)
			c.Not = false
		}
		if possible {
			out.Any = append(out.Any, left)
		}
	}
	out.Simplify()
	return out, nil
}

// Candidates names the stock that there is, some of it by the subject's access.
func (f *fakeRules) Candidates(_ context.Context, q authz.Question, what string) ([]authz.CandidateEntity, bool, error) {
	named, defined := f.candidates[what]
	if what == "action" && q.Resource != nil && !q.Resource.Found {
		return nil, defined, nil // nothing can be done to what is not there
	}
	if what == "stock" && q.Subject != nil {
		named = slices.Clone(named)
		for _, g := range q.Subject.Access {
			named = append(named, authz.CandidateEntity{ID: "shelf-" + g})
		}
		slices.SortFunc(named, func(a, b authz.CandidateEntity) int { return compareText(a.ID, b.ID) })
	}
	return named, defined, nil
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (f *fakeRules) Routes(context.Context, authz.Question, authz.Open) (map[string]*authz.Residual, error) {
	return nil, errors.New("no search asks for routes")
}

func (f *fakeRules) Explain(context.Context, authz.Question) (authz.Account, error) {
	return authz.Account{}, errors.New("no search asks for explanations")
}

func (f *fakeRules) Masks(context.Context, authz.Question, authz.Open) (json.RawMessage, error) {
	return nil, errors.New("no search asks for masks")
}
