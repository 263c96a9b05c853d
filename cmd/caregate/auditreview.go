package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/review"
)

// The rules of an audit that are the policy's. Both are advice.
const (
	rulePermission audit.Rule = "P4" // the catalogue has every permission
	ruleScope      audit.Rule = "V7" // who sees all patients may open them
)

func titleOf(rule audit.Rule) string {
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
	sight  *review.Blind
	// grants says of each permission that was listed whether the policy knows it.
	grants map[string]bool
	// unknown are the permissions of a role or group that grant nothing, and blind
	// the members to whom one gives View All Patients and nothing opens a patient.
	unknown map[authz.Key][]string
	blind   map[blindness]map[string]bool
}

// blindness is a permission that shows all patients, where it comes from, and what is lacking
// for one of them to be opened, as it is said.
type blindness struct {
	by                authz.Key
	permission, lacks string
}

func newReviewer(rules authz.Rules) *reviewer {
	return &reviewer{
		policy: rules, sight: review.NewBlind(rules), grants: map[string]bool{},
		unknown: map[authz.Key][]string{}, blind: map[blindness]map[string]bool{},
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
	permission, grant, lacks, err := r.sight.Member(ctx, fact, facts)
	if err != nil || permission == "" {
		return err
	}
	of := blindness{permission: permission, lacks: strings.Join(lacks, " and ")}
	if of.lacks == "" {
		of.lacks = "a permission to view one"
	}
	add := func(kind authz.Kind, id string) {
		if of.by = (authz.Key{Kind: kind, ID: id}); r.blind[of] == nil {
			r.blind[of] = map[string]bool{}
		}
		r.blind[of][fact.ID] = true
	}
	if grant.Role != "" {
		add(authz.KindRole, grant.Role)
	}
	for _, group := range grant.Groups {
		add(authz.KindGroup, group)
	}
	return nil
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
func (r *reviewer) findings() []audit.Finding {
	var found []audit.Finding
	for _, of := range slices.SortedFunc(maps.Keys(r.blind), func(a, b blindness) int {
		return cmp.Or(compareKeys(a.by, b.by), strings.Compare(a.permission, b.permission), strings.Compare(a.lacks, b.lacks))
	}) {
		members := slices.Sorted(maps.Keys(r.blind[of]))
		found = append(found, audit.Finding{
			Rule: ruleScope, Kind: string(of.by.Kind), ID: audit.Printable(of.by.ID), Advice: true,
			What: fmt.Sprintf("grants %s to %s without %s, so that they open no record: %s",
				of.permission, counted(len(members), "member"), of.lacks, first(members)),
			Remedy: "grant " + of.lacks + " as well, or leave it if lists and reports are all that they are to see",
		})
	}
	for _, key := range slices.SortedFunc(maps.Keys(r.unknown), compareKeys) {
		found = append(found, audit.Finding{
			Rule: rulePermission, Kind: string(key.Kind), ID: audit.Printable(key.ID), Advice: true,
			What:   "lists what the catalogue does not have, so that it grants nothing: " + first(r.unknown[key]),
			Remedy: "correct the permission, or add its type and action to the catalogue",
		})
	}
	return found
}

func compareKeys(a, b authz.Key) int {
	return strings.Compare(string(a.Kind)+":"+a.ID, string(b.Kind)+":"+b.ID)
}

// first names the first few of a list.
func first(items []string) string {
	const most = 5
	var b strings.Builder
	for i, item := range items[:min(len(items), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(audit.Printable(item))
	}
	if len(items) > most {
		fmt.Fprintf(&b, " and %d more", len(items)-most)
	}
	return b.String()
}
