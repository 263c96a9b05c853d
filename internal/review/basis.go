package review

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// basis is what a route stands on, as the policy says of it when neither the member nor the
// patient is known: which of their facts it looks at. No route is known here by its name.
type basis struct {
	permissions      []string // that the member may hold for it (as V1)
	access, careTeam bool     // it compares with the member's Access (V2), with a care team (V3)
}

// bases returns the basis of every route. A policy that leaves the fragment for nobody in
// particular says of none what it stands on.
func (c *counter) bases(ctx context.Context) (map[string]basis, error) {
	general, err := c.anybodys(ctx)
	if err != nil || general == nil {
		return nil, err
	}
	out := make(map[string]basis, len(general.routes))
	for name, r := range general.routes {
		out[name] = basisOf(r)
	}
	return out, nil
}

func basisOf(r *authz.Residual) (b basis) {
	for _, all := range r.Any {
		for _, c := range all {
			if c.Not {
				continue
			}
			for _, leaf := range []authz.Leaf{c.Leaf, c.Other} {
				switch ofMember := leaf.Reference == authz.SubjectLeaf; {
				case ofMember && leaf.Fact == authz.FactPermissions:
					b.permissions = append(b.permissions, c.Values...)
				case ofMember && leaf.Fact == authz.FactAccess:
					b.access = true
				case !ofMember && leaf.Fact == authz.FactCareTeam:
					b.careTeam = true
				}
			}
		}
	}
	slices.Sort(b.permissions)
	b.permissions = slices.Compact(b.permissions)
	return b
}

// needed returns the permissions without which nothing of a rule holds, in order.
func needed(r *authz.Residual) []string {
	var out []string
	for i, all := range r.Any {
		held := basisOf(&authz.Residual{Any: [][]authz.Condition{all}}).permissions
		if i == 0 {
			out = held
			continue
		}
		out = slices.DeleteFunc(out, func(p string) bool { return !slices.Contains(held, p) })
	}
	return out
}

// grant returns the first of the permissions that a member holds, with where from.
func (b *basis) grant(grants map[string]authz.Grant) (permission string, grant *authz.Grant) {
	for _, permission := range b.permissions {
		if g, held := grants[permission]; held {
			return permission, &g
		}
	}
	return "", nil
}

// Blind finds members who hold a permission that is a route to patients (V1), and to whom
// the policy opens no patient all the same (V7). It is for one goroutine.
type Blind struct {
	counter  *counter
	holdings *authz.Holdings
}

// NewBlind returns a Blind by rules.
func NewBlind(rules authz.Rules) *Blind {
	return &Blind{&counter{rules: rules, organisation: nobody}, authz.NewHoldings(rules)}
}

// Member returns the permission of a route that a member holds to no end, "" for none, where
// it comes from, and the permissions that they lack. A policy whose rule cannot be turned
// into a filter has nobody found.
func (b *Blind) Member(ctx context.Context, member *authz.Fact, facts *authz.Facts) (
	permission string, by authz.Grant, lacks []string, err error,
) {
	bases, err := b.counter.bases(ctx)
	if err != nil || len(bases) == 0 {
		return "", by, nil, err
	}
	held, err := b.counter.rules.Permissions(ctx, member, facts)
	if err != nil {
		return "", by, nil, err
	}
	for _, route := range b.counter.general.names() {
		of := bases[route]
		name, grant := of.grant(held)
		if grant == nil {
			continue
		}
		sight := b.counter.general.evaluated(authz.SubjectLeaf, b.holdings.Candidate(ctx, member, facts))
		if err := b.holdings.Err(); err != nil || !sight.allow.Never() {
			return "", by, nil, err
		}
		for _, p := range needed(b.counter.general.allow) {
			if _, has := held[p]; !has {
				lacks = append(lacks, p)
			}
		}
		return name, *grant, lacks, nil
	}
	return "", by, nil, nil
}
