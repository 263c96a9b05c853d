package admin_test

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// world is an organisation in plain Go, with the rules of visibility and of
// permissions written once more, from the design and not from the policy.
type world struct {
	catalogue map[string]bool // type:action, and scopes
	records   map[authz.Key]*admin.Stored
}

// catalogue returns every permission that there is.
func catalogue(t testing.TB) map[string]bool {
	t.Helper()
	text, err := fs.ReadFile(data.Files(), "catalogue/data.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Types map[string]struct {
			Actions map[string]struct{ Permission string }
			Scopes  []string
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for name, spec := range document.Types {
		for action, how := range spec.Actions {
			if how.Permission != "" {
				out[how.Permission] = true
			} else {
				out[name+":"+action] = true
			}
		}
		for _, scope := range spec.Scopes {
			out[name+":"+scope] = true
		}
	}
	return out
}

// look reads everything that an organisation has.
func (c *clinic) look(catalogue map[string]bool) world {
	c.Helper()
	w := world{catalogue: catalogue, records: map[authz.Key]*admin.Stored{}}
	for _, kind := range model.Kinds() {
		page, err := c.store.List(c.Context(), organisation, kind, "", 1000)
		if err != nil || page.More {
			c.Fatal(err, page.More)
		}
		for _, r := range page.Records {
			w.records[r.Key()] = r
		}
	}
	return w
}

// all returns the records of a kind.
func (w world) all(kind authz.Kind) []*admin.Stored {
	var out []*admin.Stored
	for k, r := range w.records {
		if k.Kind == kind {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *admin.Stored) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// permissions returns what a member who is not suspended (P7) holds (P2, P3), and as themselves the listed
// permissions that stand for what is still to come.
func (w world) permissions(id string) map[string]bool {
	out := map[string]bool{}
	m := w.records[key(authz.KindTeamMember, id)]
	if m == nil || m.IsSuspended {
		return out
	}
	sources := []authz.Key{key(authz.KindRole, m.Role)}
	for _, g := range m.Groups {
		sources = append(sources, key(authz.KindGroup, g))
	}
	for _, k := range sources {
		if source := w.records[k]; source != nil {
			for _, permission := range source.Permissions {
				w.grant(out, permission)
			}
		}
	}
	return out
}

func (w world) grant(out map[string]bool, permission string) {
	typ, action, _ := strings.Cut(permission, ":")
	known := w.catalogue[permission]
	switch {
	case permission == "*:*":
		out[permission] = true
		for p := range w.catalogue {
			out[p] = true
		}
		return
	case action == "*":
		for _, a := range []string{"view", "create", "update", "delete"} {
			if w.catalogue[typ+":"+a] {
				out[typ+":"+a], known = true, true
			}
		}
		if known {
			return
		}
	}
	out[permission] = true
}

// holds reports whether a set of permissions has one of those that are wanted.
func holds(permissions map[string]bool, wanted ...string) bool {
	for _, p := range wanted {
		if permissions[p] || permissions["*:*"] {
			return true
		}
	}
	return false
}

// sees reports whether a member who is not suspended (P7) sees a patient (V1-V4).
func (w world) sees(member, patient string) bool {
	m, p := w.records[key(authz.KindTeamMember, member)], w.records[key(authz.KindPatient, patient)]
	if m == nil || m.IsSuspended || p == nil {
		return false
	}
	return w.permissions(member)["patient:view_all"] || slices.Contains(m.Access, p.PatientGroup) || len(p.Sources[member]) > 0
}

// administered reports whether somebody who is not suspended (P7) holds user:*, by that name or as part of
// everything.
func (w world) administered() bool {
	for _, m := range w.all(authz.KindTeamMember) {
		for _, k := range append([]authz.Key{key(authz.KindRole, m.Role)}, groupKeys(m.Groups)...) {
			if r := w.records[k]; r != nil && !m.IsSuspended && (slices.Contains(r.Permissions, "user:*") || slices.Contains(r.Permissions, "*:*")) {
				return true
			}
		}
	}
	return false
}

func groupKeys(ids []string) []authz.Key {
	var out []authz.Key
	for _, id := range ids {
		out = append(out, key(authz.KindGroup, id))
	}
	return out
}

// wrong returns what an actor did between two states that the rules forbid, "" for
// nothing.
func wrong(actor admin.Actor, before, after world) string {
	held := map[string]bool{}
	self := ""
	if actor.Type == "team_member" {
		self, held = actor.ID, before.permissions(actor.ID)
	}
	sees := func(patient string) bool { return before.sees(self, patient) }
	for _, m := range after.all(authz.KindTeamMember) {
		had := before.permissions(m.ID)
		for p := range after.permissions(m.ID) {
			if !holds(had, p) && !holds(held, p) {
				return "A4: gained " + p
			}
		}
		for _, p := range before.all(authz.KindPatient) {
			own := actor.Type == "patient" && actor.ID == p.ID
			if after.sees(m.ID, p.ID) && !before.sees(m.ID, p.ID) && !sees(p.ID) && !own {
				return "A4: gained sight of a patient"
			}
		}
	}
	if before.administered() && !after.administered() {
		return "A4: nobody holds user:* any more"
	}
	for k := range before.records {
		if broken := changed(actor, held, sees, before, after, k); broken != "" {
			return broken
		}
	}
	for k := range after.records {
		if before.records[k] == nil {
			if broken := changed(actor, held, sees, before, after, k); broken != "" {
				return broken
			}
		}
	}
	return ""
}

// changed says what is wrong about what became of one entity (A1).
func changed(actor admin.Actor, held map[string]bool, sees func(string) bool, before, after world, k authz.Key) string {
	old, now := before.records[k], after.records[k]
	may := func(rule string, wanted ...string) string {
		if holds(held, wanted...) {
			return ""
		}
		return "A1: " + rule
	}
	none := &admin.Stored{}
	isNew, isGone := old == nil, now == nil
	if isNew {
		old = none
	}
	if isGone {
		now = none
	}
	switch k.Kind {
	case authz.KindRole, authz.KindGroup, authz.KindTeamMember:
		own := old.Name != now.Name || old.IsProvider != now.IsProvider || old.IsSuspended != now.IsSuspended || !slices.Equal(old.Permissions, now.Permissions)
		by := old.Role != now.Role || !slices.Equal(old.Groups, now.Groups)
		settings := !slices.Equal(old.Access, now.Access) || !slices.Equal(old.Booking, now.Booking)
		switch {
		case isNew && may("", "user:create") != "":
			return may("made", "user:create")
		case isGone:
			return may("deleted", "user:delete")
		case own && !isNew && may("", "user:update") != "":
			return may("changed", "user:update")
		case by && !isNew && may("", "user:update", "user:delete") != "":
			return may("role or groups changed", "user:update", "user:delete")
		case settings:
			return may("Access or Booking changed", "settings:update")
		}
	case authz.KindPatientGroup:
		if isNew || isGone || old.Name != now.Name {
			return may("patient group changed", "settings:update")
		}
	case authz.KindPatient:
		return changedPatient(held, sees, k.ID, old, now, isNew, isGone)
	case authz.KindBooking:
		return changedBooking(actor, held, sees, before, after, old, now, isNew, isGone)
	}
	return ""
}

func changedPatient(held map[string]bool, sees func(string) bool, id string, old, now *admin.Stored, isNew, isGone bool) string {
	switch {
	case isNew:
		if !holds(held, "patient:create") || len(now.CareTeam) > 0 && !holds(held, "settings:update") {
			return "A1: registered"
		}
	case isGone:
		if !holds(held, "patient:delete") || !sees(id) {
			return "A1: patient deleted"
		}
	case old.PatientGroup != now.PatientGroup && (!holds(held, "patient:update") || !sees(id)):
		return "A1: moved"
	case !slices.Equal(old.CareTeam, now.CareTeam) && !holds(held, "settings:update", "user:delete"):
		return "A1: care team changed"
	}
	return ""
}

func changedBooking(
	actor admin.Actor, held map[string]bool, sees func(string) bool, before, after world, old, now *admin.Stored, isNew, isGone bool,
) string {
	mayBook := func(r *admin.Stored) bool {
		return actor.Type == "patient" && actor.ID == r.Patient || holds(held, "appointment:create") && sees(r.Patient)
	}
	switch {
	case isNew:
		provider, patient := before.records[key(authz.KindTeamMember, now.Provider)], before.records[key(authz.KindPatient, now.Patient)]
		if !mayBook(now) || provider == nil || patient == nil || provider.IsSuspended || !slices.Contains(provider.Booking, patient.PatientGroup) {
			return "B3, B4: booked"
		}
	case isGone:
		gone := after.records[key(authz.KindPatient, old.Patient)] == nil || after.records[key(authz.KindTeamMember, old.Provider)] == nil
		if !gone && !holds(held, "settings:update") {
			return "A1: booking deleted"
		}
	case old.State != now.State && !mayBook(old):
		return "B6: cancelled"
	}
	return ""
}
