package httpapi

import (
	"context"
	"net/http"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// Administration is what the Directory API asks: who may do what is decided
// behind it (A1, A4). Its methods return within ctx, with errors whose kind
// authz.KindOf knows; Forbidden is for the actor. *admin.Service is one.
type Administration interface {
	// Administers returns nil for an actor who administers by the policy, and is Forbidden in
	// the same words for all others.
	Administers(ctx context.Context, organisation string, actor admin.Actor) error
	// Apply commits edits in one revision, or none of them.
	Apply(ctx context.Context, organisation string, actor admin.Actor, edits []admin.Edit, options admin.Options) (admin.Committed, error)
	// Change gives some fields and lists of one record new values.
	Change(ctx context.Context, organisation string, actor admin.Actor, key authz.Key, patch admin.Fields, options admin.Options) (
		admin.Committed, error)
	// Replace makes ids all that relate to an entity. A tag that is not "" is the
	// admin.SetTag of those that do now.
	Replace(ctx context.Context, organisation string, actor admin.Actor, relation admin.Relation, to string, ids []string, tag string,
		options admin.Options) (admin.Committed, error)
	// Get returns one record. One that does not exist is NotFound.
	Get(ctx context.Context, organisation string, actor admin.Actor, key authz.Key) (*admin.Stored, authz.Revision, error)
	// List and Related return what the methods of admin.Store called so do.
	List(ctx context.Context, organisation string, actor admin.Actor, kind authz.Kind, after string, limit int) (admin.Page, error)
	Related(ctx context.Context, organisation string, actor admin.Actor, relation admin.Relation, to, after string, limit int) (
		admin.RelatedPage, error)
	// History returns changes after a revision, and Wait returns nil when there are
	// some. A revision that is not remembered is Behind.
	History(ctx context.Context, organisation string, actor admin.Actor, after admin.Place, limit int) (admin.History, error)
	Wait(ctx context.Context, organisation string, after authz.Revision) error
	// Includes returns nil if what was read at the revision have includes the changes up to
	// want. It does not, and the error is Behind, if want is of a history that was lost.
	Includes(ctx context.Context, organisation string, have, want authz.Revision) error
}

// collection is the records of one kind, under their path.
type collection struct {
	path string
	kind authz.Kind
}

func collections() []collection {
	return []collection{
		{"roles", authz.KindRole},
		{"groups", authz.KindGroup},
		{"patient-groups", authz.KindPatientGroup},
		{"team-members", authz.KindTeamMember},
		{"patients", authz.KindPatient},
		{"bookings", authz.KindBooking},
	}
}

// pathOf returns the path of the records of a kind.
func pathOf(kind authz.Kind) string {
	for _, c := range collections() {
		if c.kind == kind {
			return c.path
		}
	}
	return ""
}

// routeDirectory registers the Directory API under base.
func (a *API) routeDirectory(base string) {
	s := a.admin
	base += "/directory/v1"
	ofPage, ofVersion := pageParameters(), accepted{conditions: []string{ifMatch}}
	for _, c := range collections() {
		all := []verb{{http.MethodGet, a.reading(a.listRecords(c.kind), ofPage)}}
		one := []verb{{http.MethodGet, a.reading(a.getRecord(c.kind), accepted{conditions: []string{ifNoneMatch}})}}
		if c.kind == authz.KindBooking { // made and ended, and never written over (B5, B6)
			all = append(all, verb{http.MethodPost, a.writing(a.book, accepted{})})
		} else {
			one = append(one, verb{http.MethodPut, a.writing(a.putRecord(c.kind), accepted{conditions: []string{ifMatch, ifNoneMatch}})}, verb{http.MethodPatch, a.writing(a.patchRecord(c.kind), ofVersion)})
		}
		one = append(one, verb{http.MethodDelete, a.writing(a.deleteRecord(c.kind), accepted{query: []string{"cascade"}, conditions: []string{ifMatch}, noBody: true})})
		s.resource(base+"/"+c.path, all...)
		s.resource(base+"/"+c.path+"/:id", one...)
	}
	s.resource(base+"/bookings/:id/cancel", verb{http.MethodPost, a.writing(a.cancel, ofVersion)})
	for _, v := range views() {
		a.routeView(base, v)
	}
	s.resource(base+"/edits", verb{http.MethodPost, a.writing(a.edits, accepted{})})
	s.resource(base+"/records", verb{http.MethodPost, a.reading(a.recordByBody, accepted{})})
	s.resource(base+"/lists", verb{http.MethodPost, a.reading(a.listByBody, accepted{})})
	s.resource(base+"/relations", verb{http.MethodPost, a.reading(a.relationByBody, accepted{})})
	s.resource(base+"/changes", verb{http.MethodGet, a.reading(a.changes, ofPage)}, verb{http.MethodPost, a.reading(a.changesByBody, accepted{})})
}

// routeView registers what can be done with a relationship as seen from one end.
func (a *API) routeView(base string, v view) {
	ofPage, ofVersion := pageParameters(), accepted{conditions: []string{ifMatch}}
	path := base + "/" + pathOf(v.seenFrom()) + "/:id/" + v.path
	set := []verb{{http.MethodGet, a.reading(a.getSet(v), accepted{query: ofPage.query, conditions: []string{ifNoneMatch}})}}
	var one []verb
	if v.can&replaceSet != 0 {
		set = append(set, verb{http.MethodPut, a.writing(a.putSet(v), ofVersion)})
	}
	if v.can&(addToSet|removeFromSet) != 0 {
		set = append(set, verb{http.MethodPost, a.writing(a.editSet(v), accepted{})})
	}
	if v.can&addToSet != 0 {
		one = append(one, verb{http.MethodPut, a.writing(a.linkOne(v), accepted{noBody: true})})
	}
	if v.can&removeFromSet != 0 {
		one = append(one, verb{http.MethodDelete, a.writing(a.unlinkOne(v), accepted{noBody: true})})
	}
	a.admin.resource(path, set...)
	if len(one) > 0 {
		a.admin.resource(path+"/:other", one...)
	}
}
