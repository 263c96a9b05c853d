package verify

import (
	"context"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// warden says what an actor may do by the checks that stand for it: the duties of the
// oracle's Administration, asked of the oracle.
type warden struct {
	*world
	actor     admin.Actor
	decisions *authz.Service
	names     *authz.Administration
}

// madeUp is the id of a patient who stands for any of a group.
const madeUp = "\x00"

func (w *world) warden(actor admin.Actor) *warden {
	return &warden{world: w, actor: actor, decisions: w.oracle, names: w.Oracle.Administration()}
}

func (a *warden) member() *authz.Fact {
	if a.actor.Type != string(authz.KindTeamMember) {
		return nil
	}
	return a.known[authz.Key{Kind: authz.KindTeamMember, ID: a.actor.ID}]
}

// may asks the oracle about a duty.
func (a *warden) may(ctx context.Context, duty authz.Duty, id, patient, provider string) (bool, error) {
	return a.mayBy(ctx, a.decisions, duty, id, patient, provider)
}

func (a *warden) mayBy(ctx context.Context, over *authz.Service, duty authz.Duty, id, patient, provider string) (bool, error) {
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
	if ctx.Err() != nil {
		return false, late(ctx, err)
	}
	return err == nil && d.Allow, nil
}

// sees reports whether the actor sees an entity.
func (a *warden) sees(ctx context.Context, key authz.Key) (bool, error) {
	b := a.booking(key)
	return a.may(ctx, authz.DutyOf(key.Kind, "view"), key.ID, b.Patient, b.Provider)
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
	return a.mayBy(ctx, authz.NewService(with, a.Oracle), authz.ViewPatient, madeUp, "", "")
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
		return allOf(
			func() (bool, error) { return a.may(ctx, authz.DutyOf(e.Key.Kind, "delete"), e.Key.ID, "", "") },
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

// allOf reports whether each of several questions, asked in order, is answered with yes.
func allOf(questions ...func() (bool, error)) (bool, error) {
	for _, ask := range questions {
		if yes, err := ask(); err != nil || !yes {
			return false, err
		}
	}
	return true, nil
}

func (a *warden) sets(ctx context.Context, e *admin.Edit) (bool, error) {
	return allOf(
		func() (bool, error) { return a.may(ctx, authz.DutyOf(e.Key.Kind, "update"), e.Key.ID, "", "") },
		func() (bool, error) { return a.knows(ctx, e.Key) },
		func() (bool, error) {
			was, said := a.known[e.Key], e.Fields.Applied(&admin.Record{Kind: e.Key.Kind})
			now := e.Fields.Applied(&admin.Record{Kind: e.Key.Kind, Role: was.Role, Permissions: was.Permissions})
			switch e.Key.Kind {
			case authz.KindRole, authz.KindGroup:
				lists := grants{{e.Key, now.Permissions}}
				return a.gives(ctx, e.Key, grants{{e.Key, was.Permissions}}, lists, lists)
			case authz.KindTeamMember:
				return a.gives(ctx, e.Key, a.grantsOf(was.Role, was.Groups), a.grantsOf(now.Role, was.Groups), a.grantsOf(said.Role, nil))
			}
			return true, nil
		},
	)
}

func (a *warden) links(ctx context.Context, e *admin.Edit) (bool, error) {
	duty := map[admin.Relation]authz.Duty{
		admin.MemberOfGroup: authz.UpdateTeamMember, admin.Access: authz.UpdateAccess, admin.Booking: authz.UpdateBooking, admin.CareTeam: authz.UpdateCareTeam,
	}[e.Relation]
	kind, _ := e.Relation.Ends()
	from := authz.Key{Kind: kind, ID: e.From}
	return allOf(
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
		kind, _ := e.Relation.Ends()
		return r.Kind == kind && r.ID == e.From && slices.Contains(*e.Relation.Field().List(&r), e.To)
	})
}
