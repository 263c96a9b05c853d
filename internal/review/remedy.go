package review

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// The bounds of what is tried for a deny. What is left out is said to be left out.
const (
	// maxSources is the most roles and groups of an organisation that are tried as further
	// ones, and maxOwn the most of those that the member has, whichever fewest have.
	maxSources = 1000
	maxOwn     = 100
	// maxRemedies is the most that are worked out of one form: a further group, another
	// role, another permission of a role or group.
	maxRemedies = 50
	// maxEvaluated is the most facts that are gone through by a policy which has to be
	// evaluated for each change.
	maxEvaluated = 100_000
)

// Remedy is one change that would allow what was denied.
type Remedy struct {
	Edit admin.Edit // the change, as POST /directory/v1/edits takes it
	Text string     // in a sentence, for an administrator
	// Members is how many team members the change is about: one, or all who have the role
	// or are in the group that it changes.
	Members int
	// Patients is how many patients it would open to the one who asked, for the same action;
	// for a change of a role or a group, to all of Members together, one patient counted for
	// each member who gains them. For a report on a patient group they are those of the groups
	// that open. It is -1 where that cannot be counted, and 0 where no patient is in question.
	Patients int
}

// trial is a question that was denied, with what might change that.
type trial struct {
	*Service
	counter  *counter
	question authz.Question
	needs    string         // the permission that the question needs, "" when nobody says
	counted  map[string]int // patients opened, by what is left of the rule before and after

	member  *authz.Fact                            // who asks, nil for others than team members
	holds   map[string]authz.Grant                 // what the member holds
	alone   map[*authz.Fact]map[string]authz.Grant // what a role or group grants by itself
	who     *authz.Predicate                       // who may do it, nil where that cannot be said
	general generally
	sources sourceHolders
	seen    int // facts gone through by evaluations
}

// remedies tries every change of one fact that could allow the question and returns
// those that do. more says that there are changes that were not tried.
func (t *trial) remedies(ctx context.Context) (out []Remedy, more bool, err error) {
	roles, groups, more, err := t.others(ctx)
	if err != nil {
		return nil, false, err
	}
	if err := t.ready(ctx); err != nil {
		return nil, false, err
	}
	own, moreOwn, err := t.own(ctx)
	if err != nil {
		return nil, false, err
	}
	more = more || moreOwn
	var work []candidate
	of := map[form]int{}
	for c := range t.candidates(roles, groups, own) {
		if of[c.form] == maxRemedies || t.seen > maxEvaluated {
			more = true
			continue
		}
		if authz.GiveWay(ctx); ctx.Err() != nil {
			return nil, false, &authz.Error{Kind: authz.Timeout, Message: "not everything that might allow it was tried in time", Err: ctx.Err()}
		}
		allowed, err := t.allows(ctx, &c)
		if err != nil {
			return nil, false, err
		}
		if !allowed {
			continue
		}
		possible, err := t.possible(ctx, c.edit)
		if err != nil {
			return nil, false, err
		}
		if possible {
			work = append(work, c)
			if c.form != direct {
				of[c.form]++
			}
		}
	}
	for _, c := range work {
		authz.GiveWay(ctx)
		r := Remedy{Edit: c.edit, Text: c.text, Members: 1}
		if c.holders == "" {
			r.Patients, err = t.patients(ctx, &c)
		} else {
			r.Members, r.Patients, err = t.patientsOfAll(ctx, &c)
			r.Text += members(r.Members)
		}
		if err != nil {
			return nil, false, err
		}
		out = append(out, r)
	}
	many := func(r Remedy) uint { return uint(r.Patients) } // what cannot be counted is the most
	slices.SortFunc(out, func(a, b Remedy) int {
		return cmp.Or(cmp.Compare(many(a), many(b)), cmp.Compare(a.Members, b.Members), strings.Compare(a.Text, b.Text))
	})
	return out, more, nil
}

// possible reports whether the store would make an edit: it refuses to take the last
// holder of user:* away, for one (A4).
func (t *trial) possible(ctx context.Context, edit admin.Edit) (bool, error) {
	previewed, err := t.store.Preview(ctx, t.counter.organisation, admin.Change{Edits: []admin.Edit{edit}})
	if err == nil && previewed.Revision != t.counter.at {
		return false, admin.Moved()
	}
	if err == nil {
		return true, nil
	}
	switch authz.KindOf(err) {
	case authz.Malformed, authz.Conflict, authz.NotFound, authz.TooLarge:
		return false, nil
	}
	return false, err
}

// decisionsFrom returns a service that decides from facts as they would be.
func (t *trial) decisionsFrom(facts *authz.Facts) *authz.Service {
	return authz.NewService(reading{facts}, t.rules)
}

// others reads roles and groups of the organisation, up to a bound of both together.
func (t *trial) others(ctx context.Context) (roles, groups []*authz.Fact, more bool, err error) {
	all := []search.Index{{}}
	roles, more, err = t.counter.facts(ctx, search.Range{Kind: authz.KindRole, Indexes: all}, maxSources)
	if err != nil {
		return nil, nil, false, err
	}
	groups, moreGroups, err := t.counter.facts(ctx, search.Range{Kind: authz.KindGroup, Indexes: all}, maxSources-len(roles))
	return roles, groups, more || moreGroups, err
}

// facts reads the first facts of a range at the revision of the counter, and says
// whether there are more.
func (c *counter) facts(ctx context.Context, r search.Range, most int) (out []*authz.Fact, more bool, err error) {
	r.At, r.Facts = &c.at, true
	for {
		authz.GiveWay(ctx)
		r.Limit = min(pageSize, most-len(out)+1) // one beyond shows that there are more
		found, err := c.store.Range(ctx, c.organisation, r, authz.Freshness{})
		switch {
		case err != nil:
			return nil, false, err
		case found.Revision != c.at:
			return nil, false, admin.Moved()
		case found.More && len(found.IDs) == 0:
			return nil, false, emptyPage()
		}
		for _, id := range found.IDs {
			if len(out) == most {
				return out, true, nil
			}
			out = append(out, found.Facts.Get(authz.Key{Kind: r.Kind, ID: id}))
		}
		if !found.More {
			return out, false, nil
		}
		r.After = found.IDs[len(found.IDs)-1]
	}
}
