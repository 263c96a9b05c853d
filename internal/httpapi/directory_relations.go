package httpapi

import (
	"maps"
	"net/http"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// The things that can be done with a set of ids.
const (
	replaceSet = 1 << iota
	addToSet
	removeFromSet
)

// view is a relationship as it is seen from one of its two ends (A2).
type view struct {
	path     string // what the other end is called there
	relation admin.Relation
	from     bool // seen from where the relation goes out
	can      int
}

// views are the sets that there are. A role and a patient group are left only for
// another one, so nobody is removed from them here; bookings are made and cancelled.
func views() []view {
	const edge = replaceSet | addToSet | removeFromSet
	return []view{
		{"groups", admin.MemberOfGroup, true, edge},
		{"access", admin.Access, true, edge},
		{"booking", admin.Booking, true, edge},
		{"care-team", admin.CareTeam, true, edge},
		{"members", admin.MemberOfGroup, false, edge},
		{"members", admin.RoleOf, false, replaceSet | addToSet},
		{"access", admin.Access, false, edge},
		{"booking", admin.Booking, false, edge},
		{"patients", admin.CareTeam, false, edge},
		{"patients", admin.PatientGroupOf, false, addToSet},
		{"bookings", admin.BookingOf, false, 0},
		{"bookings", admin.BookingsWith, false, 0},
	}
}

// seenFrom returns the kind of entity that the view is seen from.
func (v view) seenFrom() authz.Kind {
	from, to := v.relation.Ends()
	if v.from {
		return from
	}
	return to
}

// edit returns the edit that makes or ends the relation between here and other.
func (v view) edit(here, other string, holds bool) admin.Edit {
	from, to := other, here
	if v.from {
		from, to = here, other
	}
	switch v.relation {
	case admin.RoleOf:
		return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindTeamMember, ID: from}, Fields: admin.Fields{"role": to}}
	case admin.PatientGroupOf: // a move (V5)
		return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: authz.KindPatient, ID: from}, Fields: admin.Fields{"patient_group": to}}
	}
	op := admin.Unlink
	if holds {
		op = admin.Link
	}
	return admin.Edit{Op: op, Relation: v.relation, From: from, To: to}
}

// outgoing returns where a relation goes to from a record, in order: on a care team whoever is
// on it, by hand or by a booking.
func outgoing(r *admin.Stored, relation admin.Relation) []string {
	var ids []string
	switch f := relation.Field(); {
	case relation == admin.CareTeam:
		ids = slices.Collect(maps.Keys(r.Sources))
	case f.Text != nil && *f.Text(&r.Record) != "":
		ids = []string{*f.Text(&r.Record)}
	case f.List != nil:
		ids = slices.Clone(*f.List(&r.Record))
	}
	slices.Sort(ids)
	return ids
}

// getSet answers a page of the ids at the other end.
func (a *API) getSet(v view) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(v.seenFrom())
		if err != nil {
			return err
		}
		p, err := x.page()
		if err != nil {
			return err
		}
		return x.set(actor, v, key, p)
	}
}

// set answers a page of a set. All of it in one page has an entity tag.
func (x *exchange) set(actor admin.Actor, v view, key authz.Key, p page) error {
	got, err := x.related(actor, v, key, p)
	if err != nil {
		return err
	}
	if err := x.stateIncluded(got.Revision); err != nil {
		return err
	}
	last := ""
	if n := len(got.IDs); n > 0 {
		last = got.IDs[n-1]
	}
	answer := wire.IDs{IDs: got.IDs, Next: x.api.pages.next(got.More, last, got.Next)}
	if p.after != "" || got.More {
		return x.object(http.StatusOK, answer)
	}
	if err := x.encode(answer); err != nil {
		return err
	}
	x.tagged(http.StatusOK, `"`+admin.SetTag(got.IDs)+`"`)
	return nil
}

// related reads a page of a set.
func (x *exchange) related(actor admin.Actor, v view, key authz.Key, p page) (admin.RelatedPage, error) {
	if !v.from {
		return x.api.cfg.Administration.Related(x.ctx, x.organisation(), actor, v.relation, key.ID, p.after, p.limit)
	}
	stored, revision, err := x.stored(actor, key)
	if err != nil {
		return admin.RelatedPage{}, err
	}
	ids := outgoing(stored, v.relation)
	at, found := slices.BinarySearch(ids, p.after)
	if found {
		at++
	}
	ids = ids[at:]
	shown := ids[:min(len(ids), p.limit)]
	return admin.RelatedPage{IDs: shown, More: len(shown) < len(ids), Revision: revision}, nil
}

// putSet replaces a set.
func (a *API) putSet(v view) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(v.seenFrom())
		if err != nil {
			return err
		}
		tag, err := x.ifMatch()
		if err != nil {
			return err
		}
		set, err := body[wire.Set](x)
		if err != nil {
			return err
		}
		done, place, err := x.replace(actor, v, key, set.IDs, tag)
		if err != nil {
			return unwritten(err, place)
		}
		return x.outcome(http.StatusOK, done)
	}
}

