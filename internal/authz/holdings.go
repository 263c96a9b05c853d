package authz

import (
	"context"
	"strings"
)

// Holdings says which permissions members hold. It asks the policy once for each
// combination of a role and groups, which have to be the same in all facts that it is
// given. It is not safe for concurrent use.
type Holdings struct {
	policy Policy
	by     map[string]map[string]Grant
	err    error
}

// NewHoldings returns holdings by a policy, of which nothing was asked yet.
func NewHoldings(policy Policy) *Holdings {
	return &Holdings{policy: policy, by: map[string]map[string]Grant{}}
}

// Grants returns what a member holds, by facts that have their role and groups.
func (h *Holdings) Grants(ctx context.Context, member *Fact, facts *Facts) (map[string]Grant, error) {
	from := member.Role + "\x00" + strings.Join(member.Groups, "\x00") // which no id has
	if grants, known := h.by[from]; known {
		return grants, nil
	}
	grants, err := h.policy.Permissions(ctx, member, facts)
	if err != nil {
		return nil, err
	}
	h.by[from] = grants
	return grants, nil
}

// Candidate makes an entity ready for a Predicate, by facts that have the role and the
// groups of a member. What cannot be said is not held, and Err says so: a negated
// condition would take it for a yes.
func (h *Holdings) Candidate(ctx context.Context, fact *Fact, facts *Facts) *Candidate {
	var of *Fact // whose grants these are: mostly fact itself, asked about many conditions
	var grants map[string]Grant
	return &Candidate{Fact: fact, Holds: func(member *Fact, permission string) bool {
		if h.err != nil {
			return false
		}
		if of != member {
			if grants, h.err = h.Grants(ctx, member, facts); h.err != nil {
				return false
			}
			of = member
		}
		_, held := grants[permission]
		return held
	}}
}

// Err returns the first error of what candidates asked, nil for none.
func (h *Holdings) Err() error { return h.err }
