package verify

import (
	"context"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// trying is a store in which a change is looked at as if it were made, and not made: what
// is asked next is about the same facts.
type trying struct{ Store }

// Commit implements admin.Store.
func (t trying) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	p, err := t.Preview(ctx, organisation, change)
	return admin.Committed{Revision: p.Revision, Changed: len(p.Altered) > 0}, err
}

// administer does each of several acts and compares what administration lets happen with
// what the oracle is asked for the same (A1, A4). What the store itself refuses shows nothing.
func (w *world) administer(ctx context.Context, sh *shelf, of []act) ([]answer, error) {
	change, read := answer{shape: "directory, changes"}, answer{shape: "directory, reads"}
	for i := range of {
		a := &of[i]
		if !w.means(a) {
			continue
		}
		in, does, should := &change, w.changes, w.warden(a.actor).changes
		if a.edit.Op == "" {
			in, does, should = &read, w.reads, w.warden(a.actor).reads
		}
		got, err := does(ctx, sh, a, i)
		if incomparable(err) {
			continue
		}
		if err != nil {
			in.err = err
			break
		}
		against, err := should(ctx, a, i)
		if err != nil {
			return nil, err
		}
		in.looked += max(1, len(against), len(got))
		in.got, in.against = append(in.got, got...), append(in.against, against...)
	}
	return []answer{change, read}, nil
}

// means reports whether all that an act names is there, which may not be so any more in a
// smaller organisation.
func (w *world) means(a *act) bool {
	return !slices.ContainsFunc(append(a.names(), authz.Key{Kind: authz.Kind(a.actor.Type), ID: a.actor.ID}), func(key authz.Key) bool {
		return !w.scene.records.has(key)
	})
}

func onlyIf(is bool, what string) []string {
	if !is {
		return nil
	}
	return []string{what}
}

// changes says whether administration lets an edit be made.
func (w *world) changes(ctx context.Context, sh *shelf, a *act, i int) ([]string, error) {
	_, err := sh.admin.Apply(ctx, w.organisation, a.actor, []admin.Edit{a.edit}, admin.Options{})
	if err != nil && isRefusal(err) {
		return nil, nil
	}
	return onlyIf(err == nil, number(i)), err
}

// isRefusal reports whether an error says that the actor may not: something that they do
// not see is not found.
func isRefusal(err error) bool {
	kind := authz.KindOf(err)
	return kind == authz.Forbidden || kind == authz.NotFound
}

// incomparable reports whether an error is about what the store makes of an edit that the
// policy allows: the last holder of everything, a provider with assignments.
func incomparable(err error) bool {
	if err == nil {
		return false
	}
	switch authz.KindOf(err) {
	case authz.Malformed, authz.Conflict, authz.Changed, authz.TooLarge:
		return true
	}
	return false
}

// reads returns what administration shows: of a list each id.
func (w *world) reads(ctx context.Context, sh *shelf, a *act, i int) ([]string, error) {
	if a.read.ID != "" {
		_, _, err := sh.admin.Get(ctx, w.organisation, a.actor, a.read)
		if err != nil && isRefusal(err) {
			return nil, nil
		}
		return onlyIf(err == nil, number(i)), err
	}
	var out []string
	for after := ""; ; {
		page, err := sh.admin.List(ctx, w.organisation, a.actor, a.read.Kind, after, 0)
		if err != nil {
			if isRefusal(err) {
				err = nil
			}
			return out, err
		}
		for _, r := range page.Records {
			out, after = append(out, number(i)+" "+r.ID), r.ID
		}
		if !page.More {
			return out, nil
		}
		if page.Next != "" {
			after = page.Next
		}
	}
}

// warden says what an actor may do by the checks that stand for it: the duties of the
// oracle's Administration, asked of the oracle.
type warden struct {
	*world
	actor admin.Actor
	over  *authz.Service
	names *authz.Administration
}

// madeUp is the id of a patient who stands for any of a group.
const madeUp = "\x00"

func (w *world) warden(actor admin.Actor) *warden {
	return &warden{world: w, actor: actor, over: w.oracle, names: w.Oracle.Administration()}
}

