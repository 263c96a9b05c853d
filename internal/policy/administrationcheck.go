package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
)

// misdeclared reports what a policy makes of the names that it declares for
// administration. That a duty's question is in the catalogue was found by Compile. A
// permission that grants nothing and a route that is not there are errors; a duty that is
// denied to somebody who has everything is a warning, because a rule may look at more than
// an invented organisation has. notes say what could not be looked at.
func misdeclared(ctx context.Context, source *Source, compiler *ast.Compiler, s *Snapshot) (findings []Finding, notes []string, err error) {
	if s.administration == nil {
		return nil, []string{"no data.administration, so nobody can administer by this policy: the Directory API would refuse every change, " +
			"and caregate serve does not open --admin-addr"}, nil
	}
	d := &declaration{source: source}
	a := s.administration
	for _, p := range []struct{ name, permission, kept, stands string }{
		{"everything", a.Everything, "*:*", "all permissions"}, {"users", a.Users, "user:*", "the administration of members, roles and groups"},
	} {
		held, err := s.granted(ctx, &authz.Fact{Key: authz.Key{Kind: authz.KindRole, ID: probeID}, Permissions: []string{p.permission}})
		if err != nil {
			return nil, nil, err
		}
		if len(held.permissions) == 0 {
			d.wrong(p.name, "is %s, of which the policy's grants make nothing, so that nobody could ever hold %s by it%s",
				p.permission, p.stands, suggestion(p.permission, permissionNames(source.Data), "; name a permission that data.authz.grants grants"))
			continue
		}
		if p.permission != p.kept {
			f := d.finding(p.name)
			f.Text += fmt.Sprintf(" is %s, and the store keeps the last holder of %s only (A4): see to it yourself that somebody always holds %s",
				p.permission, p.kept, p.permission)
			f.Warning = true
			d.warnings = append(d.warnings, f)
		}
		if err := d.denied(ctx, s, p.name, p.permission); err != nil {
			return nil, nil, err
		}
	}
	notes = d.reconcile(compiler, a.Routes)
	for _, e := range d.errs {
		if f, ok := e.(Finding); ok { //nolint:errorlint // it was made so above
			findings = append(findings, f)
		}
	}
	return append(findings, d.warnings...), notes, nil
}

