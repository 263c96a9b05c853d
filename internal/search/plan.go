package search

import (
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// plan is where the results for a residual can be: every one of them is in one of the
// indexes or among the ids.
type plan struct {
	indexes []Index
	ids     []string // in order
	// exact is true where everything in them is a result.
	exact bool
}

// nowhere reports whether there can be no results.
func (p *plan) nowhere() bool { return len(p.indexes) == 0 && len(p.ids) == 0 }

// planFor makes the plan for entities of a kind. One condition of each alternative, the
// one that is likely to hold for the fewest, says where what fulfils it is.
func planFor(kind authz.Kind, r *authz.Residual) plan {
	p := plan{exact: true}
	for _, all := range r.Any {
		narrowest := -1
		for i := range all {
			if breadth(kind, &all[i]) > 0 && (narrowest < 0 || breadth(kind, &all[i]) < breadth(kind, &all[narrowest])) {
				narrowest = i
			}
		}
		if narrowest < 0 { // only reading all of them finds those
			return plan{indexes: []Index{{}}, exact: r.Always()}
		}
		p.exact = p.exact && len(all) == 1
		p.take(&all[narrowest])
	}
	slices.SortFunc(p.indexes, func(i, j Index) int {
		if i.Relation != j.Relation {
			return strings.Compare(string(i.Relation), string(j.Relation))
		}
		return strings.Compare(i.To, j.To)
	})
	p.indexes = slices.Compact(p.indexes)
	slices.Sort(p.ids)
	p.ids = slices.Compact(p.ids)
	return p
}

// take puts what fulfils a condition into the plan. What no entity can be called is in
// no index.
func (p *plan) take(c *authz.Condition) {
	for _, v := range c.Values {
		switch {
		case !admin.ValidID(v):
		case c.Leaf.Fact == authz.FactID:
			p.ids = append(p.ids, v)
		default:
			p.indexes = append(p.indexes, Index{Relation: relationOf(c.Leaf.Fact), To: v})
		}
	}
}

// breadth orders conditions by how many entities they are likely to leave, and is 0
// for one that no index answers.
func breadth(kind authz.Kind, c *authz.Condition) int {
	if c.Not || c.Leaf.Reference != "" {
		return 0
	}
	if c.Op == authz.In && c.Leaf.Fact == authz.FactID {
		return 1
	}
	f := model.FieldOf(kind, c.Leaf.Fact)
	if f == nil || !f.Leaf || f.Relation == "" || (c.Op == authz.Has) != (f.Type == model.IDs) || c.Op != authz.Has && c.Op != authz.In {
		return 0
	}
	narrowest := []admin.Relation{admin.CareTeam, admin.Booking, admin.Access, admin.MemberOfGroup, admin.RoleOf, admin.PatientGroupOf}
	if i := slices.Index(narrowest, f.Relation); i >= 0 {
		return 2 + i
	}
	return 2 + len(narrowest)
}

// relationOf returns the relation that a fact is one side of, "" for none.
func relationOf(fact string) admin.Relation {
	for _, kind := range model.Kinds() {
		if f := model.FieldOf(kind, fact); f != nil && f.Leaf {
			return f.Relation
		}
	}
	return ""
}
