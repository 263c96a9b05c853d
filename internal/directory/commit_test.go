package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

func booking(id string) authz.Key      { return authz.Key{Kind: authz.KindBooking, ID: id} }
func patientGroup(id string) authz.Key { return authz.Key{Kind: authz.KindPatientGroup, ID: id} }

func put(r admin.Record) admin.Edit { return admin.Edit{Op: admin.Put, Record: &r} }

func set(key authz.Key, f admin.Fields) admin.Edit {
	return admin.Edit{Op: admin.Set, Key: key, Fields: f}
}

func link(relation admin.Relation, from, to string) admin.Edit {
	return admin.Edit{Op: admin.Link, Relation: relation, From: from, To: to}
}

func unlink(relation admin.Relation, from, to string) admin.Edit {
	return admin.Edit{Op: admin.Unlink, Relation: relation, From: from, To: to}
}

func remove(key authz.Key) admin.Edit { return admin.Edit{Op: admin.Delete, Key: key} }

func cascade(key authz.Key) admin.Edit {
	return admin.Edit{Op: admin.Delete, Key: key, Cascade: true}
}

func book(id, patient, provider string) admin.Edit {
	return admin.Edit{Op: admin.Book, Record: &admin.Record{Kind: authz.KindBooking, ID: id, Patient: patient, Provider: provider}}
}

func cancel(id string, release bool) admin.Edit {
	return admin.Edit{Op: admin.Cancel, Key: booking(id), Release: release}
}

// commit commits edits and returns the revision.
func (s *store) commit(t testing.TB, edits ...admin.Edit) authz.Revision {
	t.Helper()
	done, err := s.Commit(t.Context(), s.org, admin.Change{Edits: edits})
	if err != nil {
		t.Fatal(err)
	}
	return done.Revision
}

// refuses commits a change and expects an error, and that nothing is written. It
// returns what is in use, and by how many.
func (s *store) refuses(t testing.TB, change admin.Change, kind authz.ErrorKind, field, want string) ([]authz.Key, int) {
	t.Helper()
	before := s.dump(t)
	_, err := s.Commit(t.Context(), s.org, change)
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || e.Kind != kind || e.Field != field || !strings.Contains(e.Message, want) {
		t.Errorf("got %v, expected an error of kind %d about %q with %q", err, kind, field, want)
		return nil, 0
	}
	if after := s.dump(t); before != after {
		t.Errorf("the refused change changed something:\n%s\nbefore, and after\n%s", before, after)
	}
	return e.InUse, e.InUseCount
}

