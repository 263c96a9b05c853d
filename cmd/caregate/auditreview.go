package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
)

// The rules of an audit that are the policy's. Both are advice.
const (
	rulePermission directory.Rule = "P4" // the catalogue has every permission
	ruleScope      directory.Rule = "V7" // who sees all patients may open them
)

// The permissions of V7.
const (
	viewAll = "patient:view_all"
	view    = "patient:view"
)

func titleOf(rule directory.Rule) string {
	switch rule {
	case rulePermission:
		return "permissions that the catalogue does not have"
	case ruleScope:
		return "View All Patients without the permission to open one"
	default:
		return rule.Title()
	}
}

// reviewer looks at what the policy makes of the roles, groups and members of an
// organisation. What it keeps is of those with a finding, and the permissions
// that were listed.
type reviewer struct {
	policy authz.Policy
	// grants says of each permission that was listed whether the policy knows it.
	grants map[string]bool
	// unknown are the permissions of a role or group that grant nothing, and blind
	// the members to whom one gives View All Patients and nothing gives patient:view.
	unknown map[authz.Key][]string
	blind   map[authz.Key]map[string]bool
}

func newReviewer(policy authz.Policy) *reviewer {
	return &reviewer{
		policy: policy, grants: map[string]bool{},
		unknown: map[authz.Key][]string{}, blind: map[authz.Key]map[string]bool{},
	}
}

// review looks at one role, group or team member.
func (r *reviewer) review(ctx context.Context, fact *authz.Fact, facts *authz.Facts) error {
	if r.policy.Catalogue() == nil { // a policy of another kind, which has no such rules
		return nil
	}
	if fact.Kind != authz.KindTeamMember {
		return r.reviewListed(ctx, fact)
	}
	held, err := r.policy.Permissions(ctx, fact, facts)
	if err != nil {
		return err
	}
	all, has := held[viewAll]
	if _, opens := held[view]; !has || opens {
		return nil
	}
	if all.Role != "" {
		r.addBlind(authz.Key{Kind: authz.KindRole, ID: all.Role}, fact.ID)
	}
	for _, group := range all.Groups {
		r.addBlind(authz.Key{Kind: authz.KindGroup, ID: group}, fact.ID)
	}
	return nil
}

func (r *reviewer) addBlind(by authz.Key, member string) {
	if r.blind[by] == nil {
		r.blind[by] = map[string]bool{}
	}
	r.blind[by][member] = true
}

// reviewListed looks at the permissions of a role or group: one is known if the
// policy grants anything to a member who has nothing else.
func (r *reviewer) reviewListed(ctx context.Context, fact *authz.Fact) error {
	var unknown []string
	for _, permission := range fact.Permissions {
		known, asked := r.grants[permission]
		if !asked {
			role := &authz.Fact{Key: authz.Key{Kind: authz.KindRole, ID: "audited"}, Found: true, Permissions: []string{permission}}
			member := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: "audited"}, Found: true, Role: role.ID}
			held, err := r.policy.Permissions(ctx, member, authz.NewFacts(true, authz.Revision{}, role, member))
			if err != nil {
				return err
			}
			known = len(held) > 0
			r.grants[permission] = known
		}
		if !known {
			unknown = append(unknown, permission)
		}
	}
	if len(unknown) > 0 {
		r.unknown[fact.Key] = unknown
	}
	return nil
}

// findings returns what there is to say, in order.
func (r *reviewer) findings() []directory.Finding {
	var found []directory.Finding
	for _, key := range sortedKeys(r.blind) {
		members := slices.Sorted(maps.Keys(r.blind[key]))
		found = append(found, directory.Finding{
			Rule: ruleScope, Kind: string(key.Kind), ID: directory.Printable(key.ID), Advice: true,
			What:   fmt.Sprintf("grants %s to %s without %s, so that they open no record: %s", viewAll, counted(len(members), "member"), view, first(members)),
			Remedy: "grant " + view + " as well, or leave it if lists and reports are all that they are to see",
		})
	}
	for _, key := range sortedKeys(r.unknown) {
		found = append(found, directory.Finding{
			Rule: rulePermission, Kind: string(key.Kind), ID: directory.Printable(key.ID), Advice: true,
			What:   "lists what the catalogue does not have, so that it grants nothing: " + first(r.unknown[key]),
			Remedy: "correct the permission, or add its type and action to the catalogue",
		})
	}
	return found
}

func sortedKeys[V any](m map[authz.Key]V) []authz.Key {
	return slices.SortedFunc(maps.Keys(m), func(a, b authz.Key) int {
		return strings.Compare(string(a.Kind)+":"+a.ID, string(b.Kind)+":"+b.ID)
	})
}

// first names the first few of a list.
func first(items []string) string {
	const most = 5
	var b strings.Builder
	for i, item := range items[:min(len(items), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(directory.Printable(item))
	}
	if len(items) > most {
		fmt.Fprintf(&b, " and %d more", len(items)-most)
	}
	return b.String()
}
