package review

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// MaxAffected is the most team members whose sight a preview works out.
const MaxAffected = 5000

// Preview is what a change would do to who sees whom, if it were made on the facts at
// the revision stated. In its counts one patient counts once for each member.
type Preview struct {
	// Changes says whether the change would change any fact.
	Changes bool
	// Gained, Lost and Still are those of all members together, without examples.
	Gained, Lost, Still Tally
	// Total is how many team members would gain or lose sight of somebody, or would lose a
	// route to somebody whom they still see.
	Total int
	// Members are those: first those for whom most would be lost and gained, then in the order
	// of their ids; MaxMembers at most.
	Members []MemberPreview
	More    bool // there are more of them than Members
}

// MemberPreview is what a change would do to what one team member sees.
type MemberPreview struct {
	Member        string
	Before, After int // how many patients they see
	// Gained are patients seen only after the change, by the routes that then lead to them;
	// Lost those seen only before, by the routes that led to them.
	Gained, Lost Tally
	// Still are patients seen before and after to whom a route would be lost, by the routes
	// that remain.
	Still Tally
	// Remaining are the routes of Still with their causes after the change, in the order of
	// Still.Routes. Their counts are of all patients whom the route then leads to.
	Remaining []MemberRoute
}

// Tally is how many patients are concerned, and by which routes. A patient counts for
// each of their routes, so that these may add up to more than Patients.
type Tally struct {
	Patients int
	Routes   []RouteCount // in the order of the names; nil for a policy without routes
	Examples []string     // ids of patients, MaxExamples at most
}

// Preview says what edits would do to who sees whom, and changes nothing. Whether the
// viewer may make the edits is not looked at, but only whom they may view they may name,
// and only those are named to them (A5). Errors are those of Member; those of
// admin.Store's Commit about the edits, with fields as edits[2].record.role; and
// TooLarge past MaxAffected.
func (s *Service) Preview(
	ctx context.Context, organisation string, edits []admin.Edit, viewer Viewer, fresh authz.Freshness,
) (*Preview, authz.Stated, error) {
	stated := authz.Stated{Policy: s.rules.Digest()}
	if err := s.mayReview(ctx, organisation, viewer); err != nil {
		return nil, stated, err
	}
	change := admin.Change{Edits: edits, AtLeast: fresh.AtLeast}
	if err := change.Check(); err != nil {
		return nil, stated, err
	}
	ctx, end, err := authz.LongWork(ctx)
	if err != nil {
		return nil, stated, err
	}
	defer end()
	k := s.knowledge(organisation, viewer)
	everybody, err := k.mayName(ctx, edits)
	if err != nil {
		return nil, stated, err
	}
	var out *Preview
	err = atOneRevision(ctx, func() error {
		previewed, err := s.store.Preview(ctx, organisation, change)
		if err != nil {
			return err
		}
		stated.Revision = previewed.Revision
		out, err = s.preview(ctx, organisation, &previewed)
		return err
	})
	if err == nil {
		err = k.inPreview(ctx, out)
	}
	if err != nil && !everybody {
		err = unnamed(err)
	}
	if err != nil {
		return nil, stated, err
	}
	return out, stated, nil
}

// preview compares what is with what would be.
func (s *Service) preview(ctx context.Context, organisation string, previewed *admin.Previewed) (*Preview, error) {
	c := s.comparison(organisation, previewed)
	if err := c.readSources(ctx); err != nil {
		return nil, err
	}
	if err := c.readSizes(ctx); err != nil {
		return nil, err
	}
	affected, err := c.concerned(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.readTeams(ctx, idsOf(affected)); err != nil {
		return nil, err
	}
	var outcomes []*memberOutcome
	for _, m := range affected {
		if err := inTime(ctx); err != nil {
			return nil, err
		}
		o, err := c.compare(ctx, m)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, o)
	}
	others, err := c.bystanders(ctx, affected)
	if err != nil {
		return nil, err
	}
	return c.summary(ctx, append(outcomes, others...), len(previewed.Altered) > 0)
}

// summary adds up what there is to say of each member, and lists it.
func (c *comparison) summary(ctx context.Context, outcomes []*memberOutcome, changes bool) (*Preview, error) {
	outcomes = slices.DeleteFunc(outcomes, func(o *memberOutcome) bool {
		return o.Gained.Patients == 0 && o.Lost.Patients == 0 && o.Still.Patients == 0
	})
	out := &Preview{Changes: changes, Total: len(outcomes)}
	for _, o := range outcomes {
		out.Gained.plus(&o.Gained)
		out.Lost.plus(&o.Lost)
		out.Still.plus(&o.Still)
	}
	slices.SortFunc(outcomes, func(a, b *memberOutcome) int {
		return cmp.Or(
			b.Lost.Patients+b.Gained.Patients-a.Lost.Patients-a.Gained.Patients,
			strings.Compare(a.Member, b.Member),
		)
	})
	out.More = len(outcomes) > MaxMembers
	outcomes = outcomes[:min(len(outcomes), MaxMembers)]
	var partial []*someone
	for _, o := range outcomes {
		if o.partial != nil {
			partial = append(partial, o.partial)
		}
	}
	if err := c.readTeams(ctx, idsOf(partial)); err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		if o.partial != nil {
			if err := inTime(ctx); err != nil {
				return nil, err
			}
			var err error
			if o, err = c.compare(ctx, o.partial); err != nil {
				return nil, err
			}
		}
		out.Members = append(out.Members, o.MemberPreview)
	}
	return out, nil
}

func idsOf(members []*someone) []string {
	out := make([]string, len(members))
	for i, m := range members {
		out[i] = m.id
	}
	return out
}

// plus adds the counts of u.
func (t *Tally) plus(u *Tally) {
	t.Patients += u.Patients
	for _, r := range u.Routes {
		i, known := slices.BinarySearchFunc(t.Routes, r.Name, func(r RouteCount, name string) int { return strings.Compare(r.Name, name) })
		if !known {
			t.Routes = slices.Insert(t.Routes, i, RouteCount{Name: r.Name})
		}
		t.Routes[i].Count += r.Count
	}
}

// inTime gives way to decisions, and is an error once there is no time left.
func inTime(ctx context.Context) error {
	authz.GiveWay(ctx)
	if ctx.Err() == nil {
		return nil
	}
	return &authz.Error{
		Kind: authz.Timeout, Err: ctx.Err(),
		Message: "not everybody was looked at in time; preview a smaller change, or review members one by one",
	}
}