// What each operation does, one after the other.
func TestEdits(t *testing.T) {
	steps := []struct {
		what  string
		edits []admin.Edit
		want  map[string]string // key → value, "" for none
	}{
		{"put", []admin.Edit{put(admin.Record{Kind: authz.KindTeamMember, ID: "new", Role: "practitioner", IsProvider: true})},
			map[string]string{"team_member:new": `"name"="" "provider"="1" "role"="practitioner"`, "role-members:practitioner": `"mark" "new"`}},
		{"rename", []admin.Edit{set(member("new"), admin.Fields{"name": "New"})},
			map[string]string{"team_member:new": `"name"="New" "provider"="1" "role"="practitioner"`}},
		{"take the role away", []admin.Edit{set(member("new"), admin.Fields{"role": ""})},
			map[string]string{"team_member:new": `"name"="New" "provider"="1" "role"=""`, "role-members:practitioner": `"mark"`}},
		{"permissions", []admin.Edit{set(role("practitioner"), admin.Fields{"permissions": []string{"user:*", "a:b"}})},
			map[string]string{"role:practitioner": `"name"="Practitioner" "permissions"="[\"a:b\",\"user:*\"]"`, "user-admins": `"role:practitioner"`}},
		{"permissions of a group too", []admin.Edit{set(group("stock"), admin.Fields{"permissions": []string{"*:*"}}), set(role("practitioner"), admin.Fields{"permissions": []string{}})},
			map[string]string{"role:practitioner": `"name"="Practitioner" "permissions"="[]"`, "user-admins": `"group:stock"`}},
		{"join a group", []admin.Edit{link(admin.MemberOfGroup, "new", "clinicians")},
			map[string]string{"group-members:clinicians": `"mark" "new"`, "team_member:new": `"g:clinicians"="" "name"="New" "provider"="1" "role"=""`}},
		{"access and booking", []admin.Edit{link(admin.Access, "new", "aftercare"), link(admin.Booking, "new", "aftercare"), unlink(admin.MemberOfGroup, "new", "clinicians")},
			map[string]string{"access:aftercare": `"new"`, "bookable:aftercare": `"mark" "new"`, "group-members:clinicians": `"mark"`}},
		{"no provider, once nobody can book them", []admin.Edit{unlink(admin.Booking, "new", "aftercare"), set(member("new"), admin.Fields{"provider": false})},
			map[string]string{"bookable:aftercare": `"mark"`, "team_member:new": `"a:aftercare"="" "name"="New" "provider"="0" "role"=""`}},
		{"move", []admin.Edit{set(patient("p-1"), admin.Fields{"patient_group": "aftercare"})},
			map[string]string{"patients:aftercare": `"p-1"`, "patients:diabetes": "", "patient:p-1": `"c:mark"="booking:b-1" "c:noor"="manual" "patient_group"="aftercare"`}},
		{"by hand as well", []admin.Edit{link(admin.CareTeam, "p-1", "mark"), link(admin.CareTeam, "p-1", "new")},
			map[string]string{"care:mark": `"p-1"`, "care:new": `"p-1"`, "patient:p-1": `"c:mark"="booking:b-1\nmanual" "c:new"="manual" "c:noor"="manual" "patient_group"="aftercare"`}},
		{"no longer by hand", []admin.Edit{unlink(admin.CareTeam, "p-1", "mark"), unlink(admin.CareTeam, "p-1", "new")},
			map[string]string{"care:mark": `"p-1"`, "care:new": "", "patient:p-1": `"c:mark"="booking:b-1" "c:noor"="manual" "patient_group"="aftercare"`}},
		{"book", []admin.Edit{book("b-2", "p-1", "mark")},
			map[string]string{"booking:b-2": `"patient"="p-1" "provider"="mark" "state"="booked"`, "bookings-of:p-1": `"b-1" "b-2"`, "bookings-with:mark": `"b-1" "b-2"`,
				"patient:p-1": `"c:mark"="booking:b-1\nbooking:b-2" "c:noor"="manual" "patient_group"="aftercare"`}},
		{"cancel", []admin.Edit{cancel("b-1", false)},
			map[string]string{"booking:b-1": `"patient"="p-1" "provider"="mark" "state"="cancelled"`, "care:mark": `"p-1"`}},
		{"and release", []admin.Edit{cancel("b-1", true)},
			map[string]string{"booking:b-1": `"patient"="p-1" "provider"="mark" "state"="released"`, "patient:p-1": `"c:mark"="booking:b-2" "c:noor"="manual" "patient_group"="aftercare"`}},
		{"delete a booking", []admin.Edit{remove(booking("b-2"))},
			map[string]string{"booking:b-2": "", "bookings-of:p-1": `"b-1"`, "bookings-with:mark": `"b-1"`, "care:mark": "", "patient:p-1": `"c:noor"="manual" "patient_group"="aftercare"`}},
	}
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for _, step := range steps {
			s.commit(t, step.edits...)
			got := s.entities(t)
			for key, want := range step.want {
				if got[key] != want {
					t.Errorf("%s: %s is %s, expected %s", step.what, key, got[key], want)
				}
			}
			before := s.dump(t) // all of it is idempotent
			if done, err := s.Commit(t.Context(), s.org, admin.Change{Edits: step.edits[len(step.edits)-1:]}); err != nil || done.Changed || s.dump(t) != before {
				t.Errorf("%s: again: %+v, %v", step.what, done, err)
			}
		}
		// Within a change an edit stands on the ones before it.
		s.commit(t, unlink(admin.Access, "mark", "diabetes"), unlink(admin.Booking, "mark", "diabetes"), remove(patientGroup("diabetes")), remove(patientGroup("diabetes")))
		if got := s.entities(t); got["patient_group:diabetes"] != "" || got["ids:patient_group"] != `"aftercare"` || got["access:diabetes"] != "" {
			t.Errorf("the patient group is there: %v", got)
		}
	})
}

