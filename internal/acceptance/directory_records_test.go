package acceptance

import (
	"net/http"
	"testing"
)

// life is a record of a kind, from its creation to its end. A booking has
// another (TestBookings).
type life struct {
	kind, id  string
	created   object
	replaced  object // by PUT
	patch     object
	patched   object
	sparse    object   // the least that a PUT takes, nil when created is that
	emptyList []string // lists of an answer even when they are empty
}

func lives() []life {
	return []life{
		{kind: "role", id: "scribe", created: object{"name": "Scribe", "permissions": list([]string{"clinical_note:view", "patient:view"})},
			replaced: object{"name": "Writer", "permissions": list([]string{"clinical_note:*"})},
			patch:    object{"name": "Author"}, patched: object{"name": "Author", "permissions": list([]string{"clinical_note:*"})},
			sparse: object{"name": "Nothing"}, emptyList: []string{"permissions"}},
		{kind: "group", id: "renal", created: object{"name": "Renal", "permissions": list([]string{"stock:view"})},
			replaced: object{"name": "Kidneys", "permissions": list([]string{"stock:view", "stock:update"})},
			patch:    object{"permissions": list([]string{"report:view"})}, patched: object{"name": "Kidneys", "permissions": list([]string{"report:view"})},
			sparse: object{"name": "Nothing"}, emptyList: []string{"permissions"}},
		{kind: "patient_group", id: "oncology", created: object{"name": "Oncology"}, replaced: object{"name": "Tumours"},
			patch: object{"name": "Cancer"}, patched: object{"name": "Cancer"}},
		{kind: "team_member", id: "zoe", created: object{"name": "Zoe", "role": "nurse", "groups": list([]string{"clinicians", "reporting"}), "access": list([]string{"diabetes"})},
			replaced: object{"name": "Zoë", "groups": list([]string{"reporting"}), "provider": true, "access": list([]string{"maternity"}), "booking": list([]string{"maternity", "diabetes"})},
			patch:    object{"role": "nurse", "booking": list([]string{"diabetes"})},
			patched: object{"name": "Zoë", "role": "nurse", "groups": list([]string{"reporting"}), "provider": true, "access": list([]string{"maternity"}),
				"booking": list([]string{"diabetes"})},
			sparse: object{"name": "Z"}, emptyList: []string{"groups", "access", "booking"}},
		{kind: "patient", id: "p-77", created: object{"patient_group": "diabetes", "care_team": list([]string{"noor", "li"})},
			replaced: object{"patient_group": "cardiology", "care_team": list([]string{"li"})},
			patch:    object{"care_team": list([]string{"mark"})}, patched: object{"patient_group": "cardiology", "care_team": list([]string{"mark"})},
			sparse: object{"patient_group": "maternity"}, emptyList: []string{"care_team"}},
	}
}

// TestRecords takes a record of every kind through all methods, statuses and
// conditions.
func TestRecords(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		for _, l := range lives() {
			t.Run(l.kind, func(t *testing.T) { d.live(t, l) })
		}
	})
}

