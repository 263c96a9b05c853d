package review_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/review"
)

// ward is an organisation in a store, with a policy and what reviews it.
type ward struct {
	testing.TB
	*review.Service
	store *directory.Directory
	rules *countedRules
	org   string
	rand  *rand.Rand
}

// operator sees everything.
var operator = review.Viewer{Operator: true}

// countedRules counts how often a policy is asked.
type countedRules struct {
	authz.Rules
	asked int
}

func (r *countedRules) Decide(ctx context.Context, q authz.Question) (authz.Decision, error) {
	r.asked++
	return r.Rules.Decide(ctx, q)
}

func (r *countedRules) Residual(ctx context.Context, q authz.Question, open authz.Open) (*authz.Residual, error) {
	r.asked++
	return r.Rules.Residual(ctx, q, open)
}

func (r *countedRules) Routes(ctx context.Context, q authz.Question, open authz.Open) (map[string]*authz.Residual, error) {
	r.asked++
	return r.Rules.Routes(ctx, q, open)
}

func (r *countedRules) Permissions(ctx context.Context, m *authz.Fact, facts *authz.Facts) (map[string]authz.Grant, error) {
	r.asked++
	return r.Rules.Permissions(ctx, m, facts)
}

// newWard returns an organisation without facts.
func newWard(t testing.TB, d *directory.Directory, rules authz.Rules, org string) *ward {
	counted := &countedRules{Rules: rules}
	w := &ward{TB: t, store: d, rules: counted, org: org}
	w.Service = review.NewService(authz.NewService(d, counted), counted, d)
	return w
}

// over returns the ward with another store for its reviews.
func (w *ward) over(store review.Store) *ward {
	out := *w
	out.Service = review.NewService(authz.NewService(w.store, w.rules), w.rules, store)
	return &out
}

// put commits edits that have to fit.
func (w *ward) put(edits ...admin.Edit) {
	w.Helper()
	if _, err := w.store.Commit(w.Context(), w.org, admin.Change{Edits: edits}); err != nil {
		w.Fatal(err)
	}
}

// load imports records, as they stand in a file.
func (w *ward) load(lines ...string) {
	w.Helper()
	orgstore.Load(w, w.store, w.org, lines...)
}

// pair is a member and a patient.
type pair struct{ member, patient string }

// look is whether a member may view a patient, and by which routes.
type look struct {
	allowed bool
	routes  []string
}

// sights is everything that there is to see in an organisation, found by asking about
// each pair; those that are neither allowed nor on a route are left out.
type sights struct {
	members, patients []string
	facts             *authz.Facts
	of                map[pair]look
}

// enumerate asks for each pair, at one revision. It holds V1 to V3 in Go.
func (w *ward) enumerate() *sights {
	w.Helper()
	out := &sights{of: map[pair]look{}}
	var keys []authz.Key
	for kind, ids := range map[authz.Kind]*[]string{authz.KindTeamMember: &out.members, authz.KindPatient: &out.patients} {
		after := ""
		for more := true; more; {
			page, err := w.store.List(w.Context(), w.org, kind, after, 1000)
			if err != nil {
				w.Fatal(err)
			}
			for _, r := range page.Records {
				*ids = append(*ids, r.ID)
				keys, after = append(keys, r.Key()), r.ID
			}
			more = page.More
		}
	}
	facts, err := w.store.Read(w.Context(), w.org, keys, authz.Freshness{Full: true})
	if err != nil {
		w.Fatal(err)
	}
	out.facts = facts
	answers := authz.NewService(fixed{facts}, w.rules.Rules)
	for _, m := range out.members {
		member := facts.Get(authz.Key{Kind: authz.KindTeamMember, ID: m})
		for _, p := range out.patients {
			patient := facts.Get(authz.Key{Kind: authz.KindPatient, ID: p})
			d, _, err := answers.Decide(w.Context(), w.org, &authz.Request{
				Subject: authz.Entity{Type: "team_member", ID: m}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: "patient", ID: p},
			}, authz.Freshness{})
			if err != nil {
				w.Fatal(err)
			}
			if l := (look{d.Allow, routesInGo(member, patient, facts)}); l.allowed || len(l.routes) > 0 {
				out.of[pair{m, p}] = l
			}
		}
	}
	return out
}

// fixed is a directory that has been read.
type fixed struct{ facts *authz.Facts }

func (f fixed) Read(context.Context, string, []authz.Key, authz.Freshness) (*authz.Facts, error) {
	return f.facts, nil
}

// routesInGo are the routes of V1 to V3, in order.
func routesInGo(member, patient *authz.Fact, facts *authz.Facts) []string {
	var out []string
	if member.Suspended { // P7
		return nil
	}
	if slices.Contains(patient.CareTeam, member.ID) {
		out = append(out, "care_team")
	}
	if slices.Contains(member.Access, patient.PatientGroup) {
		out = append(out, "patient_group_access")
	}
	if grantedInGo(member, facts, "patient:view_all") {
		out = append(out, "view_all_patients")
	}
	return out
}

// grantedInGo reports whether a role or a group grants a permission (P2, P3), to a member who
// is not suspended (P7).
func grantedInGo(member *authz.Fact, facts *authz.Facts, permission string) bool {
	if member.Suspended {
		return false
	}
	sources := []authz.Key{{Kind: authz.KindRole, ID: member.Role}}
	for _, id := range member.Groups {
		sources = append(sources, authz.Key{Kind: authz.KindGroup, ID: id})
	}
	for _, source := range sources {
		for _, listed := range facts.Get(source).Permissions {
			if listed == permission || listed == "*:*" || listed == "patient:*" && permission == "patient:view" {
				return true
			}
		}
	}
	return false
}

// tally counts pairs as a preview does.
type tally struct {
	n      int
	routes map[string]int
	who    map[string]bool
}

func newTally() *tally { return &tally{routes: map[string]int{}, who: map[string]bool{}} }

func (t *tally) add(patient string, routes []string) {
	t.n++
	t.who[patient] = true
	for _, r := range routes {
		t.routes[r]++
	}
}

// same compares with what a preview counted. examples says whether there have to be any.
func (t *tally) same(got *review.Tally, examples bool) bool {
	routes := map[string]int{}
	for i, r := range got.Routes {
		routes[r.Name] = r.Count
		if i > 0 && got.Routes[i-1].Name >= r.Name {
			return false
		}
	}
	if got.Patients != t.n || !maps.Equal(routes, t.routes) {
		return false
	}
	return !examples && got.Examples == nil || examples && examplesFit(got.Examples, t.who)
}

// examplesFit reports whether examples are as many as there can be of a set, each once.
func examplesFit(examples []string, of map[string]bool) bool {
	seen := map[string]bool{}
	for _, id := range examples {
		if !of[id] || seen[id] {
			return false
		}
		seen[id] = true
	}
	return len(examples) == min(len(of), review.MaxExamples)
}