// What cascades reach, and only that.
func TestCascades(t *testing.T) {
	lines := append(clinic(),
		`{"kind":"team_member","id":"other","role":"practitioner","groups":["stock"],"provider":true,"access":["aftercare"],"booking":["aftercare"]}`,
		`{"kind":"patient","id":"p-2","patient_group":"aftercare","care_team":["mark","other"]}`,
		`{"kind":"booking","id":"b-2","patient":"p-2","provider":"mark","state":"cancelled"}`,
		`{"kind":"booking","id":"b-3","patient":"p-2","provider":"other","state":"booked"}`,
	)
	tests := map[authz.Key]struct {
		inUse []authz.Key
		gone  []string
		want  map[string]string
	}{
		role("practitioner"): {[]authz.Key{member("mark"), member("other")}, []string{"role-members:practitioner"},
			map[string]string{"team_member:other": `"a:aftercare"="" "b:aftercare"="" "g:stock"="" "name"="" "provider"="1" "role"=""`}},
		group("stock"): {[]authz.Key{member("mark"), member("other")}, []string{"group-members:stock"},
			map[string]string{"group-members:clinicians": `"mark"`}},
		patientGroup("aftercare"): {[]authz.Key{member("other"), member("mark"), patient("p-2")}, // Access first
			[]string{"access:aftercare", "bookable:aftercare", "patients:aftercare", "patient:p-2", "booking:b-2", "booking:b-3", "bookings-of:p-2", "bookings-with:other", "care:other"},
			map[string]string{"bookings-with:mark": `"b-1"`, "care:mark": `"p-1"`, "bookable:diabetes": `"mark"`}},
		member("mark"): {[]authz.Key{patient("p-1"), patient("p-2"), booking("b-1"), booking("b-2")},
			[]string{"booking:b-1", "booking:b-2", "bookings-with:mark", "care:mark", "bookable:diabetes", "group-members:clinicians"},
			map[string]string{"patient:p-2": `"c:other"="booking:b-3\nmanual" "patient_group"="aftercare"`, "bookings-of:p-2": `"b-3"`}},
		patient("p-2"): {[]authz.Key{booking("b-2"), booking("b-3")}, []string{"booking:b-2", "booking:b-3", "patients:aftercare", "care:other"},
			map[string]string{"care:mark": `"p-1"`}},
	}
	overStores(t, func(t *testing.T, s *store) {
		for key, test := range tests {
			s.raw.FlushAll(t.Context())
			s.load(t, lines...)
			inUse, count := s.refuses(t, admin.Change{Edits: []admin.Edit{remove(key)}}, authz.Conflict, "edits[0].key", "is in use")
			if !slices.Equal(inUse, test.inUse) || count != len(test.inUse) {
				t.Errorf("%v is in use by %v and %d in all, expected %v", key, inUse, count, test.inUse)
			}
			s.commit(t, cascade(key))
			got := s.entities(t)
			for _, gone := range append(test.gone, string(key.Kind)+":"+key.ID) {
				if got[gone] != "" {
					t.Errorf("without %v there is %s: %s", key, gone, got[gone])
				}
			}
			for name, want := range test.want {
				if got[name] != want {
					t.Errorf("without %v %s is %s, expected %s", key, name, got[name], want)
				}
			}
			roundTrip(t, s)
		}
	})
}