func (a *warden) member() *authz.Fact {
	if a.actor.Type != string(authz.KindTeamMember) {
		return nil
	}
	return a.known[authz.Key{Kind: authz.KindTeamMember, ID: a.actor.ID}]
}

// may asks the oracle about a duty.
func (a *warden) may(ctx context.Context, duty authz.Duty, id, patient, provider string) (bool, error) {
	return a.mayOver(ctx, a.over, duty, id, patient, provider)
}

func (a *warden) mayOver(ctx context.Context, over *authz.Service, duty authz.Duty, id, patient, provider string) (bool, error) {
	ask, declared := a.names.Question(duty)
	if !declared {
		return false, nil
	}
	r := &authz.Request{
		Subject: authz.Entity{Type: a.actor.Type, ID: a.actor.ID}, Action: authz.Action{Name: ask.Action},
		Resource: authz.Entity{Type: ask.Resource, ID: id},
	}
	for name, value := range map[string]string{"patient": patient, "provider": provider} {
		if value == "" {
			continue
		}
		if r.Resource.Properties == nil {
			r.Resource.Properties = map[string]any{}
		}
		r.Resource.Properties[name] = value
	}
	d, _, err := over.Decide(ctx, a.organisation, r, authz.Freshness{})
	return err == nil && d.Allow, ctx.Err()
}

// sees reports whether the actor sees an entity.
func (a *warden) sees(ctx context.Context, key authz.Key) (bool, error) {
	duty := map[authz.Kind]authz.Duty{
		authz.KindRole: authz.ViewRole, authz.KindGroup: authz.ViewGroup, authz.KindTeamMember: authz.ViewTeamMember,
		authz.KindPatientGroup: authz.ViewPatientGroup, authz.KindPatient: authz.ViewPatient, authz.KindBooking: authz.ViewBooking,
	}[key.Kind]
	b := a.booking(key)
	return a.may(ctx, duty, key.ID, b.Patient, b.Provider)
}

// booking returns a booking, the zero one for what is none.
func (a *warden) booking(key authz.Key) admin.Record {
	for _, r := range a.scene.records {
		if key.Kind == authz.KindBooking && r.Key() == key {
			return r
		}
	}
	return admin.Record{}
}

// seesAnyOf reports whether the actor sees the patients of a group, whoever they are (A4).
func (a *warden) seesAnyOf(ctx context.Context, group string) (bool, error) {
	with := maps.Clone(a.known)
	key := authz.Key{Kind: authz.KindPatient, ID: madeUp}
	with[key] = &authz.Fact{Key: key, Found: true, PatientGroup: group}
	return a.mayOver(ctx, authz.NewService(with, a.Oracle), authz.ViewPatient, madeUp, "", "")
}

// reads says what should be shown.
func (a *warden) reads(ctx context.Context, of *act, i int) ([]string, error) {
	if a.member() == nil {
		return nil, nil // a patient reads nothing
	}
	if of.read.ID != "" {
		sees, err := a.sees(ctx, of.read)
		return onlyIf(sees, number(i)), err
	}
	ids := a.scene.records.ids(of.read.Kind)
	slices.Sort(ids)
	var out []string
	for _, id := range ids {
		sees, err := a.sees(ctx, authz.Key{Kind: of.read.Kind, ID: id})
		if err != nil {
			return nil, err
		}
		out = append(out, onlyIf(sees, number(i)+" "+id)...)
	}
	return out, nil
}

// changes says whether an edit should be made.
func (a *warden) changes(ctx context.Context, of *act, i int) ([]string, error) {
	may, err := a.mayChange(ctx, &of.edit)
	return onlyIf(may, number(i)), err
}