// permissionNames returns what a role might list: what the catalogue has, and its wildcards.
func permissionNames(data map[string]any) []string {
	known := permissionsOf(data)
	out := slices.Concat(known.needed, known.scope, []string{"*:*"})
	for typ := range known.actions {
		out = append(out, typ+":*")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// usersDuties are what the permission called users stands for.
func usersDuties() []authz.Duty {
	return []authz.Duty{
		authz.ViewRole, authz.CreateRole, authz.UpdateRole, authz.DeleteRole, authz.ViewGroup, authz.CreateGroup, authz.UpdateGroup,
		authz.DeleteGroup, authz.ViewTeamMember, authz.CreateTeamMember, authz.UpdateTeamMember, authz.DeleteTeamMember,
	}
}

// denied warns of the duties that a permission stands for and that the policy denies to a
// member who holds it, to whom everything in an invented organisation is open.
func (r *declaration) denied(ctx context.Context, s *Snapshot, name, permission string) error {
	duties := authz.Duties()
	if name == "users" {
		duties = usersDuties()
	}
	over := authz.NewService(inventedOrganisation(permission), s)
	var denied []Finding
	for _, duty := range duties {
		q := dutyRequest(s.administration, duty)
		d, _, err := over.Decide(ctx, probeID, q, authz.Freshness{})
		if err != nil {
			return fmt.Errorf("%s: %w", duty, err)
		}
		if d.Allow {
			continue
		}
		f := r.finding("questions/" + string(duty))
		f.Text += fmt.Sprintf(" asks %s on %s, which is denied to a member who holds %s, has Access to every patient group and is on every care team; "+
			"see that somebody is allowed it, and that %s grants what it takes", q.Action.Name, q.Resource.Type, permission, permission)
		f.Warning = true
		denied = append(denied, f)
	}
	if len(denied) == len(duties) { // a policy about something else, most likely
		f := r.finding(name)
		f.Text += fmt.Sprintf(" is %s, and nothing that it stands for is allowed to a member who holds it; "+
			"have the policy allow it, or take data.%s out", permission, administration)
		f.Warning = true
		denied = []Finding{f}
	}
	r.warnings = append(r.warnings, denied...)
	return nil
}

// The entities of the invented organisation. One of each is enough.
const (
	inventedPatient  = probeID + "-patient"
	inventedProvider = probeID + "-provider"
)

// invented is an organisation that a policy is tried on.
type invented struct{ facts *authz.Facts }

// Read implements authz.Directory.
func (i invented) Read(context.Context, string, []authz.Key, authz.Freshness) (*authz.Facts, error) {
	return i.facts, nil
}

// inventedOrganisation has a member who holds a permission, and a patient and a provider to
// whom everything is open.
func inventedOrganisation(permission string) invented {
	key := func(kind authz.Kind, id string) authz.Key { return authz.Key{Kind: kind, ID: id} }
	all := []string{probeID}
	return invented{authz.NewFacts(true, authz.Revision{Count: 1},
		&authz.Fact{Key: key(authz.KindRole, probeID), Found: true, Permissions: []string{permission}},
		&authz.Fact{Key: key(authz.KindPatientGroup, probeID), Found: true},
		&authz.Fact{Key: key(authz.KindTeamMember, probeID), Found: true, Role: probeID, Access: all},
		&authz.Fact{Key: key(authz.KindTeamMember, inventedProvider), Found: true, Provider: true, Booking: all},
		&authz.Fact{Key: key(authz.KindPatient, inventedPatient), Found: true, PatientGroup: probeID, CareTeam: all},
	)}
}

// dutyRequest asks for a duty in the invented organisation.
func dutyRequest(a *authz.Administration, duty authz.Duty) *authz.Request {
	ask, _ := a.Question(duty)
	r := &authz.Request{
		Subject:  authz.Entity{Type: string(authz.KindTeamMember), ID: probeID},
		Action:   authz.Action{Name: ask.Action},
		Resource: authz.Entity{Type: ask.Resource, ID: probeID + "-new"},
	}
	switch duty {
	case authz.ViewPatient, authz.UpdatePatient, authz.DeletePatient:
		r.Resource.ID = inventedPatient
	case authz.MakeBooking:
		r.Resource.ID, r.Resource.Properties = inventedProvider, map[string]any{"patient": inventedPatient}
	case authz.CancelBooking:
		r.Resource.Properties = map[string]any{"patient": inventedPatient}
	case authz.ViewBooking:
		r.Resource.Properties = map[string]any{"patient": inventedPatient, "provider": inventedProvider}
	}
	return r
}

// reconcile compares the routes that are declared with those that the rule
// data.authz.visibility.routes can have by the form of its heads. A route whose name is
// worked out can have any, and a note says so.
func (r *declaration) reconcile(compiler *ast.Compiler, declared []string) (notes []string) {
	produced, calculated := routesOf(compiler)
	if len(produced) == 0 && calculated == nil && len(declared) > 0 { // it may be left out
		f := r.finding("routes")
		f.Text += ", and there is no data.authz.visibility.routes: reviews and previews count without routes"
		f.Warning = true
		r.warnings = append(r.warnings, f)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(produced)) {
		if slices.Contains(declared, name) {
			continue
		}
		f := findingAt(produced[name])
		f.Text = fmt.Sprintf("data.authz.visibility.routes has the route %s, which data.%s.routes does not name%s", name, administration,
			suggestion(name, declared, "; add it there, where it is to be shown"))
		r.errs = append(r.errs, f)
	}
	if calculated != nil {
		f := findingAt(calculated)
		return []string{fmt.Sprintf("the name of a route is worked out at %s:%d, so whether each route that data.%s.routes names can hold was not checked",
			f.File, f.Row, administration)}
	}
	known := slices.Sorted(maps.Keys(produced))
	for i, name := range declared {
		if produced[name] == nil {
			r.wrong(fmt.Sprintf("routes/%d", i), "is %s, which data.authz.visibility.routes never has%s", name,
				suggestion(name, known, "; take it out, or give the route a rule"))
		}
	}
	return nil
}

// routesOf returns the names that routes can have, each with a place, and the place of one
// whose name is worked out, nil for none.
func routesOf(compiler *ast.Compiler) (produced map[string]*ast.Location, calculated *ast.Location) {
	produced = map[string]*ast.Location{}
	add := func(t *ast.Term, location *ast.Location) {
		if name, ok := t.Value.(ast.String); ok {
			if produced[string(name)] == nil {
				produced[string(name)] = location
			}
			return
		}
		calculated = location
	}
	for _, rule := range compiler.GetRulesExact((&entryPoint{path: entryRoutes}).ref()) {
		for ; rule != nil; rule = rule.Else {
			if rule.Head.Key != nil {
				add(rule.Head.Key, rule.Location)
				continue
			}
			set, ok := rule.Head.Value.Value.(ast.Set)
			if !ok {
				calculated = rule.Location
				continue
			}
			set.Foreach(func(t *ast.Term) { add(t, rule.Location) })
		}
	}
	return produced, calculated
}