func TestCommitRefuses(t *testing.T) {
	many := make([]admin.Edit, admin.MaxEdits+1)
	for i := range many {
		many[i] = put(admin.Record{Kind: authz.KindPatientGroup, ID: fmt.Sprint(i)})
	}
	tests := map[string]struct {
		edits []admin.Edit
		kind  authz.ErrorKind
		field string
		want  string
	}{
		"nothing":          {nil, authz.Malformed, "edits", "is empty"},
		"too many":         {many, authz.TooLarge, "edits", "has 1001 edits"},
		"the zero edit":    {[]admin.Edit{{}}, authz.Malformed, "edits[0].op", "is missing"},
		"no record":        {[]admin.Edit{{Op: admin.Put}}, authz.Malformed, "edits[0].record", "is missing"},
		"a bad record":     {[]admin.Edit{remove(booking("x")), put(admin.Record{Kind: authz.KindGroup, ID: "x", Permissions: []string{"a:b", "a"}})}, authz.Malformed, "edits[1].record.permissions[1]", "is not a permission"},
		"a control":        {[]admin.Edit{remove(booking("\x01"))}, authz.Malformed, "edits[0].key.id", "control"},
		"no kind":          {[]admin.Edit{remove(authz.Key{ID: "x"})}, authz.Malformed, "edits[0].key.kind", "is missing"},
		"unknown access":   {[]admin.Edit{put(admin.Record{Kind: authz.KindTeamMember, ID: "x", Access: []string{"diabetes", "none"}})}, authz.Malformed, "edits[0].record.access[1]", "create it first"},
		"set unknown":      {[]admin.Edit{set(member("none"), admin.Fields{"name": "x"})}, authz.NotFound, "edits[0].key", "does not have"},
		"set nonsense":     {[]admin.Edit{set(patient("p-1"), admin.Fields{"name": "x"})}, authz.Malformed, "edits[0].fields.name", "is no field"},
		"set a bad name":   {[]admin.Edit{set(member("mark"), admin.Fields{"name": "\n"})}, authz.Malformed, "edits[0].fields.name", "control"},
		"set a bad role":   {[]admin.Edit{set(member("mark"), admin.Fields{"role": "none"})}, authz.Malformed, "edits[0].fields.role", "names a role"},
		"move to nowhere":  {[]admin.Edit{set(patient("p-1"), admin.Fields{"patient_group": "none"})}, authz.Malformed, "edits[0].fields.patient_group", "names a patient group"},
		"move to nothing":  {[]admin.Edit{set(patient("p-1"), admin.Fields{"patient_group": ""})}, authz.Malformed, "edits[0].fields.patient_group", "is missing"},
		"bad permissions":  {[]admin.Edit{set(role("practitioner"), admin.Fields{"permissions": []string{"x"}})}, authz.Malformed, "edits[0].fields.permissions[0]", "is not a permission"},
		"B1 by set":        {[]admin.Edit{set(member("mark"), admin.Fields{"provider": false})}, authz.Malformed, "edits[0].fields.provider", "Booking assignments"},
		"B1 by link":       {[]admin.Edit{link(admin.Booking, "noor", "diabetes")}, authz.Malformed, "edits[0].from", "no provider"},
		"B1 by put":        {[]admin.Edit{put(admin.Record{Kind: authz.KindTeamMember, ID: "noor", Booking: []string{"diabetes"}})}, authz.Malformed, "edits[0].record.provider", "must be true"},
		"B1 by book":       {[]admin.Edit{book("x", "p-1", "noor")}, authz.Malformed, "edits[0].record.provider", "no provider"},
		"no relation":      {[]admin.Edit{link(admin.RoleOf, "mark", "practitioner")}, authz.Malformed, "edits[0].relation", "is none"},
		"link from":        {[]admin.Edit{link(admin.Access, "none", "diabetes")}, authz.NotFound, "edits[0].from", "does not have"},
		"link to":          {[]admin.Edit{link(admin.CareTeam, "p-1", "none")}, authz.NotFound, "edits[0].to", "does not have"},
		"book nobody":      {[]admin.Edit{book("x", "none", "mark")}, authz.Malformed, "edits[0].record.patient", "names a patient"},
		"book with nobody": {[]admin.Edit{book("x", "p-1", "none")}, authz.Malformed, "edits[0].record.provider", "names a team member"},
		"rebook":           {[]admin.Edit{book("b-1", "p-1", "noor")}, authz.Conflict, "edits[0].record.provider", "is another one"},
		"book again":       {[]admin.Edit{cancel("b-1", false), book("b-1", "p-1", "mark")}, authz.Conflict, "edits[1].record.id", "has been cancelled"},
		"book a patient":   {[]admin.Edit{{Op: admin.Book, Record: &admin.Record{Kind: authz.KindPatient, ID: "x"}}}, authz.Malformed, "edits[0].record.kind", "write a booking"},
		"cancel none":      {[]admin.Edit{cancel("none", true)}, authz.NotFound, "edits[0].key", "does not have"},
		"cancel a patient": {[]admin.Edit{{Op: admin.Cancel, Key: patient("p-1")}}, authz.Malformed, "edits[0].key.kind", "only bookings"},
		"after a delete":   {[]admin.Edit{cascade(patient("p-1")), book("x", "p-1", "mark")}, authz.Malformed, "edits[1].record.patient", "names a patient"},
	}
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				s.refuses(t, admin.Change{Edits: test.edits}, test.kind, test.field, test.want)
				good := put(admin.Record{Kind: authz.KindPatientGroup, ID: "good"}) // and nothing of the others
				if len(test.edits) > 0 && len(test.edits) < admin.MaxEdits {
					field := strings.Replace(strings.Replace(test.field, "edits[1]", "edits[2]", 1), "edits[0]", "edits[1]", 1)
					s.refuses(t, admin.Change{Edits: append([]admin.Edit{good}, test.edits...)}, test.kind, field, test.want)
				}
			})
		}
		one := []admin.Edit{put(admin.Record{Kind: authz.KindPatientGroup, ID: "good"})}
		s.refuses(t, admin.Change{Edits: one, Author: admin.Author{Via: "post"}}, authz.Malformed, "author.via", "no way")
		s.refuses(t, admin.Change{Edits: one, Author: admin.Author{Actor: "a\nb"}}, authz.Malformed, "author.actor", "control")
		if _, err := s.Commit(t.Context(), "a\nb", admin.Change{Edits: one}); authz.KindOf(err) != authz.Malformed {
			t.Errorf("the organisation has a bad name: %v", err)
		}
	})
}