func (a *warden) mayChange(ctx context.Context, e *admin.Edit) (bool, error) {
	if a.member() == nil && e.Op != admin.Book && e.Op != admin.Cancel { // B3
		return false, nil
	}
	switch e.Op {
	case admin.Put:
		return a.may(ctx, authz.CreatePatient, e.Record.ID, "", "")
	case admin.Set:
		return a.sets(ctx, e)
	case admin.Link, admin.Unlink:
		return a.links(ctx, e)
	case admin.Delete:
		duty := map[authz.Kind]authz.Duty{
			authz.KindRole: authz.DeleteRole, authz.KindGroup: authz.DeleteGroup, authz.KindTeamMember: authz.DeleteTeamMember,
			authz.KindPatient: authz.DeletePatient, authz.KindBooking: authz.DeleteBooking,
		}[e.Key.Kind]
		return all(
			func() (bool, error) { return a.may(ctx, duty, e.Key.ID, "", "") },
			func() (bool, error) { return a.knows(ctx, e.Key) },
		)
	case admin.Book: // B3, B4
		if a.member() == nil && e.Record.Patient != a.actor.ID {
			return false, nil
		}
		return a.may(ctx, authz.MakeBooking, e.Record.Provider, e.Record.Patient, "")
	default:
		b := a.booking(e.Key)
		if a.member() == nil && b.Patient != a.actor.ID {
			return false, nil
		}
		return a.may(ctx, authz.CancelBooking, b.ID, b.Patient, "")
	}
}

// knows reports whether the actor may know of what an edit is made to (A5): a patient of
// whom the policy allows it, and what they see.
func (a *warden) knows(ctx context.Context, key authz.Key) (bool, error) {
	if key.Kind == authz.KindPatient {
		return true, nil
	}
	sees, err := a.sees(ctx, key)
	if err != nil || sees || key.Kind != authz.KindBooking {
		return sees, err
	}
	b := a.booking(key)
	return a.may(ctx, authz.CancelBooking, b.ID, b.Patient, "")
}

// all reports whether each of several questions, asked in order, is answered with yes.
func all(questions ...func() (bool, error)) (bool, error) {
	for _, ask := range questions {
		if yes, err := ask(); err != nil || !yes {
			return false, err
		}
	}
	return true, nil
}

func (a *warden) sets(ctx context.Context, e *admin.Edit) (bool, error) {
	duty := map[authz.Kind]authz.Duty{
		authz.KindRole: authz.UpdateRole, authz.KindGroup: authz.UpdateGroup, authz.KindTeamMember: authz.UpdateTeamMember,
		authz.KindPatient: authz.UpdatePatient,
	}[e.Key.Kind]
	return all(
		func() (bool, error) { return a.may(ctx, duty, e.Key.ID, "", "") },
		func() (bool, error) { return a.knows(ctx, e.Key) },
		func() (bool, error) {
			was := a.known[e.Key]
			switch e.Key.Kind {
			case authz.KindRole, authz.KindGroup:
				now := grants{{e.Key, e.Fields.Permissions}}
				return a.gives(ctx, e.Key, grants{{e.Key, was.Permissions}}, now, now)
			case authz.KindTeamMember:
				return a.gives(ctx, e.Key, a.grantsOf(was.Role, was.Groups), a.grantsOf(*e.Fields.Role, was.Groups), a.grantsOf(*e.Fields.Role, nil))
			}
			return true, nil
		},
	)
}

func (a *warden) links(ctx context.Context, e *admin.Edit) (bool, error) {
	duty := map[admin.Relation]authz.Duty{
		admin.InGroup: authz.UpdateTeamMember, admin.Access: authz.UpdateAccess, admin.Booking: authz.UpdateBooking, admin.CareTeam: authz.UpdateCareTeam,
	}[e.Relation]
	kind, _ := e.Relation.Ends()
	from := authz.Key{Kind: kind, ID: e.From}
	return all(
		func() (bool, error) { return a.may(ctx, duty, e.From, "", "") },
		func() (bool, error) { return a.sees(ctx, from) },
		func() (bool, error) {
			if e.Op == admin.Unlink || e.Relation == admin.Booking { // B2
				return true, nil
			}
			sees, err := a.sees(ctx, from)
			if err != nil || sees && a.linked(e) {
				return true, err
			}
			switch e.Relation {
			case admin.Access:
				return a.seesAnyOf(ctx, e.To)
			case admin.CareTeam:
				return sees, nil
			}
			was := a.known[from]
			return a.gives(ctx, from, a.grantsOf(was.Role, was.Groups), a.grantsOf(was.Role, append(slices.Clone(was.Groups), e.To)), a.grantsOf("", []string{e.To}))
		},
	)
}

