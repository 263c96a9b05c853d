package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/caregate/caregate/internal/authz"
)

// The organisation that every question is about.
const (
	organisationName  = "riverside"
	organisationSeed  = 20260627
	memberCount       = 1000
	patientGroupCount = 200
	patientCount      = 20000
	groupCount        = 20
)

// organisation is a generated organisation, the same in every process. It is the
// authz.Directory of facts at hand: nothing is fetched, each read joins the facts
// it was asked for.
type organisation struct {
	facts map[authz.Key]*authz.Fact

	others        []*authz.Fact // all but patients, each after what it refers to
	members       []*authz.Fact
	providers     []*authz.Fact
	patients      []*authz.Fact
	patientGroups []string
	patientsOf    map[string][]*authz.Fact // by patient group
	caredForBy    map[string][]*authz.Fact // by team member
}

// newOrganisation generates the organisation: 10 roles, 20 groups, each member in
// 1 to 3 groups with Access to 1 to 8 patient groups, care teams of 1 to 4, and
// every fourth member a provider whom the patients of 1 to 6 groups may book.
func newOrganisation(patientCount int) *organisation {
	r := rand.New(rand.NewPCG(organisationSeed, 0)) //nolint:gosec // the same numbers every time
	o := &organisation{
		facts:      map[authz.Key]*authz.Fact{},
		patientsOf: map[string][]*authz.Fact{},
		caredForBy: map[string][]*authz.Fact{},
	}
	var roleIDs, groups, memberIDs []string
	for _, role := range roles() {
		o.other(authz.KindRole, role.id, &authz.Fact{Permissions: role.permissions})
		roleIDs = append(roleIDs, role.id)
	}
	for i := range groupCount {
		groups = append(groups, fmt.Sprintf("group-%02d", i))
		o.other(authz.KindGroup, groups[i], &authz.Fact{Permissions: groupPermissions(i)})
	}
	for i := range patientGroupCount {
		o.patientGroups = append(o.patientGroups, fmt.Sprintf("population-%03d", i))
		o.other(authz.KindPatientGroup, o.patientGroups[i], new(authz.Fact))
	}
	for i := range memberCount {
		memberIDs = append(memberIDs, fmt.Sprintf("m-%d", i+1))
		member := &authz.Fact{Role: one(r, roleIDs), Groups: some(r, groups, 3), Access: some(r, o.patientGroups, 8)}
		o.members = append(o.members, o.other(authz.KindTeamMember, memberIDs[i], member))
		if i%4 == 0 {
			member.Provider, member.Booking = true, some(r, o.patientGroups, 6)
			o.providers = append(o.providers, member)
		}
	}
	for i := range patientCount {
		patient := &authz.Fact{PatientGroup: one(r, o.patientGroups), CareTeam: some(r, memberIDs, 4)}
		o.patients = append(o.patients, o.add(authz.KindPatient, fmt.Sprintf("p-%d", i+1), patient))
		o.patientsOf[patient.PatientGroup] = append(o.patientsOf[patient.PatientGroup], patient)
		for _, member := range patient.CareTeam {
			o.caredForBy[member] = append(o.caredForBy[member], patient)
		}
	}
	return o
}

func (o *organisation) add(kind authz.Kind, id string, fact *authz.Fact) *authz.Fact {
	fact.Key, fact.Found = authz.Key{Kind: kind, ID: id}, true
	o.facts[fact.Key] = fact
	return fact
}

func (o *organisation) other(kind authz.Kind, id string, fact *authz.Fact) *authz.Fact {
	o.others = append(o.others, o.add(kind, id, fact))
	return fact
}

// Read returns the facts for keys, and for a team member those of role and groups.
func (o *organisation) Read(_ context.Context, _ string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	found := make([]*authz.Fact, 0, 8)
	for _, key := range keys {
		fact := o.facts[key]
		if fact == nil {
			continue
		}
		found = append(found, fact)
		if fact.Kind == authz.KindTeamMember {
			found = append(found, o.facts[authz.Key{Kind: authz.KindRole, ID: fact.Role}])
			for _, id := range fact.Groups {
				found = append(found, o.facts[authz.Key{Kind: authz.KindGroup, ID: id}])
			}
		}
	}
	return authz.NewFacts(true, authz.Revision{Count: 12, Nonce: "ab34cd"}, found...), nil
}

func one[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// some returns between one and most of all, without repetition.
func some(r *rand.Rand, all []string, most int) []string {
	n := 1 + r.IntN(most)
	chosen := make([]string, 0, n)
	taken := map[int]bool{}
	for len(chosen) < n {
		if i := r.IntN(len(all)); !taken[i] {
			taken[i] = true
			chosen = append(chosen, all[i])
		}
	}
	return chosen
}

// role is a role with its permissions.
type role struct {
	id          string
	permissions []string
}

func roles() []role {
	return []role{
		{"practitioner", []string{"patient:view", "patient:update", "appointment:*", "clinical_note:*", "calendar:view", "schedule:view"}},
		{"consultant", []string{"patient:view", "patient:update", "clinical_note:view", "clinical_note:create", "calendar:*"}},
		{"nurse", []string{"patient:view", "clinical_note:view", "calendar:view", "schedule:view"}},
		{"receptionist", []string{"calendar:view", "schedule:view", "appointment:view", "appointment:create"}},
		{"practice-manager", []string{
			"patient:view_all", "patient:view", "report:view", "schedule:*", "settings:view", "settings:update", "user:view",
		}},
		{"auditor", []string{"patient:view_all", "report:view"}},
		{"pharmacist", []string{"stock:*", "patient:view"}},
		{"records-officer", []string{"patient:view", "patient:delete", "clinical_note:delete"}},
		{"trainee", []string{"calendar:view"}},
		{"administrator", []string{"*:*"}},
	}
}

// groupPermissions are those of the group i; there are seven kinds of groups.
func groupPermissions(i int) []string {
	return [][]string{
		{"patient:view", "patient:create", "patient:update"},
		{"patient:view", "patient:create", "appointment:*", "calendar:*"},
		{"settings:*", "user:*"},
		{"patient:delete", "clinical_note:delete"},
		{"stock:*"},
		{"report:view", "report:create"},
		{"clinical_note:create", "clinical_note:update", "stock:view"},
	}[i%7]
}