// A4: whatever is done to the last holder of user:*, and to the last of everything, whom
// those who hold user:* could not make anew.
func TestLastHolder(t *testing.T) { lastHolder(t, "user:*") }

func TestA4TheLastHolderOfEverythingStays(t *testing.T) {
	lastHolder(t, "*:*", `{"kind":"role","id":"users","permissions":["user:*","a:b"]}`, `{"kind":"team_member","id":"u","role":"users"}`)
}

func lastHolder(t *testing.T, permission string, others ...string) {
	t.Helper()
	lines := []string{
		`{"kind":"role","id":"admin","permissions":["a:b","` + permission + `"]}`,
		`{"kind":"role","id":"nurse","permissions":["user:view"]}`,
		`{"kind":"group","id":"hr","permissions":["` + permission + `"]}`,
		`{"kind":"team_member","id":"a","role":"admin","groups":["hr"]}`,
		`{"kind":"team_member","id":"b","role":"nurse"}`,
	}
	lines = append(lines, others...)
	losing := map[string][]admin.Edit{
		"role and group": {set(member("a"), admin.Fields{"role": "nurse"}), unlink(admin.MemberOfGroup, "a", "hr")},
		"deleted":        {remove(member("a"))},
		"put":            {put(admin.Record{Kind: authz.KindTeamMember, ID: "a"})},
		"permissions":    {set(role("admin"), admin.Fields{"permissions": []string{"user:view"}}), put(admin.Record{Kind: authz.KindGroup, ID: "hr"})},
		"cascade":        {cascade(role("admin")), cascade(group("hr"))},
		"suspended":      {set(member("a"), admin.Fields{"suspended": true})},
		"suspended, put": {put(admin.Record{Kind: authz.KindTeamMember, ID: "a", Role: "admin", Groups: []string{"hr"}, IsSuspended: true})},
		"all on leave": {set(role("admin"), admin.Fields{"permissions": []string{"user:view"}}),
			put(admin.Record{Kind: authz.KindTeamMember, ID: "d", Role: "nurse", Groups: []string{"hr"}, IsSuspended: true}), unlink(admin.MemberOfGroup, "a", "hr")},
		"both": {cascade(role("admin")), unlink(admin.MemberOfGroup, "a", "hr")},
	}
	overStores(t, func(t *testing.T, s *store) {
		for name, edits := range losing {
			t.Run(name, func(t *testing.T) {
				s.raw.FlushAll(t.Context())
				s.load(t, lines...)
				s.refuses(t, admin.Change{Edits: edits}, authz.Conflict, "", permission)
				if len(edits) > 1 { // half of it leaves the other half
					s.commit(t, edits[0])
				}
				// With another holder it is no matter, from before or by the same change.
				s.raw.FlushAll(t.Context())
				s.load(t, lines...)
				s.commit(t, append(slices.Clone(edits), put(admin.Record{Kind: authz.KindRole, ID: "chief", Permissions: []string{permission}}),
					set(member("b"), admin.Fields{"role": "chief"}))...)
				s.raw.FlushAll(t.Context())
				s.load(t, append(lines, `{"kind":"role","id":"chief","permissions":["`+permission+`"]}`, `{"kind":"team_member","id":"c","role":"chief"}`)...)
				s.commit(t, edits...)
				s.refuses(t, admin.Change{Edits: []admin.Edit{remove(member("c"))}}, authz.Conflict, "", permission)
				// One who is suspended is none, and is one again afterwards (P7).
				s.raw.FlushAll(t.Context())
				s.load(t, append(lines, `{"kind":"role","id":"chief","permissions":["`+permission+`"]}`, `{"kind":"team_member","id":"c","role":"chief","suspended":true}`)...)
				s.refuses(t, admin.Change{Edits: edits}, authz.Conflict, "", permission)
				s.commit(t, append(slices.Clone(edits), set(member("c"), admin.Fields{"suspended": false}))...)
			})
		}
		s.raw.FlushAll(t.Context())
		s.load(t, lines...)
		s.refuse(t, authz.Conflict, permission, `{"kind":"team_member","id":"a"}`)
		s.refuse(t, authz.Conflict, permission, `{"kind":"team_member","id":"a","role":"admin","groups":["hr"],"suspended":true}`)
	})
}