// replace makes ids the whole set. Place names the fields of its error.
func (x *exchange) replace(actor admin.Actor, v view, key authz.Key, ids []string, tag string) (
	done admin.Committed, place func(string) string, err error,
) {
	options, err := x.options()
	if err != nil {
		return done, asIs, err
	}
	if !v.from {
		done, err = x.api.cfg.Administration.Replace(x.ctx, x.organisation(), actor, v.relation, key.ID, ids, tag, options)
		return done, asIs, err
	}
	if tag == "" && v.relation != admin.CareTeam {
		return x.replaceList(actor, v, key, ids, ids, options)
	}
	// What the list becomes depends on what it is: it is read, and replaced if the
	// record is still that version.
	for range 5 {
		stored, _, err := x.stored(actor, key)
		if err != nil {
			return done, asIs, err
		}
		if tag != "" && tag != admin.SetTag(outgoing(stored, v.relation)) {
			return done, asIs, authz.Errorf(authz.Changed, "", "the set is not the one that If-Match names; read it again, and repeat the change with its ETag")
		}
		list := ids
		if v.relation == admin.CareTeam {
			list = manualPlaces(stored, ids)
		}
		options.IfMatch = []admin.Expectation{{Key: key, Since: stored.Since, IfMatch: true}}
		done, place, err = x.replaceList(actor, v, key, ids, list, options)
		if authz.KindOf(err) != authz.Changed {
			return done, place, err
		}
	}
	return done, asIs, authz.Errorf(authz.Conflict, "", "the record keeps changing; try again")
}

// manualPlaces returns who of ids needs a manual place on a patient's care team for
// all of them to be on it: not those whom a booking alone puts there.
func manualPlaces(stored *admin.Stored, ids []string) []string {
	list := []string{}
	for _, id := range ids {
		if sources := stored.Sources[id]; len(sources) == 0 || slices.Contains(sources, "manual") {
			list = append(list, id)
		}
	}
	return list
}

// replaceList makes list the one of a record that holds the set ids.
func (x *exchange) replaceList(actor admin.Actor, v view, key authz.Key, ids, list []string, options admin.Options) (
	admin.Committed, func(string) string, error,
) {
	patch := admin.Fields{v.relation.Field().Name: list}
	done, err := x.api.cfg.Administration.Change(x.ctx, x.organisation(), actor, key, patch, options)
	return done, func(field string) string {
		if n, ok := wire.ItemIn(field); ok && n < len(list) {
			return wire.Item("ids", slices.Index(ids, list[n]))
		}
		return field
	}, err
}

// editSet adds many to a set and removes many from it in one revision.
func (a *API) editSet(v view) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(v.seenFrom())
		if err != nil {
			return err
		}
		change, err := x.setChange(v)
		if err != nil {
			return err
		}
		options, err := x.options()
		if err != nil {
			return err
		}
		done, err := a.cfg.Administration.Apply(x.ctx, x.organisation(), actor, v.edits(key.ID, change), options)
		if err != nil {
			return unwritten(err, change.Place)
		}
		return x.outcome(http.StatusOK, done)
	}
}

// setChange receives what is added to a set and, where that can be, removed from it.
func (x *exchange) setChange(v view) (change wire.SetChange, err error) {
	if v.can&removeFromSet != 0 {
		return body[wire.SetChange](x)
	}
	additions, err := body[wire.Additions](x)
	return additions.SetChange(), err
}

// edits returns the edits that a change of the set comes down to, additions first.
func (v view) edits(here string, change wire.SetChange) []admin.Edit {
	edits := make([]admin.Edit, 0, len(change.Add)+len(change.Remove))
	for _, id := range change.Add {
		edits = append(edits, v.edit(here, id, true))
	}
	for _, id := range change.Remove {
		edits = append(edits, v.edit(here, id, false))
	}
	return edits
}

// linkOne and unlinkOne make and end the relation to one other.
func (a *API) linkOne(v view) administering { return a.editOne(v, true) }

func (a *API) unlinkOne(v view) administering { return a.editOne(v, false) }

func (a *API) editOne(v view, holds bool) administering {
	return func(x *exchange, actor admin.Actor) error {
		key, err := x.key(v.seenFrom())
		if err != nil {
			return err
		}
		other, err := x.pathID("other")
		if err != nil {
			return err
		}
		options, err := x.options()
		if err != nil {
			return err
		}
		edits := []admin.Edit{v.edit(key.ID, other, holds)}
		done, err := a.cfg.Administration.Apply(x.ctx, x.organisation(), actor, edits, options)
		if err != nil {
			return unwritten(err, func(string) string { return "" })
		}
		return x.nothing(done)
	}
}

// relationByBody answers a page of a set, of ids that have no business in a URL.
func (a *API) relationByBody(x *exchange, actor admin.Actor) error {
	query, err := body[wire.RelationQuery](x)
	if err != nil {
		return err
	}
	p, err := a.pages.pageOf(query.Limit, query.After)
	if err != nil {
		return err
	}
	v := view{relation: query.Relation, from: query.From != ""}
	return x.set(actor, v, authz.Key{Kind: v.seenFrom(), ID: query.From + query.To}, p)
}