// linked reports whether an edge is there already, a manual place on a care team for one.
func (a *warden) linked(e *admin.Edit) bool {
	return slices.ContainsFunc(a.scene.records, func(r admin.Record) bool {
		list := map[admin.Relation][]string{admin.InGroup: r.Groups, admin.Access: r.Access, admin.CareTeam: r.CareTeam}[e.Relation]
		kind, _ := e.Relation.Ends()
		return r.Kind == kind && r.ID == e.From && slices.Contains(list, e.To)
	})
}

// grants are roles and groups with what they list.
type grants []struct {
	key         authz.Key
	permissions []string
}

func (a *warden) grantsOf(role string, groups []string) grants {
	var out grants
	add := func(key authz.Key) {
		if fact := a.known[key]; fact != nil {
			out = append(out, grants{{key, fact.Permissions}}...)
		}
	}
	add(authz.Key{Kind: authz.KindRole, ID: role})
	for _, id := range groups {
		add(authz.Key{Kind: authz.KindGroup, ID: id})
	}
	return out
}

func (g grants) lists(permission string) bool {
	for _, s := range g {
		if slices.Contains(s.permissions, permission) {
			return true
		}
	}
	return false
}

func (g grants) has(key authz.Key) bool {
	for _, s := range g {
		if s.key == key {
			return true
		}
	}
	return false
}

// gives is A4 of permissions: the actor holds whatever somebody gets. Of a record that the
// actor does not see they know only what the edit says of it; and they give no role and no
// group that they do not see.
func (a *warden) gives(ctx context.Context, of authz.Key, was, now, said grants) (bool, error) {
	own := a.grantsOf(a.member().Role, a.member().Groups)
	if own.lists(a.names.Everything) {
		return true, nil
	}
	sees, err := a.sees(ctx, of)
	if err != nil {
		return false, err
	}
	if !sees {
		was, now = nil, said
	}
	before, _, err := a.seen(ctx, of, was)
	if err != nil {
		return false, err
	}
	after, unseen, err := a.seen(ctx, of, now)
	if err != nil || slices.ContainsFunc(unseen, func(key authz.Key) bool { return !was.has(key) }) {
		return false, err
	}
	return a.holds(ctx, own, before, after)
}

// seen returns those of roles and groups that the actor sees, or writes to, and the others.
func (a *warden) seen(ctx context.Context, written authz.Key, all grants) (seen grants, unseen []authz.Key, err error) {
	for _, s := range all {
		sees, err := a.sees(ctx, s.key)
		switch {
		case err != nil:
			return nil, nil, err
		case sees || s.key == written:
			seen = append(seen, s)
		default:
			unseen = append(unseen, s.key)
		}
	}
	return seen, unseen, nil
}

// holds reports whether own grants have all that is there after an edit and was not before.
// What means nothing today, and what means everything, they have to have as it is listed.
func (a *warden) holds(ctx context.Context, own, before, after grants) (bool, error) {
	var sets [3]map[string]authz.Grant
	for i, of := range []grants{own, before, after} {
		var err error
		if sets[i], err = a.expanded(ctx, of); err != nil {
			return false, err
		}
	}
	for permission := range sets[2] {
		_, mine := sets[0][permission]
		if _, had := sets[1][permission]; !had && !mine {
			return false, nil
		}
	}
	for _, s := range after {
		for _, permission := range s.permissions {
			if own.lists(permission) || before.lists(permission) || before.lists(a.names.Everything) {
				continue
			}
			today, err := a.expanded(ctx, grants{{s.key, []string{permission}}})
			if err != nil || len(today) == 0 || permission == a.names.Everything {
				return false, err
			}
		}
	}
	return true, nil
}

// expanded returns what roles and groups grant together, as the oracle reads it (P2, P3).
func (a *warden) expanded(ctx context.Context, of grants) (map[string]authz.Grant, error) {
	member := &authz.Fact{Key: authz.Key{Kind: authz.KindTeamMember, ID: madeUp}, Found: true}
	facts := []*authz.Fact{member}
	for _, s := range of {
		facts = append(facts, &authz.Fact{Key: s.key, Found: true, Permissions: s.permissions})
		if s.key.Kind == authz.KindRole {
			member.Role = s.key.ID
		} else {
			member.Groups = append(member.Groups, s.key.ID)
		}
	}
	return a.Oracle.Permissions(ctx, member, authz.NewFacts(true, authz.Revision{Count: 1}, facts...))
}