func (d directory) live(t *testing.T, l life) {
	path := at(collections[l.kind], l.id)
	is := func(r reply, want object) {
		t.Helper()
		full := object{"kind": l.kind, "id": l.id}
		for name, value := range want {
			full[name] = value
		}
		if got := decode[object](t, reply{http.StatusOK, r.header, r.body}); !sameFields(got, full) {
			t.Errorf("%v, expected %v", r, full)
		}
	}
	changed := func(r reply) { // somebody else was faster
		t.Helper()
		if p := refused(t, r, http.StatusPreconditionFailed); p.Type != "urn:caregate:problem:changed" {
			t.Errorf("%v, expected the problem changed", r)
		}
	}

	refused(t, d.get(t, path), http.StatusNotFound)
	refused(t, d.patch(t, path, l.patch), http.StatusNotFound)
	changed(d.put(t, path, l.created, "If-Match", `"1.AAAAAAAA"`)) // there is no such version, for there is none
	refused(t, d.get(t, path), http.StatusNotFound)

	var r reply
	d.one(t, "a creation", func() {
		r = d.put(t, path, l.created, "If-None-Match", "*")
		d.wrote(t, r, http.StatusCreated)
	})
	is(r, l.created)
	first := r.header.Get("ETag")
	if want := `"` + d.revision + `"`; first != want {
		t.Errorf("the ETag of a new record is %s, expected its revision %s", first, want)
	}
	d.unchanged(t, "creating what is there", func() { changed(d.put(t, path, l.replaced, "If-None-Match", "*")) })
	d.unchanged(t, "writing it again", func() {
		full := object{"kind": l.kind, "id": l.id}
		for name, value := range l.created {
			full[name] = value
		}
		for _, body := range []object{l.created, full} {
			r := d.put(t, path, body)
			d.wrote(t, r, http.StatusOK)
			equal(t, r.header.Get("ETag"), first, "the ETag is")
		}
	})

	// Reading.
	r = d.get(t, path)
	is(r, l.created)
	equal(t, r.header.Get("ETag"), first, "the ETag is")
	if r := d.get(t, path, "If-None-Match", first); r.status != http.StatusNotModified || len(r.body) != 0 || r.header.Get("ETag") != first {
		t.Errorf("%v with the ETag %q, expected 304", r, r.header.Get("ETag"))
	}
	is(d.get(t, path, "If-None-Match", `"0.elsewhere"`), l.created)
	r = d.post(t, "/records", object{"kind": l.kind, "id": l.id})
	is(r, l.created)
	equal(t, r.header.Get("ETag"), first, "the ETag is")

	// Replacing.
	d.unchanged(t, "a lost race", func() {
		changed(d.put(t, path, l.replaced, "If-Match", `"1.AAAAAAAA"`))
		changed(d.delete(t, path, "If-Match", `"1.AAAAAAAA"`))
		changed(d.patch(t, path, l.replaced, "If-Match", `"1.AAAAAAAA"`))
	})
	d.one(t, "a replacement", func() {
		r = d.put(t, path, l.replaced, "If-Match", first)
		d.wrote(t, r, http.StatusOK)
	})
	is(r, l.replaced)
	is(d.get(t, path, "If-None-Match", first), l.replaced)
	second := r.header.Get("ETag")
	if second == first || second != d.tag(t, path) {
		t.Errorf("the ETag is %s after %s, and %s when read", second, first, d.tag(t, path))
	}
	changed(d.put(t, path, l.created, "If-Match", first))

	// Patching.
	changed(d.patch(t, path, l.patch, "If-Match", first))
	d.one(t, "a patch", func() {
		r = d.patch(t, path, l.patch, "If-Match", second)
		d.wrote(t, r, http.StatusOK)
	})
	is(r, l.patched)
	is(d.get(t, path), l.patched)
	d.unchanged(t, "the same patch", func() { d.wrote(t, d.patch(t, path, l.patch), http.StatusOK) })
	d.unchanged(t, "an empty patch", func() { d.patch(t, path, object{}) })
	is(d.get(t, path), l.patched)
	if l.sparse != nil {
		r = d.put(t, path, l.sparse)
		d.wrote(t, r, http.StatusOK)
		is(r, l.sparse)
		got := d.record(t, path)
		for _, name := range l.emptyList {
			if items, there := got[name].([]any); !there || len(items) != 0 {
				t.Errorf("%s of an empty record is %v, expected []", name, got[name])
			}
		}
	}

	// The end.
	last := d.tag(t, path)
	changed(d.delete(t, path, "If-Match", first))
	d.one(t, "a deletion", func() { d.wrote(t, d.delete(t, path, "If-Match", last), http.StatusNoContent) })
	refused(t, d.get(t, path), http.StatusNotFound)
	refused(t, d.post(t, "/records", object{"kind": l.kind, "id": l.id}), http.StatusNotFound)
	d.unchanged(t, "deleting it again", func() {
		answeredOneOf(t, d.delete(t, path), []int{http.StatusNotFound, http.StatusNoContent})
	})
}

// TestRecordsTakeTheRoleAway is the one member that a patch ends with "".
func TestRecordsTakeTheRoleAway(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.wrote(t, d.patch(t, "/team-members/tomas", object{"role": ""}), http.StatusOK)
		if got := d.record(t, "/team-members/tomas"); got["role"] != nil && got["role"] != "" || got["name"] != "Tomás Oliveira" {
			t.Errorf("%v, expected no role, and the name as it was", got)
		}
		hasLength(t, d.ids(t, "/roles/auditor/members"), 0, "the role has")
		if got := d.record(t, "/patients/p-1")["care_team_sources"].(object)["mark"]; !sameFields(object{"": got}, object{"": []string{"booking:b-1", "manual"}}) {
			t.Errorf("mark is on the care team for %v", got)
		}
	})
}

// TestRecordsCarryUnrulyIDs writes, reads and deletes records whose ids take
// paths and JSON apart.
func TestRecordsCarryUnrulyIDs(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		var edits array
		for _, id := range unruly {
			edits = append(edits, object{"put": object{"kind": "patient", "id": id, "patient_group": "diabetes", "care_team": []string{"noor"}}})
		}
		d.one(t, "all at once", func() { d.wrote(t, d.post(t, "/edits", object{"edits": edits}), http.StatusOK) })
		for _, id := range unruly {
			for _, r := range []reply{d.get(t, at("patients", id)), d.post(t, "/records", object{"kind": "patient", "id": id})} {
				if got := decode[object](t, r); got["id"] != id {
					t.Errorf("%q is read as %v", id, got["id"])
				}
			}
		}
		hasLength(t, d.ids(t, "/team-members/noor/patients"), len(unruly)+1, "noor cares for")
		for _, id := range unruly {
			d.wrote(t, d.delete(t, at("patients", id)), http.StatusNoContent)
			refused(t, d.get(t, at("patients", id)), http.StatusNotFound)
		}
		for _, id := range []string{"a\nb", "a\x00b", string(make([]byte, 257))} {
			refused(t, d.put(t, at("patients", id), object{"patient_group": "diabetes"}), http.StatusBadRequest)
		}
	})
}
