package review

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// memberOutcome is what a change does to what one member sees.
type memberOutcome struct {
	MemberPreview
	// partial is, while only the patients who change were looked at, who it is about.
	partial *someone
}

// delta counts what a change does to what one member sees.
type delta struct {
	lens                *lens
	before, after       int
	gained, lost, still tally
	ways                *ways // after the change
}

// comparePatient compares how a patient is seen. A nil one does not exist.
func (d *delta) comparePatient(before, after *authz.Fact, many int) {
	was, is := d.lens.seenBy(0, &authz.Candidate{Fact: before}), d.lens.seenBy(1, &authz.Candidate{Fact: after})
	if was.allowed {
		d.before += many
	}
	if is.allowed {
		d.after += many
	}
	switch {
	case is.allowed && !was.allowed:
		d.gained.countPatient(d.lens, after, many, is.routes)
	case was.allowed && !is.allowed:
		d.lost.countPatient(d.lens, before, many, was.routes)
	case is.allowed && was.routes&^is.routes != 0:
		d.still.countPatient(d.lens, after, many, is.routes)
	}
	if is.routes != 0 {
		d.ways.countPatient(d.lens, after, many, is.routes)
	}
}

// compare works out what the change does to a member.
func (c *comparison) compare(ctx context.Context, m *someone) (*memberOutcome, error) {
	was, err := c.ofMember(ctx, m.id, m.before, c.now)
	if err != nil {
		return nil, err
	}
	is := was
	if m.after != m.before {
		if is, err = c.ofMember(ctx, m.id, m.after, c.would); err != nil {
			return nil, err
		}
	}
	l, err := ofPatients(was, is)
	if err != nil {
		return nil, err
	}
	defer c.forget(m.id)
	apart, err := c.exceptions(ctx, l.asked...)
	if err != nil {
		return nil, err
	}
	for _, p := range c.patients {
		delete(apart, p.id)
		if p.before != nil { // whom the size of the group counts
			apart[p.id] = p.before
		}
	}
	d := &delta{lens: l, ways: newWays(l)}
	err = c.eachPatient(ctx, apart, func(patient *authz.Fact, many int) {
		if !c.changed[patient.ID] {
			d.comparePatient(patient, patient, many)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, p := range c.patients {
		d.comparePatient(p.before, p.after, 1)
	}
	return c.report(ctx, m, d, apart)
}

// report writes out what was counted, with examples and what remains.
func (c *comparison) report(ctx context.Context, m *someone, d *delta, apart map[string]*authz.Fact) (*memberOutcome, error) {
	out := &memberOutcome{MemberPreview: MemberPreview{Member: m.id, Before: d.before, After: d.after}}
	for _, t := range []struct {
		from *tally
		to   *Tally
	}{{&d.gained, &out.Gained}, {&d.lost, &out.Lost}, {&d.still, &out.Still}} {
		*t.to = t.from.result(d.lens)
		var err error
		if t.to.Examples, err = t.from.examples(ctx, c.counter, apart); err != nil {
			return nil, err
		}
	}
	if len(out.Still.Routes) == 0 {
		return out, nil
	}
	member := m.after.Get(authz.Key{Kind: authz.KindTeamMember, ID: m.id})
	grants, err := c.would.Grants(ctx, member, m.after)
	if err != nil {
		return nil, err
	}
	bases, err := c.bases(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range out.Still.Routes {
		care, of := 0, bases[r.Name]
		if of.careTeam {
			if care, err = c.careAfter(ctx, m.id); err != nil {
				return nil, err
			}
		}
		i := slices.Index(d.lens.names, r.Name)
		out.Remaining = append(out.Remaining, d.ways.route(i, r.Name, of, member, grants, c.after, care))
	}
	return out, nil
}

// careAfter counts the patients whom a member would look after.
func (c *comparison) careAfter(ctx context.Context, member string) (int, error) {
	team, err := c.team(ctx, member)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, patient := range team {
		if !c.changed[patient.ID] {
			n++
		}
	}
	for _, p := range c.patients {
		if p.after != nil && slices.Contains(p.after.CareTeam, member) {
			n++
		}
	}
	return n, nil
}

// class is changed patients whom the policy tells nobody apart from.
type class struct {
	was, is int // the sights in a lens
	many    int
}

// bystanders returns what the change does to the members other than those concerned:
// they may see the changed patients otherwise.
func (c *comparison) bystanders(ctx context.Context, concerned []*someone) ([]*memberOutcome, error) {
	classes, l, err := c.classes(ctx)
	if err != nil || len(classes) == 0 {
		return nil, err
	}
	done := make(map[string]bool, len(concerned))
	for _, m := range concerned {
		done[m.id] = true
	}
	var out []*memberOutcome
	err = c.members(ctx, func(member *authz.Fact, facts *authz.Facts) error {
		if done[member.ID] {
			return nil
		}
		d, candidate := &delta{lens: l}, c.now.Candidate(ctx, member, facts)
		for i := range classes {
			if err := inTime(ctx); err != nil {
				return err
			}
			d.compareClass(&classes[i], candidate)
		}
		if err := c.now.Err(); err != nil {
			return err
		}
		if d.gained.patients+d.lost.patients+d.still.patients > 0 {
			out = append(out, &memberOutcome{
				MemberPreview: MemberPreview{
					Member: member.ID, Gained: d.gained.result(l), Lost: d.lost.result(l), Still: d.still.result(l),
				},
				partial: c.someone(member.ID, facts),
			})
		}
		return nil
	})
	return out, err
}

// compareClass compares how a member sees patients.
func (d *delta) compareClass(class *class, member *authz.Candidate) {
	was, is, many := d.lens.seenBy(class.was, member), d.lens.seenBy(class.is, member), class.many
	switch {
	case is.allowed && !was.allowed:
		d.gained.count(d.lens, many, is.routes)
	case was.allowed && !is.allowed:
		d.lost.count(d.lens, many, was.routes)
	case is.allowed && was.routes&^is.routes != 0:
		d.still.count(d.lens, many, is.routes)
	}
}

// classes returns the changed patients by who sees them before and after, without those
// for whom that is the same.
func (c *comparison) classes(ctx context.Context) ([]class, *lens, error) {
	var classes []class
	var sights []*sight
	known := map[string]int{}
	for _, p := range c.patients {
		if err := inTime(ctx); err != nil {
			return nil, nil, err
		}
		was, err := c.ofPatient(ctx, p.before)
		if err != nil {
			return nil, nil, err
		}
		is, err := c.ofPatient(ctx, p.after)
		if err != nil {
			return nil, nil, err
		}
		before, err := was.canonical()
		if err != nil {
			return nil, nil, err
		}
		after, err := is.canonical()
		if err != nil {
			return nil, nil, err
		}
		if before == after {
			continue
		}
		pair := before + "\n" + after
		i, again := known[pair]
		if !again {
			i = len(classes)
			known[pair] = i
			classes = append(classes, class{was: len(sights), is: len(sights) + 1})
			sights = append(sights, was, is)
		}
		classes[i].many++
	}
	l, err := newLens(sights...)
	return classes, l, err
}

// canonical writes a sight so that two that are written alike say the same.
func (s *sight) canonical() (string, error) {
	text, err := json.Marshal([]any{s.allow, s.routes})
	if err != nil {
		return "", &authz.Error{Kind: authz.Internal, Message: "what is left of the rule cannot be compared", Err: err}
	}
	return string(text), nil
}
